"""Slack's own SDK and Bolt, pointed at a fake workspace; used by the tests of the fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fake_slack import FakeSlack
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

Build = Callable[[App], None]
PLAIN = {"type": "plain_text", "text": "x"}
CELL = {"type": "raw_text", "text": "x"}


@contextmanager
def workspace() -> Iterator[FakeSlack]:
    """Run a workspace with two people, a channel with the bot and one without."""
    with FakeSlack() as fake:
        fake.add_user("U1", name="li", real_name="李雷", email="li@example.com")
        fake.add_user("U2", name="han", real_name="韩梅梅", email="han@example.com")
        fake.add_channel("C1", name="general", members=["U1"])
        fake.add_channel("C2", name="others", members=["U2"], bot=False)
        yield fake


@contextmanager
def bolt(slack: FakeSlack, build: Build) -> Iterator[App]:
    """Run a Bolt app in Socket Mode against the fake until the block ends."""
    app = App(client=WebClient(slack.bot_token, base_url=slack.api_url))
    build(app)
    handler = SocketModeHandler(app, slack.app_token, ping_interval=1)
    handler.connect()  # type: ignore[no-untyped-call]
    slack.wait_for(lambda: slack.connections == 1)
    try:
        yield app
    finally:
        handler.close()  # type: ignore[no-untyped-call]
        app.listener_runner.listener_executor.shutdown()


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the error with which Slack refuses a call."""
    with pytest.raises(SlackApiError) as error:
        call(**arguments)
    return str(error.value.response["error"])


def rules(slack: FakeSlack) -> list[str]:
    return [violation.rule for violation in slack.violations]


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(action: str, text: str = "Show", **more: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action, "text": label, **more}


def actions(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(buttons)}
