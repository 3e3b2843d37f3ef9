"""A request to OpenAI's chat API, of which only the messages count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from assistant.types import Message


class Part(BaseModel):
    """A piece of a message's content."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """All that is text in it."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    include_usage: bool | None = False


class ChatRequest(BaseModel):
    """A request; whatever else OpenAI's API knows may stand in it and changes nothing."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(1, ge=1, le=1, description="one answer is given")

    @field_validator("messages")
    @classmethod
    def _with_a_question(cls, messages: list[ChatMessage]) -> list[ChatMessage]:
        asked = next((m for m in reversed(messages) if m.role == "user"), None)
        if asked is None:
            raise ValueError("there is no message of the role `user`; send the question as one")
        parts = asked.content if isinstance(asked.content, list) else ()
        if other := next((part.type for part in parts if part.type != "text"), None):
            raise ValueError(f"parts of the type {other!r} cannot be read; send text only")
        return messages

    @property
    def question(self) -> str:
        """The last message of the user's."""
        return next(m for m in reversed(self.messages) if m.role == "user").text

    @property
    def history(self) -> list[Message]:
        """What was said before the question."""
        last = max(i for i, message in enumerate(self.messages) if message.role == "user")
        now = datetime.now(UTC)
        return [
            Message("user" if message.role == "user" else "assistant", message.text, now)
            for message in self.messages[:last]
            if message.role in ("user", "assistant") and message.text
        ]
