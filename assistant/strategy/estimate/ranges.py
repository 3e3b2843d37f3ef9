"""Computes with low, likely and high at once, and writes the arithmetic down.

A product of ranges takes all its factors at their low or all at their high: the outer bounds,
wider than any one project is likely to see. Quantities are never negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from assistant.strategy.types import Figure, Source, Words


@dataclass(frozen=True)
class Range:
    """Three values of one quantity, 0 ≤ ``low`` ≤ ``likely`` ≤ ``high``."""

    low: float
    likely: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.high) and 0 <= self.low <= self.likely <= self.high):
            raise ValueError(
                f"A range needs 0 ≤ low ≤ likely ≤ high, not {self.low}, {self.likely}, "
                f"{self.high}. Put the three in order and use finite numbers."
            )

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else exactly(other)
        return Range(self.low * by.low, self.likely * by.likely, self.high * by.high)

    def __truediv__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else exactly(other)
        return Range(self.low / by.high, self.likely / by.likely, self.high / by.low)

    def each(self, change: Callable[[float], float]) -> Range:
        """Return the range with a function that never falls applied to its three values."""
        return Range(change(self.low), change(self.likely), change(self.high))


def exactly(value: float) -> Range:
    """Return a range of one value."""
    return Range(value, value, value)


def spanning(low: float, likely: float, high: float) -> Range:
    """Return the range that holds three values whose order is not known beforehand."""
    return Range(min(low, likely, high), likely, max(low, likely, high))


def figure(
    key: str,
    label: Words,
    values: Range | Figure,
    unit: Words,
    formula: str,
    sources: tuple[Source, ...],
) -> Figure:
    """Return a range as a figure; each source named once."""
    distinct = tuple(dict.fromkeys(sources))
    return Figure(key, label, values.low, values.likely, values.high, unit, formula, distinct)


def range_of(known: Figure) -> Range:
    """Return a figure's three values."""
    return Range(known.low, known.likely, known.high)


def positive(name: str, value: float) -> float:
    """Return the value.

    Raises:
        ValueError: it is not a finite number above zero.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above zero, not {value}: correct it.")
    return value


def share(name: str, value: float) -> float:
    """Return the value.

    Raises:
        ValueError: it does not lie between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}: 20% is written 0.2.")
    return value


def number(value: float) -> str:
    """Write a number as a formula shows it: ``0.4``, ``88,000``, ``1.4×10^11``.

    Fonts for Chinese lack some of the raised digits.
    """
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:.4g}"
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}×10^{int(exponent)}"
