"""HTTP mode: events and interactions by POST to a request URL, signed.

https://docs.slack.dev/authentication/verifying-requests-from-slack: ``v0=`` and the HMAC-SHA256 of
``v0:timestamp:body``. The 200 is the acknowledgement, its body the response payload. Retries carry
X-Slack-Retry-Num and X-Slack-Retry-Reason; X-Slack-No-Retry: 1 stops them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from .delivery import Delivery
from .platform import Envelope, Platform

PATIENCE_S = 10.0


def signed(secret: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Return the headers that prove a body comes from Slack."""
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest.hexdigest()}",
    }


@dataclass
class HttpMode:
    """Posts to the request URL of the app; lives in the loop."""

    slack: Platform
    delivery: Delivery
    url: str
    secret: str
    _session: aiohttp.ClientSession | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def carry(self, envelope: Envelope) -> bool:
        """Post an envelope."""
        task = asyncio.get_running_loop().create_task(self._post(envelope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def verify(self) -> bool:
        """Send url_verification, and say whether the challenge came back."""
        challenge = secrets.token_hex(16)
        body = {"token": "verification", "challenge": challenge, "type": "url_verification"}
        status, _, text = await self._send(json.dumps(body).encode(), "application/json", {})
        return status == 200 and challenge in text

    async def close(self) -> None:
        """Stop posting."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _post(self, envelope: Envelope) -> None:
        headers = {}
        if envelope.attempt:
            headers["X-Slack-Retry-Num"] = str(envelope.attempt)
            headers["X-Slack-Retry-Reason"] = "http_timeout" * (envelope.reason == "timeout") or (
                envelope.reason
            )
        body, kind = self._body(envelope)
        try:
            status, answer, text = await self._send(body, kind, headers)
        except (aiohttp.ClientError, TimeoutError):
            self.delivery.lost(envelope, "connection_failed")
            return
        if 200 <= status < 300:
            self.delivery.acknowledged(envelope.id, self._payload(envelope, text))
        elif answer.get("X-Slack-No-Retry") == "1":
            envelope.done = True
        else:
            self.delivery.lost(envelope, "http_error")

    def _body(self, envelope: Envelope) -> tuple[bytes, str]:
        form = "application/x-www-form-urlencoded"
        if envelope.kind == "events_api":
            return json.dumps(envelope.payload).encode(), "application/json"
        if envelope.kind == "slash_commands":
            return urlencode(envelope.payload).encode(), form
        return urlencode({"payload": json.dumps(envelope.payload)}).encode(), form

    def _payload(self, envelope: Envelope, text: str) -> Any:
        if not text or not envelope.accepts_response:
            return None  # the body of an acknowledged event is not read
        try:
            return json.loads(text)
        except ValueError:
            return {"text": text}

    async def _send(self, body: bytes, kind: str, headers: dict[str, str]) -> tuple[int, Any, str]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        headers = {"Content-Type": kind, **headers, **signed(self.secret, body)}
        async with self._session.post(self.url, data=body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.text()
