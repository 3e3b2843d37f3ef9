"""Bolt's app: which of Slack's payloads goes to whom, and the two ways they arrive.

Everything is taken in before it is acknowledged and worked on afterwards
(``process_before_response``): an acknowledged question is a stored one.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from slack_bolt import Ack, App, BoltResponse
from slack_bolt.adapter.asgi import SlackRequestHandler
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.error import BoltError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from assistant.errors import ConfigurationError
from assistant.settings import Settings
from assistant.surfaces.slack.blocks import FEEDBACK, PASSAGE, SHARE
from assistant.surfaces.slack.clicks import ASK_ABOUT, REASON, Clicks
from assistant.surfaces.slack.config import Tokens
from assistant.surfaces.slack.listen import COMMAND, Listener
from assistant.surfaces.slack.panel import Panel

logger = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_START_S = 10.0
# A connection that was cut without a word is given up after five pings that failed.
_PING_S = 2.0
_ANY = re.compile(r".*")

Aside = Callable[[Callable[[], object]], None]


def create_app(
    client: WebClient,
    tokens: Tokens,
    listener: Listener,
    clicks: Clicks,
    panel: Panel,
    aside: Aside,
) -> App:
    """Return Bolt's app with everything connected.

    Raises:
        ConfigurationError: Slack does not accept the bot's token.
    """
    try:
        app = App(
            name="assistant",
            # Bolt gives all its parts this one's level; at DEBUG they write messages.
            logger=logging.getLogger("slack_bolt"),
            client=client,
            signing_secret=tokens.signing_secret.get_secret_value(),
            process_before_response=True,
        )
    except BoltError as error:
        raise ConfigurationError(f"Slack does not accept `slack_bot_token` ({error}).") from error
    _hear(app, listener, panel, aside)
    _serve_clicks(app, clicks, aside)
    app.error(_failed)
    return app


def _hear(app: App, listener: Listener, panel: Panel, aside: Aside) -> None:
    @app.event("app_mention")
    @app.event("message")
    def message(body: dict[str, Any]) -> None:
        listener.message(body)

    @app.event("assistant_thread_started")
    def panel_opened(body: dict[str, Any]) -> None:
        panel.opened(body)
        aside(lambda: panel.suggest(body))

    @app.event("app_home_opened")
    def home_opened(body: dict[str, Any]) -> None:
        aside(lambda: panel.suggest_at_home(body))

    @app.event(_ANY)
    def other(body: dict[str, Any]) -> None:
        """Acknowledge what the app was subscribed to by hand and has no use for."""

    @app.command(COMMAND)
    def command(ack: Ack, body: dict[str, Any]) -> None:
        ack(response_type="ephemeral", text=listener.command(body))


def _serve_clicks(app: App, clicks: Clicks, aside: Aside) -> None:
    def later(serve: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def acknowledge(ack: Ack, body: dict[str, Any]) -> None:
            ack()
            aside(lambda: serve(body))

        return acknowledge

    app.action(re.compile(rf"^{PASSAGE}_\d+$"))(later(clicks.passage))
    app.action(FEEDBACK)(later(clicks.feedback))
    app.action(SHARE)(later(clicks.share))
    app.message_shortcut(ASK_ABOUT)(later(clicks.ask_about))
    app.view(REASON)(later(clicks.reason))

    @app.view(ASK_ABOUT)
    def asked_about(ack: Ack, body: dict[str, Any]) -> None:
        clicks.asked_about(body)
        ack()


def _failed(error: Exception) -> BoltResponse:
    """Leave a payload that could not be taken in unacknowledged: Slack sends it again."""
    logger.error("A payload could not be taken in: %s", type(error).__name__)
    return BoltResponse(status=500, body="")


class Road(Protocol):
    """How payloads arrive."""

    def open(self) -> str:
        """Begin to listen; return where."""

    def close(self) -> None:
        """Take nothing more in, once what has begun is stored and acknowledged."""


class SocketRoad:
    """Socket Mode: the bot calls out, and calls again whenever the line breaks."""

    def __init__(self, app: App, tokens: Tokens) -> None:
        handler = SocketModeHandler(app, tokens.app.get_secret_value(), ping_interval=_PING_S)
        self._client = handler.client

    def open(self) -> str:
        """Connect.

        Raises:
            ConfigurationError: Slack does not accept the app-level token.
        """
        try:
            self._client.connect()
        except SlackApiError as error:
            raise ConfigurationError(
                f"Slack opened no connection ({error.response['error']}). Check "
                "`slack_app_token`, and that Socket Mode is switched on."
            ) from error
        return "Socket Mode"

    def close(self) -> None:
        """Take no more from the line, acknowledge what was taken, and disconnect."""
        self._client.closed = True
        self._client.message_processor.event.set()
        self._client.message_processor.thread.join()
        self._client.message_workers.shutdown()
        self._client.close()


class HttpRoad:
    """HTTP mode: Slack posts, signed; Bolt refuses what is not."""

    def __init__(self, app: App, settings: Settings) -> None:
        import uvicorn

        self._where = (settings.slack_host, settings.slack_port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                SlackRequestHandler(app, path=EVENTS_PATH),
                log_level="warning",
                access_log=False,
                server_header=False,
            )
        )
        self._thread: threading.Thread | None = None

    def open(self) -> str:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be had.
        """
        try:
            family = socket.AF_INET6 if ":" in self._where[0] else socket.AF_INET
            listener = socket.create_server(self._where, family=family)
        except OSError as error:
            raise ConfigurationError(
                f"{self._where[0]}:{self._where[1]} cannot be listened on ({error.strerror}). "
                "Set another `slack_port`."
            ) from error
        host, port, *_ = listener.getsockname()
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="slack-http"
        )
        self._thread.start()
        return f"http://{host}:{port}{EVENTS_PATH}"

    def close(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        if self._thread:
            self._thread.join(_START_S)
