"""The fake Slack's Web API, proved with Slack's own SDK, which knows nothing of it."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from fake_slack import BOT_USER, TEAM, FakeSlack
from slack_apps import actions, button, refused, rules, section, workspace
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with workspace() as fake:
        yield fake


@pytest.fixture
def client(slack: FakeSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


def test_it_starts_and_ends_quickly() -> None:
    start = time.monotonic()
    with FakeSlack() as slack:
        assert WebClient(slack.bot_token, base_url=slack.api_url).auth_test()["team_id"] == TEAM
    assert time.monotonic() - start < 1.0
    assert not [t for t in threading.enumerate() if t.name == "fake-slack"]


def test_tokens(slack: FakeSlack) -> None:
    bare = WebClient(base_url=slack.api_url)
    assert refused(bare.auth_test) == "not_authed"
    assert refused(bare.auth_test, token="xoxb-other") == "invalid_auth"
    assert refused(bare.apps_connections_open, app_token=slack.bot_token)
    assert refused(bare.auth_test, token=slack.app_token) == "not_allowed_token_type"
    assert refused(bare.api_call, api_method="no.such", params={"token": slack.bot_token})
    assert rules(slack) == ["token_type", "token_type", "unknown_method"]


def test_posting_updating_and_deleting(slack: FakeSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel="C1", text="one", blocks=[section("*one*")])["ts"]
    assert slack.messages("C1")[0].shown == "*one*"
    client.chat_update(channel="C1", ts=ts, text="two", blocks=[section("*two*")])
    (message,) = slack.messages("C1")
    assert (message.shown, message.edited, message.user) == ("*two*", True, BOT_USER)
    client.chat_update(channel="C1", ts=ts, text="three")
    assert slack.messages("C1")[0].shown == "*two*"  # blocks not given are kept
    client.chat_delete(channel="C1", ts=ts)
    assert slack.messages("C1") == []
    assert refused(client.chat_update, channel="C1", ts=ts, text="four") == "message_not_found"
    assert rules(slack) == []


def test_what_cannot_be_posted(slack: FakeSlack, client: WebClient) -> None:
    post = client.chat_postMessage
    assert refused(post, channel="C9", text="x") == "channel_not_found"
    assert refused(post, channel="C2", text="x") == "not_in_channel"
    empty = {"channel": "C1", "text": ""}  # the SDK itself would warn
    bare = client.api_call
    assert refused(bare, api_method="chat.postMessage", json=empty) == "no_text"
    assert refused(post, channel="C1", text="x", thread_ts="yesterday") == "invalid_thread_ts"
    missing = "1700000000.000001"
    assert refused(post, channel="C1", text="x", thread_ts=missing) == "thread_not_found"
    client.chat_postMessage(channel="C1", text="x" * 40_001)
    assert len(slack.messages("C1")[0].text) == 40_000
    assert rules(slack) == ["not_in_channel", "no_text", "thread_ts", "thread_ts", "text_40000"]


def test_a_reply_is_no_parent(slack: FakeSlack, client: WebClient) -> None:
    parent = slack.say("U1", "C1", "q")
    reply = client.chat_postMessage(channel="C1", text="a", thread_ts=parent.ts)["ts"]
    client.chat_postMessage(channel="C1", text="b", thread_ts=reply)
    assert [m.thread_ts for m in slack.messages("C1")] == [None, parent.ts, parent.ts]
    assert rules(slack) == ["thread_ts"]


def test_only_ones_own_messages_change(slack: FakeSlack, client: WebClient) -> None:
    theirs = slack.say("U1", "C1", "mine").ts
    assert refused(client.chat_update, channel="C1", ts=theirs, text="x") == "cant_update_message"
    assert refused(client.chat_delete, channel="C1", ts=theirs) == "cant_delete_message"
    ts = client.chat_postEphemeral(channel="C1", user="U1", text="psst")["message_ts"]
    assert refused(client.chat_update, channel="C1", ts=ts, text="x") == "message_not_found"
    ours = client.chat_postMessage(channel="C1", text="x")["ts"]
    assert refused(client.chat_update, channel="C1", ts=ours, text="x" * 4001) == "msg_too_long"
    assert rules(slack) == ["not_yours", "not_yours", "update_ephemeral", "update_text_4000"]


def test_ephemeral_messages_are_for_one_member(slack: FakeSlack, client: WebClient) -> None:
    client.chat_postEphemeral(channel="C1", user="U1", text="psst")
    assert slack.messages("C1")[0].ephemeral_to == "U1"
    assert slack.messages("C1", viewer="U2") == []
    error = refused(client.chat_postEphemeral, channel="C1", user="U2", text="psst")
    assert (error, rules(slack)) == ("user_not_in_channel", ["ephemeral_user"])
    assert client.conversations_history(channel="C1")["messages"] == []


def test_streams(slack: FakeSlack, client: WebClient) -> None:
    ts = slack.say("U1", "C1", "q").ts
    recipient = {"recipient_user_id": "U1", "recipient_team_id": TEAM}
    stream = client.chat_stream(channel="C1", thread_ts=ts, buffer_size=1, **recipient)
    stream.append(markdown_text="**hel")
    assert slack.messages("C1")[1].stream == "streaming"
    update = client.chat_update
    assert refused(update, channel="C1", ts=stream.ts, text="x") == "streaming_state_conflict"
    stream.append(markdown_text="lo**")
    stream.stop(blocks=[actions(button("a"))])
    message = slack.messages("C1")[1]
    assert (message.stream, message.text, message.thread_ts) == ("stopped", "**hello**", ts)
    assert message.shown == "**hello**\nShow"
    error = "message_not_in_streaming_state"
    append = client.chat_appendStream
    assert refused(append, channel="C1", ts=stream.ts, markdown_text="x") == error
    assert rules(slack) == ["update_streaming", "not_streaming"]


def test_streams_that_slack_refuses(slack: FakeSlack, client: WebClient) -> None:
    start, ts = client.chat_startStream, slack.say("U1", "C1", "q").ts
    assert refused(start, channel="C1", thread_ts=ts) == "missing_recipient_user_id"
    recipient = {"recipient_user_id": "U1", "recipient_team_id": TEAM}
    long = {"markdown_text": "x" * 12_001}
    assert refused(start, channel="C1", thread_ts=ts, **recipient, **long) == "msg_too_long"
    question = slack.dm("U1", "q")
    stream = client.chat_startStream(channel=question.channel, thread_ts=question.ts)
    where = {"channel": question.channel, "ts": stream["ts"]}
    assert refused(client.chat_appendStream, **where, chunks=[{"type": "x"}]) == "invalid_chunks"
    slack.end_streams("stopped_by_user")
    assert refused(client.chat_stopStream, **where, markdown_text="x") == "stopped_by_user"
    assert rules(slack) == ["stream_recipient", "markdown_12000", "chunk"]


def test_people_channels_and_threads(slack: FakeSlack, client: WebClient) -> None:
    assert client.users_info(user="U1")["user"]["profile"]["email"] == "li@example.com"
    assert client.users_lookupByEmail(email="LI@example.com")["user"]["id"] == "U1"
    assert refused(client.users_lookupByEmail, email="no@example.com") == "users_not_found"
    assert client.conversations_info(channel="C1")["channel"]["is_member"]
    assert client.conversations_members(channel="C1")["members"] == ["U1", BOT_USER]
    dm = client.conversations_open(users="U1")["channel"]["id"]
    assert dm == slack.dm_channel("U1")
    first = slack.say("U1", "C1", "a < b & <@U2>", mention=False)
    for number in range(3):
        slack.say("U1", "C1", f"r{number}", thread_ts=first.ts, mention=False)
    pages = client.conversations_replies(channel="C1", ts=first.ts, limit=2)
    texts = [message["text"] for page in pages for message in page["messages"]]
    assert texts == ["a &lt; b &amp; <@U2>", "r0", "r1", "r2"]
    (parent,) = client.conversations_history(channel="C1")["messages"]
    assert parent["reply_count"] == 3
    replies = client.conversations_replies
    assert refused(replies, channel="C1", ts="1700000000.000001") == "thread_not_found"
    assert refused(client.conversations_history, channel="C2") == "not_in_channel"
    client.reactions_add(channel="C1", timestamp=first.ts, name="eyes")
    assert slack.messages("C1")[0].reactions == {"eyes": [BOT_USER]}
    client.reactions_remove(channel="C1", timestamp=first.ts, name="eyes")
    assert refused(client.reactions_remove, channel="C1", timestamp=first.ts, name="eyes")
    assert rules(slack) == []


def test_scopes_of_the_manifest() -> None:
    with FakeSlack(scopes={"chat:write", "users:read"}) as slack:
        slack.add_user("U1", email="li@example.com")
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        assert "email" not in client.users_info(user="U1")["user"]["profile"]
        assert refused(client.users_lookupByEmail, email="li@example.com") == "missing_scope"
        assert rules(slack) == ["missing_scope"]
        assert client.auth_test().headers["x-oauth-scopes"] == "chat:write,users:read"


# Rates


def test_about_one_message_a_second_a_channel(slack: FakeSlack, client: WebClient) -> None:
    for _ in range(5):
        client.chat_postMessage(channel="C1", text="x")
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="C1", text="x")
    assert (error.value.response.status_code, error.value.response["error"]) == (429, "ratelimited")
    assert error.value.response.headers["Retry-After"] == "1"
    client.chat_postMessage(channel=slack.dm_channel("U1"), text="another channel")
    time.sleep(0.4)
    refused(client.chat_postMessage, channel="C1", text="too early")
    slack.advance(1)
    client.chat_postMessage(channel="C1", text="x")
    assert rules(slack) == ["rate_limit", "retry_after"]


def test_tiers(slack: FakeSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel="C1", text="x")["ts"]
    for _ in range(50):
        client.chat_update(channel="C1", ts=ts, text="x")
    assert refused(client.chat_update, channel="C1", ts=ts, text="x") == "ratelimited"
    slack.advance(60)
    client.chat_update(channel="C1", ts=ts, text="x")
    assert rules(slack) == ["rate_limit"]


def test_a_storm_of_429_passes_for_a_patient_client(slack: FakeSlack, client: WebClient) -> None:
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=3))
    slack.refuse_api(times=2, retry_after=1, method="chat.postMessage")
    client.chat_postMessage(channel="C1", text="x")
    assert [call.error for call in slack.calls] == ["ratelimited", "ratelimited", ""]
    assert rules(slack) == []


def test_faults_on_demand(slack: FakeSlack, client: WebClient) -> None:
    slack.fail_api("chat.startStream", "not_allowed")
    slack.fail_api("chat.postMessage", status=503)
    assert refused(client.chat_startStream, channel="C1", thread_ts="1.1") == "not_allowed"
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="C1", text="x")
    assert error.value.response.status_code == 503
    client.chat_postMessage(channel="C1", text="x")


def test_the_rest_of_the_rules(slack: FakeSlack, client: WebClient) -> None:
    sent = slack.dm("U1", "q")
    thread = {"channel_id": sent.channel, "thread_ts": sent.ts}
    nowhere = {"channel_id": sent.channel, "thread_ts": "1700000000.000001"}
    prompt = {"title": "x", "message": "x"}
    status, prompts = (
        client.assistant_threads_setStatus,
        client.assistant_threads_setSuggestedPrompts,
    )
    assert refused(status, **nowhere, status="x") == "invalid_thread_ts"
    loading = ["x"] * 11
    assert refused(status, **thread, status="x", loading_messages=loading) == "invalid_arguments"
    assert refused(prompts, **thread, prompts=[prompt] * 5) == "invalid_arguments"
    assert refused(prompts, **thread, prompts=[{"title": "x"}]) == "invalid_arguments"
    both = {"channel": "C1", "text": "x", "markdown_text": "x"}
    assert refused(client.chat_postMessage, **both) == "markdown_text_conflict"
    form = {"channel": "C1", "blocks": "[not JSON", "text": "x"}
    assert refused(client.api_call, api_method="chat.postMessage", data=form)
    url = slack.platform.hook("U1", "C1")
    body = json.dumps({"text": "x", "response_type": "loud", "colour": "red"}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body)).close()
    assert rules(slack) == [
        *("status_thread", "loading_messages_10", "prompts_4", "arguments", "markdown_conflict"),
        *("arguments", "response_url_body", "response_url_body"),
    ]
