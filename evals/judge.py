"""A language model's opinion of the answers, beside the scores that need none.

Optional, and only as good as the model: what it says is kept apart from the other
scores, its failures are counted, and its agreement with the key facts is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import yaml
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.engines.base import engine_name, failures_named
from assistant.errors import EngineError
from assistant.prompts import Prompt
from assistant.types import Progress
from evals.record import Record
from evals.scorers import said

PROMPT = Path(__file__).parent / "judge.yaml"
JUDGE_FILE = "judge.json"
LEAST_PAIRS = 3
_FENCE = re.compile(r"^```(?:json)?\s*\n(.*)\n```$", re.DOTALL)


class Opinion(BaseModel):
    """What the judge must reply, and nothing else: 1 useless or wrong, 5 right and complete."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    score: int = Field(ge=1, le=5)
    reason: str


class Agreement(BaseModel):
    """Spearman's rank correlation of the judge's scores with key-fact recall, over n answers."""

    rho: float
    p: float
    n: int


class Judgement(BaseModel):
    """Opinions by case, and the replies that were none; no score is made up for those."""

    engine: str
    opinions: dict[str, Opinion]
    failures: dict[str, str]
    agreement: Agreement | None

    def __str__(self) -> str:
        """Say in a few lines what came of it."""
        scores = [opinion.score for opinion in self.opinions.values()]
        mean = f", {sum(scores) / len(scores):.2f} of 5 on average" if scores else ""
        lines = [
            f"{self.engine}: {len(scores)} answers graded{mean}; {len(self.failures)} failures"
        ]
        if self.agreement:
            lines.append(
                f"Spearman's correlation with key-fact recall: {self.agreement.rho:.2f} "
                f"(p = {self.agreement.p:.4f}, n = {self.agreement.n})"
            )
        else:
            lines.append("Too few or too even opinions to compare them with key-fact recall.")
        return "\n".join(lines)


def judge(
    engine: BaseChatModel,
    records: Sequence[Record],
    progress: Callable[[Progress], None] | None = None,
) -> Judgement:
    """Let ``engine`` grade every answer given to a question that has a reference."""
    graded = [record for record in records if record.case.reference and said(record.answer)]
    opinions: dict[str, Opinion] = {}
    failures: dict[str, str] = {}
    for done, record in enumerate(graded, 1):
        try:
            opinions[record.case.id] = parse(_reply(engine, record))
        except (ValueError, EngineError) as error:
            failures[record.case.id] = str(error)
        if progress:
            progress(Progress("judge", done, len(graded), record.case.id))
    return Judgement(
        engine=engine_name(engine),
        opinions=opinions,
        failures=failures,
        agreement=agreement(opinions, graded),
    )


def write_judgement(folder: Path, judgement: Judgement) -> None:
    """Keep a judgement beside the run it is about; the report shows it."""
    (folder / JUDGE_FILE).write_text(judgement.model_dump_json(indent=1) + "\n", "utf-8")


def read_judgement(folder: Path) -> Judgement | None:
    """Return the judgement kept beside a run, None when there is none."""
    path = folder / JUDGE_FILE
    return Judgement.model_validate_json(path.read_text("utf-8")) if path.exists() else None


def parse(reply: str) -> Opinion:
    """Return the opinion in a reply: one JSON object, bare or fenced, and nothing beside it.

    Raises:
        ValueError: it is anything else.
    """
    text = reply.strip()
    fenced = _FENCE.match(text)
    try:
        return Opinion.model_validate_json(fenced.group(1) if fenced else text)
    except ValidationError:
        raise ValueError(f"not the JSON that was asked for: {text[:200]!r}") from None


def agreement(opinions: dict[str, Opinion], records: Sequence[Record]) -> Agreement | None:
    """Return how far the judge ranks answers as key-fact recall does.

    None with fewer than three answers, or where either gives all of them the same score.
    """
    from scipy.stats import spearmanr

    pairs = [
        (opinions[record.case.id].score, recall)
        for record in records
        if record.case.id in opinions and (recall := record.scores.get("fact_recall")) is not None
    ]
    judged, recalled = [x for x, _ in pairs], [y for _, y in pairs]
    if len(pairs) < LEAST_PAIRS or len(set(judged)) == 1 or len(set(recalled)) == 1:
        return None
    result = spearmanr(judged, recalled)
    return Agreement(rho=float(result.statistic), p=float(result.pvalue), n=len(pairs))


def _reply(engine: BaseChatModel, record: Record) -> str:
    messages = _prompt().messages(
        record.case.language,
        question=record.case.question,
        reference=record.case.reference,
        answer=said(record.answer),
    )
    with failures_named(engine):
        return str(engine.invoke(messages).text)


@lru_cache(maxsize=1)
def _prompt() -> Prompt:
    prompt = Prompt(**yaml.safe_load(PROMPT.read_text("utf-8")))
    prompt.check("judge")
    return prompt
