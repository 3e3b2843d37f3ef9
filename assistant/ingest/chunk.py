"""Pack a document's blocks into chunks that end at sentence ends and know their headings.

It cuts; it does not clean, embed or store. Sizes are tokens as the embedder counts
them, so the caller passes its counter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from assistant.ingest.parsed import Block
from assistant.text import sentence_spans
from assistant.types import PageUnit

CHUNKER_VERSION = 1
SEPARATOR = "\n\n"

_SOFT_END = re.compile(r"[；;，,、：:\s]+")

TokenCounter = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Passage:
    """A chunk before it has an identity: characters ``start:end`` of the document's text."""

    text: str
    heading: tuple[str, ...]
    page: int | None
    page_unit: PageUnit
    start: int
    end: int


@dataclass(frozen=True)
class _Piece:
    """A sentence, or part of an overlong one, with its place and its weight in tokens."""

    start: int
    end: int
    tokens: int
    block: Block


def document_text(blocks: Sequence[Block]) -> str:
    """Return the text that chunks' character spans refer to."""
    return SEPARATOR.join(block.text for block in blocks)


def indexed_text(title: str, heading: Sequence[str], text: str) -> str:
    """Return what is embedded and lexically indexed for a chunk: its document's name, then itself.

    Papers say "the company" on every page; the title and the heading path tell
    which one (DESIGN §5, "A chunk carries its document's name").
    """
    path = list(dict.fromkeys(part for part in (title, *heading) if part))
    if path and text.startswith(path[0].rstrip("…")):
        path = path[1:]
    return "\n".join([" > ".join(path), text]) if path else text


def chunk_blocks(
    blocks: Sequence[Block], *, limit: int, count_tokens: TokenCounter
) -> list[Passage]:
    """Return the passages of a document, in order, together covering all of its text.

    Neighbouring blocks under one heading share a passage while they fit into
    ``limit`` tokens; a section that does not fit is divided into passages of about
    equal length. Only a sentence longer than ``limit`` is cut inside.
    """
    text = document_text(blocks)
    pieces = _pieces(blocks, text, limit, count_tokens)
    passages = []
    for _, section in groupby(pieces, key=lambda piece: piece.block.heading):
        for group in _pack(list(section), limit):
            first, start, end = group[0].block, group[0].start, group[-1].end
            body = text[start:end]
            end -= len(body) - len(body.rstrip())
            passages.append(
                Passage(text[start:end], first.heading, first.page, first.page_unit, start, end)
            )
    return passages


def _pieces(
    blocks: Sequence[Block], text: str, limit: int, count_tokens: TokenCounter
) -> list[_Piece]:
    spans = list(_sentences(blocks))
    counts = count_tokens([text[start:end] for start, end, _ in spans])
    pieces: list[_Piece] = []
    for (start, end, block), tokens in zip(spans, counts, strict=True):
        if tokens <= limit:
            pieces.append(_Piece(start, end, tokens, block))
        else:
            pieces.extend(_cut(text, start, end, tokens, limit, block))
    return pieces


def _sentences(blocks: Sequence[Block]) -> Iterator[tuple[int, int, Block]]:
    offset = 0
    for block in blocks:
        for start, end in sentence_spans(block.text):
            yield offset + start, offset + end, block
        offset += len(block.text) + len(SEPARATOR)


def _cut(text: str, start: int, end: int, tokens: int, limit: int, block: Block) -> list[_Piece]:
    """Cut an overlong sentence after commas where possible, else anywhere."""
    parts = -(-tokens // limit) + 1
    width = max(1, (end - start) // parts)
    pieces = []
    while start < end:
        stop = min(end, start + width)
        if stop < end:
            soft = [m.end() for m in _SOFT_END.finditer(text, start + width // 2, stop)]
            stop = soft[-1] if soft else stop
        pieces.append(_Piece(start, stop, max(1, tokens // parts), block))
        start = stop
    return pieces


def _pack(pieces: list[_Piece], limit: int) -> Iterator[list[_Piece]]:
    """Divide a section's pieces into groups of about equal tokens, none above ``limit``."""
    total = sum(piece.tokens for piece in pieces)
    target = total / -(-total // limit) if total else limit
    group: list[_Piece] = []
    size = 0
    for piece in pieces:
        if group and (size + piece.tokens > limit or size + piece.tokens / 2 > target):
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece.tokens
    if group:
        yield group
