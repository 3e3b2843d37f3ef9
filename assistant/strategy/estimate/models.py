"""Knows open models by their published configurations, and finds one by the name people write.

Holds models whose keys and values are stored by attention head; a compressed cache (multi-head
latent attention, as DeepSeek's) does not fit the formula in `memory` and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml

from assistant.strategy.estimate.assumptions import DATA
from assistant.strategy.estimate.hardware import named
from assistant.strategy.types import Source, same


@dataclass(frozen=True)
class Model:
    """An open model: ``parameters`` in all and ``active`` a token, both as plain counts.

    Sliding-window layers are counted as full ones: the cache of such a model is an upper bound.
    ``max_context`` is in tokens.
    """

    key: str
    name: str
    parameters: float
    active: float
    layers: int
    kv_heads: int
    head_dim: int
    max_context: int
    licence: str
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def models() -> tuple[Model, ...]:
    """Return the models that are known."""
    rows = yaml.safe_load((DATA / "models.yaml").read_text("utf-8"))
    return tuple(
        Model(
            key=row["key"],
            name=row["name"],
            parameters=round(row["parameters"] * 1e9),
            active=round(row.get("active", row["parameters"]) * 1e9),
            layers=row["layers"],
            kv_heads=row["kv_heads"],
            head_dim=row["head_dim"],
            max_context=row["max_context"],
            licence=row["licence"],
            sources=(Source("published", same(row["name"]), reference=row["reference"]),),
        )
        for row in rows
    )


def find_model(name: str) -> Model:
    """Return the model a name means: ``Qwen2.5-7B-Instruct``, ``llama 3.1 8b``.

    Raises:
        LookupError: none is known by that name; the message lists the choices.
    """
    return named(name, models())
