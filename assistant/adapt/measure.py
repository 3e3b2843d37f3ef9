"""How good a reader is on questions it has not seen: finding, and refusing both ways.

Each held-back question is put to its gold passage, and to look-alike passages without the
answer, through the very `Reader` that the product loads. It also calibrates a reader, on the
validation split; it trains nothing and registers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.adapt.samples import Sample, Trial
from assistant.adapt.scores import area, best_f1, cross_entropy, equal_error, exact
from assistant.errors import ConfigurationError
from assistant.reader import Calibration, Reader
from evals.stats import CONFIDENCE, SEED, Difference, Mean, difference, mean

ALL = "all"
SIGNIFICANT = 0.05
_TRIALS_AT_ONCE = 16
_AREA_RESAMPLES = 500
_LEAST_SLOPE = 1e-3  # a head that tells nothing apart still gets a temperature above zero

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a reader made of one held-back question.

    ``f1`` and ``exact_match`` are of the best span in the gold passage, refused or not; None
    where the set has no answer. ``inside`` is the best probability among the gold passage and
    all look-alikes but the last, ``outside`` that among the look-alikes alone: as many
    passages. ``loss`` is the cross-entropy of the single passages' probabilities.
    """

    source: str
    language: str
    f1: float | None
    exact_match: float | None
    inside: float | None
    outside: float
    loss: float


@dataclass(frozen=True)
class Scores:
    """Measures over questions, each with its 95 % interval.

    ``wrongly_refused``: the gold passage is there, and no passage reaches the calibrated
    threshold. ``wrongly_answered``: it is not, and one does. ``auc`` tells the two apart by
    probability; ``equal_error`` is both errors where a threshold makes them equal.
    """

    questions: int
    exact_match: Mean
    f1: Mean
    wrongly_refused: Mean
    wrongly_answered: Mean
    auc: Mean
    equal_error: float
    loss: Mean


def calibrate(reader: Reader, validation: Sequence[Sample]) -> Calibration:
    """Return the calibration of a reader that has none, fitted on the validation split.

    Both kinds weigh the same. The threshold makes the two errors equal there.

    Raises:
        ConfigurationError: the split lacks answerable or unanswerable samples.
    """
    from sklearn.linear_model import LogisticRegression

    there = np.array([sample.answerable for sample in validation], bool)
    if there.all() or not there.any():
        raise ConfigurationError(
            "The validation split needs samples with and without an answer. Raise "
            "`validation` in the recipe's training, or `negatives` in its process."
        )
    readings = reader.read_pairs([(s.question, s.passage) for s in validation])
    raw = np.array([reading.answerable for reading in readings]).clip(1e-9, 1 - 1e-9)
    logits = np.log(raw / (1 - raw))
    regression = LogisticRegression(C=1e4, class_weight="balanced").fit(logits[:, None], there)
    slope = max(_LEAST_SLOPE, float(regression.coef_[0, 0]))
    calibration = Calibration(1 / slope, float(regression.intercept_[0]))
    chances = [calibration.probability(float(logit)) for logit in logits]
    threshold, _ = equal_error(chances, there.tolist())
    return Calibration(calibration.temperature, calibration.bias, threshold)


def outcomes(reader: Reader, trials: Sequence[Trial], tell: Tell) -> list[Outcome]:
    """Put every held-back question to a reader."""
    made: list[Outcome] = []
    for first in range(0, len(trials), _TRIALS_AT_ONCE):
        part = trials[first : first + _TRIALS_AT_ONCE]
        pairs = [(t.gold.question, text) for t in part for text in (t.gold.passage, *t.negatives)]
        readings = iter(reader.read_pairs(pairs))
        for trial in part:
            gold, *others = [next(readings) for _ in range(1 + len(trial.negatives))]
            made.append(_outcome(trial, gold.text, gold.answerable, [r.answerable for r in others]))
        if first % (8 * _TRIALS_AT_ONCE) == 0:
            tell(f"measure: {len(made)} of {len(trials)} questions")
    return made


def summary(made: Sequence[Outcome], threshold: float) -> dict[str, Scores]:
    """Return the scores of each source, of each language, and of all together."""
    slices = {ALL: list(made)}
    for outcome in made:
        for name in (outcome.source, outcome.language):
            slices.setdefault(name, []).append(outcome)
    return {name: _scores(part, threshold) for name, part in slices.items()}


def worse(
    before: Sequence[Outcome], before_at: float, after: Sequence[Outcome], after_at: float
) -> dict[str, Difference]:
    """Return by what a reader is worse than another on the same questions, and no chance of it.

    Args:
        before: of the one in use.
        before_at: its threshold.
        after: of the one that would replace it, in the same order.
        after_at: its threshold.
    """
    pairs = list(zip(before, after, strict=True))
    found = [(a.f1, b.f1) for a, b in pairs if a.f1 is not None and b.f1 is not None]
    decided = [(-_errors(a, before_at), -_errors(b, after_at)) for a, b in pairs]
    changes = {
        name: difference([old for old, _ in values], [new for _, new in values], "less")
        for name, values in (("F1", found), ("refusal", decided))
    }
    return {name: change for name, change in changes.items() if change.p < SIGNIFICANT}


def _outcome(trial: Trial, text: str, gold: float, others: Sequence[float]) -> Outcome:
    sample = trial.gold
    if not sample.answerable:
        chances = [gold, *others]
        labels = [False] * len(chances)
        loss = cross_entropy(chances, labels)
        return Outcome(sample.source, sample.language, None, None, None, max(chances), loss)
    loss = cross_entropy([gold, *others], [True] + [False] * len(others))
    return Outcome(
        source=sample.source,
        language=sample.language,
        f1=best_f1(text, sample.answers),
        exact_match=float(exact(text, sample.answers)),
        inside=max([gold, *others[:-1]]),
        outside=max(others, default=0.0),
        loss=loss,
    )


def _scores(made: Sequence[Outcome], threshold: float) -> Scores:
    inside = [o.inside for o in made if o.inside is not None]
    outside = [o.outside for o in made]
    chances, there = inside + outside, [True] * len(inside) + [False] * len(outside)
    return Scores(
        questions=len(made),
        exact_match=_mean([o.exact_match for o in made if o.exact_match is not None]),
        f1=_mean([o.f1 for o in made if o.f1 is not None]),
        wrongly_refused=_mean([float(chance < threshold) for chance in inside]),
        wrongly_answered=_mean([float(chance >= threshold) for chance in outside]),
        auc=_area(inside, outside),
        equal_error=equal_error(chances, there)[1],
        loss=_mean([o.loss for o in made]),
    )


def _errors(outcome: Outcome, threshold: float) -> float:
    """Return how many of the two decisions about a question are wrong."""
    refused = outcome.inside is not None and outcome.inside < threshold
    return float(refused) + float(outcome.outside >= threshold)


def _mean(values: Sequence[float]) -> Mean:
    return mean(values) if values else Mean(0.0, 0.0, 0.0, 0)


def _area(inside: Sequence[float], outside: Sequence[float]) -> Mean:
    """Return the area under the ROC curve with its percentile bootstrap interval."""
    there = [True] * len(inside) + [False] * len(outside)
    value = area([*inside, *outside], there)
    if not inside or not outside:
        return Mean(value, value, value, len(there))
    rng = np.random.default_rng(SEED)
    yes, no = np.array(inside), np.array(outside)
    drawn: NDArray[np.float64] = np.array(
        [
            area([*rng.choice(yes, len(yes)), *rng.choice(no, len(no))], there)
            for _ in range(_AREA_RESAMPLES)
        ]
    )
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Mean(value, float(low), float(high), len(there))
