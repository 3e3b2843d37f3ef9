"""Cites the product's guidance: a chapter's section, quoted word for word in both languages.

The chapters are read from the package, not from the index: what the strategy rests on is
there whether or not anybody ingested it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from assistant.settings import data_folder
from assistant.strategy.types import Source, Words
from assistant.text import sentences
from assistant.types import Document, Language

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^#{2,6} +(.+)$", re.MULTILINE)
_MARKS = re.compile(r"\*\*|`|^\s*[-*] +", re.MULTILINE)


class _Text(NamedTuple):
    title: str
    heading: str
    text: str


class Section(BaseModel):
    """A section of the guidance, as data files name it; see `guidance`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chapter: int
    heading: str
    zh: str = ""
    en: str = ""

    def source(self) -> Source:
        """Return it as a source."""
        return guidance(self.chapter, self.heading, self.zh, self.en)


def guidance(chapter: int, heading: str, zh: str = "", en: str = "") -> Source:
    """Return a section of a chapter as a source.

    ``heading`` is the section's English one, ``zh`` and ``en`` the words to quote; without
    them the section's first sentence is quoted.

    Raises:
        LookupError: there is no such section, or it does not hold those words.
    """
    headings = [section.heading for section in _sections("en", chapter)]
    if heading not in headings:
        raise LookupError(f"Chapter {chapter} has no section {heading!r}, only {headings}.")
    found = {
        language: _sections(language, chapter)[headings.index(heading)] for language in ("zh", "en")
    }
    return Source(
        kind="guidance",
        title=Words(found["zh"].title, found["en"].title),
        place=Words(found["zh"].heading, found["en"].heading),
        quote=Words(_quote(found["zh"], zh), _quote(found["en"], en)),
        reference=f"{chapter:02d}",
    )


def is_guidance(document: Document) -> bool:
    """Tell whether a document is a chapter of the product's guidance, not a company's paper."""
    path = Path(document.source)
    folder = data_folder("knowledge") / "guidance"
    return path.parent.parent.name == "guidance" and any(
        (folder / language / path.name).is_file() for language in ("zh", "en")
    )


def _quote(section: _Text, words: str) -> str:
    if words and words not in section.text:
        raise LookupError(f"The section {section.heading!r} does not hold {words!r}.")
    return words or sentences(section.text)[0]


@lru_cache(maxsize=64)
def _sections(language: Language, chapter: int) -> tuple[_Text, ...]:
    folder = data_folder("knowledge") / "guidance" / language
    try:
        [path] = folder.glob(f"{chapter:02d}-*.md")
    except ValueError:
        raise LookupError(f"The guidance has no chapter {chapter} in {folder}.") from None
    text = path.read_text("utf-8")
    front = _FRONT_MATTER.match(text)
    assert front is not None
    title = str(yaml.safe_load(front.group(1))["title"])
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return tuple(
        _Text(title, heading.group(1).strip(), _MARKS.sub("", text[heading.end() : end]).strip())
        for heading, end in zip(headings, ends, strict=True)
    )
