"""Bringing envelopes to the app, and what happens when it does not acknowledge.

https://docs.slack.dev/apis/events-api#retries: an event that is not acknowledged within three
seconds is sent again, up to three times: at once, after a minute, after five. Interactions and
commands are never sent again; the person sees that it failed.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .platform import Envelope, Platform

ACK_S = 3.0


class Road(Protocol):
    """A way to the app: Socket Mode or HTTP."""

    def carry(self, envelope: Envelope) -> bool:
        """Start carrying it; say no when there is no way now."""
        ...


@dataclass
class Delivery:
    """Sends envelopes down a road and waits for their acknowledgements; lives in the loop."""

    slack: Platform
    loop: asyncio.AbstractEventLoop
    retry_after: Sequence[float]
    road: Road | None = None
    acks: dict[str, float] = field(default_factory=dict)
    waiting: list[Envelope] = field(default_factory=list)

    def send(self, envelope: Envelope) -> None:
        """Send from any thread."""
        envelope.id = envelope.id or str(uuid.uuid4())
        with self.slack.lock:
            self.slack.envelopes[envelope.id] = envelope
        self.loop.call_soon_threadsafe(self._send, envelope)

    def _send(self, envelope: Envelope) -> None:
        with self.slack.lock:
            envelope.sent_at = time.monotonic()
            if self.road is not None and self.road.carry(envelope):
                self.loop.call_later(ACK_S, self._overdue, envelope)
            elif envelope.kind == "events_api":
                self.waiting.append(envelope)
            else:
                self._fail(envelope, "dispatch_failed")

    def connected(self) -> None:
        """Send what has waited for a connection."""
        waiting, self.waiting = self.waiting, []
        for envelope in waiting:
            self._again(envelope, "connection_failed")

    def acknowledged(self, identifier: str, payload: Any) -> None:
        """Take an acknowledgement."""
        with self.slack.lock:
            envelope = self.slack.envelopes.get(identifier)
            if envelope is None or envelope.sent_at is None:
                self.slack.ledger.record("ack_unknown", f"no envelope {identifier}")
                return
            if identifier in self.acks:
                self.slack.ledger.record("ack_twice", f"{envelope.kind} {identifier}")
                return
            self.acks[identifier] = time.monotonic() - envelope.sent_at
            late, envelope.done = envelope.done, True
            if payload is not None and not envelope.accepts_response:
                self.slack.ledger.record("ack_payload", f"{envelope.kind} takes no payload")
            if envelope.answered and not late:
                envelope.answered(payload if isinstance(payload, dict) else None)
            self.slack.lock.notify_all()

    def lost(self, envelope: Envelope, reason: str) -> None:
        """The connection went before an acknowledgement came: nobody's fault."""
        with self.slack.lock:
            if envelope.done:
                return
            envelope.done = True
            if envelope.kind == "events_api":
                self._again(envelope, reason)
            else:
                self._fail(envelope, "dispatch_failed")

    def _overdue(self, envelope: Envelope) -> None:
        with self.slack.lock:
            if envelope.done:
                return
            envelope.done = True
            what = envelope.payload.get("event", envelope.payload).get("type", envelope.kind)
            self.slack.ledger.record("ack_3s", f"{envelope.kind} {what} {envelope.id}")
            if envelope.kind == "events_api":
                self._again(envelope, "timeout")
            else:
                self._fail(envelope, "operation_timeout")

    def _again(self, envelope: Envelope, reason: str) -> None:
        if envelope.attempt >= len(self.retry_after):
            return
        attempt = envelope.attempt + 1
        copy = replace(envelope, id="", attempt=attempt, reason=reason, sent_at=None, done=False)
        self.loop.call_later(self.retry_after[attempt - 1], self.send, copy)

    def _fail(self, envelope: Envelope, reason: str) -> None:
        envelope.done = True
        if envelope.failed:
            envelope.failed(reason)
        self.slack.lock.notify_all()
