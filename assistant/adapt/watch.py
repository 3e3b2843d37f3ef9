"""Whether the questions of today still are those that a model was taught on.

Two population stability indexes: of how near questions are to the nearest training question,
against held-back questions; and of the evidence gate's confidence, the later half of the
questions against the earlier. It reads; what to do about it, people decide.

Source of the index and its customary limits: N. Siddiqi, "Credit risk scorecards", 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assistant.embed import Vectors
from assistant.errors import ConfigurationError

REFERENCE_FILE = "reference.npz"
STABLE, SHIFTED = 0.1, 0.25
LEAST_QUESTIONS = 50  # fewer fall into ten bins by chance
_BINS = 10
_KEPT = 1000  # training questions, 0.8 MB
_LEAST_SHARE = 1e-3  # an empty bin would make the index infinite

Embed = Callable[[str], Vectors]
Verdict = Literal["too few", "stable", "look into it", "teach again"]


@dataclass(frozen=True, eq=False)
class Reference:
    """Training questions' vectors (n, d), and the nearness of held-back ones to them (m,)."""

    vectors: Vectors
    nearness: NDArray[np.float32]

    @classmethod
    def of(cls, training: Sequence[str], held_back: Sequence[str], embed: Embed) -> Reference:
        """Return the reference of a training's questions; evenly so many as are kept."""
        kept = training[:: max(1, -(-len(training) // _KEPT))]
        vectors = np.stack([embed(question) for question in kept])
        return cls(vectors, nearness(vectors, held_back, embed))

    def save(self, file: Path) -> None:
        """Store it in half precision."""
        np.savez(file, vectors=self.vectors.astype(np.float16), nearness=self.nearness)

    @classmethod
    def read(cls, file: Path) -> Reference:
        """Return what `save` stored.

        Raises:
            ConfigurationError: the model was registered without one.
        """
        if not file.exists():
            raise ConfigurationError(
                f"{file.parent} holds no questions to compare with. Teach it anew: "
                "assistant adapt run RECIPE."
            )
        with np.load(file) as stored:
            return cls(stored["vectors"].astype(np.float32), stored["nearness"])


@dataclass(frozen=True)
class Drift:
    """What has changed: an index for each of the two, and what they say together."""

    questions: int
    nearness: float
    confidence: float

    @property
    def verdict(self) -> Verdict:
        """By the customary limits, the worse of the two."""
        if self.questions < LEAST_QUESTIONS:
            return "too few"
        worst = max(self.nearness, self.confidence)
        if worst < STABLE:
            return "stable"
        return "look into it" if worst < SHIFTED else "teach again"


def drift(reference: Reference, asked: Sequence[tuple[str, float]], embed: Embed) -> Drift:
    """Return how far questions have drifted.

    Args:
        reference: of the model in use.
        asked: questions and the gate's confidence in each, oldest first.
        embed: the embedding model's, for a question.
    """
    if len(asked) < LEAST_QUESTIONS:
        return Drift(len(asked), 0.0, 0.0)
    near = nearness(reference.vectors, [question for question, _ in asked], embed)
    confidence = [each for _, each in asked]
    half = len(confidence) // 2
    return Drift(
        len(asked),
        stability_index(reference.nearness, near),
        stability_index(confidence[:half], confidence[half:]),
    )


def nearness(vectors: Vectors, questions: Sequence[str], embed: Embed) -> NDArray[np.float32]:
    """Return the cosine of each question with the nearest of ``vectors`` (n, d): (m,)."""
    return np.array([(vectors @ embed(question)).max() for question in questions], np.float32)


def stability_index(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the population stability index of values against others, by deciles of these."""
    base, now = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    edges = np.unique(np.quantile(base, np.arange(1, _BINS) / _BINS))
    shares = [
        np.bincount(np.digitize(values, edges), minlength=len(edges) + 1) / len(values)
        for values in (base, now)
    ]
    before, after = (np.maximum(share, _LEAST_SHARE) for share in shares)
    return float(((after - before) * np.log(after / before)).sum())
