"""What the bot says in its own words: `texts.yaml`, the same keys in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from assistant import errors
from assistant.types import Language

_REASONS: tuple[tuple[type[errors.AssistantError], str], ...] = (
    (errors.EngineError, "reason_engine"),
    (errors.ModelError, "reason_engine"),
    (errors.StoreError, "reason_store"),
    (errors.ServerError, "reason_server"),
)


class Texts:
    """The texts of one language: ``texts("busy", position=3)``."""

    def __init__(self, language: Language, values: Mapping[str, str]) -> None:
        self.language = language
        self._values = values

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its placeholders filled in.

        Raises:
            KeyError: there is no such text, or a placeholder has no value.
        """
        return self._values[key].format(**values) if values else self._values[key]

    def failure(self, error: Exception, question_chars: int) -> str:
        """Return what a user is told about an error; its own text is for administrators."""
        match error:
            case errors.EngineBusyError(position=position):
                return self("busy", position=position)
            case errors.RateLimitedError(retry_after=seconds):
                return self("rate_limited", seconds=seconds)
            case errors.QuestionError() | errors.RequestRefusedError():
                return self("question_unfit", limit=question_chars)
            case errors.AccessError():
                return self("no_access")
        reason = next((key for kind, key in _REASONS if isinstance(error, kind)), "reason_unknown")
        return self("unavailable", reason=self(reason))


@lru_cache(maxsize=2)
def texts(language: Language) -> Texts:
    """Return the texts of a language."""
    import yaml

    file = resources.files(__package__) / "texts.yaml"
    return Texts(language, yaml.safe_load(file.read_text("utf-8"))[language])
