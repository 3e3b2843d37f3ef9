"""Events from the fake Slack, in Socket Mode, taken by Bolt."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from fake_slack import FakeSlack
from slack_apps import bolt, rules, workspace
from slack_bolt import App, Assistant
from slack_bolt.request import BoltRequest
from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with workspace() as fake:
        yield fake


def test_a_mention_arrives_twice_and_the_answer_comes_back(slack: FakeSlack) -> None:
    seen: list[tuple[str, str, str]] = []

    def build(app: App) -> None:
        @app.event("app_mention")
        def mentioned(event: dict[str, Any], body: dict[str, Any], say: Any) -> None:
            seen.append(("app_mention", event["ts"], body["event_id"]))
            say(text="answer", thread_ts=event["ts"])

        @app.event("message")
        def said(event: dict[str, Any], body: dict[str, Any]) -> None:
            seen.append((event.get("bot_id", "message"), event["ts"], body["event_id"]))

    with bolt(slack, build):
        sent = slack.say("U1", "C1", "q?")
        slack.wait_for(lambda: len(slack.messages("C1")) == 2)
        slack.wait_for(lambda: len(seen) == 2 and len(slack.acks) == 3)
    # Bolt itself keeps the bot's own message from the listeners; it was sent and acknowledged.
    assert {kind for kind, *_ in seen} == {"app_mention", "message"}
    assert {ts for _, ts, _ in seen} == {sent.ts}
    assert {event_id for *_, event_id in seen} == set(sent.event_ids)
    assert sent == next(event_id for kind, _, event_id in seen if kind == "app_mention")
    assert all(seconds < 1 for seconds in slack.acks.values())
    assert slack.messages("C1")[1].thread_ts == sent.ts
    assert slack.unacknowledged == [] and rules(slack) == []


def test_edits_deletions_and_previews(slack: FakeSlack) -> None:
    seen: list[dict[str, Any]] = []

    def build(app: App) -> None:
        app.event("message")(lambda event: seen.append(event))

    with bolt(slack, build):
        sent = slack.say("U1", "C1", "one", mention=False)
        slack.edit("C1", sent.ts, "two")
        slack.unfurl("C1", sent.ts)
        slack.say("U1", "C1", "reply", thread_ts=sent.ts, mention=False)
        slack.delete("C1", sent.ts)
        lonely = slack.dm("U1", "alone")
        slack.delete(lonely.channel, lonely.ts)
        slack.wait_for(lambda: len(seen) == 7)
    order = {"message_changed": [], "message_deleted": [], None: []}  # type: ignore[var-annotated]
    for event in seen:
        order[event.get("subtype")].append(event)
    changed = {e["message"].get("text"): e["previous_message"]["text"]
               for e in order["message_changed"] if "attachments" not in e["message"]}  # fmt: skip
    assert changed == {"two": "one", "This message was deleted.": "two"}
    (deleted,) = order["message_deleted"]
    assert (deleted["deleted_ts"], deleted["channel_type"]) == (lonely.ts, "im")
    assert len(order[None]) == 3


def test_events_of_channels_without_the_bot_stay_there(slack: FakeSlack) -> None:
    with bolt(slack, lambda app: None) as app:
        slack.say("U2", "C2", "hello?")
        app.client.chat_postEphemeral(channel="C1", user="U1", text="no event of this either")
        time.sleep(0.2)
    assert slack.acks == {} and slack.unacknowledged == []


def test_resending_keeps_the_event_id(slack: FakeSlack) -> None:
    seen: list[tuple[str, Any]] = []

    def build(app: App) -> None:
        @app.event("message")
        def said(body: dict[str, Any], request: BoltRequest) -> None:
            seen.append((body["event_id"], request.headers["x-slack-retry-num"][0]))

    with bolt(slack, build):
        sent = slack.dm("U1", "q")
        slack.resend(sent, retry_num=1)
        slack.wait_for(lambda: len(seen) == 2)
    assert sorted(seen) == [(sent, "0"), (sent, "1")]


def test_an_event_that_is_not_acknowledged_comes_again(slack: FakeSlack) -> None:
    seen: list[str] = []
    held = threading.Event()

    def build(app: App) -> None:
        @app.middleware
        def slow(body: dict[str, Any], next: Callable[[], Any]) -> None:
            seen.append(body["event_id"])
            if len(seen) == 1:
                held.wait(5)
            next()

        app.event("message")(lambda ack: None)

    with bolt(slack, build):
        sent = slack.dm("U1", "q")
        slack.wait_for(lambda: len(seen) == 2, timeout=5)
        held.set()
        slack.wait_for(lambda: len(slack.acks) == 2)
    assert seen == [sent, sent] and rules(slack) == ["ack_3s"]


def test_dropped_sockets_lose_nothing(slack: FakeSlack) -> None:
    seen: list[str] = []

    def build(app: App) -> None:
        app.event("message")(lambda body: seen.append(body["event_id"]))

    with bolt(slack, build):
        slack.drop_sockets()
        slack.wait_for(lambda: slack.connections == 0)
        sent = slack.dm("U1", "while away")
        slack.wait_for(lambda: seen == [sent], timeout=15)
    assert slack.hellos >= 2 and rules(slack) == []


@pytest.mark.parametrize("reason", ["refresh_requested", "warning"])
def test_refreshing(slack: FakeSlack, reason: str) -> None:
    seen: list[str] = []

    def build(app: App) -> None:
        app.event("message")(lambda event: seen.append(event["text"]))

    with bolt(slack, build):
        slack.refresh_sockets(reason, grace=0.3)
        slack.wait_for(lambda: slack.hellos == 2)
        slack.dm("U1", "after")
        slack.wait_for(lambda: seen == ["after"])
    assert rules(slack) == []


def test_the_assistant_panel(slack: FakeSlack) -> None:
    prompts = [{"title": "Leave", "message": "How much leave?"}]
    contexts: list[Any] = []

    def build(app: App) -> None:
        assistant = Assistant()

        @assistant.thread_started
        def started(say: Any, set_suggested_prompts: Any) -> None:
            say(text="Hi")
            set_suggested_prompts(prompts=prompts)

        @assistant.user_message
        def asked(say: Any, set_status: Any, get_thread_context: Any) -> None:
            set_status("is thinking...")
            contexts.append(get_thread_context())
            slack.wait_for(lambda: slack.status(dm, thread.ts) == "is thinking...")
            say(text="Answer")

        app.use(assistant)

    with bolt(slack, build):
        thread = slack.open_assistant_thread("U1", channel="C1")
        dm = thread.channel
        slack.wait_for(lambda: slack.prompts(dm, thread.ts) == prompts)
        slack.change_assistant_context("U1", thread.ts, "C2")
        slack.wait_for(lambda: any(c.method == "chat.update" for c in slack.calls))
        slack.dm("U1", "q", thread_ts=thread.ts)
        slack.wait_for(lambda: slack.messages(dm)[-1].text == "Answer")
        slack.wait_for(lambda: not slack.unacknowledged)
    assert slack.status(dm, thread.ts) == ""
    assert contexts[0]["channel_id"] == "C2"
    assert [m.text for m in slack.messages(dm)][1:] == ["Hi", "q", "Answer"]
    assert rules(slack) == []


def test_wrong_acknowledgements(slack: FakeSlack) -> None:
    def twice(client: Any, request: SocketModeRequest) -> None:
        response = SocketModeResponse(request.envelope_id, payload={"text": "for an event"})
        client.send_socket_mode_response(response)
        client.send_socket_mode_response(response)
        client.send_socket_mode_response(SocketModeResponse("no-such-envelope"))

    web_client = WebClient(slack.bot_token, base_url=slack.api_url)
    client = SocketModeClient(slack.app_token, web_client=web_client)
    client.socket_mode_request_listeners.append(twice)
    client.connect()
    slack.dm("U1", "q")
    slack.wait_for(lambda: len(slack.violations) == 3)
    url = client.wss_uri
    client.close()
    assert sorted(rules(slack)) == ["ack_payload", "ack_twice", "ack_unknown"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(str(url).replace("ws://", "http://"))


def test_ten_connections_and_no_more(slack: FakeSlack) -> None:
    web_client = WebClient(base_url=slack.api_url)

    def url() -> str:
        return str(web_client.apps_connections_open(app_token=slack.app_token)["url"])

    async def connect() -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session:
            urls = [url() for _ in range(10)]
            slack.advance(60)
            sockets = [await session.ws_connect(one) for one in [*urls, url()]]
            first = [await socket.receive_json() for socket in sockets]
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(urls[0])
            for socket in sockets:
                await socket.close()
            return first

    *hellos, refusal = asyncio.run(connect())
    assert [hello["num_connections"] for hello in hellos] == list(range(1, 11))
    assert hellos[0]["connection_info"]["app_id"].startswith("A")
    assert (refusal["type"], refusal["reason"]) == ("disconnect", "too_many_websockets")
    assert rules(slack) == ["too_many_websockets", "ticket_reused"]
