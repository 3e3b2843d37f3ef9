"""The words that a reader found in passages: where they stand, and whether two say the same.

Whether they agree or contradict each other is told by the spelling, and leans to silence: what
does neither is left to the asker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from assistant.text import fold, sentence_spans
from assistant.types import Hit

# A probability below which what the reader points at is a guess, not a find.
LEAST_ANSWERABLE = 0.5

_LONGEST = 40  # characters; longer words hardly ever answer with one figure
_SIGNS = re.compile(r"(?:[^\w%‰¥$€]|_)+")
_NUMERAL = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|[〇一二三四五六七八九十百千万亿两]+")
_HEDGES = re.compile(
    r"约|大约|左右|以内|之内|以上|以下|内|不超过|不低于|最多|最长|至少"
    r"|\b(?:about|around|up to|at most|at least|within|no more than)\b"
)


@dataclass(frozen=True)
class Support:
    """A hit that supports a sentence, its words that do, and those of them the reader found."""

    hit: Hit
    quote: str
    span: str = ""


def span_of(hit: Hit) -> str:
    """Return the words that the reader found in a hit; ``""`` where it rather found none."""
    reading = hit.reading
    return reading.text if reading and reading.answerable >= LEAST_ANSWERABLE else ""


def answering(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits in which the reader found an answer."""
    return [hit for hit in hits if span_of(hit)]


def span_within(hit: Hit, quote: str) -> str:
    """Return the words that the reader found in a hit where they stand in a quote, else ``""``."""
    return found if (found := span_of(hit)) in quote else ""


def quoted(hit: Hit) -> Support:
    """Return the sentences of a hit around the words that the reader found in it."""
    assert hit.reading is not None
    text, reading = hit.chunk.text, hit.reading
    touched = [
        edge
        for start, end in sentence_spans(text)
        if start < reading.end and reading.start < end
        for edge in (start, end)
    ]
    return Support(hit, text[touched[0] : touched[-1]].strip(), reading.text)


def emphasised(text: str, span: str) -> str:
    """Return a sentence with a span in Markdown's ``**``, unless that would not read as such.

    Between a letter and punctuation CommonMark takes ``**`` for mere stars.
    """
    start = text.find(span)
    if not span or start < 0 or "*" in text:
        return text
    before, after = text[:start], text[start + len(span) :]
    opens = span[0].isalnum() or not before[-1:].isalnum()
    closes = span[-1].isalnum() or not after[:1].isalnum()
    return f"{before}**{span}**{after}" if opens and closes else text


def conflict(hits: Iterable[Hit]) -> tuple[Support, Support] | None:
    """Return the first two hits whose answers contradict each other, None where none do.

    Neither sentence may hold the other's number: a sentence with two of them may mean either.
    """
    for one, other in combinations(map(quoted, answering(hits)), 2):
        if contradict(one.span, other.span) and not (_shared(one, other) or _shared(other, one)):
            return one, other
    return None


def _shared(one: Support, other: Support) -> bool:
    return bool(set(_values(one.span)) & set(_values(other.quote)))


def agree(one: str, other: str) -> bool:
    """Tell whether two spans say the same: one holds the other, and no further number."""
    if _values(one) != _values(other):
        return False
    first, second = _unit(one), _unit(other)
    shorter = min(len(first), len(second))
    return shorter > 0 and (first in second or second in first)


def contradict(one: str, other: str) -> bool:
    """Tell whether two short spans name different numbers of the very same thing."""
    if max(len(one), len(other)) > _LONGEST:
        return False
    ours, theirs = _values(one), _values(other)
    if ours == theirs or len(ours) != len(theirs):
        return False
    return bool(_unit(one)) and _unit(one) == _unit(other)


def _values(span: str) -> list[float]:
    return [_value(numeral) for numeral in _NUMERAL.findall(fold(span))]


def _unit(span: str) -> str:
    """Return what is left of a span without its numbers, hedges and punctuation."""
    return _SIGNS.sub("", _NUMERAL.sub("", _HEDGES.sub("", fold(span))))


def _value(numeral: str) -> float:
    """Return the value of a numeral in digits or Chinese characters."""
    if numeral[0].isdigit():
        return float(numeral.replace(",", ""))
    whole = part = 0.0
    for character in numeral:
        value = 2.0 if character == "两" else unicodedata.numeric(character)
        if value >= 10_000:
            whole, part = (whole + part) * value, 0.0
        elif value >= 10:
            whole, part = whole + (part or 1.0) * value, 0.0
        else:
            part = part * 10 + value
    return whole + part
