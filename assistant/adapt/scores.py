"""Measures of readings: exact match, F1 of characters and words, area under the ROC curve.

It knows numbers and texts, no model and no sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.adapt.samples import normalised
from evals.match import token_f1


def best_f1(text: str, answers: Sequence[str]) -> float:
    """Return the best F1 against any spelling: of single Chinese characters and whole words."""
    return max((token_f1(text, answer) for answer in answers), default=0.0)


def exact(text: str, answers: Sequence[str]) -> bool:
    """Tell whether a text is one of the spellings, punctuation, case and width aside."""
    return normalised(text) in {normalised(answer) for answer in answers}


def area(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative.

    0.5 where there is only one kind. Source: Mann and Whitney's U, 1947.
    """
    values, labels = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if labels.all() or not labels.any():
        return 0.5
    order = np.sort(values[~labels])
    below = np.searchsorted(order, values[labels], "left")
    equal = np.searchsorted(order, values[labels], "right") - below
    return float((below + equal / 2).mean() / len(order))


def equal_error(scores: Sequence[float], positive: Sequence[bool]) -> tuple[float, float]:
    """Return the threshold at which both errors are nearest to equal, and their mean there.

    Whatever scores at least the threshold counts as positive. (0.5, 0.0) where there is only
    one kind.
    """
    values, labels = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if labels.all() or not labels.any():
        return 0.5, 0.0
    cuts = np.unique(values)
    yes, no = np.sort(values[labels]), np.sort(values[~labels])
    refused = np.searchsorted(yes, cuts, "left") / len(yes)
    answered = 1 - np.searchsorted(no, cuts, "left") / len(no)
    best = int(np.abs(refused - answered).argmin())
    return float(cuts[best]), float((refused[best] + answered[best]) / 2)


def cross_entropy(probabilities: Sequence[float], positive: Sequence[bool]) -> float:
    """Return the mean negative log-probability of what is the case."""
    values = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
    return float(-np.log(np.where(np.asarray(positive, bool), values, 1 - values)).mean())
