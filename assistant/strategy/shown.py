"""How quantities are written for people: ranges, money in the units of the language, scores."""

from __future__ import annotations

import math

from assistant.strategy.texts import words
from assistant.strategy.types import Figure, Words
from assistant.types import Language

# In Chinese, money from ten thousand on is told in 万元, and from a hundred million on in 亿元.
_SCALES = ((100_000_000, "亿"), (10_000, "万"))
_MONEY = ("元", "元/月", "元/年")


def shown(figure: Figure, language: Language, *, likely_only: bool = False) -> str:
    """Return a figure as it is read: ``21万元（13～38万元）`` or ``CNY 210,000 (…)``."""
    low, likely, high = _parts(figure, language)
    unit = _unit(figure, language)
    if likely_only or low == likely == high:
        return _with_unit(likely, unit, language)
    key = "open_range" if math.isinf(figure.high) else "range"
    likely = _with_unit(likely, unit, language)
    return words("brief", key).in_(language).format(likely=likely, low=low, high=high)


def score(value: float) -> str:
    """Return a score with the decimals it has, two at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _parts(figure: Figure, language: Language) -> tuple[str, str, str]:
    scale, _ = _scale(figure, language)
    low, likely, high = (
        plain(value / scale, money=scale > 1) for value in (figure.low, figure.likely, figure.high)
    )
    return low, likely, high


def _scale(figure: Figure, language: Language) -> tuple[int, str]:
    """Return what money is divided by, and the word for that before its unit."""
    if language == "zh" and figure.unit.zh in _MONEY:
        for scale, word in _SCALES:
            if figure.likely >= scale:
                return scale, word
    return 1, ""


def _unit(figure: Figure, language: Language) -> str:
    return _scale(figure, language)[1] + figure.unit.in_(language)


def _with_unit(number: str, unit: str, language: Language) -> str:
    if language == "en" and unit.startswith("CNY"):
        return f"CNY {number}{unit.removeprefix('CNY')}"
    return f"{number}{unit}" if language == "zh" else f"{number} {unit}".strip()


def plain(value: float, *, money: bool = False) -> str:
    """Return a number to three digits: an estimate is no more exact than that."""
    if math.isinf(value):
        return "∞"
    if abs(value) >= 1e10:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}×10^{int(exponent)}"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    digits = 1 if abs(value) >= 10 or money else 2
    text = f"{value:,.{digits}f}".rstrip("0").rstrip(".")
    return text if float(text.replace(",", "")) or not value else f"{value:.2g}"


def both(figure: Figure, *, likely_only: bool = False) -> Words:
    """Return a figure as it is read in both languages; see `shown`."""
    return Words(
        shown(figure, "zh", likely_only=likely_only), shown(figure, "en", likely_only=likely_only)
    )
