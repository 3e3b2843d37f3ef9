"""How good a writer is on questions it has not seen: telling, copying, refusing both ways.

Each held-back question is put to it with its gold passage among look-alikes, and to look-alikes
alone. It trains nothing and registers nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.adapt.crops import holds_answer
from assistant.adapt.measure import ALL, SIGNIFICANT
from assistant.adapt.scores import best_f1
from assistant.adapt.writing import WriterSample
from assistant.prompts import declines
from assistant.text import numbers, sentences
from assistant.writer import Form, resolved
from evals.stats import Difference, Mean, difference, mean

_MARKER = re.compile(r"\[\d+\]")
_TELL_EVERY = 20

Tell = Callable[[str], None]
Write = Callable[[WriterSample], str]


@dataclass(frozen=True)
class WriterOutcome:
    """What a writer made of one held-back question.

    ``f1`` is against the gold sentences, 0 where it refused; ``found`` tells whether a spelling
    of the answer is in it; both are None where no passage answers. ``numbers`` tells whether all
    numbers of the answer occur in the passages, ``copied`` whether all its sentences do, and
    ``cited`` whether it ends with the gold passage's number; None where it refused. ``seconds``
    is the time it took.
    """

    source: str
    language: str
    answerable: bool
    refused: bool
    f1: float | None
    found: float | None
    numbers: float | None
    copied: float | None
    cited: float | None
    seconds: float


@dataclass(frozen=True)
class WriterScores:
    """Measures over questions, each with its 95 % interval; see `WriterOutcome`.

    ``wrongly_refused``: a passage answers. ``wrongly_answered``: none does.
    """

    questions: int
    f1: Mean
    found: Mean
    numbers: Mean
    copied: Mean
    cited: Mean
    wrongly_refused: Mean
    wrongly_answered: Mean
    seconds: Mean


def written(
    write: Write, form: Form, trials: Sequence[WriterSample], tell: Tell
) -> list[WriterOutcome]:
    """Put every held-back question to a writer."""
    made = []
    for trial in trials:
        began = time.perf_counter()
        text = write(trial)
        seconds = time.perf_counter() - began
        wanted = trial.target
        if form == "point":
            text, wanted = (resolved(t, trial.passages, trial.language) for t in (text, wanted))
        made.append(outcome(trial, text, wanted, seconds))
        if len(made) % _TELL_EVERY == 0:
            tell(f"measure: {len(made)} of {len(trials)} questions")
    return made


def outcome(trial: WriterSample, text: str, wanted: str, seconds: float) -> WriterOutcome:
    """Return what an answer is worth.

    Args:
        trial: the question.
        text: the answer, cited.
        wanted: the gold passage's words, cited.
        seconds: the time it took.
    """
    plain = _MARKER.sub("", text).strip()
    refused = not plain or declines(plain)
    passages = [_MARKER.sub("", passage) for passage in trial.passages]
    whole = _squeezed("".join(passages))
    gold = _MARKER.findall(wanted)[-1:] if trial.answerable else []
    return WriterOutcome(
        source=trial.source,
        language=trial.language,
        answerable=trial.answerable,
        refused=refused,
        f1=_or_none(trial.answerable, 0.0 if refused else best_f1(plain, [trial.quote])),
        found=_or_none(trial.answerable, not refused and holds_answer(plain, trial.answers)),
        numbers=_or_none(not refused, numbers(plain) <= numbers("\n".join(passages))),
        copied=_or_none(not refused, all(_squeezed(s) in whole for s in sentences(plain))),
        cited=_or_none(not refused and bool(gold), _MARKER.findall(text)[-1:] == gold),
        seconds=seconds,
    )


def writer_summary(made: Sequence[WriterOutcome]) -> dict[str, WriterScores]:
    """Return the scores of each source, of each language, and of all together."""
    slices = {ALL: list(made)}
    for each in made:
        for name in (each.source, each.language):
            slices.setdefault(name, []).append(each)
    return {name: _scores(part) for name, part in slices.items()}


def writer_worse(
    before: Sequence[WriterOutcome], after: Sequence[WriterOutcome]
) -> dict[str, Difference]:
    """Return by what a writer is worse than another on the same questions, and no chance of it."""
    pairs = list(zip(before, after, strict=True))
    found = [(a.f1, b.f1) for a, b in pairs if a.f1 is not None and b.f1 is not None]
    decided = [
        (-float(a.refused == a.answerable), -float(b.refused == b.answerable)) for a, b in pairs
    ]
    changes = {
        name: difference([old for old, _ in values], [new for _, new in values], "less")
        for name, values in (("F1", found), ("refusal", decided))
        if values
    }
    return {name: change for name, change in changes.items() if change.p < SIGNIFICANT}


def _scores(made: Sequence[WriterOutcome]) -> WriterScores:
    return WriterScores(
        questions=len(made),
        f1=_mean([o.f1 for o in made]),
        found=_mean([o.found for o in made]),
        numbers=_mean([o.numbers for o in made]),
        copied=_mean([o.copied for o in made]),
        cited=_mean([o.cited for o in made]),
        wrongly_refused=_mean([float(o.refused) for o in made if o.answerable]),
        wrongly_answered=_mean([float(not o.refused) for o in made if not o.answerable]),
        seconds=_mean([o.seconds for o in made]),
    )


def _mean(values: Sequence[float | None]) -> Mean:
    known = [value for value in values if value is not None]
    return mean(known) if known else Mean(0.0, 0.0, 0.0, 0)


def _or_none(known: bool, value: float) -> float | None:
    return float(value) if known else None


def _squeezed(text: str) -> str:
    return "".join(text.split())
