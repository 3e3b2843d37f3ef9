"""The table of documents: searched, filtered, sorted and paged where the documents are.

So a page holds fifty rows of however many there are, and all of it can be tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.surfaces.web.desk import chosen, number
from assistant.types import Document

ROWS = 50


@dataclass(frozen=True)
class Row:
    """A document as the table shows it; ``state`` is ``ready``, ``working`` or ``stale``."""

    document: Document
    file: str
    state: str


@dataclass(frozen=True)
class Wanted:
    """What the reader looks for, and in which order."""

    query: str = ""
    group: str = ""
    language: str = ""
    sort: str = "added"
    descending: bool = True
    page: int = 1


@dataclass(frozen=True)
class Table:
    """One page of the table: ``found`` of ``total`` documents match."""

    rows: tuple[Row, ...]
    found: int
    total: int
    page: int
    pages: int
    sort: str
    descending: bool


def wanted(event: gr.EventData) -> Wanted:
    """Return what the browser asks for; what makes no sense is as if it were left out."""
    sort = chosen(event, "sort")
    return Wanted(
        query=chosen(event, "query").strip(),
        group=chosen(event, "group"),
        language=chosen(event, "language"),
        sort=sort if sort in _KEYS else Wanted.sort,
        descending=chosen(event, "way", "desc") == "desc",
        page=max(1, number(event, "page", 1)),
    )


def select(rows: Sequence[Row], asked: Wanted) -> Table:
    """Return the page of the table that is asked for; every word of the query must occur."""
    words = asked.query.casefold().split()
    found = [row for row in rows if _matches(row, asked, words)]
    found.sort(key=lambda row: row.document.title.casefold())
    found.sort(key=_KEYS[asked.sort], reverse=asked.descending)
    pages = max(1, math.ceil(len(found) / ROWS))
    page = min(asked.page, pages)
    shown = tuple(found[(page - 1) * ROWS : page * ROWS])
    return Table(shown, len(found), len(rows), page, pages, asked.sort, asked.descending)


def file_name(source: str) -> str:
    """Return the last part of where a document is from."""
    return Path(source).name or source


def _matches(row: Row, asked: Wanted, words: Iterable[str]) -> bool:
    document = row.document
    if asked.group and asked.group not in document.groups:
        return False
    if asked.language and asked.language != document.language:
        return False
    text = f"{document.title}\n{row.file}".casefold()
    return all(word in text for word in words)


_KEYS: dict[str, Any] = {
    "title": lambda row: row.document.title.casefold(),
    "version": lambda row: row.document.version,
    "chunks": lambda row: row.document.chunks,
    "language": lambda row: row.document.language,
    "added": lambda row: row.document.ingested_at,
}
