"""The texts of the strategy in both languages, from ``data/*.yaml``."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from assistant.strategy.types import Words


@lru_cache(maxsize=16)
def load_data(name: str) -> Any:
    """Return what ``data/<name>.yaml`` holds."""
    folder = resources.files("assistant.strategy") / "data"
    return yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8"))


@lru_cache(maxsize=512)
def words(name: str, key: str) -> Words:
    """Return the text ``key`` of ``data/<name>.yaml``.

    Raises:
        KeyError: there is no such text.
    """
    found = load_data(name)["texts"][key]
    return Words(found["zh"], found["en"])
