"""The sheet that charts are drawn on: inches, the product's colours and font, fixed bytes.

Shapes and text alone: what they mean is known to `charts` and `dots`.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from assistant.strategy.render.extra import brief_extra
from assistant.strategy.render.inline import clean, ems

Form = Literal["png", "svg"]
Align = Literal["left", "center", "right"]

INK, FAINT, ACCENT, GRID = "#1F2933", "#5F6B7A", "#2457D6", "#D5DCE5"
# Told apart in print and by the colour-blind: their lightness differs as well as their hue.
GROUPS = (ACCENT, "#E69F00", "#0B7A5E", "#B8588E", "#63B3E4", "#5F6B7A", "#8C4A12", "#9AA5B1")
WIDTH = 6.3  # inches: the line of an A4 page with margins of 2.5 cm
TALLEST = 8.6  # inches: what the page holds beside a caption
SIZE = 8.5
LINE = SIZE * 1.32 / 72

_LOCK = threading.Lock()  # matplotlib's settings and font cache belong to the whole process
_TOKEN = re.compile(
    r"[!-~\u00a1-\u024f‘’–]+\s*|\s+|[（《“「]*.[，。、；：）》”？！…」]*", re.DOTALL
)


@contextmanager
def drawing() -> Iterator[None]:
    """Draw within it: matplotlib's settings are ours, and nobody else draws meanwhile."""
    with brief_extra():
        import matplotlib
    # "$" is text, glyphs are outlines, and the ids within an SVG file do not change.
    settings: Any = {
        "text.parse_math": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "brief",
        "path.simplify": False,
    }
    with _LOCK, matplotlib.rc_context(settings):
        yield


class Sheet:
    """A sheet as wide as the line; positions in inches from the lower left corner."""

    def __init__(self, height: float, font: Path) -> None:
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties, get_font

        self.height = min(height, TALLEST)
        self.figure = Figure(figsize=(WIDTH, self.height), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(0, self.height))
        self.axes.set_axis_off()
        self._fonts = {size: FontProperties(fname=font, size=size) for size in (8.0, SIZE)}
        self._glyphs = get_font(str(font)).get_charmap()

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        align: Align = "left",
        colour: str = INK,
        size: float = SIZE,
        turned: bool = False,
        halo: bool = False,
    ) -> None:
        """Write a text, its middle at ``y``; characters that the font lacks become boxes.

        A ``halo`` keeps it readable where lines run behind it.
        """
        from matplotlib.patheffects import withStroke

        shown = "".join(char if char == "\n" or self._holds(char) else "□" for char in text)
        self.axes.text(
            x,
            y,
            shown,
            color=colour,
            ha=align,
            va="center",
            linespacing=1.15,
            fontproperties=self._fonts[size],
            rotation=90 if turned else 0,
            rotation_mode="anchor",
            path_effects=[withStroke(linewidth=3, foreground="white")] if halo else None,
        )

    def line(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        colour: str = GRID,
        width: float = 0.7,
        style: Any = "-",
    ) -> None:
        """Draw a line through points."""
        self.axes.plot(xs, ys, color=colour, linewidth=width, linestyle=style, zorder=1)

    def area(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str
    ) -> None:
        """Fill what lies between two lines, lightly."""
        self.axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0, zorder=0)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Fill a rectangle, ``x`` and ``y`` its lower left corner."""
        from matplotlib.patches import Rectangle

        self.axes.add_patch(
            Rectangle((x, y), width, height, facecolor=colour, linewidth=0, zorder=1.5)
        )

    def circle(self, x: float, y: float, radius: float, colour: str, edge: str = "white") -> None:
        """Fill a circle with an edge."""
        from matplotlib.patches import Circle

        self.axes.add_patch(
            Circle((x, y), radius, facecolor=colour, edgecolor=edge, linewidth=0.8, zorder=2)
        )

    def diamond(self, x: float, y: float, radius: float, colour: str) -> None:
        """Fill a square that stands on its corner."""
        from matplotlib.patches import Polygon

        corners = [(x - radius, y), (x, y + radius), (x + radius, y), (x, y - radius)]
        self.axes.add_patch(
            Polygon(corners, facecolor=colour, edgecolor="white", linewidth=0.8, zorder=2)
        )

    def legend(self, names: Sequence[str], *, round_: bool = False) -> None:
        """Name the colours of groups at the top of the sheet."""
        for name, x, row in _legend_places(names):
            y = self.height - LINE * (row + 0.6)
            colour = group_colour(names.index(name))
            if round_:
                self.circle(x + 0.06, y, 0.06, colour)
            else:
                self.box(x, y - 0.05, 0.12, 0.1, colour)
            self.text(x + 0.18, y, name, colour=FAINT)

    def saved(self, form: Form) -> bytes:
        """Return the file, the same bytes for the same drawing."""
        written = io.BytesIO()
        metadata = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
        self.figure.savefig(written, format=form, dpi=200, metadata=metadata)
        return written.getvalue()

    def _holds(self, char: str) -> bool:
        return ord(char) in self._glyphs


def legend_height(names: Sequence[str]) -> float:
    """Return how much of the sheet's top the legend takes."""
    rows = [row for _, _, row in _legend_places(names)]
    return LINE * (rows[-1] + 1) + 0.12 if rows else 0.05


def _legend_places(names: Sequence[str]) -> list[tuple[str, float, int]]:
    places, x, row = [], 0.05, 0
    for name in dict.fromkeys(names):
        width = 0.4 + inches(name)
        if x > 0.05 and x + width > WIDTH:
            x, row = 0.05, row + 1
        places.append((name, x, row))
        x += width
    return places


def group_colour(group: int) -> str:
    """Return the colour of a group; after the last one they begin again."""
    return GROUPS[group % len(GROUPS)]


def readable_on(colour: str) -> str:
    """Return the colour of a text on a filled shape: white or ink, whichever is seen better."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def inches(text: str, size: float = SIZE) -> float:
    """Return about how wide the longest line of a text is."""
    return max(map(ems, text.split("\n"))) * size / 72


def lines_of(text: str) -> int:
    """Return how many lines a wrapped text has."""
    return text.count("\n") + 1


def wrapped(text: str, width: float, most: int = 3) -> str:
    """Return a text in lines of at most ``width`` inches; what does not fit is cut with "…"."""
    room, text = width * 72 / SIZE, clean(text)
    lines = _filled(text, room)
    if len(lines) > most:
        last = lines[most - 1]
        while last and ems(last) > room - 1:
            last = last[:-1]
        return "\n".join([*lines[: most - 1], last.rstrip() + "…"])
    # Lines of about the same length: no single character stands in the last one.
    tries = (_filled(text, room * share) for share in (0.55, 0.65, 0.75, 0.85))
    return "\n".join(next((even for even in tries if len(even) == len(lines)), lines))


def _filled(text: str, room: float) -> list[str]:
    lines = [""]
    for token in _TOKEN.findall(text):
        pieces = list(token) if ems(token.rstrip()) > room else [token]
        for piece in pieces:
            if lines[-1] and ems((lines[-1] + piece).rstrip()) > room:
                lines.append("")
            lines[-1] += piece
    return [line.strip() for line in lines]
