"""Reads the estimator's assumptions: prices, utilisations, allowances, each with its sources.

Knows where they come from and how to replace one by a quotation; computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from assistant.strategy.estimate.ranges import Range
from assistant.strategy.guidance import guidance
from assistant.strategy.types import NOTHING, Source, Words

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Assumption:
    """A parameter of the estimate as a range in ``unit``, and what it rests on."""

    key: str
    label: Words
    values: Range
    unit: Words
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Prices:
    """All assumptions of an estimate, by key."""

    entries: Mapping[str, Assumption]

    def __getitem__(self, key: str) -> Assumption:
        try:
            return self.entries[key]
        except KeyError:
            raise LookupError(
                f"There is no assumption {key!r}; choose one of {', '.join(sorted(self.entries))}."
            ) from None

    def values(self, key: str) -> Range:
        """Return an assumption's range."""
        return self[key].values

    def sources(self, *keys: str) -> tuple[Source, ...]:
        """Return what the named assumptions rest on, each source once."""
        return tuple(dict.fromkeys(source for key in keys for source in self[key].sources))

    def replaced(self, key: str, low: float, likely: float, high: float, source: Source) -> Prices:
        """Return the assumptions with one of them replaced by what a source says.

        Raises:
            LookupError: there is no such assumption.
            ValueError: the three values are not in order, or not finite.
        """
        old = self[key]
        new = Assumption(key, old.label, Range(low, likely, high), old.unit, (source,))
        return Prices(MappingProxyType({**self.entries, key: new}))


@lru_cache(maxsize=4)
def load_prices(path: Path = DATA / "prices.yaml") -> Prices:
    """Read the assumptions from a file shaped like the product's own ``prices.yaml``.

    Raises:
        OSError: the file cannot be read.
        ValueError: a range is not in order.
        LookupError: a cited section of the guidance does not exist.
    """
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))
    return Prices(MappingProxyType({row["key"]: _assumption(row) for row in rows}))


def words(row: Mapping[str, str] | None) -> Words:
    """Return a ``{zh, en}`` mapping as words, nothing where it is missing."""
    return Words(str(row["zh"]), str(row["en"])) if row else NOTHING


def _assumption(row: dict[str, Any]) -> Assumption:
    low, likely, high = (float(value) for value in row["range"])
    sources = tuple(_source(source) for source in row["sources"])
    values = Range(low, likely, high)
    return Assumption(row["key"], words(row["label"]), values, words(row.get("unit")), sources)


def _source(row: dict[str, Any]) -> Source:
    if "guidance" in row:
        chapter, heading = row["guidance"]
        return guidance(chapter, heading)
    if "published" in row:
        return Source(
            "published", words({"zh": row["zh"], "en": row["en"]}), reference=row["published"]
        )
    return Source("assumption", words({"zh": row["zh"], "en": row["en"]}))
