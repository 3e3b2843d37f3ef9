"""Say what would answer a question now, and what stands in the way of answering well."""

from __future__ import annotations

from collections.abc import Iterator

from assistant.embed import Embedder
from assistant.engines.base import engine_name
from assistant.engines.failover import Engines
from assistant.errors import ConfigurationError
from assistant.gate import Gate
from assistant.index.catalog import Catalog
from assistant.linear import LinearClassifier
from assistant.reading import ReadingStage
from assistant.settings import Settings
from assistant.types import Health
from assistant.writer import idle_writer

_CLASSIFIERS = {
    "steering": "Planted instructions in documents are known by a few patterns alone.",
    "topics": "Questions are not sorted by topic.",
}


def assess(
    catalog: Catalog,
    engines: Engines,
    embedder: Embedder,
    reading: ReadingStage,
    settings: Settings,
) -> Health:
    """Return the state of an assistant's parts; each problem names its remedy."""
    chunks = catalog.chunk_count(catalog.audiences())
    engine = next(engines.candidates())
    problems = engines.passed_over()
    if (
        not Gate.load("late" if settings.reranker == "late" else "plain").fits(embedder.fingerprint)
        and settings.gate_threshold is None
    ):
        problems.append(
            "Whether the documents hold an answer is judged by numbers that were calibrated "
            "for another embedding model. Set ASSISTANT_GATE_THRESHOLD by trial, or calibrate "
            "anew with evals/bench/gate.py."
        )
    if not chunks:
        problems.append("The index is empty. Run `assistant ingest FOLDER`.")
    bad = len(catalog.quarantined())
    if bad:
        problems.append(
            f"{bad} files could not be taken in. `assistant documents --quarantined` says why."
        )
    return Health(
        ok=bool(chunks),
        engine=engine_name(engine),
        documents=len(catalog.states()),
        chunks=chunks,
        fingerprint=catalog.meta("fingerprint"),
        problems=tuple(problems),
        notes=tuple(_lost(embedder, reading, settings)),
    )


def _lost(embedder: Embedder, reading: ReadingStage, settings: Settings) -> Iterator[str]:
    """Yield what an assistant does without, since it is for other models or prompts."""
    for name, loss in _CLASSIFIERS.items():
        try:
            LinearClassifier.load(name, embedder.fingerprint)
        except ConfigurationError as error:
            yield f"{loss} {error}"
    if reading.problem:
        yield f"No passage is read for the answer's words. {reading.problem}"
    if idle := idle_writer(settings):
        yield f"The writer that was put to use is not used. {idle}"
