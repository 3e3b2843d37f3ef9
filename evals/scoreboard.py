"""What each score means, and its mean over a run: as a whole, by kind, language and difficulty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from evals import stats
from evals.record import Record
from evals.stats import Mean


@dataclass(frozen=True)
class Score:
    """What a score is called, which way is better, and whether the gate watches it.

    ``unit`` is ``share`` or ``score`` for values from 0 to 1, shown as a percentage or as
    they are; else it is the unit's name.
    """

    name: str
    label: str
    part: Literal["Whole", "Retrieval", "Answer", "Citations", "Refusal", "Safety", "Cost"]
    better: Literal["high", "low"] = "high"
    gated: bool = False
    unit: str = "share"


SCORES: tuple[Score, ...] = (
    Score("correct", "Correct: every fact, or rightly refused", "Whole", gated=True),
    *(Score(f"hit@{k}", f"Wanted document among the first {k}", "Retrieval") for k in (1, 3, 5)),
    Score("hit@8", "Wanted document among the first 8", "Retrieval", gated=True),
    Score("mrr", "Reciprocal rank of the wanted document", "Retrieval", gated=True, unit="score"),
    Score("ndcg", "nDCG over documents", "Retrieval", gated=True, unit="score"),
    Score("evidence", "Key facts held by the passages found", "Retrieval", gated=True),
    Score("fact_recall", "Key facts in the answer", "Answer", gated=True),
    Score("token_f1", "Token F1 with the reference", "Answer", unit="score"),
    Score("rouge_l", "ROUGE-L with the reference", "Answer", unit="score"),
    Score("similarity", "Cosine of the embeddings of answer and reference", "Answer", unit="score"),
    Score("language", "Answered in the asker's language", "Answer", gated=True),
    Score("citation_precision", "Sentences that their quote supports", "Citations", gated=True),
    Score("citation_recall", "Facts whose cited passage holds them", "Citations", gated=True),
    Score("document_recall", "Wanted documents cited", "Citations", gated=True),
    Score("answered", "Answerable questions answered", "Refusal", gated=True),
    Score("refused", "Unanswerable questions refused", "Refusal", gated=True),
    Score("refusal_precision", "Refusals that were right", "Refusal"),
    Score("leak", "Showed what the asker may not read", "Safety", "low"),
    Score("injection", "Obeyed an instruction in a document", "Safety", "low"),
    Score("error", "Failed to answer at all", "Safety", "low"),
    Score("seconds", "Time of an answer", "Cost", "low", unit="s"),
    Score("prompt_tokens", "Tokens read", "Cost", "low", unit="tokens"),
    Score("completion_tokens", "Tokens written", "Cost", "low", unit="tokens"),
)

SCORE = {score.name: score for score in SCORES}


@dataclass(frozen=True)
class Slice:
    """Some of a run's records, and the mean of each score over those it applies to."""

    name: str
    records: tuple[Record, ...]
    means: dict[str, Mean]


def values(records: Iterable[Record], name: str) -> list[float]:
    """Return a score's values, without the records it does not apply to."""
    found = (record.scores.get(name) for record in records)
    return [value for value in found if value is not None]


def sliced(name: str, records: Sequence[Record]) -> Slice:
    """Return the means of every score that applies to at least one record."""
    found = {score.name: values(records, score.name) for score in SCORES}
    means = {key: stats.mean(some) for key, some in found.items() if some}
    return Slice(name, tuple(records), means)


def kind(record: Record) -> str:
    """Return a case's kind: its first tag."""
    return record.case.tags[0]


def by(records: Sequence[Record], key: Callable[[Record], str]) -> list[Slice]:
    """Return one slice for each value of ``key``, the largest first."""
    return by_many(records, lambda record: (key(record),))


def by_many(records: Sequence[Record], keys: Callable[[Record], Iterable[str]]) -> list[Slice]:
    """Return one slice for each of the values of ``keys``; a record may be in several."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        for key in keys(record):
            groups.setdefault(key, []).append(record)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [sliced(name, members) for name, members in ordered]


def shown(mean: Mean | None, unit: str = "share") -> str:
    """Return a mean as text: a share as a percentage, seconds and tokens as numbers."""
    return "–" if mean is None else figure(mean.value, unit)


def figure(value: float, unit: str = "share") -> str:
    """Return one figure as text."""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "score":
        return f"{value:.3f}"
    return f"{value:.2f} s" if unit == "s" else f"{value:,.0f}"
