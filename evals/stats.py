"""Means with their uncertainty, and whether two runs of the same cases differ.

Every draw is seeded: the same records give the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20261124


@dataclass(frozen=True)
class Mean:
    """A mean of ``n`` values and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """The mean of B minus A over the same cases, its interval, and how likely by chance alone.

    ``p`` is for the alternative that was asked for; ``changed`` counts the cases that differ.
    """

    mean: Mean
    p: float
    changed: int


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of at least one value with its percentile bootstrap interval.

    Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, ch. 13.
    """
    array = np.asarray(values, np.float64)
    low, high = np.quantile(_resampled(array), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Mean(float(array.mean()), float(low), float(high), len(array))


def difference(
    a: Sequence[float],
    b: Sequence[float],
    alternative: Literal["less", "greater", "two-sided"] = "two-sided",
) -> Difference:
    """Compare paired values by a sign-flip permutation test on B - A.

    Exact where few cases differ, 9,999 draws otherwise. Wilcoxon's test would rank ties,
    of which scores of 0 and 1 consist.
    """
    from scipy.stats import permutation_test

    differences = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    average = mean(differences.tolist())
    moved = differences[differences != 0.0]
    if not len(moved):
        return Difference(average, 1.0, 0)
    result = permutation_test(
        (np.append(moved, 0.0),),  # it wants two values at least, and a zero changes nothing
        np.mean,
        permutation_type="samples",
        alternative=alternative,
        n_resamples=9999,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return Difference(average, float(result.pvalue), len(moved))


def _resampled(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of ``RESAMPLES`` samples drawn with replacement."""
    rng = np.random.default_rng(SEED)
    means: NDArray[np.float64] = rng.choice(array, (RESAMPLES, len(array))).mean(axis=1)
    return means
