"""What is measured of a public set: retrieval, answers, refusals; the set's own measures first.

Each measure is a function of one outcome, None where it does not apply. Retrieval and
words are measured on questions whose answer is in the corpus, refusals on all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.text import detect_language
from evals import match, published, stats
from evals.public import Parts, Question
from evals.ranking import hit_at, ndcg_at, reciprocal_rank
from evals.stats import Mean

Kind = Literal["answerable", "left out", "unanswerable"]


@dataclass(frozen=True)
class Outcome:
    """One question as it went.

    ``grades`` are those of the passages that were ingested, ``ranked`` the passages found,
    best first. ``text`` is the answer without its marks, ``""`` when refused or failed.
    """

    question: Question
    grades: Mapping[int, int]
    ranked: tuple[int, ...]
    text: str
    refused: bool
    seconds: float
    error: str = ""

    @property
    def kind(self) -> Kind:
        """Whether its answer is in the corpus, was left out, or never was in the set."""
        if not self.question.gold:
            return "unanswerable"
        return "answerable" if any(grade > 0 for grade in self.grades.values()) else "left out"


Score = Callable[[Outcome], float | None]


@dataclass(frozen=True)
class Measure:
    """A score with its name; ``whose`` is ``set`` for one that the set's authors publish."""

    name: str
    label: str
    score: Score
    whose: Literal["set", "ours"] = "ours"


@dataclass(frozen=True)
class Measured:
    """A measure's mean over the questions it applies to."""

    name: str
    label: str
    whose: str
    mean: Mean


def measure(format: str, outcomes: Sequence[Outcome]) -> list[Measured]:
    """Return the means of all measures that apply to at least one question."""
    found = []
    theirs = PUBLISHED[format]
    names = {each.name for each in theirs}
    for each in (*theirs, *(own for own in OURS if own.name not in names)):
        values = [value for outcome in outcomes if (value := each.score(outcome)) is not None]
        if values:
            found.append(Measured(each.name, each.label, each.whose, stats.mean(values)))
    return found


# -- when a score applies ------------------------------------------------------------------------


def _retrieval(score: Callable[[int, Sequence[int], Mapping[int, int]], float], k: int) -> Score:
    return lambda o: score(k, o.ranked, o.grades) if o.kind == "answerable" else None


def _words(score: Callable[[str, Question], float]) -> Score:
    """Apply where the set gives an answer; a refusal is an empty text."""

    def of(outcome: Outcome) -> float | None:
        if outcome.kind != "answerable" or not outcome.question.answers:
            return None
        return score(outcome.text, outcome.question)

    return of


def _refused(kind: Kind) -> Score:
    return lambda o: float(o.refused) if o.kind == kind else None


def _answered(kind: Kind) -> Score:
    """Count what is not a refusal: an error is none, and answers nothing either."""
    return lambda o: float(not o.refused and not o.error) if o.kind == kind else None


# -- the measures --------------------------------------------------------------------------------


def _chinese(question: Question) -> bool:
    return detect_language(question.text) == "zh"


def _span_exact(text: str, question: Question) -> float:
    score = published.cmrc_exact if _chinese(question) else published.squad_exact
    return score(text, _references(question))


def _span_f1(text: str, question: Question) -> float:
    score = published.cmrc_f1 if _chinese(question) else published.squad_f1
    return score(text, _references(question))


def _references(question: Question) -> Sequence[str]:
    """Return the answers that compete; several parts make one answer together."""
    parts: Parts = question.answers
    return parts[0] if len(parts) == 1 else (" ".join(part[0] for part in parts),)


def _holds(text: str, question: Question) -> float:
    return float(all(any(_spelt(text, each) for each in part) for part in question.answers))


def _spelt(text: str, spelling: str) -> bool:
    try:
        return match.holds(text, spelling)
    except ValueError:  # nothing of it is left without Markdown and LaTeX: compare as it is
        return spelling in text


def _best(score: Callable[[str, str], float]) -> Callable[[str, Question], float]:
    return lambda text, question: max(score(text, each) for each in _references(question))


PUBLISHED: dict[str, tuple[Measure, ...]] = {
    "squad": (
        Measure("exact", "Exact match (SQuAD; Chinese: CMRC 2018)", _words(_span_exact), "set"),
        Measure("f1", "F1 (SQuAD: words; Chinese: CMRC 2018)", _words(_span_f1), "set"),
    ),
    "clapnq": (
        Measure(
            "rougeL_f1",
            "ROUGE-L, F1",
            _words(lambda text, q: published.rouge_l(text, _references(q))[0]),
            "set",
        ),
        Measure(
            "rougeL_recall",
            "ROUGE-L, recall",
            _words(lambda text, q: published.rouge_l(text, _references(q))[1]),
            "set",
        ),
        Measure("unanswerable", "Unanswerable recognised", _refused("unanswerable"), "set"),
    ),
    "rgb": (
        Measure(
            "accuracy",
            "Accuracy: every part contained",
            _words(lambda text, q: published.rgb_correct(text, q.answers, chinese=_chinese(q))),
            "set",
        ),
        Measure("rejection", "Rejection rate, positives left out", _refused("left out"), "set"),
    ),
    "beir": (Measure("ndcg@10", "nDCG@10", _retrieval(ndcg_at, 10), "set"),),
    "nomiracl": (
        Measure("hallucination", "Hallucination rate", _answered("unanswerable"), "set"),
        Measure("error_rate", "Error rate", _refused("answerable"), "set"),
    ),
}

OURS: tuple[Measure, ...] = (
    Measure("recall@1", "Gold passage first", _retrieval(hit_at, 1)),
    Measure("recall@5", "Gold passage among the first 5", _retrieval(hit_at, 5)),
    Measure("mrr@10", "Reciprocal rank of the gold passage", _retrieval(reciprocal_rank, 10)),
    Measure("ndcg@10", "nDCG over passages", _retrieval(ndcg_at, 10)),
    Measure("holds", "Reference answer contained", _words(_holds)),
    Measure("token_f1", "Token F1 with the best reference", _words(_best(match.token_f1))),
    Measure("rouge_l", "ROUGE-L with the best reference", _words(_best(match.rouge_l))),
    Measure("answered", "Answerable questions answered", _answered("answerable")),
    Measure("refused_left_out", "Refused, gold passage left out", _refused("left out")),
    Measure("refused_own", "Refused, unanswerable in the set", _refused("unanswerable")),
    Measure("error", "Failed to answer at all", lambda o: float(bool(o.error))),
    Measure("seconds", "Seconds an answer", lambda o: None if o.error else o.seconds),
)
