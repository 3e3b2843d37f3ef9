"""Tells a sentence that was planted to steer whatever reads the document from an ordinary one.

Patterns know the chat formats and the commonest commands; a classifier over the embedder's
vectors, trained by ``evals/bench/steering.py``, knows the many other ways to say it. Neither
finds all of them: the answer is checked against the passages besides.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

import numpy as np

from assistant.embed import Embedder
from assistant.errors import ConfigurationError
from assistant.linear import LinearClassifier
from assistant.text import addresses_model

STEERING = 1
# A cell of a table is read by itself: the cells beside it would hide what it says.
_CELL = re.compile(r"\s*(?:[;；|]|(?<=\w)[:：])\s*")
_LEAST_CELL = 12


class SteeringDetector:
    """Detects planted instructions; safe to share between threads.

    With an embedding model on which the classifier was not trained the patterns work alone.
    An answer's sentences are judged when they are chosen and when they are checked, so the
    latest judgements are remembered.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.detects = lru_cache(maxsize=256)(self._detects)

    @cached_property
    def _classifier(self) -> LinearClassifier | None:
        try:
            return LinearClassifier.load("steering", self._embedder.fingerprint)
        except ConfigurationError:  # `assistant doctor` tells of it
            return None

    def _detects(self, sentence: str) -> bool:
        """Tell whether a sentence is a planted instruction, as a whole or in one of its cells."""
        if addresses_model(sentence):
            return True
        if self._classifier is None:
            return False
        parts = readings(sentence)
        probabilities = self._classifier.probabilities(self._embedder.embed_passages(parts))
        return bool(np.max(probabilities[:, STEERING]) > self._classifier.threshold)


def readings(sentence: str) -> list[str]:
    """Return the sentence, and the longer cells of it where it is a row of a table."""
    cells = [cell.strip() for cell in _CELL.split(sentence)]
    return [sentence, *(cell for cell in cells if _LEAST_CELL <= len(cell) < len(sentence))]
