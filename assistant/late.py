"""Late interaction: a question's token vectors against a passage's, from the embedder itself.

It holds what token vectors are measured in (`TokenSpace`) and how alike two texts are in it.
Token states have their common mean taken out, and the direction in which Chinese and English
differ, so that a passage is not preferred for the language it is in; what is left is turned
to its principal components, few of which are kept, and stored in a byte each. Figures for
every choice: evals/LOG.md. Where the vectors lie on disk is `index.tokens`' business.

MaxSim: O. Khattab and M. Zaharia, "ColBERT", 2020. Taking the language out of embeddings:
Z. Yang et al., "A Simple and Effective Method To Eliminate the Self Language Bias", 2021.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assistant.embed import Embedder, Vectors
from assistant.index.database import make_folder, unwritable
from assistant.index.tokens import TokenFiles, TokenVectors, text_digest
from assistant.ingest.chunk import indexed_text
from assistant.settings import data_folder
from assistant.text import detect_language
from assistant.types import Chunk, Context, Document, Hit, Language, Match

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

DIMENSIONS = 128
_SCALE = 127
SPACE_VERSION = 1
TOKENS_FOLDER = "tokens"
# A word of the passage that is less alike than this to a word of the question is no match:
# below it stand the words that only ask. Across languages all is less alike.
LEAST_MATCH, LEAST_FOREIGN_MATCH = 0.72, 0.55
# Paragraphs of the guidance that a space is fitted on, of each language.
_FITTED_ON = 120
_PARAGRAPH_CHARS = {"zh": (40, 400), "en": (80, 800)}


@dataclass(frozen=True)
class TokenSpace:
    """A linear map of token states, fitted once for an embedding model.

    ``mean`` is (d,), ``basis`` (d, k) with k at most `DIMENSIONS`; ``language`` (d,) is the unit
    direction from English to Chinese among passage vectors.
    """

    mean: Vectors
    basis: Vectors
    language: Vectors

    @property
    def width(self) -> int:
        """Bytes a token."""
        return int(self.basis.shape[1])

    @cached_property
    def version(self) -> str:
        """What tells vectors of this space from those of another."""
        parts = (self.mean, self.basis, self.language)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]

    def project(self, states: Vectors) -> Vectors:
        """Return unit vectors, float32 (n, k), of token states (n, d)."""
        return _unit(_product(states - self.mean, self.basis))

    def quantise(self, states: Vectors) -> TokenVectors:
        """Return what is stored of token states (n, d): int8 (n, k), 127 being 1.0."""
        if not len(states):  # no letter in it: alike to nothing, but there
            return np.zeros((1, self.width), np.int8)
        return np.round(self.project(states) * _SCALE).astype(np.int8)

    def neutral(self, vector: Vectors) -> Vectors:
        """Return a question's vector without its language, (d,): it favours no language's text."""
        return _unit(vector - (vector @ self.language) * self.language)

    def save(self, path: Path) -> None:
        """Write the space, so that nobody reads half of it."""
        draft = path.with_suffix(f".{os.getpid()}.new")
        try:
            with draft.open("wb") as file:
                np.savez(file, mean=self.mean, basis=self.basis, language=self.language)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise unwritable(path.parent, error) from error

    @classmethod
    def load(cls, path: Path) -> TokenSpace | None:
        """Return a saved space, None when there is none that can be read."""
        try:
            with path.open("rb") as file, np.load(file) as stored:
                return cls(stored["mean"], stored["basis"], stored["language"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def fit_space(embedder: Embedder) -> TokenSpace:
    """Fit a space to an embedding model, on the guidance's paragraphs in both languages."""
    states: dict[Language, Vectors] = {}
    vectors: dict[Language, Vectors] = {}
    for language in ("zh", "en"):
        whole, tokens = embedder.encode_passages(list(_paragraphs(language)), lambda s: s)
        vectors[language] = whole.mean(axis=0)
        states[language] = np.concatenate(tokens)
    mean = (states["zh"].mean(axis=0) + states["en"].mean(axis=0)) / 2
    apart = _unit(states["zh"].mean(axis=0) - states["en"].mean(axis=0))
    centred = np.concatenate([states["zh"], states["en"]]) - mean
    centred = _unit(centred - np.outer(centred @ apart, apart))
    _, components = np.linalg.eigh(centred.T @ centred)
    kept = components[:, ::-1][:, : min(DIMENSIONS, len(mean) - 1)]
    basis = kept - np.outer(apart, apart @ kept)
    language_axis = _unit(vectors["zh"] - vectors["en"])
    return TokenSpace(*(np.ascontiguousarray(a, np.float32) for a in (mean, basis, language_axis)))


class Spaces:
    """The spaces in use: fitted once for a model, kept in the folder that needs them."""

    _fitted: Mapping[str, TokenSpace] = {}
    _lock = threading.Lock()

    @classmethod
    def open(cls, embedder: Embedder, folder: Path) -> TokenSpace:
        """Return the model's space in ``folder``, fitted and saved there when it is missing."""
        key = json.dumps([SPACE_VERSION, DIMENSIONS, embedder.fingerprint], sort_keys=True)
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        make_folder(folder)
        path = folder / f"space-{name}.npz"
        with cls._lock:
            space = TokenSpace.load(path)
            if space is None:
                space = cls._fitted.get(name) or fit_space(embedder)
                cls._fitted = {**cls._fitted, name: space}
                space.save(path)
            return space


def max_similarity(question: Vectors, passages: Sequence[TokenVectors]) -> Vectors:
    """Return, for each token of the question, its best cosine in each passage: (m, n).

    Args:
        question: unit vectors, (m, k).
        passages: stored vectors, none of them empty.
    """
    starts = np.cumsum([0, *map(len, passages[:-1])])
    every = _product(question, np.concatenate(passages).astype(np.float32).T)
    best = np.maximum.reduceat(every, starts, axis=1)
    return np.asarray(best / _SCALE, np.float32)


def pairs(question: Vectors, passage: TokenVectors) -> tuple[NDArray[np.intp], Vectors]:
    """Return, for each token of the question, which of the passage's is nearest, and its cosine."""
    every = _product(question, passage.astype(np.float32).T) / np.float32(_SCALE)
    nearest = every.argmax(axis=1)
    return nearest, every[np.arange(len(every)), nearest]


def _product(left: Vectors, right: Vectors) -> Vectors:
    """Return ``left @ right``, computed by one thread.

    OpenBLAS' other threads wait for more work by spinning, for some 30 ms after each product,
    and the embedding model's threads would run beside them: a quarter of an ingest. The limit
    is the whole process's, so one product at a time sets it and takes it back.
    """
    with _ONE_PRODUCT, _threads().limit(limits=1, user_api="blas"):
        product: Vectors = left @ right
    return product


_ONE_PRODUCT = threading.Lock()


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _paragraphs(language: Language) -> Iterator[str]:
    """Yield paragraphs of the guidance that are prose, evenly from all chapters."""
    least, most = _PARAGRAPH_CHARS[language]
    chapters = []
    for file in sorted((data_folder("knowledge") / "guidance" / language).glob("*.md")):
        parts = file.read_text("utf-8").split("\n\n")
        prose = [p for p in parts if least <= len(p) and p[0] not in "#|-`>" and "---" not in p]
        chapters.append([p[:most] for p in prose if detect_language(p) == language])
    each = -(-_FITTED_ON // max(1, len(chapters)))
    for chapter in chapters:
        yield from chapter[:: max(1, len(chapter) // each)][:each]


def _unit(values: ArrayLike) -> Vectors:
    rows = np.asarray(values, np.float32)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Vectors = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


@dataclass(frozen=True)
class _Words:
    """A passage's tokens: vectors (n, k), and the characters (n, 2) where they stand."""

    vectors: TokenVectors
    places: NDArray[np.int32]


class LateInteraction:
    """Token vectors of one data directory: made at ingest, compared at a search.

    Cheap to build; the space is opened on first use. Safe to share between threads.
    """

    def __init__(self, embedder: Embedder, data_dir: Path) -> None:
        self._embedder = embedder
        self._folder = data_dir / TOKENS_FOLDER
        self._opening = threading.RLock()
        self._unrelated: list[TokenVectors] = []

    @cached_property
    def space(self) -> TokenSpace:
        """The embedding model's space, fitted when it is missing."""
        return Spaces.open(self._embedder, self._folder)

    @property
    def files(self) -> TokenFiles:
        """The token vectors on disk."""
        with self._opening:
            return self._files

    @cached_property
    def _files(self) -> TokenFiles:
        return TokenFiles(self._folder, self.space.version, self.space.width)

    def encode(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> tuple[Vectors, list[TokenVectors]]:
        """Return passages' vectors and their token vectors, from one pass of the model."""
        return self._embedder.encode_passages(texts, self.space.quantise, progress)

    def keep(
        self, groups: Sequence[str], texts: Sequence[str], kept: Sequence[TokenVectors]
    ) -> None:
        """Store token vectors for an audience; on return they are on disk."""
        self.files.add(groups, dict(zip(map(text_digest, texts), kept, strict=True)))

    def ask(self, question: str) -> tuple[Vectors, Vectors]:
        """Return a question's vector without its language, and its token vectors (m, k)."""
        vector, tokens = self._embedder.encode_question(question)
        return self.space.neutral(vector), self.space.project(tokens.states)

    def compare(
        self, question: Vectors, passages: Mapping[int, tuple[Sequence[str], str]]
    ) -> dict[int, float] | None:
        """Return each passage's MaxSim, 1.0 at most; None while vectors of some are missing.

        Args:
            question: token vectors, as `ask` returns them.
            passages: who may read it and its indexed text, by rowid.
        """
        by_groups: dict[tuple[str, ...], list[int]] = {}
        for rowid, (groups, _) in passages.items():
            by_groups.setdefault(tuple(groups), []).append(rowid)
        stored: dict[int, TokenVectors] = {}
        for groups, rowids in by_groups.items():
            digests = [text_digest(passages[rowid][1]) for rowid in rowids]
            for rowid, vectors in zip(rowids, self.files.get(groups, digests), strict=True):
                if vectors is None:
                    return None
                stored[rowid] = vectors
        if not stored or not len(question):
            return None
        best = max_similarity(question, list(stored.values())).mean(axis=0)
        return dict(zip(stored, best.tolist(), strict=True))

    def unrelated(self, question: Vectors, passages: Sequence[str]) -> list[float]:
        """Return the MaxSim of passages that have nothing to do with the question."""
        if not self._unrelated:
            self._unrelated = self.encode(passages)[1]
        scores: list[float] = max_similarity(question, self._unrelated).mean(axis=0).tolist()
        return scores

    def matches(self, question: str, context: Context) -> list[Match]:
        """Return which words of a passage the question's words met, in the passage's order.

        Empty while the passage's token vectors are still to be made.
        """
        chunk, language = context.chunk, context.document.language
        words = self._words(chunk, context.document)
        if words is None:
            return []
        _, tokens = self._embedder.encode_question(question)
        nearest, alike = pairs(self.space.project(tokens.states), words.vectors)
        least = LEAST_MATCH if detect_language(question) == language else LEAST_FOREIGN_MATCH
        places = words.places[nearest].tolist()
        found = [
            Match(question[a:b].strip(), end - len(chunk.text[start:end].lstrip()), end, float(s))
            for (a, b), (start, end), s in zip(tokens.spans, places, alike, strict=True)
            if s >= least
        ]
        return sorted(found, key=lambda match: (match.start, match.end))

    def nearest(
        self, sentence: str, hit: Hit, parts: Sequence[tuple[int, int]]
    ) -> tuple[int, float] | None:
        """Return which part of a passage says most nearly what a sentence says, and its MaxSim.

        Args:
            sentence: in any language.
            hit: the passage.
            parts: characters ``start, end`` of the passage.

        Returns: None while the passage's token vectors are still to be made.
        """
        words = self._words(hit.chunk, hit.document)
        if words is None:
            return None
        _, tokens = self._embedder.encode_question(sentence)
        # By its end: a token begins at the white space before it, which is the part before's.
        last = words.places[:, 1]
        inside = [(last > start) & (last <= end) for start, end in parts]
        held = [index for index, part in enumerate(inside) if part.any()]
        if not held or not len(tokens.states):
            return None
        vectors = [words.vectors[inside[index]] for index in held]
        alike = max_similarity(self.space.project(tokens.states), vectors).mean(axis=0)
        best = int(alike.argmax())
        return held[best], float(alike[best])

    def _words(self, chunk: Chunk, document: Document) -> _Words | None:
        """Return the tokens of a passage's own text, without its title and headings."""
        text = indexed_text(document.title, chunk.heading, chunk.text)
        before = len(text) - len(chunk.text)
        (stored,) = self.files.get(document.groups, [text_digest(text)])
        spans = self._embedder.passage_spans(text)
        if stored is None or len(spans) != len(stored):
            return None
        own = spans[:, 0] >= before
        return _Words(stored[own], spans[own] - before) if own.any() else None

    def close(self) -> None:
        """Let go of the files."""
        with self._opening:
            if "_files" in self.__dict__:
                self._files.close()
