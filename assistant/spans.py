"""The words that a reader found in passages: where they stand, and whether two say the same.

Whether they agree or contradict each other is told by the spelling, and leans to silence: what
does neither is left to the asker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from assistant.ingest.chunk import indexed_text
from assistant.text import (
    content_terms,
    detect_language,
    figures,
    fold,
    sentence_spans,
    terms,
)
from assistant.types import Hit, Reading

# A probability below which what the reader points at is a guess, not a find.
LEAST_ANSWERABLE = 0.5

# The share of a question's terms that a sentence must hold to be about the same; evals/LOG.md.
_ENOUGH_ASKED = 0.5

_LONGEST = 40  # characters; longer words hardly ever answer with one figure
_SIGNS = re.compile(r"(?:[^\w%‰¥$€℃°]|_)+")
_NUMERAL = re.compile(
    r"(?<!\w)-?\d+(?:,\d{3})*(?:\.\d+)?[百千万亿]*"
    r"|\d+(?:,\d{3})*(?:\.\d+)?[百千万亿]*|[〇零一二三四五六七八九十百千万亿两]+"
)
_NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
_ABOUT = re.compile(r"大约|约|左右|\b(?:about|around)\b")
_UPPER = re.compile(
    r"以内|之内|内|以下|不超过|不多于|最多|最长|\b(?:within|up to|at most|no more than)\b"
)
_LOWER = re.compile(r"以上|不低于|不少于|至少|\b(?:at least|no less than)\b")
_DENIAL = re.compile(r"[不未非无没禁勿]|\b(?:not|no|never|without|un\w+)\b")
# The number of a chapter, or of a model: another number is another thing.
_NAME = re.compile(r"第|[a-z]-?\d")
_STOPS = "。．.！!？?；;，,、：: "


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
    found, start = span_of(hit), hit.chunk.text.find(quote)
    if not found or hit.reading is None or start < 0:
        return ""
    inside = start <= hit.reading.start and hit.reading.end <= start + len(quote)
    return found if inside else ""


def quoted(hit: Hit) -> Support:
    """Return the sentences of a hit around the words that the reader found in it."""
    assert hit.reading is not None
    start, end = _sentences_around(hit.chunk.text, hit.reading, 0)
    return Support(hit, hit.chunk.text[start:end].strip(), hit.reading.text)


def excerpted(hit: Hit) -> Hit:
    """Return a hit cut down to the sentences around the found words, and one on either side.

    A hit in which the reader found nothing stays whole.
    """
    if not span_of(hit) or hit.reading is None:
        return hit
    start, end = _sentences_around(hit.chunk.text, hit.reading, 1)
    reading = replace(hit.reading, start=hit.reading.start - start, end=hit.reading.end - start)
    return replace(hit, chunk=replace(hit.chunk, text=hit.chunk.text[start:end]), reading=reading)


def _sentences_around(text: str, reading: Reading, beside: int) -> tuple[int, int]:
    """Return where the sentences begin and end that a reading touches, with some beside them."""
    spans = sentence_spans(text)
    touched = [n for n, (a, b) in enumerate(spans) if a < reading.end and reading.start < b]
    first, last = max(touched[0] - beside, 0), min(touched[-1] + beside, len(spans) - 1)
    return spans[first][0], spans[last][1]


def place_of(text: str, span: str, after: int = 0) -> int:
    """Return where a span stands in a text, not inside a longer number or word; -1 if nowhere."""
    if not span:
        return -1
    before = r"(?<![0-9A-Za-z.])" if span[0].isascii() and span[0].isalnum() else ""
    behind = r"(?![0-9A-Za-z])" if span[-1].isascii() and span[-1].isalnum() else ""
    found = re.compile(before + re.escape(span) + behind).search(text, after)
    return found.start() if found else -1


def emphasised(text: str, span: str) -> str:
    """Return a sentence with a span in Markdown's ``**``, unless that would not read as such.

    Between a letter and punctuation CommonMark takes ``**`` for mere stars.
    """
    span = span.rstrip(_STOPS)
    start = place_of(text, span)
    if start < 0 or "*" in text:
        return text
    before, after = text[:start], text[start + len(span) :]
    opens = span[0].isalnum() or not before[-1:].isalnum()
    closes = span[-1].isalnum() or not after[:1].isalnum()
    return f"{before}**{span}**{after}" if opens and closes else text


def conflict(question: str, hits: Iterable[Hit]) -> tuple[Support, Support] | None:
    """Return the first two hits whose answers contradict each other, None where none do.

    Both must be about what is asked, and neither sentence may hold the other's number: a
    sentence with two of them may mean either.
    """
    found = [s for s in map(quoted, answering(hits)) if _asked_of(question, s)]
    for one, other in combinations(found, 2):
        if contradict(one.span, other.span) and not (_shared(one, other) or _shared(other, one)):
            return one, other
    return None


def _asked_of(question: str, support: Support) -> bool:
    """Tell whether a quoted sentence, below its headings, is about what is asked.

    Between two languages terms do not tell, and only the figures must be there.
    """
    document, chunk = support.hit.document, support.hit.chunk
    said = indexed_text(document.title, chunk.heading, support.quote)
    if not figures(question) <= figures(said):
        return False
    if detect_language(question) != detect_language(support.quote):
        return True
    asked = set(content_terms(question))
    return len(asked & set(terms(said))) >= _ENOUGH_ASKED * len(asked)


def _shared(one: Support, other: Support) -> bool:
    return bool(set(values(one.span)) & set(values(other.quote)))


def agree(one: str, other: str) -> bool:
    """Tell whether two spans say the same: the same words, or the same numbers of one thing.

    Of two with numbers one may say a little more, but deny nothing; and a least is no most.
    """
    first, second = _unit(one), _unit(other)
    if values(one) != values(other) or _bounds(one) | _bounds(other) == {"upper", "lower"}:
        return False
    if not values(one) or first == second:
        return bool(first) and first == second
    longer, shorter = sorted((first, second), key=len, reverse=True)
    extra = longer.removeprefix(shorter) if longer.startswith(shorter) else None
    return bool(shorter) and extra is not None and not _DENIAL.search(extra)


def contradict(one: str, other: str) -> bool:
    """Tell whether two short spans name different numbers of the very same thing."""
    if max(len(one), len(other)) > _LONGEST or _NAME.search(fold(one + " " + other)):
        return False
    ours, theirs = values(one), values(other)
    if ours == theirs or len(ours) != len(theirs):
        return False
    return bool(_unit(one)) and _unit(one) == _unit(other)


def values(text: str) -> list[float]:
    """Return the numbers of a text, in digits or Chinese characters, in their order."""
    return [_value(numeral) for numeral in _NUMERAL.findall(fold(text))]


def _unit(span: str) -> str:
    """Return what is left of a span without its numbers, with them its hedges, and punctuation."""
    bare = fold(span)
    for pattern in (_ABOUT, _UPPER, _LOWER, _NUMERAL) if values(span) else ():
        bare = pattern.sub("", bare)
    return _SIGNS.sub("", bare)


def _bounds(span: str) -> set[str]:
    folded = fold(span)
    bounds = {"upper": _UPPER, "lower": _LOWER}
    return {name for name, pattern in bounds.items() if pattern.search(folded)}


def _value(numeral: str) -> float:
    """Return the value of a numeral in digits or Chinese characters, or in both (3万)."""
    digits = _NUMBER.match(numeral)
    if digits:
        value = float(digits[0].replace(",", ""))
        for character in numeral[digits.end() :]:
            value *= unicodedata.numeric(character)
        return value
    whole = part = 0.0
    for character in numeral:
        value = 2.0 if character == "两" else unicodedata.numeric(character)
        if value >= 10_000:
            whole, part = (whole + part or 1.0) * value, 0.0
        elif value >= 10:
            whole, part = whole + (part or 1.0) * value, 0.0
        else:
            part = part * 10 + value
    return whole + part
