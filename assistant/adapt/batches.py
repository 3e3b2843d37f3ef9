"""Samples split, as the model reads them, and in the batches of an epoch.

Batches hold texts of about equal length, so that little of them is padding; their order
depends on the seed and the epoch alone, so that a training that was stopped finds its place.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from assistant.adapt.samples import OfDocument, Sample, draw
from assistant.pairs import PairTokenizer, Window
from assistant.reader import MAX_SPAN_TOKENS

_POOL = 50  # batches that are sorted by length together; more would order the epoch by length
_READ_AT_ONCE = 512

Grouped = TypeVar("Grouped", bound=OfDocument)
Packed = TypeVar("Packed", bound=Sized)


@dataclass(frozen=True)
class Item:
    """A sample's window; ``start`` and ``end`` are its answer's first and last token, or 0."""

    sample: Sample
    window: Window
    start: int
    end: int

    def __len__(self) -> int:
        return len(self.window)


def split(
    samples: Sequence[Grouped], share: float, fold: int = 0
) -> tuple[list[Grouped], list[Grouped]]:
    """Return training and validation samples; a document is in one of them alone.

    Args:
        samples: of both.
        share: of the documents, to validate with.
        fold: which share of them, from 0.
    """
    lowest, highest = fold * share, (fold + 1) * share
    held = {s.group for s in samples if lowest <= draw("validation", s.group) < highest}
    validation = [sample for sample in samples if sample.group in held]
    return [sample for sample in samples if sample.group not in held], validation


def drawn(
    samples: Sequence[Grouped], limit: int, together: Callable[[Grouped], object]
) -> list[Grouped]:
    """Return ``limit`` samples drawn from all sources; their order depends on them alone.

    Args:
        samples: of all sources, one after the other.
        limit: how many.
        together: what those have in common that stay beside each other.
    """
    groups = [list(group) for _, group in groupby(samples, key=together)]
    groups.sort(key=lambda group: draw("drawn", together(group[0])))
    return [sample for group in groups for sample in group][:limit]


def encoded(samples: Sequence[Sample], tokenizer: PairTokenizer) -> list[Item]:
    """Return the samples as items; those whose answer no span can cover are left out."""
    items = []
    for first in range(0, len(samples), _READ_AT_ONCE):
        part = samples[first : first + _READ_AT_ONCE]
        read = tokenizer.windows([(sample.question, sample.passage) for sample in part])
        for sample, windows in zip(part, read, strict=True):
            items += [item for window in windows if (item := _item(sample, window))][:1]
    return items


def epoch_batches(
    items: Sequence[Packed], tokens: int, seed: int, epoch: int
) -> list[list[Packed]]:
    """Return the batches of an epoch, each of at most ``tokens`` tokens, padding included."""
    rng = random.Random(f"{seed} {epoch}")
    order = list(items)
    rng.shuffle(order)
    average = sum(map(len, order)) / max(1, len(order))
    size = max(1, int(_POOL * tokens / max(1.0, average)))
    batches: list[list[Packed]] = []
    for first in range(0, len(order), size):
        batches += _packed(sorted(order[first : first + size], key=len), tokens)
    rng.shuffle(batches)
    return batches


def _packed(items: Sequence[Packed], tokens: int) -> list[list[Packed]]:
    """Return batches of items that come by rising length."""
    batches: list[list[Packed]] = [[]]
    for item in items:
        if batches[-1] and (len(batches[-1]) + 1) * len(item) > tokens:
            batches.append([])
        batches[-1].append(item)
    return batches


def _item(sample: Sample, window: Window) -> Item | None:
    """Return the item of a window; None where it holds only part of the answer, or none of it."""
    if not sample.answerable:
        return Item(sample, window, 0, 0)
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    held = (window.inside & (ends > sample.start) & (starts < sample.end)).nonzero()[0]
    if not len(held) or len(held) > MAX_SPAN_TOKENS:
        return None
    first, last = int(held[0]), int(held[-1])
    whole = starts[first] <= sample.start and ends[last] >= sample.end
    return Item(sample, window, first, last) if whole else None
