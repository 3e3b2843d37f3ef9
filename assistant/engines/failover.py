"""Which engine answers: the one that is set, or with ``auto`` the best that works just now.

An engine that failed is passed over for a while, longer after each failure in a row; then one
asker tries it again and the others follow when it is there (a circuit breaker with half-open
probes). It decides who speaks; what is said, and what becomes of a half-said answer, the
answerer decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from assistant.embed import Embedder
from assistant.engines.base import Engine, engine_name, load_engine
from assistant.engines.extractive import ExtractiveEngine
from assistant.errors import AssistantError, RequestRefusedError
from assistant.model_files import EMBEDDED
from assistant.settings import Settings

AUTO = "auto"

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Breaker:
    """Keeps askers away from what just failed; lets one of them try it again after a pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = 0.0
        self._retry_at = 0.0
        self.why = ""

    def admits(self) -> bool:
        """Tell whether to use it; after a pause only the one asker who is to try it."""
        with self._lock:
            if not self.why:
                return True
            if self._clock() < self._retry_at:
                return False
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            self._retry_at = self._clock() + self._pause
            return True

    def failed(self, why: str) -> None:
        """Note a failure; several askers may report the same one."""
        with self._lock:
            if not self.why:
                self._pause = max(self._pause, _FIRST_PAUSE_S)
                self._retry_at = self._clock() + self._pause
            self.why = why

    def opened(self) -> None:
        """Note that it can be used; its next failure still counts as one in a row."""
        with self._lock:
            self.why = ""

    def succeeded(self) -> None:
        """Note that it did its work: the next failure is a first one."""
        with self._lock:
            self.why, self._pause = "", 0.0


@dataclass
class _Place:
    """An engine in its order of preference; ``ready`` once it was loaded, until it fails."""

    engine: BaseChatModel
    breaker: Breaker
    ready: bool = False

    def load(self) -> None:
        if not self.ready and isinstance(self.engine, Engine):
            self.engine.load()
        self.ready = True
        self.breaker.opened()

    def fail(self, error: Exception) -> None:
        self.ready = False
        self.breaker.failed(str(error))


class Engines:
    """The engines that may answer, best first; each is loaded when it is first needed.

    Args:
        engines: in order of preference; with more than one, the next stands in for one
            that fails.
    """

    def __init__(
        self, engines: Sequence[BaseChatModel], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._places = [_Place(engine, Breaker(clock)) for engine in engines]
        self._lock = threading.Lock()
        self._uses = 0
        self._retired = False

    def in_use(self) -> AbstractContextManager[None]:
        """Hold the engines, from this call until the block that it opens ends."""
        with self._lock:
            self._uses += 1
        return self._held()

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._uses -= 1
                done = self._retired and not self._uses
            if done:
                self.close()

    def retire(self) -> None:
        """Let go of all models as soon as nobody holds the engines."""
        with self._lock:
            self._retired = True
            idle = not self._uses
        if idle:
            self.close()

    def candidates(self) -> Iterator[BaseChatModel]:
        """Yield the engines to ask, best first, each loaded; the last resort always comes.

        Raises:
            ModelError: the last resort cannot load its model.
            EngineError: the last resort does not answer.
        """
        *better, last_resort = self._places
        for place in better:
            if not place.breaker.admits():
                continue
            try:
                place.load()
            except Exception as error:  # whatever kind: it cannot be used
                place.fail(error)
            else:
                yield place.engine
        last_resort.load()
        yield last_resort.engine

    def failed(self, engine: BaseChatModel, error: AssistantError) -> None:
        """Note that an engine failed while it answered; a refused request is no failure of it.

        Raises:
            AssistantError: the same one, when no other engine can stand in.
        """
        place = self._place(engine)
        if place is self._places[-1]:
            raise error
        if not isinstance(error, RequestRefusedError):  # others may ask it all the same
            place.fail(error)

    def succeeded(self, engine: BaseChatModel) -> None:
        """Note that an engine gave its answer."""
        self._place(engine).breaker.succeeded()

    def passed_over(self) -> list[str]:
        """Return why engines are passed over just now; none are when it is empty."""
        return [
            f"{engine_name(place.engine)} is passed over: {place.breaker.why}"
            for place in self._places
            if place.breaker.why
        ]

    def close(self) -> None:
        """Let go of all models."""
        for place in self._places:
            if isinstance(place.engine, Engine):
                place.engine.close()

    def _place(self, engine: BaseChatModel) -> _Place:
        return next(place for place in self._places if place.engine is engine)


def choose_engines(
    settings: Settings, embedder: Embedder, steers: Callable[[str], bool]
) -> Engines:
    """Return the engines that the settings ask for; none is loaded yet.

    Args:
        settings: ``engine`` names one, or ``auto``.
        embedder: for the engine that quotes.
        steers: tells it which sentences are planted instructions.

    Raises:
        ConfigurationError: there is no engine of that name.
    """
    names = _preference(settings) if settings.engine == AUTO else (settings.engine,)
    engines = [load_engine(name, settings) for name in names]
    given = {"embedder": embedder, "steers": steers}
    return Engines(
        [e.model_copy(update=given) if isinstance(e, ExtractiveEngine) else e for e in engines]
    )


def _preference(settings: Settings) -> tuple[str, ...]:
    """Return the engines for ``auto``, best first.

    The embedded writer is a base model of 270 million parameters, and quoting beats it
    by far (evals/LOG.md); any model that somebody chose goes before quoting.
    """
    server = ("openai_compatible",) if settings.vllm_base_url else ()
    local = ("llamacpp",) if settings.llm_model != EMBEDDED else ()
    return (*server, *local, "extractive")
