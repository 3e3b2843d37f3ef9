"""Numbers the sources of a brief as they are first cited, and lists them at its end.

Documents and publications are ``[1]``, ``[2]`` …; assumptions ``[A1]`` …; what was said in
the interview ``[I1]`` ….
"""

from __future__ import annotations

from collections.abc import Iterable

from assistant.strategy.texts import words
from assistant.strategy.types import Source, SourceEntry, SourceKind, SourceList
from assistant.types import Language

_PREFIX: dict[SourceKind, str] = {
    "guidance": "",
    "company": "",
    "published": "",
    "answer": "I",
    "assumption": "A",
}


class Marks:
    """Gives each source its mark on first use."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._marks: dict[Source, str] = {}
        self._counts: dict[str, int] = {}

    def cite(self, sources: Iterable[Source], most: int = 4) -> str:
        """Return the marks of sources, ``[1][A2]``, at most so many of each kind of list."""
        kept: list[Source] = []
        taken: dict[str, int] = {}
        for source in dict.fromkeys(sources):
            prefix = _PREFIX[source.kind]
            taken[prefix] = taken.get(prefix, 0) + 1
            if taken[prefix] <= most:
                kept.append(source)
        return "".join(f"[{self._mark(source)}]" for source in kept)

    def lists(self) -> dict[str, SourceList]:
        """Return the lists of sources by prefix: ``""``, ``A`` and ``I``, none of them empty."""
        lists: dict[str, list[SourceEntry]] = {}
        for source, mark in self._marks.items():
            lists.setdefault(_PREFIX[source.kind], []).append(self._entry(source, mark))
        return {prefix: SourceList(tuple(entries)) for prefix, entries in sorted(lists.items())}

    def _mark(self, source: Source) -> str:
        if source not in self._marks:
            prefix = _PREFIX[source.kind]
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._marks[source] = f"{prefix}{self._counts[prefix]}"
        return self._marks[source]

    def _entry(self, source: Source, mark: str) -> SourceEntry:
        title, place, quote = (
            text.in_(self._language) for text in (source.title, source.place, source.quote)
        )
        if source.kind in ("guidance", "company"):
            kind, close = (
                words("brief", key).in_(self._language)
                for key in (f"source_{source.kind}", "close_title")
            )
            where = " · ".join(part for part in (f"{kind}{title}{close}", place) if part)
            return SourceEntry(mark, where, quote)
        if source.kind == "published":
            return SourceEntry(mark, " · ".join(p for p in (title, source.reference) if p), quote)
        return SourceEntry(mark, title, quote)
