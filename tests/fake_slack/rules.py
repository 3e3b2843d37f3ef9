"""What Slack documents as a limit, and the book in which every broken one is written down.

A rule is named once, in `RULES`, with the page that documents it. Where a limit makes Slack
refuse the call, the code that notices also raises `Refusal`; where Slack only suffers it (a late
acknowledgement, a truncated text), the call goes on and only the book tells.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

DOCS = "https://docs.slack.dev"
SOCKETS = f"{DOCS}/apis/events-api/using-socket-mode"
EVENTS = f"{DOCS}/apis/events-api"
RATES = f"{DOCS}/apis/web-api/rate-limits"
BLOCKS = f"{DOCS}/reference/block-kit/blocks"
ELEMENTS = f"{DOCS}/reference/block-kit/block-elements"
VIEWS = f"{DOCS}/reference/views"
INTERACTION = f"{DOCS}/interactivity/handling-user-interaction"


def _method(name: str) -> str:
    return f"{DOCS}/reference/methods/{name}"


RULES = {
    "ack_3s": EVENTS,  # "your app should respond within three seconds"
    "ack_unknown": SOCKETS,  # an acknowledgement names an envelope that was sent
    "ack_twice": SOCKETS,
    "ack_payload": SOCKETS,  # only where accepts_response_payload is true
    "too_many_websockets": SOCKETS,  # ten connections an app
    "ticket_reused": _method("apps.connections.open"),  # a WebSocket URL opens one connection
    "rate_limit": RATES,
    "retry_after": RATES,  # calls during the wait that a 429 asked for
    "token_type": f"{DOCS}/authentication/tokens",
    "missing_scope": f"{DOCS}/reference/scopes",
    "unknown_method": f"{DOCS}/reference/methods",
    "arguments": f"{DOCS}/apis/web-api",
    "no_text": _method("chat.postMessage"),
    "text_40000": _method("chat.postMessage"),
    "update_text_4000": _method("chat.update"),
    "markdown_12000": _method("chat.postMessage"),
    "markdown_conflict": _method("chat.postMessage"),
    "blocks_50": BLOCKS,
    "block": BLOCKS,
    "block_type": BLOCKS,
    "block_id": BLOCKS,
    "element": ELEMENTS,
    "element_type": ELEMENTS,
    "action_id": f"{ELEMENTS}/button-element",
    "thread_ts": _method("chat.postMessage"),
    "ephemeral_user": _method("chat.postEphemeral"),
    "not_in_channel": _method("chat.postMessage"),
    "not_yours": _method("chat.update"),
    "update_ephemeral": f"{DOCS}/messaging/modifying-messages",
    "update_streaming": _method("chat.update"),
    "stream_recipient": _method("chat.startStream"),
    "not_streaming": _method("chat.appendStream"),
    "chunk": _method("chat.appendStream"),
    "status_thread": _method("assistant.threads.setStatus"),
    "loading_messages_10": _method("assistant.threads.setStatus"),
    "prompts_4": _method("assistant.threads.setSuggestedPrompts"),
    "view": VIEWS,
    "view_blocks_100": BLOCKS,
    "trigger_3s": INTERACTION,  # "triggers expire in three seconds"
    "trigger_once": INTERACTION,
    "response_url_5": INTERACTION,  # "up to 5 times within 30 minutes"
    "response_url_30min": INTERACTION,
    "response_url_body": INTERACTION,
}


@dataclass(frozen=True)
class Violation:
    """A documented limit that the app broke."""

    rule: str
    detail: str

    @property
    def url(self) -> str:
        """Where Slack documents it."""
        return RULES[self.rule]

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail} ({self.url})"


class Ledger:
    """The violations so far; threads may write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._violations: list[Violation] = []

    def record(self, rule: str, detail: str) -> None:
        """Write down that a rule of `RULES` was broken."""
        if rule not in RULES:
            raise KeyError(f"no documented rule {rule!r}")
        with self._lock:
            self._violations.append(Violation(rule, detail))

    def all(self) -> list[Violation]:
        """Return a copy of the book."""
        with self._lock:
            return list(self._violations)


@dataclass
class Refusal(Exception):
    """Slack says no: the reply is ``{"ok": false, "error": …}``."""

    error: str
    messages: list[str] = field(default_factory=list)  # response_metadata.messages
    fields: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None  # a 429, then

    def body(self) -> dict[str, Any]:
        """Return the JSON that Slack sends."""
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.fields}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        return body
