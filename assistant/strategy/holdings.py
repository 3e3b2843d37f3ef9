"""What the company holds already: its GPUs, as named in the profile, looked up by data sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.strategy.estimate.hardware import Gpu, find_gpu


@dataclass(frozen=True)
class Held:
    """``count`` cards of one kind; ``gpu`` is None for a card that no data sheet is known of."""

    count: int
    name: str
    gpu: Gpu | None


def held_gpus(values: Sequence[str]) -> tuple[Held, ...]:
    """Return the cards that values such as ``4 × L20`` name, the largest memory first."""
    held = []
    for value in values:
        count, name = value.split(" × ", 1)
        try:
            gpu = find_gpu(name)
        except LookupError:
            gpu = None
        held.append(Held(int(count), name, gpu))
    return tuple(sorted(held, key=lambda each: -(each.gpu.memory_gb if each.gpu else 0)))


def memory_gb(values: Sequence[str]) -> float:
    """Return the memory of all cards together, in GB; unknown cards count for nothing."""
    return sum(each.count * each.gpu.memory_gb for each in held_gpus(values) if each.gpu)
