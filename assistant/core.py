"""`Assistant`: the one core behind every surface. Documents in, questions answered, state told.

It opens the parts on first use and puts them together; how an answer comes about is
told in `answer`, how documents are taken in, in `ingest.pipeline`. It is long because it is
the one door: a short method a thing that can be done, each with what it promises.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from assistant.adapted import adapt_embeddings
from assistant.answer import Answerer
from assistant.backfill import Backfill
from assistant.conversation import ConversationStore, new_id
from assistant.embed import load_embedder
from assistant.engines.failover import Engines, choose_engines
from assistant.errors import QuestionError
from assistant.health import assess
from assistant.index.store import Store
from assistant.ingest.pipeline import Pipeline, ProgressCallback
from assistant.late import LateInteraction
from assistant.questions import validated
from assistant.reading import ReadingStage
from assistant.retrieve import Found, HitRetriever, Searcher
from assistant.settings import Settings
from assistant.sources import (
    may_read,
    no_document,
    read_chunks,
    read_citation,
    read_document,
    read_passage,
)
from assistant.steering import SteeringDetector
from assistant.strategy.brief import Narrator
from assistant.strategy.desk import Strategies
from assistant.strategy.store import StrategyStore
from assistant.suggest import suggest
from assistant.types import (
    EVERYONE,
    Answer,
    AnswerEvent,
    Chunk,
    Cited,
    Context,
    Conversation,
    Document,
    Health,
    Hit,
    IngestReport,
    Message,
    Principal,
    Progress,
    Quarantined,
    Reviewable,
    UsageReport,
    Verdict,
)
from assistant.usage import first_day, report


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
        self._late: LateInteraction | None = None
        self._steering = SteeringDetector(self._embedder)
        self._reading = ReadingStage(self.settings, self._embedder)
        self._backfill: Backfill | None = None
        self._conversations: ConversationStore | None = None
        self._strategies: StrategyStore | None = None
        self._reached: tuple[str, str] | None = None
        self._engine_name = self.settings.engine
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
            raise no_document(document_id)
        store.replace([], retire=[document_id])

    def documents(self, principal: Principal = EVERYONE) -> list[Document]:
        """Return the documents that the principal may read, by source."""
        store = self._open_store()
        index = store.index
        return index.catalog.documents(index.audiences(principal))

    def document(self, document_id: str, principal: Principal = EVERYONE) -> Document:
        """Return a document.

        Raises:
            NotFoundError: there is none that the principal may read.
        """
        return read_document(self._open_store().index, document_id, principal)

    def chunks(self, document_id: str, principal: Principal = EVERYONE) -> list[Chunk]:
        """Return the chunks of a document in reading order; see `document`."""
        return read_chunks(self._open_store().index, document_id, principal)

    def passage(
        self, chunk_id: str, principal: Principal = EVERYONE, neighbours: int = 1
    ) -> Context:
        """Return a chunk with ``neighbours`` chunks, 20 at most, on either side.

        Raises:
            NotFoundError: there is none that the principal may read, or no longer.
        """
        return read_passage(self._open_store().index, chunk_id, principal, neighbours)

    def groups(self) -> list[str]:
        """Return every group that some document is for."""
        catalog = self._open_store().index.catalog
        documents = catalog.documents(catalog.audiences())
        return sorted({group for document in documents for group in document.groups})

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
        history: Sequence[Message] | None = None,
        principal: Principal = EVERYONE,
    ) -> Answer:
        """Return the answer to a question; see `stream`."""
        *_, last = self.stream(
            question, conversation_id=conversation_id, history=history, principal=principal
        )
        assert last.answer is not None
        return last.answer

    def stream(
        self,
        question: str,
        *,
        conversation_id: str | None = None,
        history: Sequence[Message] | None = None,
        principal: Principal = EVERYONE,
    ) -> Iterator[AnswerEvent]:
        """Yield the sources, then checked text sentence by sentence, then the whole answer.

        With a ``history`` the caller keeps the conversation: the question is understood
        from it, and nothing is stored.

        Raises:
            QuestionError: the question is empty, too long or unreadable.
            NotFoundError: the conversation is not the principal's.
            EngineBusyError: too many questions are waiting.
        """
        question = validated(question, self.settings.max_question_chars)
        conversations = self._open_conversations()
        said = history or ()
        if history is None and conversation_id:
            said = conversations.history(conversation_id, principal)
        with self._lock:
            engines = self._open_engines()
            use = engines.in_use()
        with use:
            for event in self._answerer(engines).stream(
                question, said, principal, conversation_id or new_id()
            ):
                if event.answer and history is None:
                    conversations.append(principal, question, event.answer)
                yield event

    def citation(self, answer_id: str, marker: int, principal: Principal = EVERYONE) -> Cited:
        """Return what ``[marker]`` in an answer given to the principal points at.

        With late interaction it tells where the question's words met the passage's.

        Raises:
            NotFoundError: no such answer was given to the principal, it has no such mark, or
                its document is gone or not theirs to read any more.
        """
        *_, asked, answer = self._open_conversations().up_to(answer_id, principal)
        cited = read_citation(self._open_store().index, answer, marker, principal)
        late = self._open_late()
        if late is None or cited.context is None:
            return cited
        return replace(cited, matches=tuple(late.matches(asked.text, cited.context)))

    def suggestions(self, answer_id: str, principal: Principal = EVERYONE) -> list[str]:
        """Return up to three questions that go on from an answer and that documents answer.

        Raises:
            NotFoundError: no such answer was given to the principal.
        """
        said = self._open_conversations().up_to(answer_id, principal)
        index = self._open_store().index
        return suggest(said, principal, self._search, self._reading.read, index, self.settings)

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

    def conversations(self, principal: Principal = EVERYONE, query: str = "") -> list[Conversation]:
        """Return the principal's conversations without their messages, latest first.

        With a ``query``, those alone in whose title or messages all of its words occur.
        """
        return self._open_conversations().list(principal, query)

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

    # -- strategies -------------------------------------------------------------------------

    def strategies(self, principal: Principal = EVERYONE) -> Strategies:
        """Return the principal's strategies: interviews, profiles, plans and briefs."""
        return Strategies(
            self._open_strategies(),
            lambda query, k: self.search(query, k=k, principal=principal),
            principal,
            lambda chunk_id: may_read(self._open_store().index, chunk_id, principal),
            self._narrator,
        )

    # -- for whoever runs it ----------------------------------------------------------------

    def forget(self, user_id: str) -> None:
        """Delete all conversations, verdicts and strategies of a user, for good."""
        self._open_conversations().delete_all(user_id)
        self._open_strategies().delete_all(user_id)

    def usage(self, principal: Principal = EVERYONE, days: int = 30) -> UsageReport:
        """Return how everybody used the assistant; it names what the principal may read alone."""
        titles = {document.id: document.title for document in self.documents(principal)}
        first = first_day(days)
        return report(self._open_conversations().asked_since(first), titles, first)

    def reviewable(self, principal: Principal = EVERYONE, limit: int = 50) -> list[Reviewable]:
        """Return refused and disliked answers, latest first, and never who asked.

        Only what was asked with none but the principal's groups: answers quote documents.
        """
        return list(self._open_conversations().to_review(principal.groups, limit))

    def announce(self, url: str, token: str) -> None:
        """Note in the data directory where this process is reached, for `owner_card`.

        ``token`` is a secret of this run: only this user of the machine can read it there.
        """
        with self._lock:
            self._reached = (url, token)
            self._open_store(check_fingerprint=False).announce(url, token)

    # -- state ------------------------------------------------------------------------------

    def health(self) -> Health:
        """Say what would answer a question now, and what stands in the way of answering well."""
        index = self._open_store().index
        return assess(
            index.catalog, self._open_engines(), self._embedder, self._reading, self.settings
        )

    @property
    def engine(self) -> str:
        """The engine that was asked for: the settings' one, or that of `use_engine`."""
        return self._engine_name

    def use_engine(self, name: str) -> None:
        """Let another engine answer from now on, ``auto`` for the first that works.

        Answers under way end on the engine that they began with.

        Raises:
            ConfigurationError: there is no engine of that name.
            ModelError: it cannot load its model; the one before stays.
            EngineError: it does not answer; the one before stays.
        """
        chosen = self._choose(name)
        try:
            next(chosen.candidates())
        except BaseException:
            chosen.close()
            raise
        with self._lock:
            past, self._engines, self._engine_name = self._engines, chosen, name
        if past:
            past.retire()

    def warm_up(self) -> None:
        """Load the models now, so that the first question does not wait for them."""
        self._embedder.embed_question("warm up")
        self._reading.open()
        next(self._open_engines().candidates())

    def close(self) -> None:
        """Let go of the models and of the data directory."""
        with self._lock:
            if self._backfill is not None:
                self._backfill.stop()
            for part in (
                self._engines,
                self._late,
                self._store,
                self._conversations,
                self._strategies,
            ):
                if part is not None:
                    part.close()
            self._late = self._backfill = None
            self._store = self._searcher = self._conversations = self._engines = None
            self._strategies = None

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
                if self._reached:
                    self._store.announce(*self._reached)
            if check_fingerprint:
                self._store.check_fingerprint()
            return self._store

    def _open_conversations(self) -> ConversationStore:
        with self._lock:
            if self._conversations is None:
                self._conversations = ConversationStore(self.settings.data_dir)
            return self._conversations

    def _open_strategies(self) -> StrategyStore:
        with self._lock:
            if self._strategies is None:
                self._strategies = StrategyStore(self.settings.data_dir)
            return self._strategies

    def _narrator(self) -> Narrator:
        return Narrator(next(self._open_engines().candidates()), self._embedder.embed_passages)

    def _open_engines(self) -> Engines:
        with self._lock:
            if self._engines is None:
                self._engines = (
                    Engines([self._given_engine])
                    if self._given_engine
                    else self._choose(self._engine_name)
                )
            return self._engines

    def _pipeline(self, store: Store | None = None) -> Pipeline:
        store = store or self._open_store()
        return Pipeline(store, self._embedder, self.settings, self._open_late())

    def _search(self, query: str, principal: Principal, k: int) -> Found:
        query = validated(query, self.settings.max_question_chars)
        return self._open_searcher().search(query, principal, k)

    def _open_searcher(self) -> Searcher:
        with self._lock:
            if self._searcher is None:
                store, late = self._open_store(), self._open_late()
                self._searcher = Searcher(store, self._embedder, self.settings, late)
                if late:
                    self._backfill = Backfill(store, late)
                    self._backfill.start()
            return self._searcher

    def _open_late(self) -> LateInteraction | None:
        """Return what compares token by token; None where settings or model do without."""
        with self._lock:
            wanted = self.settings.reranker == "late" and self._embedder.gives_tokens
            if wanted and self._late is None:
                self._late = LateInteraction(self._embedder, self.settings.data_dir)
            return self._late

    def _choose(self, name: str) -> Engines:
        settings = self.settings.model_copy(update={"engine": name})
        return choose_engines(settings, self._embedder, self._steering.detects)

    def _answerer(self, engines: Engines) -> Answerer:
        late = self._open_late()
        return Answerer(
            self.settings,
            self._search,
            self._embedder,
            engines,
            lambda principal: len(self.documents(principal)),
            self._steering.detects,
            late.nearest if late else None,
            self._reading.read,
        )
