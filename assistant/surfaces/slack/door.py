"""What the bot needs of the assistant: `Assistant` in this process, or `Client`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from assistant.errors import ServerError, UnauthenticatedError
from assistant.types import (
    AnswerEvent,
    Context,
    Conversation,
    Document,
    Principal,
    Verdict,
)


class Door(Protocol):
    """Answers questions and keeps what is said; safe to share between threads."""

    def stream(
        self, question: str, *, conversation_id: str | None = None, principal: Principal = ...
    ) -> Iterator[AnswerEvent]:
        """Answer a question."""

    def feedback(
        self, answer_id: str, verdict: Verdict, comment: str = "", principal: Principal = ...
    ) -> None:
        """Keep a verdict."""

    def passage(self, chunk_id: str, principal: Principal = ..., neighbours: int = 1) -> Context:
        """Return a passage."""

    def document(self, document_id: str, principal: Principal = ...) -> Document:
        """Return a document."""

    def conversation(self, conversation_id: str, principal: Principal = ...) -> Conversation:
        """Return a conversation."""


class Following:
    """A door to a server that may be restarted: it has another address and token afterwards.

    Args:
        door: the way to the server as it is now.
        again: looks for the server anew; None while there is none.
    """

    def __init__(self, door: Door, again: Callable[[], Door | None]) -> None:
        self._door = door
        self._again = again

    def stream(self, question: str, **asked: Any) -> Iterator[AnswerEvent]:
        """Answer a question; once more from the start when the server had moved."""
        begun = False
        try:
            for event in self._door.stream(question, **asked):
                begun = True
                yield event
        except (ServerError, UnauthenticatedError):
            if begun or not self._found():
                raise
            yield from self._door.stream(question, **asked)

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            try:
                return getattr(self._door, name)(*given, **named)
            except (ServerError, UnauthenticatedError):
                if not self._found():
                    raise
                return getattr(self._door, name)(*given, **named)

        return call

    def _found(self) -> bool:
        door = self._again()
        if door is not None:
            self._door = door
        return door is not None
