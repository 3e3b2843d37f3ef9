"""`Assistant`: the one core behind every surface. Documents in, questions answered, state told.

It opens the parts on first use and puts them together; how an answer comes about is
told in `answer`, how documents are taken in, in `ingest.pipeline`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from assistant.answer import Answerer, validated
from assistant.conversation import ConversationStore, new_id
from assistant.embed import adapt_embeddings, load_embedder
from assistant.engines.base import engine_name
from assistant.engines.failover import Engines, choose_engines
from assistant.errors import NotFoundError, QuestionError
from assistant.index.store import Store
from assistant.ingest.pipeline import Pipeline, ProgressCallback
from assistant.retrieve import Found, Gate, HitRetriever, Searcher
from assistant.settings import Settings
from assistant.types import (
    EVERYONE,
    Answer,
    AnswerEvent,
    Conversation,
    Document,
    Health,
    Hit,
    IngestReport,
    Principal,
    Progress,
    Quarantined,
    Verdict,
)


class Assistant:
    """Answers from the documents it was given, with citations; safe to share between threads.

    Cheap to build: models are loaded and the data directory is opened on first use.

    Args:
        settings: the environment's when None.
        embedder: any LangChain embeddings, in place of the settings' model.
        engine: any LangChain chat model, in place of the settings' engine.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        embedder: Embeddings | None = None,
        engine: BaseChatModel | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._embedder = adapt_embeddings(embedder) if embedder else load_embedder(self.settings)
        self._given_engine = engine
        self._engines: Engines | None = None
        self._store: Store | None = None
        self._searcher: Searcher | None = None
        self._conversations: ConversationStore | None = None
        self._lock = threading.RLock()

    # -- documents --------------------------------------------------------------------------

    def ingest(
        self,
        *sources: str | Path,
        groups: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> IngestReport:
        """Take in files and folders; the same content again is a no-op.

        A bad file never stops the others: it is named in the report with its reason. A
        file that vanished from a folder ingested before is removed. Without ``groups`` a
        known document keeps its readers, and a new one is for everyone.

        Raises:
            SourceError: a source named here does not exist or is not allowed.
        """
        return self._pipeline().run(sources, groups, progress)

    def remove(self, document_id: str) -> None:
        """Remove a document; no answer rests on it from then on.

        Raises:
            NotFoundError: there is no such document.
        """
        store = self._open_store()
        if document_id not in store.catalog.states():
            raise NotFoundError(
                f"There is no document {document_id!r}. `assistant documents` lists them."
            )
        store.replace([], retire=[document_id])

    def documents(self, principal: Principal = EVERYONE) -> list[Document]:
        """Return the documents that the principal may read, by source."""
        store = self._open_store()
        index = store.index
        return index.catalog.documents(index.audiences(principal))

    def quarantined(self) -> list[Quarantined]:
        """Return the sources that could not be taken in when last tried, with the reasons."""
        return self._open_store().catalog.quarantined()

    def reindex(self, progress: ProgressCallback | None = None) -> None:
        """Chunk and embed all documents anew with the settings' model, then switch over."""
        tell = progress or (lambda _: None)
        store = self._open_store(check_fingerprint=False)
        try:
            store.rebuild(
                self._pipeline(store).redraft,
                lambda done, total: tell(Progress("reindex", done, total)),
            )
        except BaseException:
            # The old index must not be searched with the new model.
            self.close()
            raise

    # -- questions --------------------------------------------------------------------------

    def search(self, query: str, *, k: int = 8, principal: Principal = EVERYONE) -> list[Hit]:
        """Return the ``k`` best passages among the documents that the principal may read."""
        return list(self._search(query, principal, k).hits)

    def retriever(self, *, k: int = 8, principal: Principal = EVERYONE) -> HitRetriever:
        """Return the search as a LangChain retriever that asks for one principal."""
        return HitRetriever(search=self.search, principal=principal, k=k)

    def ask(
        self,
        question: str,
        *,
        conversation_id: str | None = None,
        principal: Principal = EVERYONE,
    ) -> Answer:
        """Return the answer to a question; see `stream`."""
        *_, last = self.stream(question, conversation_id=conversation_id, principal=principal)
        assert last.answer is not None
        return last.answer

    def stream(
        self,
        question: str,
        *,
        conversation_id: str | None = None,
        principal: Principal = EVERYONE,
    ) -> Iterator[AnswerEvent]:
        """Yield the sources, then checked text sentence by sentence, then the whole answer.

        Raises:
            QuestionError: the question is empty, too long or unreadable.
            NotFoundError: the conversation is not the principal's.
            EngineBusyError: too many questions are waiting.
        """
        question = validated(question, self.settings.max_question_chars)
        conversations = self._open_conversations()
        history = conversations.history(conversation_id, principal) if conversation_id else ()
        for event in self._answerer().stream(
            question, history, principal, conversation_id or new_id()
        ):
            if event.answer:
                conversations.append(principal, question, event.answer)
            yield event

    def feedback(
        self,
        answer_id: str,
        verdict: Verdict,
        comment: str = "",
        principal: Principal = EVERYONE,
    ) -> None:
        """Keep what the asker thought of an answer.

        Raises:
            NotFoundError: no such answer was given to the principal.
        """
        if verdict not in ("up", "down"):
            raise QuestionError(f"A verdict is 'up' or 'down', not {verdict!r}.")
        self._open_conversations().feedback(answer_id, principal.user_id, verdict, comment)

    # -- conversations ----------------------------------------------------------------------

    def conversations(self, principal: Principal = EVERYONE) -> list[Conversation]:
        """Return the principal's conversations without their messages, latest first."""
        return self._open_conversations().list(principal.user_id)

    def conversation(self, conversation_id: str, principal: Principal = EVERYONE) -> Conversation:
        """Return one of the principal's conversations with its messages and citations."""
        return self._open_conversations().get(conversation_id, principal)

    def rename_conversation(
        self, conversation_id: str, title: str, principal: Principal = EVERYONE
    ) -> None:
        """Give one of the principal's conversations another title."""
        self._open_conversations().rename(conversation_id, principal.user_id, title)

    def delete_conversation(self, conversation_id: str, principal: Principal = EVERYONE) -> None:
        """Delete one of the principal's conversations for good."""
        self._open_conversations().delete(conversation_id, principal.user_id)

    # -- state ------------------------------------------------------------------------------

    def health(self) -> Health:
        """Say what would answer a question now, and what stands in the way of answering well."""
        catalog = self._open_store().index.catalog
        chunks = catalog.chunk_count(catalog.audiences())
        engines = self._open_engines()
        engine = next(engines.candidates())
        problems = engines.passed_over()
        if (
            not Gate.load().fits(self._embedder.fingerprint)
            and self.settings.gate_threshold is None
        ):
            problems.append(
                "Whether the documents hold an answer is judged by numbers that were calibrated "
                "for another embedding model. Set ASSISTANT_GATE_THRESHOLD by trial, or calibrate "
                "anew with evals/bench/gate.py."
            )
        if not chunks:
            problems.append("The index is empty. Run `assistant ingest FOLDER`.")
        bad = len(catalog.quarantined())
        if bad:
            problems.append(
                f"{bad} files could not be taken in. `assistant documents --quarantined` says why."
            )
        return Health(
            ok=bool(chunks),
            engine=engine_name(engine),
            documents=len(catalog.states()),
            chunks=chunks,
            fingerprint=catalog.meta("fingerprint"),
            problems=tuple(problems),
        )

    def warm_up(self) -> None:
        """Load the models now, so that the first question does not wait for them."""
        self._embedder.embed_question("warm up")
        next(self._open_engines().candidates())

    def close(self) -> None:
        """Let go of the models and of the data directory."""
        with self._lock:
            for part in (self._engines, self._store, self._conversations):
                if part is not None:
                    part.close()
            self._store = self._searcher = self._conversations = self._engines = None

    def __enter__(self) -> Assistant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- parts, opened on first use ---------------------------------------------------------

    def _open_store(self, *, check_fingerprint: bool = True) -> Store:
        with self._lock:
            if self._store is None:
                self._store = Store(
                    self.settings.data_dir,
                    self._embedder.fingerprint,
                    self.settings.chroma_url,
                )
            if check_fingerprint:
                self._store.check_fingerprint()
            return self._store

    def _open_conversations(self) -> ConversationStore:
        with self._lock:
            if self._conversations is None:
                self._conversations = ConversationStore(self.settings.data_dir)
            return self._conversations

    def _open_engines(self) -> Engines:
        with self._lock:
            if self._engines is None:
                self._engines = (
                    Engines([self._given_engine])
                    if self._given_engine
                    else choose_engines(self.settings, self._embedder)
                )
            return self._engines

    def _pipeline(self, store: Store | None = None) -> Pipeline:
        return Pipeline(store or self._open_store(), self._embedder, self.settings)

    def _search(self, query: str, principal: Principal, k: int) -> Found:
        query = validated(query, self.settings.max_question_chars)
        return self._open_searcher().search(query, principal, k)

    def _open_searcher(self) -> Searcher:
        with self._lock:
            if self._searcher is None:
                self._searcher = Searcher(self._open_store(), self._embedder, self.settings)
            return self._searcher

    def _answerer(self) -> Answerer:
        return Answerer(
            self.settings,
            self._search,
            self._embedder,
            self._open_engines(),
            lambda principal: len(self.documents(principal)),
        )
