"""A cited passage as a page: highlighted, in its place, with what stands around it.

The chat page shows the same in a panel (``?part=1`` leaves the frame out); the address
can be opened by itself, from Slack or an exported document, by whoever may read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import QueryParams

from assistant.spans import place_of
from assistant.surfaces.http.depend import Asker, TheService, limited
from assistant.surfaces.http.pages import render
from assistant.types import Citation, Context, Match

router = APIRouter(dependencies=[Depends(limited)], include_in_schema=False)


def _is_part(request: Request) -> bool:
    return QueryParams(request.url.query).get("part") == "1"


Part = Annotated[bool, Depends(_is_part)]


@router.get("/source/{answer_id}/{marker}")
def source(
    answer_id: str, marker: int, request: Request, service: TheService, asker: Asker, part: Part
) -> HTMLResponse:
    """Show what a mark in an answer points at."""
    asker.require("ask")
    cited = service.assistant.citation(answer_id, marker, asker.principal)
    citation = cited.citation
    shown = (
        _shown(cited.context, citation.quote, citation.span, cited.matches)
        if cited.context
        else _lost(citation)
    )
    return render("source.html", request, service.settings, part=part, marker=marker, **shown)


@router.get("/passage/{chunk_id}")
def passage(
    chunk_id: str, request: Request, service: TheService, asker: Asker, part: Part
) -> HTMLResponse:
    """Show a passage that was found, whether or not the answer cites it."""
    asker.require("ask")
    context = service.assistant.passage(chunk_id, asker.principal)
    return render(
        "source.html", request, service.settings, part=part, marker=None, **_shown(context)
    )


def _shown(
    context: Context, quote: str = "", span: str = "", matches: Sequence[Match] = ()
) -> dict[str, Any]:
    document, chunk = context.document, context.chunk
    return {
        "document": document,
        "title": document.title,
        "heading": [part for part in chunk.heading if part != document.title],
        "page": chunk.page,
        "unit": chunk.page_unit,
        "earlier": [each.text for each in context.before],
        "text": _parts(chunk.text, quote, span, matches),
        "later": [each.text for each in context.after],
        "changed": False,
    }


def _lost(citation: Citation) -> dict[str, Any]:
    """Return what is left of a citation whose document has a newer version."""
    return {
        "document": None,
        "title": citation.title,
        "heading": [part for part in citation.heading if part != citation.title],
        "page": None,
        "unit": "page",
        "earlier": [],
        "text": _parts(citation.quote, citation.quote, citation.span, ()),
        "later": [],
        "changed": True,
    }


class _Part(NamedTuple):
    """A piece of a passage: whether a word of the question met it, and whether it answers."""

    text: str
    met: bool
    found: bool


class _Stretch(NamedTuple):
    """Pieces that follow one another, within the quote or outside it."""

    quoted: bool
    parts: list[_Part]


def _parts(text: str, quote: str, span: str, matches: Sequence[Match]) -> list[_Stretch]:
    """Cut a passage where its quote, its span, or a word the question met, begins or ends."""
    start = text.find(quote) if quote else -1
    quoted = range(start, start + len(quote)) if start >= 0 else range(0)
    start = place_of(text, span, quoted.start)
    found = range(start, start + len(span)) if start >= 0 else range(0)
    met = [range(match.start, match.end) for match in matches]
    cuts = {0, len(text), *(e for r in (quoted, found, *met) for e in (r.start, r.stop))}
    edges = sorted(cut for cut in cuts if 0 <= cut <= len(text))
    return [
        _Stretch(
            inside,
            [_Part(text[a:b], any(a in each for each in met), a in found) for a, b in pieces],
        )
        for inside, pieces in groupby(pairwise(edges), key=lambda piece: piece[0] in quoted)
    ]
