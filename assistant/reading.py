"""Reading: the best passages are read for the question, and the evidence is judged anew.

Search ranks by likeness, and a near miss is all likeness. The reader says which passage
answers, and where; the gate weighs what both say. It searches nothing and writes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property

from assistant.adapt.registry import Registry, registry_folder
from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.gate import Gate, logit, reading_signals
from assistant.ingest.chunk import indexed_text
from assistant.reader import SHIPPED, Reader
from assistant.retrieve import Found
from assistant.settings import Settings
from assistant.types import Hit, Reading

# The answer is seldom further down, and every passage costs as much as the first.
READ = 3
# What the log-odds of an answer add to the search's score; see evals/LOG.md.
_READ_SHARE = 0.03


def open_reader(settings: Settings, embedder: Embedder) -> Reader | None:
    """Return the reader that `assistant adapt` put to use, else the shipped one; None for ``off``.

    Raises:
        ConfigurationError: the one to use is gone, or is for another embedding model.
    """
    if settings.reader == "off":
        return None
    own = Registry(registry_folder(settings.data_dir)).current("reader")
    return Reader.load(own or SHIPPED, embedder)


class ReadingStage:
    """Reads what was found; safe to share between threads. The reader is opened on first use.

    Where none can be opened, search alone decides, and `problem` tells why.
    """

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._settings = settings
        self._embedder = embedder
        self._opening = threading.Lock()

    def open(self) -> Reader | None:
        """Return the reader in use, None where there is none."""
        with self._opening:
            return self._opened[0]

    @property
    def problem(self) -> str:
        """Why no reader reads, though one is wanted; ``""`` where all is as it should be."""
        with self._opening:
            return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[Reader | None, str]:
        try:
            return open_reader(self._settings, self._embedder), ""
        except ConfigurationError as error:
            return None, str(error)

    def read(self, question: str, found: Found) -> Found:
        """Return what was found, its best hits read, and the confidence that follows from it.

        Without a reader, or without hits, it is returned as it is.
        """
        reader, best = self.open(), found.hits[:READ]
        if reader is None or not best:
            return found
        texts = [indexed_text(h.document.title, h.chunk.heading, h.chunk.text) for h in best]
        readings = reader.read(question, texts)
        hits = [
            replace(hit, reading=_within(hit, reading, text))
            for hit, reading, text in zip(best, readings, texts, strict=True)
        ]
        hits.sort(key=lambda hit: -_worth(hit))
        gate = Gate.load("reading")
        signals = reading_signals(found.confidence, readings)
        confidence = gate.probability(signals)
        return Found((*hits, *found.hits[READ:]), signals, confidence, gate.threshold)


def _worth(hit: Hit) -> float:
    """Return what orders the hits that were read."""
    return hit.score + _READ_SHARE * logit(hit.reading.answerable if hit.reading else 0.5)


def _within(hit: Hit, reading: Reading, text: str) -> Reading:
    """Return a reading of an indexed text as one of the passage, which is the end of it."""
    before = len(text) - len(hit.chunk.text)
    start = reading.start - before
    if start < 0:  # it points at the title or a heading
        return replace(reading, start=0, end=0, text="")
    return replace(reading, start=start, end=reading.end - before)
