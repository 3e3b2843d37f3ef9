"""Text to unit vectors: any sentence-transformers model, or the embedded multilingual-e5-small.

It finds or unpacks the model, loads it on first use, counts tokens as the model does and
embeds; it knows no documents, no index and no scores. torch, transformers and
sentence-transformers have their home here and are imported when a model is loaded.
A model in a folder or in the Hugging Face cache is used without any connection.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import re
import shutil
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from assistant import e5
from assistant.errors import ModelError
from assistant.settings import Settings
from assistant.text import is_cjk, terms
from assistant.types import Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

EMBEDDED = "embedded"
HASH = "hash"

Vectors = NDArray[np.float32]
Fingerprint = dict[str, str | int]

# Of a repository on the hub, what sentence-transformers with torch never reads.
_UNUSED = ("onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.gguf", "*.png", "*.jpg")
_MODEL_FILES = {".json", ".safetensors", ".bin", ".model", ".txt"}
_UNLIMITED = 1 << 20  # stands for "no limit", which tokenizers write as 1e30


@dataclass(frozen=True)
class _Facts:
    """What an index depends on, and where the model cuts off."""

    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str


class Embedder(Embeddings):
    """Any sentence-transformers model behind one door; safe to share between threads.

    Cheap to build: the model is loaded on first use, the tokenizer alone when only
    tokens are counted. Prefixes are the model's own prompts unless the settings say
    otherwise.

    Raises:
        ModelError: on first use, when the model is missing, damaged or does not load.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: SentenceTransformer | None = None
        self._counter: Tokenizer | None = None
        self._loading = threading.RLock()
        self._forward = threading.Lock()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector a passage, as lists (the LangChain interface)."""
        rows: list[list[float]] = self.embed_passages(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, as a list (the LangChain interface)."""
        row: list[float] = self.embed_question(text).tolist()
        return row

    def embed_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Return float32 ``(n, dimension)``, L2-normalised, in the order of ``texts``.

        Text beyond `max_tokens` does not count. ``progress`` is told after each batch
        how many passages are done. Questions from other threads get in between batches.
        """
        vectors = np.empty((len(texts), self._facts.dimension), np.float32)
        # Sorted by tokens, not characters: a Chinese character weighs three Latin ones,
        # and a batch costs as much as its longest passage.
        order = np.argsort(self.count_tokens(texts), kind="stable")[::-1]
        size = self._settings.embedding_batch
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            vectors[rows] = self._encode([texts[i] for i in rows], "document")
            if progress is not None:
                progress(start + len(rows))
        return vectors

    def embed_question(self, text: str) -> Vectors:
        """Return float32 ``(dimension,)``, L2-normalised."""
        row: Vectors = self._encode([text], "query")[0]
        return row

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, without special tokens and without a prefix."""
        batch = [_encodable(text) for text in texts]
        encodings = self._tokenizer().encode_batch_fast(batch, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    @property
    def max_tokens(self) -> int:
        """The model's own limit in tokens, special tokens and prefix included."""
        return self._facts.max_tokens

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What an index made with this model must be opened with."""
        return {
            "model": self._settings.embedding_model,
            "revision": self._revision(),
            "dimension": self._facts.dimension,
            "query_prefix": self._facts.query_prefix,
            "passage_prefix": self._facts.passage_prefix,
        }

    @cached_property
    def _folder(self) -> Path:
        name = self._settings.embedding_model
        if name == EMBEDDED:
            return embedded_model_dir(self._settings)
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else _hub_folder(name)

    @cached_property
    def _facts(self) -> _Facts:
        if self._settings.embedding_model == EMBEDDED:  # known without loading it
            prompts, dimension, limit = e5.PROMPTS, e5.DIMENSION, e5.MAX_TOKENS
        else:
            model = self._load()
            prompts = model.prompts
            dimension = model.get_embedding_dimension() or len(model.encode("dimension"))
            limit = min(int(model.max_seq_length or _UNLIMITED), _UNLIMITED)
        query, passage = self._settings.query_prefix, self._settings.passage_prefix
        candidates = (prompts.get(name) for name in ("document", "passage", "corpus"))
        return _Facts(
            dimension,
            limit,
            prompts.get("query", "") if query is None else query,
            next(filter(None, candidates), "") if passage is None else passage,
        )

    def _revision(self) -> str:
        if self._settings.embedding_model == EMBEDDED:
            return e5.SHA256[:16]
        if self._folder.parent.name == "snapshots":  # the hub cache names folders by commit
            return self._folder.name
        return _content_hash(self._folder)

    def _encode(self, texts: list[str], task: str) -> Vectors:
        model = self._load()
        facts = self._facts
        encode, prefix = (
            (model.encode_query, facts.query_prefix)
            if task == "query"
            else (model.encode_document, facts.passage_prefix)
        )
        with self._forward:  # the tokenizer inside keeps state, so one text at a time
            vectors = encode(
                [_encodable(text) for text in texts],
                prompt=prefix,
                batch_size=len(texts),
                show_progress_bar=False,
            )
        return _unit(vectors)

    def _load(self) -> SentenceTransformer:
        if self._model is None:
            with self._loading:
                if self._model is None:
                    self._counter = None  # let go first: parsed a second time it is 200 MB
                    model = _load_model(self._folder, self._settings)
                    self._counter = _counting_twin(model)
                    self._model = model
        return self._model

    def _tokenizer(self) -> Tokenizer:
        counter = self._counter
        if counter is None:
            with self._loading:
                if self._counter is None:
                    file = next(self._folder.rglob("tokenizer.json"), None)
                    if file is None:  # an old model: sentence-transformers converts its vocabulary
                        self._load()
                    else:
                        self._counter = _read_tokenizer(file)
                counter = self._counter
        assert counter is not None
        return counter


class AdaptedEmbedder(Embedder):
    """Any LangChain embeddings behind the same door; tokens are estimated.

    Args:
        embeddings: vectors come from its ``embed_documents`` and ``embed_query``.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    def embed_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Return float32 ``(n, dimension)``, L2-normalised."""
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        vectors = _unit(self._embeddings.embed_documents(list(texts)))
        if progress is not None:
            progress(len(texts))
        return vectors

    def embed_question(self, text: str) -> Vectors:
        """Return float32 ``(dimension,)``, L2-normalised."""
        row: Vectors = _unit([self._embeddings.embed_query(text)])[0]
        return row

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return an estimate of the tokens of each text."""
        return [_estimated_tokens(text) for text in texts]

    @property
    def max_tokens(self) -> int:
        """512, which every embedding model in use takes."""
        return 512

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The class and, where it has one, the name of its model."""
        names = (getattr(self._embeddings, name, None) for name in ("model", "model_name"))
        model = ":".join([type(self._embeddings).__qualname__, *(str(n) for n in names if n)])
        return {
            "model": model,
            "revision": "",
            "dimension": self._dimension,
            "query_prefix": "",
            "passage_prefix": "",
        }

    @cached_property
    def _dimension(self) -> int:
        return len(self._embeddings.embed_query("dimension"))


class HashEmbedder(AdaptedEmbedder):
    """The arithmetic fake: each term adds 1 or -1 at the place its hash says. For tests.

    No model and no torch; texts that share terms are similar, others are not.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        pass

    def embed_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Return float32 ``(n, 64)``, L2-normalised."""
        vectors = np.empty((len(texts), HASH_DIMENSION), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self.embed_question(text)
        if progress is not None:
            progress(len(texts))
        return vectors

    def embed_question(self, text: str) -> Vectors:
        """Return float32 ``(64,)``, L2-normalised."""
        vector = np.zeros(HASH_DIMENSION, np.float32)
        for term in terms(text):
            place, odd = divmod(zlib.crc32(_encodable(term).encode()), 2)
            vector[place % HASH_DIMENSION] += 1 if odd else -1
        if not vector.any():  # no terms, or they cancel out
            vector[0] = 1
        row: Vectors = _unit(vector[None])[0]
        return row

    @property
    def fingerprint(self) -> Fingerprint:
        """Always the same."""
        return _fingerprint(HASH, "1", HASH_DIMENSION)


def load_embedder(settings: Settings) -> Embedder:
    """Return the embedder ``settings.embedding_model`` names; ``hash`` is the one for tests."""
    chosen: type[Embedder] = {HASH: HashEmbedder}.get(settings.embedding_model, Embedder)
    return chosen(settings)


def adapt_embeddings(embeddings: Embeddings) -> Embedder:
    """Return ``embeddings`` behind the embedder's contract (unchanged when it has it)."""
    return embeddings if isinstance(embeddings, Embedder) else AdaptedEmbedder(embeddings)
