"""Text to unit vectors: any sentence-transformers model, or the embedded multilingual-e5-small.

It loads the model on first use, counts tokens as the model does and embeds; it knows no
documents, no index and no scores, and leaves it to `model_files` where a model is found and
to `encoder` how it is opened.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import ArrayLike, NDArray

from assistant import e5
from assistant.encoder import load_encoder
from assistant.errors import ModelError
from assistant.model_files import (
    EMBEDDED,
    embedded_model_dir,
    folder_revision,
    model_folder,
)
from assistant.settings import Settings
from assistant.tokens import TOKENIZER_FILE, TokenCounter, encodable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Embedder", "Facts", "Tokens", "embedded_model_dir", "load_embedder"]

HASH = "hash"

# Larger batches gain nothing on a processor and make a waiting question wait longer.
_BATCH_CPU, _BATCH_GPU = 8, 64
# One answer asks for its question's vector several times: to search, to route, to quote.
_REMEMBERED = 8
_UNLIMITED = 1 << 20  # what "no limit" becomes; tokenizers write it as 1e30

T = TypeVar("T")
Vectors = NDArray[np.float32]
Fingerprint = dict[str, str | int]


@dataclass(frozen=True)
class Tokens:
    """The tokens of a text that hold a letter or digit: what the model made of each, and where.

    ``states`` is float32 (n, dimension), as the model's last layer left them; ``spans`` (n, 2)
    are the characters of the text, those the model read.
    """

    states: Vectors
    spans: NDArray[np.int32]


Encoded = tuple[Vectors, list[Tokens]]


@dataclass(eq=False)
class _Question:
    """A question that waits for its vector and its tokens."""

    text: str
    vector: Vectors | None = None
    tokens: Tokens | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Facts:
    """What an index depends on, and where the model cuts a text off."""

    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str


class Embedder(Embeddings):
    """Any sentence-transformers model; safe to share between threads.

    Cheap to build: the model is loaded on first use, and the tokenizer alone when only
    tokens are counted. Prefixes are the model's own prompts unless the settings say
    otherwise.

    Raises:
        ModelError: on first use, when the model is missing, damaged or does not load.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: SentenceTransformer | None = None
        self._counter: TokenCounter | None = None
        self._loading = threading.RLock()
        self._queue()

    def _queue(self) -> None:
        # The model's tokenizer keeps state between calls: one thread at a time.
        self._forward = threading.Lock()
        self._questions: deque[_Question] = deque()
        self._answered: OrderedDict[str, _Question] = OrderedDict()
        self._remembering = threading.Lock()

    @property
    def _batch(self) -> int:
        """Texts embedded at once: as set, else few on a processor and many on a GPU."""
        if self._settings.embedding_batch:
            return self._settings.embedding_batch
        return _BATCH_CPU if self._open_model().device.type == "cpu" else _BATCH_GPU

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

        What lies beyond `max_tokens` does not count. ``progress`` is told after each
        batch how many passages are done; questions of other threads go between batches.
        """
        vectors = np.empty((len(texts), self._facts.dimension), np.float32)
        for rows, batch in self._batches(texts, progress):
            vectors[rows] = self._encode(batch, self._facts.passage_prefix)
        return vectors

    def encode_passages(
        self,
        texts: Sequence[str],
        keep: Callable[[Vectors], T],
        progress: Callable[[int], None] | None = None,
    ) -> tuple[Vectors, list[T]]:
        """Return what `embed_passages` does, and what ``keep`` makes of each one's token states.

        Both come from one pass through the model; see `Tokens`.
        """
        vectors = np.empty((len(texts), self._facts.dimension), np.float32)
        kept: dict[int, T] = {}
        for rows, batch in self._batches(texts, progress):
            vectors[rows], tokens = self._encode_tokens(batch, self._facts.passage_prefix)
            kept.update((int(row), keep(t.states)) for row, t in zip(rows, tokens, strict=True))
        return vectors, [kept[row] for row in range(len(texts))]

    def embed_question(self, text: str) -> Vectors:
        """Return float32 ``(dimension,)``, L2-normalised.

        Questions that wait at the same time are embedded together, before any passage.
        """
        return self._asked(text)[0]

    def encode_question(self, text: str) -> tuple[Vectors, Tokens]:
        """Return what `embed_question` does, and the question's tokens, from one pass."""
        assert self.gives_tokens
        vector, tokens = self._asked(text)
        assert tokens is not None
        return vector, tokens

    @cached_property
    def gives_tokens(self) -> bool:
        """Whether the model's token states can be told apart and laid upon the text."""
        if self._settings.embedding_model == EMBEDDED:
            return True
        try:
            with self._forward:
                _, tokens = self._encode_tokens(["two words"], self._facts.passage_prefix)
        except (ModelError, KeyError, ValueError, NotImplementedError):
            return False  # no token states, or a tokenizer that cannot tell where a token stands
        return len(tokens[0].spans) > 0

    def passage_spans(self, text: str) -> NDArray[np.int32]:
        """Return the ``spans`` of `Tokens` for a passage, without running the model."""
        with self._forward:
            return self._read_tokens([text], self._facts.passage_prefix)[0][1]

    def _batches(
        self, texts: Sequence[str], progress: Callable[[int], None] | None
    ) -> Iterator[tuple[NDArray[np.intp], list[str]]]:
        """Yield the rows and the texts of each batch, while holding the model."""
        # By tokens, not characters: a Chinese character weighs two Latin ones, and a
        # batch costs as much as its longest passage. Longest first: memory fails early.
        order = np.argsort(self.count_tokens(texts), kind="stable")[::-1]
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            with self._forward:
                self._answer_questions()
                yield rows, [texts[row] for row in rows]
            if progress is not None:
                progress(start + len(rows))

    def _asked(self, text: str) -> tuple[Vectors, Tokens | None]:
        known = self._remembered(text)
        if known is not None:
            assert known.vector is not None
            return known.vector, known.tokens
        question = _Question(text)
        self._questions.append(question)
        with self._forward:
            if question.vector is None and question.error is None:
                self._answer_questions()
        if question.error is not None:
            raise question.error
        assert question.vector is not None
        return question.vector, question.tokens

    def _remembered(self, text: str) -> _Question | None:
        """Return an answered question of the latest few, with its tokens where they are wanted."""
        with self._remembering:
            known = self._answered.get(text)
            if known is None or (known.tokens is None and self.__dict__.get("gives_tokens")):
                return None
            self._answered.move_to_end(text)
            return known

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, without special tokens and without a prefix."""
        return self._open_counter().count(texts)

    @property
    def max_tokens(self) -> int:
        """The model's own limit in tokens, special tokens and prefix included."""
        return self._facts.max_tokens

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What an index made with this model must be opened with."""
        name = self._settings.embedding_model
        if name == EMBEDDED:
            return fingerprint_of(name, e5.SHA256[:16], self._facts)
        if Path(name).expanduser() == self._folder:
            name = self._folder.name  # a folder that was moved is still the same model
        return fingerprint_of(name, folder_revision(self._folder), self._facts)

    @cached_property
    def _folder(self) -> Path:
        return model_folder(self._settings)

    @cached_property
    def _facts(self) -> Facts:
        if self._settings.embedding_model == EMBEDDED:  # known without loading it
            prompts: Mapping[str, str | None] = e5.PROMPTS
            dimension, limit = e5.DIMENSION, e5.MAX_TOKENS
        else:
            model = self._open_model()
            prompts = model.prompts
            dimension = model.get_embedding_dimension() or len(model.encode("dimension"))
            limit = min(int(model.max_seq_length or _UNLIMITED), _UNLIMITED)
        query, passage = self._settings.query_prefix, self._settings.passage_prefix
        if query is None:
            query = prompts.get("query") or ""
        if passage is None:
            named = (prompts.get(name) for name in ("document", "passage", "corpus"))
            passage = next(filter(None, named), "")
        return Facts(dimension, limit, query, passage)

    def _answer_questions(self) -> None:
        """Embed all questions that wait; only who holds the model calls this."""
        while waiting := [self._questions.popleft() for _ in range(len(self._questions))]:
            for start in range(0, len(waiting), _BATCH_CPU):
                self._answer_together(waiting[start : start + _BATCH_CPU])

    def _answer_together(self, batch: Sequence[_Question]) -> None:
        try:
            texts = [question.text for question in batch]
            prefix = self._facts.query_prefix
            tokens: Sequence[Tokens | None] = [None] * len(batch)
            if self.__dict__.get("gives_tokens"):  # where somebody asked for them
                vectors, tokens = self._encode_tokens(texts, prefix, question=True)
            else:
                vectors = self._encode(texts, prefix, question=True)
        except Exception as error:  # each of them must be told, whoever runs the model
            for question in batch:
                question.error = error
            return
        for question, vector, said in zip(batch, vectors, tokens, strict=True):
            vector.flags.writeable = False  # it is handed out again
            question.vector, question.tokens = vector, said
            with self._remembering:
                self._answered[question.text] = question
                if len(self._answered) > _REMEMBERED:
                    self._answered.popitem(last=False)

    def _encode(self, texts: list[str], prefix: str, *, question: bool = False) -> Vectors:
        """Embed one batch; only who holds the model calls this."""
        return unit_rows(self._run(texts, prefix, question, "sentence_embedding"))

    def _encode_tokens(self, texts: list[str], prefix: str, *, question: bool = False) -> Encoded:
        """Embed one batch and return its tokens too; only who holds the model calls this."""
        outputs = self._run(texts, prefix, question, None)
        vectors = np.stack([o["sentence_embedding"].float().cpu().numpy() for o in outputs])
        tokens = []
        read = self._read_tokens(texts, prefix)
        for output, (places, spans) in zip(outputs, read, strict=True):
            states = output["token_embeddings"][output["attention_mask"].bool()]
            tokens.append(Tokens(states[places].float().cpu().numpy(), spans))
        return unit_rows(vectors), tokens

    def _read_tokens(
        self, texts: Sequence[str], prefix: str
    ) -> list[tuple[NDArray[np.intp], NDArray[np.int32]]]:
        """Return, for each text, which of the model's tokens hold a letter, and their spans."""
        model = self._open_model()
        batch = [prefix + encodable(text) for text in texts]
        read = model.tokenizer(
            batch,
            truncation=True,
            max_length=self._facts.max_tokens,
            return_offsets_mapping=True,
        )
        return [
            _worded(text, np.array(offsets, np.int32).reshape(-1, 2), len(prefix))
            for text, offsets in zip(batch, read["offset_mapping"], strict=True)
        ]

    def _run(self, texts: list[str], prefix: str, question: bool, output: str | None) -> Any:
        """Pass one batch through the model; ``output`` as sentence-transformers names it."""
        model = self._open_model()
        encode: Any = model.encode_query if question else model.encode_document
        batch = [encodable(text) for text in texts]
        try:
            return encode(
                batch,
                prompt=prefix,
                batch_size=len(batch),
                show_progress_bar=False,
                output_value=output,
            )
        except RuntimeError as error:  # above all: no memory left on the device
            raise ModelError(
                f"The embedding model failed ({error}). Lower ASSISTANT_EMBEDDING_BATCH, or set "
                "ASSISTANT_EMBEDDING_DEVICE=cpu."
            ) from error

    def _open_model(self) -> SentenceTransformer:
        with self._loading:
            if self._model is None:
                self._counter = None  # let go first: the model reads the vocabulary again
                self._model = load_encoder(self._folder, self._settings)
                self._counter = TokenCounter.sharing(self._model.tokenizer)
            return self._model

    def _open_counter(self) -> TokenCounter:
        with self._loading:
            if self._counter is None:
                file = next(self._folder.rglob(TOKENIZER_FILE), None)
                if file is not None:
                    self._counter = TokenCounter.read(file)
                else:  # an old model, whose vocabulary sentence-transformers converts
                    self._counter = TokenCounter.sharing(self._open_model().tokenizer)
            return self._counter


def load_embedder(settings: Settings) -> Embedder:
    """Return the embedder ``settings.embedding_model`` names; ``hash`` is the one for tests."""
    if settings.embedding_model == HASH:
        from assistant.adapted import HashEmbedder

        return HashEmbedder(settings)
    return Embedder(settings)


def _worded(
    text: str, offsets: NDArray[np.int32], skipped: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return the places of the tokens that hold a letter or digit, and their spans.

    ``skipped`` characters at the start are the prefix, from which the spans do not count.
    """
    places = [
        i
        for i, (start, end) in enumerate(offsets.tolist())
        if end > skipped and any(map(str.isalnum, text[max(start, skipped) : end]))
    ]
    return np.array(places, np.intp), np.maximum(offsets[places] - skipped, 0)


def unit_rows(vectors: ArrayLike) -> Vectors:
    """Return ``vectors`` as float32, each row of length 1 (a row of zeros stays)."""
    rows = np.asarray(vectors, np.float32)
    if not np.isfinite(rows).all():
        raise ModelError("The embedding model overflowed. Set ASSISTANT_EMBEDDING_DTYPE=float32.")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = np.divide(rows, length, out=rows.copy(), where=length > 0)
    return unit


def fingerprint_of(model: str, revision: str, facts: Facts) -> Fingerprint:
    return {
        "model": model,
        "revision": revision,
        "dimension": facts.dimension,
        "query_prefix": facts.query_prefix,
        "passage_prefix": facts.passage_prefix,
    }
