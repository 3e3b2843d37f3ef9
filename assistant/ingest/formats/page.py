"""What is on a printed page: lines of text with their place and size. Values, no decisions.

Positions are points; y grows upwards from the bottom of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Cell:
    """A run of text without a wide gap, between two horizontal positions."""

    left: float
    right: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a page; ``size`` is the height of its type."""

    cells: tuple[Cell, ...]
    bottom: float
    size: float

    @cached_property
    def text(self) -> str:
        """The cells' text, a space between them."""
        return " ".join(cell.text for cell in self.cells)

    @property
    def left(self) -> float:
        """The left edge of the first cell."""
        return self.cells[0].left

    @property
    def right(self) -> float:
        """The right edge of the cell furthest right."""
        return max(cell.right for cell in self.cells)

    def is_like(self, other: Line) -> bool:
        """Tell whether two lines are set in about the same size."""
        return abs(self.size - other.size) <= 0.12 * max(self.size, other.size)


@dataclass(frozen=True)
class Page:
    """A page: its number from 1, its height, its lines in the order of the file."""

    number: int
    height: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Bookmark:
    """An entry of a document's outline; its title is without blanks."""

    level: int
    title: str
    page: int
