"""Embedders that are no sentence-transformers model: LangChain's, and the fake for tests.

Both lean on `embed.Embedder` for batches, waiting questions and prefixes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from assistant.embed import (
    HASH,
    Embedder,
    Encoded,
    Facts,
    Fingerprint,
    Tokens,
    Vectors,
    fingerprint_of,
    unit_rows,
)
from assistant.settings import Settings
from assistant.text import fold, terms
from assistant.tokens import encodable, estimated_tokens

HASH_DIMENSION = 64
_HASHED_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


class AdaptedEmbedder(Embedder):
    """Any LangChain embeddings, with what the pipeline needs beside them; tokens are estimated."""

    def __init__(self, embeddings: Embeddings, batch: int = 32) -> None:
        self._embeddings = embeddings
        self._texts_at_once = batch
        self._queue()

    @property
    def _batch(self) -> int:
        return self._texts_at_once

    @cached_property
    def gives_tokens(self) -> bool:
        """Embeddings are whole vectors here."""
        return False

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return an estimate: a token a CJK character, and one for three others."""
        return [estimated_tokens(text) for text in texts]

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The class of the embeddings and, where it has one, the name of their model."""
        names = [getattr(self._embeddings, name, None) for name in ("model", "model_name")]
        known = [type(self._embeddings).__name__, *(n for n in names if isinstance(n, str))]
        return fingerprint_of(":".join(known), "", self._facts)

    @cached_property
    def _facts(self) -> Facts:
        dimension = len(self._embeddings.embed_query("dimension"))
        return Facts(dimension, 512, "", "")  # the least that models in use take

    def _encode(self, texts: list[str], prefix: str, *, question: bool = False) -> Vectors:
        batch = [prefix + encodable(text) for text in texts]
        if question:
            return unit_rows([self._embeddings.embed_query(text) for text in batch])
        return unit_rows(self._embeddings.embed_documents(batch))


class HashEmbedder(AdaptedEmbedder):
    """The arithmetic fake: 64 dimensions, no model, no torch. For tests.

    Texts that share terms are similar, others are not.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(_HashedTerms())

    @cached_property
    def gives_tokens(self) -> bool:
        """A character of Chinese or a word is a token, and alike only to itself."""
        return True

    def _encode_tokens(self, texts: list[str], prefix: str, *, question: bool = False) -> Encoded:
        read = self._read_tokens(texts, prefix)
        tokens = [
            Tokens(_hashed([text[a:b] for a, b in spans]), spans)
            for text, (_, spans) in zip(texts, read, strict=True)
        ]
        return self._encode(texts, prefix, question=question), tokens

    def _read_tokens(
        self, texts: Sequence[str], prefix: str
    ) -> list[tuple[NDArray[np.intp], NDArray[np.int32]]]:
        found = [[m.span() for m in _HASHED_TOKEN.finditer(text)] for text in texts]
        spans = [np.array(each, np.int32).reshape(-1, 2) for each in found]
        return [(np.arange(len(each)), each) for each in spans]

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Always the same."""
        return fingerprint_of(HASH, "", self._facts)


class _HashedTerms(Embeddings):
    """Each term adds 1 or -1 at the place its hash says."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector = [0.0] * HASH_DIMENSION
        for term in terms(text):
            place, odd = divmod(zlib.crc32(term.encode()), 2)
            vector[place % HASH_DIMENSION] += 1 if odd else -1
        return vector if any(vector) else [1.0, *vector[1:]]


def adapt_embeddings(embeddings: Embeddings) -> Embedder:
    """Return ``embeddings`` as an embedder (unchanged when it is one)."""
    return embeddings if isinstance(embeddings, Embedder) else AdaptedEmbedder(embeddings)


def _hashed(words: Sequence[str]) -> Vectors:
    """Return a vector a word, float32 (n, HASH_DIMENSION), that depends on it alone."""
    seeds = [zlib.crc32(fold(word).encode()) for word in words]
    rows = [np.random.default_rng(seed).normal(size=HASH_DIMENSION) for seed in seeds]
    return np.array(rows, np.float32).reshape(-1, HASH_DIMENSION)
