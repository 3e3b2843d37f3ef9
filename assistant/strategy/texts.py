"""The texts of the strategy in both languages, from ``data/*.yaml``."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from assistant.errors import ConfigurationError
from assistant.strategy.types import Words

Model = TypeVar("Model", bound=BaseModel)


@lru_cache(maxsize=16)
def load_data(name: str) -> Any:
    """Return what ``data/<name>.yaml`` holds."""
    folder = resources.files("assistant.strategy") / "data"
    text = (folder / f"{name}.yaml").read_text("utf-8")
    # The loader in C reads the catalogue ten times as fast; not every PyYAML is built with it.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def checked(name: str, model: type[Model]) -> Model:
    """Return what ``data/<name>.yaml`` holds, as a model.

    Raises:
        ConfigurationError: it does not hold what it should.
    """
    try:
        return model.model_validate(load_data(name))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(
            f"assistant/strategy/data/{name}.yaml is not valid: {error}. Correct it."
        ) from error


@lru_cache(maxsize=512)
def words(name: str, key: str) -> Words:
    """Return the text ``key`` of ``data/<name>.yaml``.

    Raises:
        KeyError: there is no such text.
    """
    found = load_data(name)["texts"][key]
    return Words(found["zh"], found["en"])
