"""The evidence gate: the probability that the documents hold the answer to a question.

A logistic regression over what the search saw; ``evals/bench/gate.py`` calibrates it. There
is one for searches with late interaction and one for those without, and another for what a
reader makes of the passages found, which ``evals/bench/reading.py`` calibrates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

from assistant.ingest.chunk import indexed_text
from assistant.text import detect_language, figures, terms
from assistant.types import Hit, Reading

BACKGROUND = 20
# What a question is no closer to than to a passage that has nothing to do with it; they
# stand in for the passages that a small index lacks.
UNRELATED = (
    "今天下午有小雨，出门请带伞。",
    "这家面馆的牛肉面很受欢迎，周末要排队。",
    "孩子们在操场上踢球，老师在一旁看着。",
    "火车晚点了二十分钟，站台上挤满了人。",
    "她把旧书整理好，捐给了社区图书馆。",
    "山上的枫叶红了，游客比往年多。",
    "他每天早上跑步五公里，然后去上班。",
    "院子里的猫生了三只小猫。",
    "这首曲子是十九世纪写成的。",
    "码头上的渔船天亮前就出海了。",
    "Light rain is expected this afternoon; take an umbrella.",
    "The noodle shop is popular, and people queue at weekends.",
    "The children play football while the teacher watches.",
    "The train was twenty minutes late and the platform was crowded.",
    "She sorted her old books and gave them to the library.",
    "The maples on the hill have turned red.",
    "He runs five kilometres every morning before work.",
    "The cat in the yard had three kittens.",
    "The piece was written in the nineteenth century.",
    "The fishing boats leave the harbour before dawn.",
)
_COVERAGE_HITS = 5
# A logit beyond which a float is 0 or 1: nothing is certain, and a threshold of 1 lets none pass.
_MOST_CERTAIN = 30.0


def gate_signals(
    question: str,
    idf: Mapping[str, float],
    hits: Sequence[Hit],
    dense: Sequence[float],
    late: Sequence[float] = (),
) -> dict[str, float]:
    """Return the numbers the gate decides by.

    Args:
        question: as it was searched.
        idf: the terms of what the question is about, and their weights.
        hits: best first.
        dense: all candidates' cosines, best first.
        late: the MaxSim of those that were compared token by token, best first.
    """
    if not hits:
        return {}
    mass = sum(idf.values()) or 1.0
    top = hits[0]
    held = [_held(hit, idf) for hit in hits[:_COVERAGE_HITS]]
    background = dense[:BACKGROUND]
    languages = (detect_language(question), detect_language(top.chunk.text))
    signals = {
        "top_dense": top.dense_score,
        "best_dense": dense[0],
        "dense_gap": dense[0] - dense[1],
        "dense_rise": dense[0] - sum(background) / len(background),
        "lexical_share": max(hit.lexical_score for hit in hits) / mass,
        "top_coverage": held[0] / mass,
        "best_coverage": max(held) / mass,
        "figures_held": _figures_held(question, hits[:_COVERAGE_HITS]),
        "fused_gap": top.score - hits[1].score if len(hits) > 1 else 0.0,
        "zh_asks_en": float(languages == ("zh", "en")),
        "en_asks_zh": float(languages == ("en", "zh")),
    }
    if late:
        others = late[:BACKGROUND]
        signals |= {
            "top_late": top.late_score,
            "best_late": late[0],
            "late_gap": late[0] - late[min(1, len(late) - 1)],
            "late_rise": late[0] - sum(others) / len(others),
        }
    return signals


def reading_signals(confidence: float, readings: Sequence[Reading]) -> dict[str, float]:
    """Return the numbers that the gate decides by where a reader has read.

    Args:
        confidence: the gate's, by the search alone.
        readings: of the best hits, in their order, at least one.
    """
    answerable = [logit(reading.answerable) for reading in readings]
    return {
        "retrieved": logit(confidence),
        "top_answerable": answerable[0],
        "best_answerable": max(answerable),
    }


def logit(probability: float) -> float:
    """Return the log-odds of a probability, within what the gate itself can say."""
    least = 1.0 / (1.0 + math.exp(_MOST_CERTAIN))
    bounded = max(least, min(1.0 - least, probability))
    return math.log(bounded / (1.0 - bounded))


def _held(hit: Hit, idf: Mapping[str, float]) -> float:
    text = indexed_text(hit.document.title, hit.chunk.heading, hit.chunk.text)
    return sum(idf[term] for term in set(terms(text)) if term in idf)


def _figures_held(question: str, hits: Sequence[Hit]) -> float:
    """Return the share of the question's figures that the passages hold; 1.0 where it has none.

    A passage on another year or another model looks much like the one asked for.
    """
    wanted = figures(question)
    if not wanted:
        return 1.0
    texts = (indexed_text(hit.document.title, hit.chunk.heading, hit.chunk.text) for hit in hits)
    held = figures("\n".join(texts))
    return len(wanted & held) / len(wanted)


@dataclass(frozen=True)
class Gate:
    """A logistic regression over the signals; calibrated by ``evals/bench/gate.py``."""

    weights: Mapping[str, float]
    bias: float
    threshold: float
    embedding_model: Mapping[str, str | int]

    @staticmethod
    @lru_cache(maxsize=3)
    def load(kind: Literal["plain", "late", "reading"]) -> Gate:
        """Return a gate that ships with the package."""
        file = resources.files("assistant").joinpath("gate.json")
        values = json.loads(file.read_text("utf-8"))[kind]
        names = ("weights", "bias", "threshold", "embedding_model")
        return Gate(**{name: values[name] for name in names})

    def fits(self, fingerprint: Mapping[str, str | int]) -> bool:
        """Tell whether the gate was calibrated for an embedding model."""
        return dict(self.embedding_model) == dict(fingerprint)

    def probability(self, signals: Mapping[str, float]) -> float:
        """Return the probability that the documents hold the answer; 0.0 without hits."""
        if not signals:
            return 0.0
        logit = self.bias + sum(w * signals[name] for name, w in self.weights.items())
        bounded = max(-_MOST_CERTAIN, min(_MOST_CERTAIN, logit))
        return 1.0 / (1.0 + math.exp(-bounded))
