"""The values of the strategy: bilingual words, sources, statements, figures, the brief's blocks.

Frozen data without behaviour of its own; nothing here reads a file or asks a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assistant.types import Language

SourceKind = Literal["guidance", "company", "published", "answer", "assumption"]


@dataclass(frozen=True)
class Words:
    """One text in both languages."""

    zh: str
    en: str

    def in_(self, language: Language) -> str:
        """Return the text in a language."""
        return self.zh if language == "zh" else self.en

    def filled(self, **values: object) -> Words:
        """Return the text with its placeholders filled in; `Words` values in their language."""
        zh, en = (
            {
                name: value.in_(language) if isinstance(value, Words) else value
                for name, value in values.items()
            }
            for language in ("zh", "en")
        )
        return Words(self.zh.format(**zh), self.en.format(**en))


def same(text: str) -> Words:
    """Return a text that reads the same in both languages: a name, a quotation, a formula."""
    return Words(text, text)


NOTHING = Words("", "")


@dataclass(frozen=True)
class Source:
    """What a statement rests on.

    ``guidance`` and ``company`` name a document (``title``, ``place`` within it) and quote it
    word for word; ``published`` names a paper or a data sheet, its address in ``reference``;
    ``answer`` is what somebody said in the interview, ``reference`` the profile's field;
    ``assumption`` is what nobody has confirmed yet, told in ``title``. For a company document
    ``reference`` is the chunk's id.
    """

    kind: SourceKind
    title: Words
    place: Words = NOTHING
    quote: Words = NOTHING
    reference: str = ""


@dataclass(frozen=True)
class Statement:
    """A sentence or a short paragraph, and what it rests on: at least one source.

    A ``headline`` belongs on the summary's page.
    """

    text: Words
    sources: tuple[Source, ...]
    headline: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"A statement needs a source or an assumption: {self.text.en!r}")


@dataclass(frozen=True)
class Figure:
    """A computed quantity as a range: ``low`` ≤ ``likely`` ≤ ``high`` in ``unit``.

    ``formula`` is the arithmetic that gave ``likely``, with its numbers filled in.
    """

    key: str
    label: Words
    low: float
    likely: float
    high: float
    unit: Words
    formula: str = ""
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"{self.key}: {self.low} ≤ {self.likely} ≤ {self.high} does not hold")


# -- the brief, as every renderer reads it ------------------------------------------------------

ChartKind = Literal["readiness", "matrix", "gantt", "costs", "risks"]


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 (a part) or 2 (a section)."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; marks such as ``[3]``, ``[A2]`` or ``[I5]`` name entries of `SourceList`."""

    text: str
    role: Literal["body", "lead", "note", "finding"] = "body"


@dataclass(frozen=True)
class Bullets:
    """Items of a list, each with its marks; numbered where the order matters."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption; ``widths`` are shares of the line, ``numeric`` columns right-aligned.

    Cells may carry marks. ``widths`` and ``numeric`` have a value a column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...] = ()
    numeric: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: from ``start`` to ``end``, in the colour of its ``group``."""

    label: str
    start: float
    end: float
    group: int = 0
    note: str = ""


@dataclass(frozen=True)
class Dot:
    """One point of a chart: ``label`` is a number, ``name`` its words, ``size`` 0 to 1."""

    label: str
    x: float
    y: float
    size: float = 0.5
    group: int = 0
    name: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a chart with the band between its low and high estimates, by month."""

    name: str
    likely: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """A chart as data: what is drawn, and the words on it.

    ``readiness`` draws ``bars`` from 0 to their level of 5 · ``matrix`` draws ``dots`` over
    feasibility (x) and value (y), 1 to 5 · ``gantt`` draws ``bars`` over weeks, a bar of no
    length is a gate · ``costs`` draws ``lines`` over months · ``risks`` draws ``dots`` over
    likelihood (x) and impact (y), 1 to 5. ``groups`` names the colours.
    """

    kind: ChartKind
    caption: str
    x_label: str = ""
    y_label: str = ""
    bars: tuple[Bar, ...] = ()
    dots: tuple[Dot, ...] = ()
    lines: tuple[Line, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceEntry:
    """One entry of the source list: its mark (``3``, ``A2``, ``I5``), where it is, what it says."""

    mark: str
    place: str
    quote: str = ""


@dataclass(frozen=True)
class SourceList:
    """The sources of the brief under one of its three heads: sources, assumptions, inputs."""

    entries: tuple[SourceEntry, ...]


@dataclass(frozen=True)
class PageBreak:
    """What follows begins on a new page."""


Block = Heading | Paragraph | Bullets | Table | Chart | SourceList | PageBreak


@dataclass(frozen=True)
class Brief:
    """The whole document in one language, ready to be rendered.

    ``subtitle`` names the company, ``date`` is the profile's, not today's, so that the same
    inputs give the same document. The first blocks, up to the first `PageBreak`, are the
    executive summary and fit one page.
    """

    title: str
    subtitle: str
    date: str
    language: Language
    blocks: tuple[Block, ...]
