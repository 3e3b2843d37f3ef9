"""A multinomial logistic regression over the embedder's vectors, as it ships: weights in a file.

It applies weights with numpy; benchmarks in ``evals/bench`` train them with scikit-learn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.embed import Fingerprint, Vectors
from assistant.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Weights (classes, dimension), bias (classes,), and what its callers compare with.

    ``threshold`` is the probability from which a class counts; ``embedding_model`` is the
    fingerprint of the model on whose vectors it was trained.
    """

    weights: Vectors
    bias: Vectors
    threshold: float
    embedding_model: Fingerprint

    @classmethod
    def load(cls, name: str, fingerprint: Fingerprint) -> LinearClassifier:
        """Return the classifier ``name`` that ships with the package.

        Raises:
            ConfigurationError: it was trained on the vectors of another embedding model.
        """
        stored = _shipped(name)
        if stored.embedding_model != fingerprint:
            raise ConfigurationError(
                f"{name}.npz was trained on the embedding model {_named(stored.embedding_model)}, "
                f"not on {_named(fingerprint)}. Train it on the one that is set by "
                f"evals/bench/{name}.py (its first lines tell how; it needs the extra `eval`)."
            )
        return stored

    @classmethod
    def read(cls, file: Path) -> LinearClassifier:
        """Return what `save` stored."""
        with np.load(file) as stored:
            return cls(
                stored["weights"].astype(np.float32),
                stored["bias"].astype(np.float32),
                float(stored["threshold"]),
                json.loads(str(stored["embedding_model"])),
            )

    def save(self, file: Path) -> None:
        """Store the classifier, its weights in half precision."""
        np.savez(
            file,
            weights=self.weights.astype(np.float16),
            bias=self.bias,
            threshold=self.threshold,
            embedding_model=json.dumps(self.embedding_model),
        )

    def probabilities(self, vectors: Vectors) -> NDArray[np.float64]:
        """Return the probability of each class, (…, classes), of vectors (…, dimension)."""
        logits = (vectors @ self.weights.T + self.bias).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares: NDArray[np.float64] = odds / odds.sum(axis=-1, keepdims=True)
        return shares


@lru_cache(maxsize=4)
def _shipped(name: str) -> LinearClassifier:
    with resources.as_file(resources.files("assistant").joinpath(f"{name}.npz")) as file:
        return LinearClassifier.read(file)


def _named(fingerprint: Fingerprint) -> str:
    return "(" + ", ".join(f"{name} {value!r}" for name, value in fingerprint.items()) + ")"
