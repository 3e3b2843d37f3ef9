"""Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode.

A URL from apps.connections.open opens one WebSocket. Slack says hello, sends envelopes down any
of up to ten connections, takes acknowledgements, pings, and asks to reconnect now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from .delivery import Delivery
from .platform import Envelope, Platform
from .workspace import APP

CONNECTIONS = 10
PING_S = 0.25  # Slack's are seconds apart; the SDK closes only between frames, up to 3 s without


@dataclass(eq=False)
class Connection:
    """A WebSocket, what was sent down it, and whether it is about to be closed."""

    socket: web.WebSocketResponse
    request: web.Request
    outbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    sent: list[Envelope] = field(default_factory=list)
    leaving: bool = False

    def abort(self) -> None:
        """Cut the line without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()


@dataclass
class SocketMode:
    """The connections of the app; lives in the loop."""

    slack: Platform
    delivery: Delivery
    connections: list[Connection] = field(default_factory=list)
    hellos: int = 0
    _tickets: dict[str, bool] = field(default_factory=dict)
    _turn: Any = field(default_factory=itertools.count)

    def open(self) -> str:
        """Return a URL that opens one connection."""
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = False
        return f"ws://{self.slack.address}/link/?ticket={ticket}&app_id={APP}"

    def carry(self, envelope: Envelope) -> bool:
        """Send an envelope down one of the connections."""
        able = [c for c in self.connections if not c.leaving] or self.connections
        if not able:
            return False
        connection = able[next(self._turn) % len(able)]
        body: dict[str, Any] = {"envelope_id": envelope.id, "type": envelope.kind}
        body |= {"payload": envelope.payload}
        body["accepts_response_payload"] = envelope.accepts_response
        if envelope.kind == "events_api":
            body |= {"retry_attempt": envelope.attempt, "retry_reason": envelope.reason}
        connection.sent.append(envelope)
        connection.outbox.put_nowait(json.dumps(body))
        return True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401, text="unknown ticket")
        if self._tickets[ticket]:
            self.slack.ledger.record("ticket_reused", "a WebSocket URL opened twice")
            return web.Response(status=401, text="ticket used")
        self._tickets[ticket] = True
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(socket, request)
        if len(self.connections) >= CONNECTIONS:
            self.slack.ledger.record("too_many_websockets", f"connection {CONNECTIONS + 1}")
            await socket.send_str(self._disconnect("too_many_websockets"))
            await socket.close()
            return socket
        await self._serve(connection)
        return socket

    async def _serve(self, connection: Connection) -> None:
        with self.slack.lock:
            self.connections.append(connection)
            number = len(self.connections)
        hello = {"type": "hello", "num_connections": number, "debug_info": self._debug()}
        connection.outbox.put_nowait(json.dumps(hello | {"connection_info": {"app_id": APP}}))
        writer = asyncio.create_task(self._write(connection))
        with self.slack.lock:
            self.hellos += 1
            self.delivery.connected()
            self.slack.lock.notify_all()
        try:
            async for message in connection.socket:
                if message.type == WSMsgType.TEXT:
                    self._read(message.data)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._gone(connection)

    async def _write(self, connection: Connection) -> None:
        """Send what is in the outbox, and a ping when nothing was for a while."""
        with contextlib.suppress(ConnectionError):
            while not connection.socket.closed:
                try:
                    text = await asyncio.wait_for(connection.outbox.get(), PING_S)
                    await connection.socket.send_str(text)
                except TimeoutError:
                    await connection.socket.ping(b"Ping from applink-fake")

    def _read(self, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict) or "envelope_id" not in body:
            self.slack.ledger.record("ack_unknown", f"no acknowledgement: {text[:100]}")
            return
        self.delivery.acknowledged(body["envelope_id"], body.get("payload"))

    def _gone(self, connection: Connection) -> None:
        with self.slack.lock:
            self.connections.remove(connection)
            for envelope in connection.sent:
                self.delivery.lost(envelope, "connection_failed")
            self.slack.lock.notify_all()

    async def refresh(self, reason: str, grace: float) -> None:
        """Ask the app to reconnect, and close the old connections after a while.

        `warning` comes some ten seconds before a close, `refresh_requested` when it is time,
        `link_disabled` when Socket Mode was switched off.
        """
        old = list(self.connections)
        for connection in old:
            connection.leaving = True
            connection.outbox.put_nowait(self._disconnect(reason))
        await asyncio.sleep(grace)
        for connection in old:
            await connection.socket.close()

    async def drop(self) -> None:
        """Cut every connection at once."""
        for connection in list(self.connections):
            connection.abort()

    def _debug(self) -> dict[str, Any]:
        return {"host": "applink-fake", "build_number": 1, "approximate_connection_time": 18060}

    def _disconnect(self, reason: str) -> str:
        body = {"type": "disconnect", "reason": reason, "debug_info": self._debug()}
        return json.dumps(body)
