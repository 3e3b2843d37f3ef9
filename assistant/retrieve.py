"""From a question to ranked hits, and to the probability that they hold its answer.

Two legs, dense (cosine of embeddings) and lexical (BM25 over character pairs and
words), are joined by a convex combination of min-max-normalised scores. Only the
audiences of the asker are searched. It writes no answer and changes no index.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever

from assistant.embed import Embedder
from assistant.index.catalog import Catalog
from assistant.index.records import Vectors
from assistant.index.store import Store
from assistant.ingest.chunk import indexed_text
from assistant.settings import Settings
from assistant.text import content_terms, detect_language, terms
from assistant.types import Chunk, Document, Hit, Principal

# Only the rarest terms of a long question carry weight, and each costs a posting list:
# the commonest are left out once the lists are this long together (evals/LOG.md).
MAX_QUERY_TERMS = 64
MAX_POSTINGS = 6_000
_LEAST_TERMS = 3
_BACKGROUND = 20
# Below this many chunks idf says little: one chunk would make every term it holds common.
_LEAST_CORPUS = 500
# What a question is no closer to than to a passage that has nothing to do with it; they
# stand in for the passages that a small index lacks.
_UNRELATED = (
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


@dataclass(frozen=True)
class Found:
    """Ranked hits and the evidence gate's signals; ``confidence`` is its probability."""

    hits: tuple[Hit, ...]
    signals: Mapping[str, float]
    confidence: float


@dataclass(frozen=True)
class _Query:
    """A question as both legs need it: its vector, and its terms with their idf.

    ``content`` holds those terms that say what the question is about.
    """

    text: str
    vector: Vectors
    idf: Mapping[str, float]
    content: Mapping[str, float]


class Searcher:
    """Searches one store; safe to share between threads."""

    def __init__(self, store: Store, embedder: Embedder, settings: Settings) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._unrelated: Vectors | None = None

    def search(self, question: str, principal: Principal, k: int) -> Found:
        """Return the ``k`` best hits among what the principal may read."""
        index = self._store.index
        audiences = index.audiences(principal)
        query = self._query(question, index.catalog)
        limit = max(k, self._settings.candidates)
        dense = dict(index.dense(query.vector, audiences, limit))
        lexical = dict(index.catalog.lexical(list(query.idf), audiences, limit))
        for rowid, vector in index.catalog.vectors(
            [rowid for rowid in lexical if rowid not in dense]
        ).items():
            dense[rowid] = float(vector @ query.vector)
        ranked = fuse(dense, lexical, self._settings.dense_weight)
        found = index.catalog.chunks([rowid for rowid, _ in ranked[: 2 * k]])
        hits = _distinct(
            [
                Hit(*found[rowid], score, dense[rowid], lexical.get(rowid, 0.0))
                for rowid, score in ranked
                if rowid in found
            ]
        )[:k]
        signals = gate_signals(query.text, query.content, hits, self._background(query, dense))
        return Found(tuple(hits), signals, Gate.load().probability(signals))

    def _query(self, question: str, catalog: Catalog) -> _Query:
        wanted = list(dict.fromkeys(terms(question)))
        counts = catalog.document_frequencies(wanted[: 4 * MAX_QUERY_TERMS])
        total = max(_LEAST_CORPUS, self._store.size)
        idf = {term: inverse_frequency(counts.get(term, 0), total) for term in wanted}
        content = [term for term in dict.fromkeys(content_terms(question)) if term in idf]
        telling = set(content)
        order = sorted(wanted, key=lambda term: (term not in telling, -idf[term]))
        rarest = affordable(order, counts)
        return _Query(
            question,
            self._embedder.embed_question(question),
            {term: idf[term] for term in rarest},
            {term: idf[term] for term in content or rarest},
        )

    def _background(self, query: _Query, dense: Mapping[int, float]) -> list[float]:
        """Return the candidates' cosines, best first; a small index's are filled up."""
        found = sorted(dense.values(), reverse=True)
        missing = _BACKGROUND - len(found)
        if missing <= 0:
            return found
        if self._unrelated is None:
            self._unrelated = self._embedder.embed_passages(_UNRELATED)
        scores = sorted((self._unrelated @ query.vector).tolist(), reverse=True)
        return sorted(found + scores[:missing], reverse=True)


def affordable(rarest_first: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """Return the terms to search for: from the rarest on, while their postings are few enough.

    Args:
        rarest_first: terms by falling weight.
        counts: in how many chunks each term occurs; absent terms occur in none.
    """
    chosen: list[str] = []
    postings = 0
    for term in rarest_first[:MAX_QUERY_TERMS]:
        postings += counts.get(term, 0)
        if postings > MAX_POSTINGS and len(chosen) >= _LEAST_TERMS:
            break
        chosen.append(term)
    return chosen


def inverse_frequency(count: int, total: int) -> float:
    """Return BM25's idf, in its form that is never negative (Lucene's ``log(1 + …)``)."""
    return math.log(1.0 + (total - count + 0.5) / (count + 0.5))


def fuse(
    dense: Mapping[int, float], lexical: Mapping[int, float], dense_weight: float
) -> list[tuple[int, float]]:
    """Return ``(rowid, score)`` of the union, best first, by convex combination.

    Each leg is min-max-normalised over the union; a chunk that
    the lexical leg did not return scores 0 there. DESIGN §5, "Fusion", has the measurements.
    """
    rowids = sorted(dense.keys() | lexical.keys())
    if not rowids:
        return []
    scores = dense_weight * _normalised(rowids, dense) + (1.0 - dense_weight) * _normalised(
        rowids, lexical
    )
    order = np.argsort(-scores, kind="stable")
    return [(rowids[i], float(scores[i])) for i in order]


def _normalised(rowids: Sequence[int], leg: Mapping[int, float]) -> Vectors:
    values = np.array([leg.get(rowid, 0.0) for rowid in rowids], np.float32)
    low, spread = values.min(), float(np.ptp(values))
    return (values - low) / spread if spread > 0.0 else np.ones_like(values)


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Drop hits whose very text a better hit already has (copies of one document)."""
    return list({hit.chunk.text: hit for hit in reversed(hits)}.values())[::-1]


# -- the evidence gate ----------------------------------------------------------------------


def gate_signals(
    question: str, idf: Mapping[str, float], hits: Sequence[Hit], dense: Sequence[float]
) -> dict[str, float]:
    """Return the numbers the gate decides by.

    Args:
        question: as it was searched.
        idf: the terms of what the question is about, and their weights.
        hits: best first.
        dense: all candidates' cosines, best first.
    """
    if not hits:
        return {}
    mass = sum(idf.values()) or 1.0
    top = hits[0]
    held = [_held(hit, idf) for hit in hits[:_COVERAGE_HITS]]
    background = dense[:_BACKGROUND]
    languages = (detect_language(question), detect_language(top.chunk.text))
    return {
        "top_dense": top.dense_score,
        "best_dense": dense[0],
        "dense_gap": dense[0] - dense[1],
        "dense_rise": dense[0] - sum(background) / len(background),
        "lexical_share": max(hit.lexical_score for hit in hits) / mass,
        "top_coverage": held[0] / mass,
        "best_coverage": max(held) / mass,
        "fused_gap": top.score - hits[1].score if len(hits) > 1 else 0.0,
        "zh_asks_en": float(languages == ("zh", "en")),
        "en_asks_zh": float(languages == ("en", "zh")),
    }


def _held(hit: Hit, idf: Mapping[str, float]) -> float:
    text = indexed_text(hit.document.title, hit.chunk.heading, hit.chunk.text)
    return sum(idf[term] for term in set(terms(text)) if term in idf)


@dataclass(frozen=True)
class Gate:
    """A logistic regression over the signals; calibrated by ``evals/bench/gate.py``."""

    weights: Mapping[str, float]
    bias: float
    threshold: float
    embedding_model: Mapping[str, str | int]

    @staticmethod
    @lru_cache(maxsize=1)
    def load() -> Gate:
        """Return the calibrated gate that ships with the package."""
        values = json.loads(resources.files("assistant").joinpath("gate.json").read_text("utf-8"))
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
        return 1.0 / (1.0 + math.exp(-logit))


def enough(found: Found, threshold: float | None) -> bool:
    """Tell whether what was found is worth answering from; None: the calibrated threshold."""
    least = Gate.load().threshold if threshold is None else threshold
    return bool(found.hits) and found.confidence >= least


# -- LangChain ------------------------------------------------------------------------------


class HitRetriever(BaseRetriever):
    """The assistant's search as a LangChain retriever, for one principal."""

    search: Any
    principal: Principal
    k: int = 8

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        hits: list[Hit] = self.search(query, k=self.k, principal=self.principal)
        return [to_langchain(hit.chunk, hit.document, hit.score) for hit in hits]


def to_langchain(chunk: Chunk, document: Document, score: float) -> LangChainDocument:
    """Return a hit as a LangChain document with its source, place and score as metadata."""
    return LangChainDocument(
        id=chunk.id,
        page_content=chunk.text,
        metadata={
            "title": document.title,
            "source": document.source,
            "heading": list(chunk.heading),
            "page": chunk.page,
            "score": score,
        },
    )
