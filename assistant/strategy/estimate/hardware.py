"""Knows accelerators and CPU servers by their data sheets, and finds one by the name people write.

Peak figures only: what a model reaches of them is an assumption (`assumptions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar

import yaml

from assistant.strategy.estimate.assumptions import DATA, words
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Source, Words, same

Tier = Literal["small", "medium", "large"]

_VARIANTS = frozenset({"d", "ti", "super", "laptop", "mobile", "nvl", "max"})


@dataclass(frozen=True)
class Gpu:
    """An accelerator: dense FP16/BF16 peak (TFLOPS, no sparsity), memory (GB), bandwidth (GB/s).

    ``power_w`` is the card's rated power in watts; ``caution`` says what to have confirmed.
    """

    key: str
    name: str
    tflops: float
    memory_gb: float
    bandwidth_gbs: float
    power_w: float
    aliases: tuple[str, ...]
    sources: tuple[Source, ...]
    caution: Words

    @property
    def tier(self) -> Tier:
        """Return the price class: up to 32 GB, up to 64 GB, or above."""
        if self.memory_gb <= 32:
            return "small"
        return "medium" if self.memory_gb <= 64 else "large"


@dataclass(frozen=True)
class CpuServer:
    """A CPU server: peak memory bandwidth (GB/s) and typical power (watts)."""

    key: str
    name: str
    bandwidth_gbs: float
    power_w: float
    aliases: tuple[str, ...]
    sources: tuple[Source, ...]


def gpus() -> tuple[Gpu, ...]:
    """Return the accelerators that are known."""
    return _hardware()[0]


def cpu_servers() -> tuple[CpuServer, ...]:
    """Return the CPU servers that are known."""
    return _hardware()[1]


def find_gpu(name: str) -> Gpu:
    """Return the accelerator a name means: ``NVIDIA L20``, ``GeForce RTX 4090``, ``4090``.

    Raises:
        LookupError: none is known by that name; the message lists the choices.
    """
    return named(name, gpus())


def find_cpu(name: str) -> CpuServer:
    """Return the CPU server a name means.

    Raises:
        LookupError: none is known by that name; the message lists the choices.
    """
    return named(name, cpu_servers())


class _Named(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


_N = TypeVar("_N", bound=_Named)


def named(name: str, entries: Iterable[_N]) -> _N:
    """Return the entry whose longest alias has all its words in the name.

    A variant's suffix that the entry lacks (``4090 D``, ``3090 Ti``) matches nothing, for its
    figures differ.

    Raises:
        LookupError: none matches; the message lists the choices.
    """
    listed = tuple(entries)
    asked = _tokens(name)
    matches = [
        (len(alias), entry)
        for entry in listed
        for alias in map(_tokens, (entry.key, entry.name, *entry.aliases))
        if alias <= asked and not (asked - alias) & _VARIANTS
    ]
    if not matches:
        choices = ", ".join(entry.name for entry in listed)
        raise LookupError(f"{name!r} is not known; choose one of: {choices}.")
    return max(matches, key=lambda match: match[0])[1]


def _tokens(name: str) -> frozenset[str]:
    kept = "".join(c if (c.isascii() and c.isalnum()) or c == "." else " " for c in name.lower())
    return frozenset(kept.split())


@lru_cache(maxsize=1)
def _hardware() -> tuple[tuple[Gpu, ...], tuple[CpuServer, ...]]:
    rows = yaml.safe_load((DATA / "hardware.yaml").read_text("utf-8"))
    return tuple(map(_gpu, rows["gpus"])), tuple(map(_cpu, rows["cpus"]))


def _gpu(row: Mapping[str, Any]) -> Gpu:
    caution = words(row.get("caution"))
    sources = [Source("published", same(row["name"]), reference=row["reference"])]
    if caution.en:
        sources.append(Source("assumption", caution))
    return Gpu(
        key=row["key"],
        name=row["name"],
        tflops=float(row["tflops"]),
        memory_gb=float(row["memory_gb"]),
        bandwidth_gbs=float(row["bandwidth_gbs"]),
        power_w=float(row["power_w"]),
        aliases=tuple(row["aliases"]),
        sources=tuple(sources),
        caution=caution,
    )


def _cpu(row: Mapping[str, Any]) -> CpuServer:
    if row.get("guidance"):
        source = guidance(19, "Which is cheaper: API, rented GPU, own GPU or CPU?")
    else:
        source = Source("published", same(row["name"]), reference=row["reference"])
    return CpuServer(
        key=row["key"],
        name=row["name"],
        bandwidth_gbs=float(row["bandwidth_gbs"]),
        power_w=float(row["power_w"]),
        aliases=tuple(row["aliases"]),
        sources=(source,),
    )
