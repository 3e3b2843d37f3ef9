"""The fake itself: one HTTP and WebSocket server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Self

from aiohttp import web

from .delivery import Delivery
from .hooks import Hooks
from .http_mode import HttpMode
from .interactions import Interactions
from .platform import Platform
from .rates import Storm
from .rules import Violation
from .socket_mode import SocketMode
from .transcript import page
from .web_api import Call, Fault, WebApi
from .workspace import Message

EVENTS = frozenset(
    {
        *("app_mention", "message.channels", "message.groups", "message.im", "message.mpim"),
        *("assistant_thread_started", "assistant_thread_context_changed"),
    }
)


class FakeSlack(Interactions):
    """A workspace with one app in it; ``with FakeSlack() as slack: …``.

    Args:
        events: What the app subscribed to, as in its manifest.
        scopes: The bot token's scopes, as in its manifest; None has them all.
        retry_after: Seconds before each retry of an event; Slack's are 0, 60 and 300.
        rate_limits: Whether too many calls are refused.
    """

    bot_token, app_token, signing_secret = "xoxb-fake", "xapp-fake", "fake-signing-secret"

    def __init__(
        self,
        *,
        events: Collection[str] = EVENTS,
        scopes: Collection[str] | None = None,
        retry_after: Sequence[float] = (0.0, 60.0, 300.0),
        rate_limits: bool = True,
    ) -> None:
        self.platform = Platform(frozenset(events), None if scopes is None else frozenset(scopes))
        self.platform.rates.enforced = rate_limits
        self._loop = asyncio.new_event_loop()
        self._delivery = Delivery(self.platform, self._loop, retry_after)
        self._sockets = SocketMode(self.platform, self._delivery)
        self._http: list[HttpMode] = []
        self._delivery.road = self._sockets
        self._hooks = Hooks(self.platform)
        self._api = WebApi(self.platform, self.bot_token, self.app_token, self._sockets.open)
        self.platform.send, self.platform.hook = self._delivery.send, self._hooks.make
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-slack")

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/api/{method}", self._api.handle)
        app.router.add_get("/link/", self._sockets.handle)
        app.router.add_post("/actions/{team}/{token}", self._hooks.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.platform.address = f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        for road in self._http:
            await road.close()
        await self._sockets.drop()
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # Where it is

    @property
    def api_url(self) -> str:
        """The base URL for `WebClient`."""
        return f"http://{self.platform.address}/api/"

    def post_events_to(self, url: str, *, secret: str | None = None) -> None:
        """Use HTTP mode from now on; another `secret` signs wrongly."""
        road = HttpMode(self.platform, self._delivery, url, secret or self.signing_secret)
        self._delivery.road = road
        self._http.append(road)

    def verify_url(self) -> bool:
        """Send url_verification to the request URL."""
        return bool(self._run(self._http[-1].verify()))

    # What was seen

    def messages(self, channel: str, viewer: str | None = None) -> list[Message]:
        """Return copies of the messages that are there now, the oldest first.

        Ephemeral ones carry ``ephemeral_to``; with a `viewer` only what that user sees is listed.
        """
        with self.platform.lock:
            posts = self.platform.workspace.posts[channel]
            return [
                replace(m, blocks=list(m.blocks), reactions=dict(m.reactions))
                for m in posts
                if not m.deleted and (viewer is None or m.ephemeral_to in (None, viewer))
            ]

    def status(self, channel: str, thread_ts: str) -> str:
        """Return the status that the assistant shows in a thread now."""
        with self.platform.lock:
            statuses = self.platform.workspace.statuses
            shown = [s for c, t, s in statuses if (c, t) == (channel, thread_ts)]
            return shown[-1] if shown else ""

    def prompts(self, channel: str, thread_ts: str) -> list[dict[str, str]]:
        """Return the suggested prompts of a thread."""
        with self.platform.lock:
            return list(self.platform.workspace.prompts.get((channel, thread_ts), []))

    @property
    def acks(self) -> dict[str, float]:
        """The seconds until each envelope was acknowledged."""
        with self.platform.lock:
            return dict(self._delivery.acks)

    @property
    def unacknowledged(self) -> list[str]:
        """The envelopes that were sent and not acknowledged."""
        with self.platform.lock:
            sent = [e.id for e in self.platform.envelopes.values() if e.sent_at is not None]
            return [identifier for identifier in sent if identifier not in self._delivery.acks]

    @property
    def calls(self) -> list[Call]:
        """Every call of the Web API, as it was answered."""
        with self.platform.lock:
            return list(self._api.calls)

    @property
    def violations(self) -> list[Violation]:
        """The documented limits that the app broke."""
        return self.platform.ledger.all()

    @property
    def connections(self) -> int:
        """How many WebSockets are open."""
        with self.platform.lock:
            return len(self._sockets.connections)

    @property
    def hellos(self) -> int:
        """How many WebSockets have been opened so far."""
        with self.platform.lock:
            return self._sockets.hellos

    def wait_for(self, predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
        """Wait until the predicate holds and return what it gave.

        Raises:
            AssertionError: It did not hold in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            result = predicate()
            if result:
                return result
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"not within {timeout} s; violations: {self.violations}")
            with self.platform.lock:
                self.platform.lock.wait(min(left, 0.05))

    def transcript_html(self, channel: str, viewer: str | None = None) -> str:
        """Return a page that shows a channel roughly as Slack does, to everybody or to one."""
        with self.platform.lock:
            return page(self.platform.workspace, channel, viewer)

    # What goes wrong

    def advance(self, seconds: float) -> None:
        """Let time pass for rate limits, trigger_ids and response_urls."""
        self.platform.clock.advance(seconds)

    def refuse_api(self, times: int = 1, retry_after: int = 1, method: str | None = None) -> None:
        """Answer the next calls (of one method) with 429."""
        with self.platform.lock:
            self.platform.rates.storms.append(Storm(times, retry_after, method))

    def fail_api(
        self, method: str, error: str = "internal_error", times: float = 1, status: int = 200
    ) -> None:
        """Answer the next calls of a method with an error, or with an HTTP status from 500."""
        with self.platform.lock:
            self._api.faults.append(Fault(method, error, times, status))

    def slow_api(self, seconds: float) -> None:
        """Let every call take a while."""
        self._api.latency = seconds

    def end_streams(self, error: str = "message_not_in_streaming_state") -> None:
        """End every open stream, as Slack does after minutes, or ``stopped_by_user``."""
        with self.platform.lock:
            for posts in self.platform.workspace.posts.values():
                for message in posts:
                    if message.stream == "streaming":
                        message.stream = error

    def drop_sockets(self) -> None:
        """Cut every WebSocket without a word."""
        self._run(self._sockets.drop())

    def refresh_sockets(self, reason: str = "refresh_requested", grace: float = 0.5) -> None:
        """Ask the app to reconnect (`warning`, `refresh_requested`, `link_disabled`)."""
        self._run(self._sockets.refresh(reason, grace))
