"""Which engine answers: the one that is set, or with ``auto`` the best that can run here."""

from __future__ import annotations

from assistant.embed import Embedder
from assistant.engines.base import Engine, load_engine
from assistant.engines.extractive import ExtractiveEngine
from assistant.errors import ModelError
from assistant.settings import Settings

AUTO = "auto"
EMBEDDED = "embedded"


def choose_engine(settings: Settings, embedder: Embedder) -> tuple[Engine, str]:
    """Return the engine, loaded, and why a better one was passed over (``""``: none was).

    Args:
        settings: ``engine`` names one, or ``auto``.
        embedder: for the engine that quotes.

    Raises:
        ModelError: the engine that was named cannot load its model.
        ConfigurationError: there is no engine of that name.
    """
    names = _preference(settings) if settings.engine == AUTO else (settings.engine,)
    why = ""
    for name in names:
        engine = load_engine(name, settings)
        if isinstance(engine, ExtractiveEngine):
            engine = engine.model_copy(update={"embedder": embedder})
        try:
            engine.load()
        except ModelError as error:
            if name == names[-1]:
                raise
            why = str(error)
            continue
        return engine, why
    raise AssertionError("the last engine either loads or raises")


def _preference(settings: Settings) -> tuple[str, ...]:
    """Return the engines for ``auto``, best first.

    The embedded writer is a base model of 270 million parameters, and quoting beats it
    by far (evals/LOG.md); any model that somebody chose goes before quoting.
    """
    return ("extractive",) if settings.llm_model == EMBEDDED else ("llamacpp", "extractive")
