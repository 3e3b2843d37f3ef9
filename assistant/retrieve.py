"""From a question to ranked hits, and to the probability that they hold its answer.

Two legs, dense (cosine of embeddings) and lexical (BM25 over character pairs and
words), are joined, and the best of them are compared with the question token by token
(`late`) or by a cross-encoder (`rerank`). Only the audiences of the asker are searched. It
writes no answer and changes no index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever

from assistant.embed import Embedder
from assistant.fusion import Ranked, fuse, fuse_languages, rescore
from assistant.gate import BACKGROUND, UNRELATED, Gate, gate_signals
from assistant.index.catalog import Catalog
from assistant.index.records import Vectors
from assistant.index.store import Index, Store
from assistant.ingest.chunk import indexed_text
from assistant.late import LateInteraction
from assistant.rerank import CrossReranker
from assistant.settings import Settings
from assistant.text import content_terms, detect_language, terms
from assistant.types import Chunk, Document, Hit, Principal

# Only the rarest terms of a long question carry weight, and each costs a posting list:
# the commonest are left out once the lists are this long together (evals/LOG.md).
MAX_QUERY_TERMS = 64
MAX_POSTINGS = 6_000
_LEAST_TERMS = 3
# Below this many chunks idf says little: one chunk would make every term it holds common.
_LEAST_CORPUS = 500


@dataclass(frozen=True)
class Found:
    """Ranked hits and the evidence gate's signals; ``confidence`` is its probability.

    ``threshold`` is the least confidence that is worth an answer, as calibrated.
    """

    hits: tuple[Hit, ...]
    signals: Mapping[str, float]
    confidence: float
    threshold: float = 0.0


@dataclass(frozen=True)
class _Query:
    """A question as the legs need it: its vector, and its terms with their idf.

    ``content`` holds those terms that say what the question is about; ``tokens`` is empty
    without late interaction.
    """

    text: str
    vector: Vectors
    tokens: Vectors
    idf: Mapping[str, float]
    content: Mapping[str, float]


@dataclass(frozen=True)
class _Candidates:
    """What both legs found: scores by rowid, and the passages themselves."""

    dense: Mapping[int, float]
    lexical: Mapping[int, float]
    passages: Mapping[int, tuple[Chunk, Document]]

    def text(self, rowid: int) -> str:
        chunk, document = self.passages[rowid]
        return indexed_text(document.title, chunk.heading, chunk.text)


class Searcher:
    """Searches one store; safe to share between threads.

    Args:
        late: compares token by token; None where the settings or the model do without.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        settings: Settings,
        late: LateInteraction | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._late = late
        self._cross = CrossReranker(settings) if settings.reranker == "cross" else None
        self._unrelated: Vectors | None = None

    def search(self, question: str, principal: Principal, k: int) -> Found:
        """Return the ``k`` best hits among what the principal may read.

        While the token vectors of some candidate are still to be made, nothing is compared
        token by token: half an order would be none.
        """
        index = self._store.index
        audiences = index.audiences(principal)
        if self._late:
            found = self._search_late(index, question, audiences, k, self._late)
            if found:
                return found
        query = self._query(question, index.catalog)
        candidates = self._candidates(index, query, audiences, k)
        ranked = fuse(candidates.dense, candidates.lexical, self._settings.dense_weight)
        if self._cross:
            best = [r for r, _ in ranked if r in candidates.passages][: self._settings.reranked]
            texts = [candidates.text(rowid) for rowid in best]
            scores = self._cross.scores(question, texts)
            ranked = rescore(ranked, dict(zip(best, scores, strict=True)))
        hits = _hits(candidates, ranked, {})[:k]
        signals = gate_signals(
            query.text, query.content, hits, self._background(query, candidates.dense)
        )
        return _judged(hits, signals, Gate.load("plain"))

    def _search_late(
        self, index: Index, question: str, audiences: Sequence[int], k: int, late: LateInteraction
    ) -> Found | None:
        query = self._query(question, index.catalog, late)
        candidates = self._candidates(index, query, audiences, k)
        language = detect_language(question)
        foreign = {r for r, (_, d) in candidates.passages.items() if d.language != language}
        known = {r: s for r, s in candidates.dense.items() if r in candidates.passages}
        scores = (known, candidates.lexical, foreign, sum(query.content.values()))
        ranked = fuse_languages(*scores, {})[: max(k, self._settings.reranked)]
        compared = late.compare(
            query.tokens,
            {r: (candidates.passages[r][1].groups, candidates.text(r)) for r, _ in ranked},
        )
        if compared is None:
            return None
        hits = _hits(candidates, fuse_languages(*scores, compared), compared)[:k]
        alike = sorted(compared.values(), reverse=True)
        if len(alike) < BACKGROUND:
            others = sorted(late.unrelated(query.tokens, UNRELATED), reverse=True)
            alike = sorted(alike + others[: BACKGROUND - len(alike)], reverse=True)
        signals = gate_signals(
            query.text, query.content, hits, self._background(query, candidates.dense), alike
        )
        return _judged(hits, signals, Gate.load("late"))

    def _candidates(
        self, index: Index, query: _Query, audiences: Sequence[int], k: int
    ) -> _Candidates:
        limit = max(k, self._settings.candidates)
        dense = dict(index.dense(query.vector, audiences, limit))
        lexical = dict(index.catalog.lexical(list(query.idf), audiences, limit))
        for rowid, vector in index.catalog.vectors(
            [rowid for rowid in lexical if rowid not in dense]
        ).items():
            dense[rowid] = float(vector @ query.vector)
        return _Candidates(dense, lexical, index.catalog.chunks(list(dense)))

    def _query(
        self, question: str, catalog: Catalog, late: LateInteraction | None = None
    ) -> _Query:
        wanted = list(dict.fromkeys(terms(question)))
        counts = catalog.document_frequencies(wanted[: 4 * MAX_QUERY_TERMS])
        total = max(_LEAST_CORPUS, self._store.size)
        idf = {term: inverse_frequency(counts.get(term, 0), total) for term in wanted}
        content = [term for term in dict.fromkeys(content_terms(question)) if term in idf]
        telling = set(content)
        order = sorted(wanted, key=lambda term: (term not in telling, -idf[term]))
        rarest = affordable(order, counts)
        if late:
            vector, tokens = late.ask(question)
        else:
            vector = self._embedder.embed_question(question)
            tokens = np.empty((0, 0), np.float32)
        return _Query(
            question,
            vector,
            tokens,
            {term: idf[term] for term in rarest},
            {term: idf[term] for term in content or rarest},
        )

    def _background(self, query: _Query, dense: Mapping[int, float]) -> list[float]:
        """Return the candidates' cosines, best first; a small index's are filled up."""
        found = sorted(dense.values(), reverse=True)
        missing = BACKGROUND - len(found)
        if missing <= 0:
            return found
        if self._unrelated is None:
            self._unrelated = self._embedder.embed_passages(UNRELATED)
        scores = sorted((self._unrelated @ query.vector).tolist(), reverse=True)
        return sorted(found + scores[:missing], reverse=True)


def _hits(candidates: _Candidates, ranked: Ranked, compared: Mapping[int, float]) -> list[Hit]:
    """Return the visible candidates in order, of equal texts the best alone."""
    return _distinct(
        [
            Hit(
                *candidates.passages[rowid],
                score,
                candidates.dense[rowid],
                candidates.lexical.get(rowid, 0.0),
                compared.get(rowid, 0.0),
            )
            for rowid, score in ranked
            if rowid in candidates.passages
        ]
    )


def _judged(hits: Sequence[Hit], signals: Mapping[str, float], gate: Gate) -> Found:
    return Found(tuple(hits), signals, gate.probability(signals), gate.threshold)


def enough(found: Found, threshold: float | None) -> bool:
    """Tell whether what was found is worth answering from; None: the calibrated threshold."""
    least = found.threshold if threshold is None else threshold
    return bool(found.hits) and found.confidence >= least


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


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Drop hits whose very text a better hit already has (copies of one document)."""
    return list({hit.chunk.text: hit for hit in reversed(hits)}.values())[::-1]


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
