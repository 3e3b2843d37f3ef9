"""What the page says, in Chinese and English: one YAML file a language, the same keys in both."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from assistant.types import Language


class Texts:
    """The texts of one language; ``texts("chat.send")`` is one of them, filled in."""

    def __init__(self, language: Language, values: dict[str, Any]) -> None:
        self.language = language
        self._values = dict(_flat(values))

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its placeholders filled in.

        Raises:
            KeyError: there is no such text, or a placeholder has no value.
        """
        return self._values[key].format(**values) if values else self._values[key]

    def keys(self) -> frozenset[str]:
        """Return the names of all texts."""
        return frozenset(self._values)


@lru_cache(maxsize=2)
def load_texts(language: Language) -> Texts:
    """Return the texts of a language."""
    import yaml

    folder = resources.files("assistant.surfaces.web") / "texts"
    values: dict[str, Any] = {}
    for file in sorted(folder.joinpath(language).iterdir(), key=lambda each: each.name):
        values[file.name.removesuffix(".yaml")] = yaml.safe_load(file.read_text("utf-8"))
    return Texts(language, values)


def lang(language: Language) -> str:
    """Return a language as HTML names it."""
    return "zh-CN" if language == "zh" else "en"


def _flat(values: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, str(value))]
    return pairs
