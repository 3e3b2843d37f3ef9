"""Ask a public set through the public door, and measure what came: `run_public`.

A throw-away index is built with `Assistant.ingest`. The gold passages of a third of the
questions are left out of it, so that the right answer to these is a refusal; the set's own
unanswerable questions are counted apart. The set's published measures stand beside ours.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from assistant import Assistant, AssistantError, Settings
from assistant.embed import Embedder, load_embedder
from assistant.gate import Gate
from assistant.ingest.pipeline import ProgressCallback
from assistant.types import Progress, Quarantined
from evals.public import Corpus, Question, read, write_files
from evals.public_measures import Measured, Outcome, measure
from evals.scorers import said

LEFT_OUT = 1 / 3
# Passages of one document may take several places: enough for ten documents.
DEPTH = 50
_SETTINGS = (
    "engine", "llm_model", "embedding_model", "dense_weight", "candidates", "top_k",
    "gate_threshold", "chunk_tokens", "max_passages", "max_answer_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class PublicRun:
    """What a set was asked and how it went.

    ``passages`` counts the set's own, ``left_out`` those that were not ingested on purpose;
    ``not_taken_in`` names those that ingest refused. ``seconds`` is the ingest's time.
    """

    name: str
    format: str
    limit: int
    seed: int
    passages: int
    left_out: int
    not_taken_in: tuple[Quarantined, ...]
    chunks: int
    seconds: float
    settings: dict[str, Any]
    calibrated_here: bool
    outcomes: tuple[Outcome, ...]
    measures: tuple[Measured, ...]


def run_public(
    format: str,
    path: Path,
    settings: Settings,
    limit: int = 0,
    seed: int = 7,
    out: Path | None = None,
    *,
    embedder: Embedder | None = None,
    engine: BaseChatModel | None = None,
    progress: ProgressCallback | None = None,
) -> PublicRun:
    """Ask a public set, and write the run as JSON to ``out``; see `public_markdown`.

    Args:
        format: one of `evals.public.FORMATS`.
        path: the set's file or folder.
        settings: how to answer; the data directory is not touched.
        limit: how many questions to draw; 0: all.
        seed: of the draw.
        out: a JSON file, with every question and answer.
        embedder: in place of the settings' model.
        engine: in place of the settings' engine.
        progress: told of each step.

    Raises:
        ConfigurationError: the format is unknown, or a file is missing or malformed.
    """
    corpus = read(format, path)
    questions, left_out = draw(corpus, limit, seed)
    embedder = embedder or load_embedder(settings)
    with tempfile.TemporaryDirectory(prefix="assistant-public-") as folder:
        files = Path(folder) / "files"
        write_files(corpus, files, left_out)
        inside = {"data_dir": Path(folder) / "data", "chroma_url": "", "allowed_folders": ()}
        with Assistant(
            settings.model_copy(update=inside), embedder=embedder, engine=engine
        ) as asked:
            report = asked.ingest(files, progress=progress)
            asked.warm_up()
            outcomes = []
            for question in questions:
                outcomes.append(ask(asked, question, left_out))
                if progress:
                    progress(Progress("questions", len(outcomes), len(questions)))
    run = PublicRun(
        name=corpus.name,
        format=format,
        limit=limit,
        seed=seed,
        passages=len(corpus.passages),
        left_out=len(left_out),
        not_taken_in=report.quarantined,
        chunks=report.chunks,
        seconds=report.seconds,
        settings=settings.model_dump(mode="json", include=set(_SETTINGS)),
        calibrated_here=_calibrated_on(corpus, embedder),
        outcomes=tuple(outcomes),
        measures=tuple(measure(format, outcomes)),
    )
    if out:
        write_json(run, out)
    return run


def draw(corpus: Corpus, limit: int, seed: int) -> tuple[list[Question], frozenset[int]]:
    """Return the questions to ask, and the passages to leave out for a third of them.

    Other questions about those passages lose them too, so that a little more than a
    third may become unanswerable.
    """
    rng = random.Random(seed)
    questions = list(corpus.questions)
    if limit and limit < len(questions):
        questions = rng.sample(questions, limit)
    answerable = [question for question in questions if question.gold]
    chosen = rng.sample(answerable, round(LEFT_OUT * len(answerable)))
    gold = frozenset(index for question in chosen for index in question.gold)
    topics = {corpus.topics[index] for index in gold} if corpus.topics else set()
    twins = (index for index, topic in enumerate(corpus.topics) if topic in topics)
    return questions, gold | frozenset(twins)


def ask(asked: Assistant, question: Question, left_out: frozenset[int]) -> Outcome:
    """Search and ask one question; an error the product means to raise is part of the outcome."""
    ranked: tuple[int, ...] = ()
    answer, error = None, ""
    began = time.perf_counter()
    try:
        hits = asked.search(question.text, k=DEPTH)
        ranked = tuple(dict.fromkeys(int(Path(hit.document.source).stem) for hit in hits))
        began = time.perf_counter()
        answer = asked.ask(question.text)
    except AssistantError as problem:
        error = f"{type(problem).__name__}: {problem}"
    return Outcome(
        question=question,
        grades={i: grade for i, grade in question.grades.items() if i not in left_out},
        ranked=ranked,
        text=said(answer),
        refused=answer is not None and answer.refused,
        seconds=time.perf_counter() - began,
        error=error,
    )


def public_markdown(run: PublicRun) -> str:
    """Return the run's conditions and a table of its measures, the published ones first."""
    kinds = [outcome.kind for outcome in run.outcomes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    lines = [
        f"**{run.name}** ({run.format}): {run.passages} passages, {run.left_out} of them left "
        f"out; {run.chunks} chunks, ingested in {run.seconds:.0f} s; {len(kinds)} questions "
        f"({counts}), seed {run.seed}; engine {run.settings['engine']}, embedding model "
        f"{run.settings['embedding_model']}.",
        "",
        "| measure | whose | mean | 95 % interval | n |",
        "|---|---|---|---|---|",
    ]
    for each in run.measures:
        mean = each.mean
        lines.append(
            f"| {each.label} (`{each.name}`) | {each.whose} | {mean.value:.3f} | "
            f"{mean.low:.3f} to {mean.high:.3f} | {mean.n} |"
        )
    if run.not_taken_in:
        first = run.not_taken_in[0]
        lines += ["", f"{len(run.not_taken_in)} passages were not taken in, e.g.: {first.reason}"]
    if run.calibrated_here:
        lines += ["", "The evidence gate was calibrated on this set: refusals look better here."]
    return "\n".join(lines)


def write_json(run: PublicRun, out: Path) -> None:
    """Write all that is known of a run, questions and answers included."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(_plain(run), ensure_ascii=False, indent=1) + "\n", "utf-8")


# -- inside --------------------------------------------------------------------------------------


def _plain(run: PublicRun) -> dict[str, Any]:
    rows = [
        asdict(outcome) | {"kind": outcome.kind, "ranked": outcome.ranked[:10]}
        for outcome in run.outcomes
    ]
    return asdict(run) | {"outcomes": rows}


def _calibrated_on(corpus: Corpus, embedder: Embedder) -> bool:
    """Tell whether the evidence gate knows this set from its calibration."""
    if not Gate.load("late").fits(embedder.fingerprint):
        return False
    gates = json.loads(resources.files("assistant").joinpath("gate.json").read_text("utf-8"))
    return corpus.name in gates["late"]["calibrated_on"]
