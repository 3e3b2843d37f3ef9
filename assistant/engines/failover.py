"""Which engine answers: the one that is set, or with ``auto`` the best that can run here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assistant.engines.base import Engine, load_engine
from assistant.engines.extractive import ExtractiveEngine
from assistant.errors import ModelError
from assistant.settings import Settings

AUTO = "auto"
_PREFERENCE = ("llamacpp", "extractive")


def choose_engine(settings: Settings, embed: Callable[..., Any]) -> tuple[Engine, str]:
    """Return the engine, loaded, and why a better one was passed over (``""``: none was).

    Args:
        settings: ``engine`` names one, or ``auto``.
        embed: texts to unit vectors, for the engine that quotes.

    Raises:
        ModelError: the engine that was named cannot load its model.
        ConfigurationError: there is no engine of that name.
    """
    names = _PREFERENCE if settings.engine == AUTO else (settings.engine,)
    why = ""
    for name in names:
        engine = load_engine(name, settings)
        if isinstance(engine, ExtractiveEngine):
            engine = engine.model_copy(update={"embed": embed})
        try:
            engine.load()
        except ModelError as error:
            if name == names[-1]:
                raise
            why = str(error)
            continue
        return engine, why
    raise AssertionError("the last engine either loads or raises")
