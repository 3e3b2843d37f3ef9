"""What a parser hands on: blocks of text with their place, and what a file says of itself.

It knows no file format, no cleaning and no index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assistant.errors import SourceError
from assistant.types import Language, PageUnit

GROUP_CHARACTERS = 600
METADATA_KEYS = ("title", "language", "groups", "source")


@dataclass(frozen=True)
class Block:
    """The smallest unit a chunk is packed from: a paragraph, a list, a row of a table.

    ``heading`` is the path of headings above it (for a sheet its name, for a slide
    its title). ``page`` counts from 1 in ``page_unit``: a PDF page, a slide, a row
    of a sheet or CSV file (the header row of a plain table is row 1).
    """

    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    page_unit: PageUnit = "page"


@dataclass(frozen=True)
class Metadata:
    """What a file or a manifest says of a document; empty or None where it says nothing."""

    title: str = ""
    language: Language | None = None
    groups: tuple[str, ...] | None = None
    provenance: str = ""


@dataclass(frozen=True)
class Parsed:
    """One file, read: its metadata and its blocks in reading order."""

    metadata: Metadata
    blocks: tuple[Block, ...]


class Outline:
    """Builds the blocks of one document and keeps the path of headings above each.

    A heading with nothing below it becomes a block itself: no text is lost.
    """

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._path: list[_Heading] = []

    def heading(self, level: int, text: str, page: int | None = None) -> None:
        """Open a heading; it closes those of its own level and below (1 is the highest)."""
        if text := text.strip():
            self._close(level)
            self._path.append(_Heading(level, text, page))

    def add(self, text: str, page: int | None = None, page_unit: PageUnit = "page") -> None:
        """Append a block under the open headings; blank text is none."""
        if text.strip():
            for heading in self._path:
                heading.bare = False
            path = tuple(heading.text for heading in self._path)
            self._blocks.append(Block(text, path, page, page_unit))

    def blocks(self) -> tuple[Block, ...]:
        """Close all headings and return the blocks."""
        self._close(0)
        return tuple(self._blocks)

    def _close(self, level: int) -> None:
        while self._path and self._path[-1].level >= level:
            heading = self._path.pop()
            if heading.bare:
                self.add(heading.text, heading.page)


def group_items(items: Iterable[str], limit: int = GROUP_CHARACTERS) -> Iterator[str]:
    """Yield the items of a list, one a line, in groups of at most about ``limit`` characters."""
    group: list[str] = []
    for item in items:
        if group and sum(map(len, group)) + len(item) > limit:
            yield "\n".join(group)
            group = []
        group.append(item)
    if group:
        yield "\n".join(group)


@dataclass
class _Heading:
    level: int
    text: str
    page: int | None
    bare: bool = True


def metadata_from(values: Mapping[Any, Any], where: str) -> Metadata:
    """Return the metadata that front matter or a manifest entry states.

    ``where`` names the place in messages. Keys besides ``METADATA_KEYS`` are the
    author's own and ignored, but a misspelt ``groups`` is an error: guessing would
    show a restricted paper to everyone.

    Raises:
        SourceError: a value has the wrong type, or the groups are empty or misspelt.
    """
    for key in values:
        if str(key) != "groups" and str(key).strip().lower().rstrip("s") == "group":
            raise SourceError(f"{where} has `{key}` where `groups` is meant. Rename it.")
    return Metadata(
        title=_text(values, "title", where),
        language=_language(values.get("language"), where),
        groups=_groups(values["groups"], where) if "groups" in values else None,
        provenance=_text(values, "source", where),
    )


def language_of(tag: object) -> Language | None:
    """Return the language that a tag such as ``zh-CN`` names, None when it is another one."""
    name = str(tag).strip().lower()
    if name.startswith("zh") or name in {"cn", "chinese", "中文"}:
        return "zh"
    if name.split("-")[0].split("_")[0] in {"en", "english", "英文"}:
        return "en"
    return None


def _text(values: Mapping[Any, Any], key: str, where: str) -> str:
    value = values.get(key)
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise SourceError(f"{where}: `{key}` is not a line of text. Put it in quotes.")
    return str(value).strip()


def _language(value: object, where: str) -> Language | None:
    if value is None:
        return None
    language = language_of(value)
    if language is None:
        raise SourceError(f"{where}: `language` is {value!r}. Write zh or en.")
    return language


def _groups(value: object, where: str) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    groups = tuple(dict.fromkeys(str(name).strip() for name in names if name is not None))
    if not groups or not all(groups) or any(isinstance(name, list | dict) for name in names):
        raise SourceError(
            f"{where}: `groups` is {value!r}. Name at least one group, such as [everyone]."
        )
    return groups
