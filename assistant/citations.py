"""Check each sentence of an answer against the passage it cites; drop what nothing supports.

The same check runs for every engine. It judges support by shared terms, by the
similarity of embeddings and by numbers, which must all occur in the passage; it
cannot detect a sentence that reuses a passage's words to say the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from assistant.ingest.chunk import indexed_text
from assistant.spans import (
    Support,
    agree,
    answering,
    place_of,
    quoted,
    span_of,
    span_within,
    values,
)
from assistant.text import (
    addresses_model,
    detect_language,
    is_cjk,
    numbers,
    sentence_spans,
    sentences,
    terms,
    unmarked,
)
from assistant.types import Citation, Hit

# A sentence whose terms the passage holds to this share is supported by them alone;
# below the lower one, similar words are no support within one language.
ENOUGH_OVERLAP = 0.65
LEAST_OVERLAP = 0.35
# Cosine of multilingual-e5 between a sentence and the passage sentence nearest to it.
ENOUGH_SIMILARITY = 0.90
# Between languages that cosine tells little; the mean MaxSim of their tokens tells more.
ENOUGH_ABROAD = 0.48
# Passages cited for one sentence when they say the same.
MOST_SUPPORTS = 3

_MARKER = re.compile(r"\s*[\[【]\s*(\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)\s*[\]】]")
_TERMINAL = re.compile(r"[。！？!?.…]+[”’\"'」』）)]*$")
_LIST_SIGN = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.、)])\s+")

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
# Which part of a passage, by its characters, is nearest to a sentence, and how near.
Nearest = Callable[[str, Hit, Sequence[tuple[int, int]]], tuple[int, float] | None]


@dataclass(frozen=True)
class Checked:
    """A sentence that holds: its text without marks, and what supports it, the best first."""

    text: str
    supports: tuple[Support, ...]


class Checker:
    """Checks sentences against numbered hits.

    The question counts as said: a sentence that only repeats it answers nothing.

    Args:
        question: what was asked.
        hits: the passages, in the order of their marks.
        embed: maps texts to unit vectors.
        steers: tells a planted instruction, which answers nothing either.
        nearest: compares a sentence with passages in another language; without it, ``embed`` does.
    """

    def __init__(
        self,
        question: str,
        hits: Sequence[Hit],
        embed: Embed,
        steers: Callable[[str], bool] = addresses_model,
        nearest: Nearest | None = None,
    ) -> None:
        self._hits = hits
        self._embed = embed
        self._steers = steers
        self._nearest = nearest
        self._question = set(terms(question))
        names = (name for hit in hits for name in (hit.document.title, *hit.chunk.heading))
        self._names = {"".join(terms(name)) for name in names}
        self._said: set[str] = set()
        self._merged: dict[str, str] = {}

    def check(self, sentence: str) -> Checked | None:
        """Return the sentence with its support, or None when no passage supports it.

        The passages it cites are tried first; a sentence that cites none, or a wrong
        one, is re-cited when another passage supports it. A repetition is dropped.
        """
        cited = [n for match in _MARKER.finditer(sentence) for n in _numbers(match)]
        text = unmarked(_LIST_SIGN.sub("", _MARKER.sub("", sentence))).strip()
        key = "".join(terms(text))
        # Neither a question nor a heading states anything.
        if (
            not key
            or key in self._said
            or key in self._names
            or text.endswith(("？", "?"))
            or " > " in text
        ):
            return None
        if addresses_model(text) or set(terms(text)) <= self._question:
            return None
        order = [n - 1 for n in cited if 1 <= n <= len(self._hits)]
        order += [i for i in range(len(self._hits)) if i not in order]
        for index in order:
            quote = self._support(text, self._hits[index])
            if not quote:
                continue
            hit = self._hits[index]
            if self._repeats(text, quote) or self._steers(text):  # steers costs most
                return None
            supports = self._supports(text, Support(hit, quote, span_within(hit, quote)))
            self._said.add(key)
            self._merged |= {other.quote: text for other in supports[1:]}
            return Checked(text, supports)
        return None

    def _repeats(self, text: str, quote: str) -> bool:
        """Tell whether a passage cited for an earlier sentence is now quoted with nothing new."""
        said, wanted = set(terms(self._merged.get(quote, ""))), set(terms(text))
        new = set(values(text)) - set(values(self._merged.get(quote, "")))
        return not new and len(wanted & said) >= ENOUGH_OVERLAP * len(wanted)

    def _supports(self, text: str, first: Support) -> tuple[Support, ...]:
        """Return a support with those of other passages in which the reader found the same."""
        others = (
            quoted(hit)
            for hit in answering(self._hits)
            if place_of(text, first.span) >= 0
            and hit.chunk.id != first.hit.chunk.id
            and agree(first.span, span_of(hit))
        )
        alike = (other for other in others if self._says_too(text, other))
        return (first, *islice(alike, MOST_SUPPORTS - 1))

    def _says_too(self, text: str, other: Support) -> bool:
        """Tell whether another passage may be cited for a sentence beside the one it is from."""
        document, chunk = other.hit.document, other.hit.chunk
        passage = indexed_text(document.title, chunk.heading, chunk.text)
        wanted = set(terms(text))
        return (
            set(values(text)) <= set(values(passage))
            and len(wanted & set(terms(passage))) >= LEAST_OVERLAP * len(wanted)
            and not addresses_model(other.quote)
            and not self._steers(other.quote)
        )

    def _support(self, text: str, hit: Hit) -> str:
        """Return the passage's words that support ``text``, or ``""``."""
        passage = indexed_text(hit.document.title, hit.chunk.heading, hit.chunk.text)
        if not numbers(text) <= numbers(passage):
            return ""
        wanted = set(terms(text))
        overlap = len(wanted & set(terms(passage))) / len(wanted)
        parts = sentences(hit.chunk.text)
        if overlap >= ENOUGH_OVERLAP:
            return _closest(wanted, parts)
        if detect_language(text) != detect_language(hit.chunk.text):
            return self._support_abroad(text, hit, parts)
        return self._similar(text, parts) if overlap >= LEAST_OVERLAP else ""

    def _support_abroad(self, text: str, hit: Hit, parts: Sequence[str]) -> str:
        """Return the words of a passage in another language that support ``text``, or ``""``."""
        spans = sentence_spans(hit.chunk.text)
        found = self._nearest(text, hit, spans) if self._nearest else None
        if found is None:
            return self._similar(text, parts)
        (start, end), similarity = spans[found[0]], found[1]
        return hit.chunk.text[start:end].strip() if similarity >= ENOUGH_ABROAD else ""

    def _similar(self, text: str, parts: Sequence[str]) -> str:
        vectors = self._embed([text, *parts])
        similarity = vectors[1:] @ vectors[0]
        best = int(similarity.argmax())
        return parts[best] if similarity[best] >= ENOUGH_SIMILARITY else ""


class CitationList:
    """Numbers the supporting passages in the order in which the answer first cites them."""

    def __init__(self) -> None:
        self._citations: dict[str, Citation] = {}

    def cite(self, checked: Checked) -> str:
        """Return the sentence with its marks before the full stop, and remember the citations."""
        text = checked.text
        marks = "".join(f"[{self.mark(support)}]" for support in checked.supports)
        stop = _TERMINAL.search(text)
        body, end = (text[: stop.start()], stop.group()) if stop else (text, "")
        last = body.rstrip("*")[-1:]
        space = "" if is_cjk(last) or last in "”」）》" else " "
        return f"{body}{space}{marks}{end}"

    def mark(self, support: Support) -> int:
        """Return the number of a passage, and remember what it is cited for.

        A passage cited again keeps its number; its quote then reaches over all that was used.
        """
        chunk, document = support.hit.chunk, support.hit.document
        earlier = self._citations.get(chunk.id)
        citation = Citation(
            marker=earlier.marker if earlier else len(self._citations) + 1,
            chunk_id=chunk.id,
            document_id=document.id,
            title=document.title,
            source=document.source,
            heading=chunk.heading,
            page=chunk.page,
            page_unit=chunk.page_unit,
            quote=_spanned(chunk.text, earlier.quote, support.quote) if earlier else support.quote,
            span=(earlier.span if earlier else "") or support.span,
        )
        self._citations[chunk.id] = citation
        return citation.marker

    def cites(self, hit: Hit) -> bool:
        """Tell whether a passage is cited already."""
        return hit.chunk.id in self._citations

    def citations(self) -> tuple[Citation, ...]:
        """Return the citations by marker."""
        return tuple(self._citations.values())


def _spanned(text: str, first: str, second: str) -> str:
    """Return the stretch of ``text`` from the beginning of one quote to the end of the other."""
    starts = text.index(first), text.index(second)
    ends = starts[0] + len(first), starts[1] + len(second)
    return text[min(starts) : max(ends)]


def ends_sentence(sentence: str) -> bool:
    """Tell whether a sentence is whole; a token limit leaves the last one unfinished."""
    return bool(_TERMINAL.search(_MARKER.sub("", sentence).rstrip()))


def split_stream(pieces: Iterator[str]) -> Iterator[str]:
    """Yield whole sentences, with the markers that follow their full stop, as text arrives."""
    buffer = ""
    for piece in pieces:
        buffer += piece
        while (end := _complete(buffer)) is not None:
            yield buffer[:end]
            buffer = buffer[end:]
    yield from (buffer[start:end] for start, end in _rejoined(buffer))


def _complete(buffer: str) -> int | None:
    """Return where the first sentence ends that later text can no longer extend."""
    spans = _rejoined(buffer)
    # The last span may still grow; the one before it may still receive a marker.
    if len(spans) < 2 or len(buffer) - spans[1][0] < len("[99]"):
        return None
    return spans[0][1]


def _rejoined(text: str) -> list[tuple[int, int]]:
    """Split into sentences, giving each the markers that the next one begins with."""
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        lead = re.match(rf"(?:{_MARKER.pattern})+\s*", text[start:end])
        if lead and spans:
            spans[-1] = (spans[-1][0], start + lead.end())
            start += lead.end()
        if start < end:
            spans.append((start, end))
    return spans


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", match.group(1))]


def _closest(wanted: set[str], parts: Sequence[str]) -> str:
    """Return the passage's sentence that shares most terms with the answer's."""
    return max(parts, key=lambda part: len(wanted & set(terms(part))), default="")
