"""Stacked bars as inline SVG: each chart has a title, a description and its numbers as a table.

The picture stretches with the page, so its words stand beside it as HTML; colours come
from the style sheet, which knows light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

HEIGHT = 100
_GAP = 0.16
_LABELS = 6


@dataclass(frozen=True)
class Bars:
    """A chart of bars: for each label, one value of each of the named layers, bottom up."""

    name: str
    title: str
    summary: str
    labels: tuple[str, ...]
    layers: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def top(self) -> int:
        """The highest bar, rounded up to a number that two halves make."""
        sums = [sum(values) for values in zip(*(v for _, v in self.layers), strict=True)]
        return _rounded(max(sums, default=0))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where labels stand below the bars, in percent from the left: a few, first and last."""
        return [
            ((at + 0.5) / len(self.labels) * 100, self.labels[at])
            for at in _spread(len(self.labels), _LABELS)
        ]

    @property
    def rows(self) -> list[tuple[str, list[int]]]:
        """The numbers, a row for each label; the latest first."""
        found = [
            (label, [values[at] for _, values in self.layers])
            for at, label in enumerate(self.labels)
        ]
        return found[::-1]

    def svg(self) -> Markup:
        """Return the bars, with a title and a description for those who do not see them."""
        count = max(1, len(self.labels))
        parts = [
            Markup(
                '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
                'aria-labelledby="{}-t {}-d"><title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
            ).format(count, HEIGHT, *[self.name] * 3, self.title, self.name, self.summary)
        ]
        for at, label in enumerate(self.labels):
            parts.append(self._bar(at, label))
        return Markup("").join([*parts, Markup("</svg>")])

    def _bar(self, at: int, label: str) -> Markup:
        values = [(name, layer[at]) for name, layer in self.layers]
        said = " · ".join([label, *(f"{name} {value}" for name, value in values)])
        below = 0.0
        drawn = []
        for number, (_, value) in enumerate(values, 1):
            tall = value / self.top * HEIGHT
            if value:
                drawn.append(
                    Markup(
                        '<rect class="s{}" x="{}" y="{:.2f}" width="{}" height="{:.2f}"/>'
                    ).format(number, at + _GAP / 2, HEIGHT - below - tall, 1 - _GAP, tall)
                )
            below += tall
        hover = Markup('<rect class="hover" x="{}" y="0" width="1" height="{}"/>').format(
            at, HEIGHT
        )
        return Markup("<g><title>{}</title>{}{}</g>").format(said, Markup("").join(drawn), hover)


def _rounded(value: int) -> int:
    step = 1
    while True:
        for digit in (2, 4, 6, 10):
            if value <= digit * step:
                return digit * step
        step *= 10


def _spread(count: int, most: int) -> list[int]:
    """Return up to ``most`` indices of ``count``, spread evenly, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(at * (count - 1) / (most - 1)) for at in range(most)]
