"""`Client`: the methods, types and errors of `Assistant`, over HTTP to a running server.

It keeps nothing but its connections. What concerns the server's own process (its usage,
its engines) is not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from assistant.errors import ServerError
from assistant.surfaces.connection import Connection
from assistant.surfaces.http.records import Job, QuarantinedFile
from assistant.surfaces.sending import Sender
from assistant.types import (
    EVERYONE,
    Answer,
    AnswerEvent,
    Chunk,
    Context,
    Conversation,
    Document,
    Health,
    Hit,
    IngestReport,
    Message,
    Principal,
    Quarantined,
    Verdict,
)

if TYPE_CHECKING:
    from assistant.ingest.pipeline import ProgressCallback
    from assistant.retrieve import HitRetriever
    from assistant.surfaces.strategies import RemoteStrategies

Value = TypeVar("Value")

DEFAULT_URL = "http://127.0.0.1:7860"


class Client:
    """An assistant that runs elsewhere; safe to share between threads, a context manager.

    A ``principal`` may be given with a key of the scope ``delegate`` alone; without one,
    the owner of the key asks.

    Args:
        url: the server's address.
        api_key: as the server's settings page gave it; none for a server without sign-in.
        timeout: the longest wait, in seconds, for the server's next word.

    Raises:
        ConfigurationError: the address or the key cannot be one.
        AssistantError: from every method, what `Assistant` raises; besides, `ServerError`
            when the server cannot be reached and `AccessError` when it does not let one in.
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str = "", *, timeout: float = 60.0) -> None:
        self._connection = Connection(url, api_key, timeout)

    # -- documents --------------------------------------------------------------------------

    def ingest(
        self,
        *sources: str | Path,
        groups: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> IngestReport:
        """Send files, and all files in folders; the same content again is a no-op.

        A file whose name is known becomes that document's new version; one in a folder's
        subfolder is called after both. Nothing is removed: the server keeps what it was sent.
        A server on this machine that was found by its data directory reads the files where
        they are instead, as `Assistant.ingest` does.

        Raises:
            SourceError: a source named here does not exist.
            ForbiddenError: the key may not change documents, or not for these groups.
        """
        return Sender(self._connection, groups, progress).ingest(sources)

    def remove(self, document_id: str) -> None:
        """Remove a document, and its file if it was sent; no answer rests on it from then on.

        Raises:
            NotFoundError: there is no such document.
        """
        self._do("DELETE", f"/v1/documents/{_part(document_id)}")

    def documents(self, principal: Principal = EVERYONE) -> list[Document]:
        """Return the documents that the principal may read, by source."""
        return self._get("/v1/documents", list[Document], principal)

    def document(self, document_id: str, principal: Principal = EVERYONE) -> Document:
        """Return a document.

        Raises:
            NotFoundError: there is none that the principal may read.
        """
        return self._get(f"/v1/documents/{_part(document_id)}", Document, principal)

    def chunks(self, document_id: str, principal: Principal = EVERYONE) -> list[Chunk]:
        """Return the chunks of a document in reading order; see `document`."""
        path = f"/v1/documents/{_part(document_id)}/chunks"
        return self._get(path, list[Chunk], principal)

    def passage(
        self, chunk_id: str, principal: Principal = EVERYONE, neighbours: int = 1
    ) -> Context:
        """Return a chunk with ``neighbours`` chunks on either side, as many as the server gives.

        Raises:
            NotFoundError: there is none that the principal may read, or no longer.
        """
        path = f"/v1/passages/{_part(chunk_id)}"
        return self._get(path, Context, principal, neighbours=neighbours)

    def quarantined(self) -> list[Quarantined]:
        """Return the sources that could not be taken in when last tried, with the reasons."""
        found = self._get("/v1/quarantine", list[QuarantinedFile])
        return [Quarantined(bad.source, bad.reason) for bad in found]

    def reindex(self, progress: ProgressCallback | None = None) -> None:
        """Chunk and embed all documents anew with the server's model, then switch over."""
        job = self._connection.call("POST", "/v1/reindex", Job)
        Sender(self._connection, None, progress).wait(job)

    # -- questions --------------------------------------------------------------------------

    def search(self, query: str, *, k: int = 8, principal: Principal = EVERYONE) -> list[Hit]:
        """Return the ``k`` best passages among the documents that the principal may read."""
        return self._get("/v1/search", list[Hit], principal, query=query, k=k)

    def retriever(self, *, k: int = 8, principal: Principal = EVERYONE) -> HitRetriever:
        """Return the search as a LangChain retriever that asks for one principal."""
        from assistant.retrieve import HitRetriever

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

        Closing it early closes the connection, and the server stops answering.

        Raises:
            QuestionError: the question is empty, too long or unreadable.
            NotFoundError: the conversation is not the principal's.
            EngineBusyError: too many questions are waiting.
            ServerError: the answer broke off; what was shown is none.
        """
        body: dict[str, Any] = {"question": question, "conversation_id": conversation_id}
        if history is not None:
            body["history"] = [{**asdict(m), "at": m.at.isoformat()} for m in history]
        events = self._connection.events("POST", "/v1/stream", principal=principal, json=body)
        with closing(events):
            for _, data in events:
                event: AnswerEvent = self._connection.decode(AnswerEvent, data)
                yield event
                if event.answer:
                    return
        raise ServerError("The server broke off in the middle of the answer. Ask again.")

    def suggestions(self, answer_id: str, principal: Principal = EVERYONE) -> list[str]:
        """Return up to three questions that go on from an answer and that documents answer.

        Raises:
            NotFoundError: no such answer was given to the principal.
        """
        path = f"/v1/answers/{_part(answer_id)}/suggestions"
        return self._get(path, list[str], principal)

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
        given = {"answer_id": answer_id, "verdict": verdict, "comment": comment}
        self._do("POST", "/v1/feedback", principal, given)

    # -- conversations ----------------------------------------------------------------------

    def conversations(self, principal: Principal = EVERYONE, query: str = "") -> list[Conversation]:
        """Return the principal's conversations without their messages, latest first.

        With a ``query``, those alone in whose title or messages all of its words occur.
        """
        return self._get("/v1/conversations", list[Conversation], principal, query=query)

    def conversation(self, conversation_id: str, principal: Principal = EVERYONE) -> Conversation:
        """Return one of the principal's conversations with its messages and citations."""
        return self._get(_conversation(conversation_id), Conversation, principal)

    def rename_conversation(
        self, conversation_id: str, title: str, principal: Principal = EVERYONE
    ) -> None:
        """Give one of the principal's conversations another title."""
        self._do("PATCH", _conversation(conversation_id), principal, {"title": title})

    def delete_conversation(self, conversation_id: str, principal: Principal = EVERYONE) -> None:
        """Delete one of the principal's conversations for good."""
        self._do("DELETE", _conversation(conversation_id), principal)

    def strategies(self, principal: Principal = EVERYONE) -> RemoteStrategies:
        """Return the principal's strategies: interviews, profiles and briefs."""
        from assistant.surfaces.strategies import RemoteStrategies

        return RemoteStrategies(self._connection, principal)

    # -- state ------------------------------------------------------------------------------

    def health(self) -> Health:
        """Say what would answer a question now, and what stands in the way of answering well."""
        return self._get("/v1/health", Health)

    def warm_up(self) -> None:
        """Make sure that the server answers; it loads its models by itself when it starts."""
        self.health()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(
        self,
        path: str,
        kind: type[Value],
        principal: Principal = EVERYONE,
        **params: str | int,
    ) -> Value:
        found: Value = self._connection.call("GET", path, kind, principal=principal, params=params)
        return found

    def _do(
        self,
        method: str,
        path: str,
        principal: Principal = EVERYONE,
        body: dict[str, Any] | None = None,
    ) -> None:
        self._connection.call(method, path, None, principal=principal, json=body)


def _conversation(conversation_id: str) -> str:
    return f"/v1/conversations/{_part(conversation_id)}"


def _part(value: str) -> str:
    """Return a value as one part of a path."""
    return quote(value, safe="") or "-"
