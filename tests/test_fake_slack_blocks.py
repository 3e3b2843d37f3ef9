"""Block Kit and views as the fake Slack checks them, and how it shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_slack import RULES, FakeSlack
from slack_apps import CELL, PLAIN, actions, button, refused, rules, section, workspace
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with workspace() as fake:
        yield fake


@pytest.fixture
def client(slack: FakeSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.mark.parametrize(
    ("blocks", "rule"),
    [
        ([section("x")] * 51, "blocks_50"),
        ([section("x" * 3001)], "block"),
        ([section("")], "block"),
        ([{"type": "section"}], "block"),
        ([section("x", colour="red")], "block"),
        ([{"type": "section", "fields": [PLAIN] * 11}], "block"),
        ([{"type": "section", "fields": [{**PLAIN, "text": "x" * 2001}]}], "block"),
        ([{"type": "section", "text": {"type": "markdown", "text": "x"}}], "block"),
        ([{"type": "header", "text": {**PLAIN, "text": "x" * 151}}], "block"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "block"),
        ([{"type": "context", "elements": [PLAIN] * 11}], "block"),
        ([{"type": "context", "elements": [button("a")]}], "block"),
        ([actions(*[button(f"a{n}") for n in range(26)])], "block"),
        ([actions(button("a"), button("a"))], "action_id"),
        ([actions(button("a" * 256))], "action_id"),
        ([actions(button("a", "x" * 76))], "block"),
        ([actions(button("a", value="x" * 2001))], "element"),
        ([actions(button("a", style="blue"))], "element"),
        ([actions({"type": "image", "image_url": "http://x", "alt_text": "x"})], "element_type"),
        ([section("x", block_id="b"), section("y", block_id="b")], "block_id"),
        ([section("x", block_id="b" * 256)], "block_id"),
        ([{"type": "paragraph"}], "block_type"),
        ([{"type": "markdown", "text": "x" * 6001}] * 2, "markdown_12000"),
        ([{"type": "image", "image_url": "http://x"}], "block"),
        ([{"type": "table", "rows": [[CELL]] * 101}], "block"),
        ([{"type": "table", "rows": [[CELL] * 21]}], "block"),
        ([{"type": "table", "rows": [[{**CELL, "text": ""}]]}], "block"),
    ],
)
def test_blocks_that_slack_refuses(
    slack: FakeSlack, client: WebClient, blocks: list[dict[str, Any]], rule: str
) -> None:
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="C1", text="x", blocks=blocks)
    assert error.value.response["error"] == "invalid_blocks"
    assert error.value.response["response_metadata"]["messages"][0].startswith("[ERROR]")
    assert rules(slack) == [rule]


def test_blocks_at_their_limits(slack: FakeSlack, client: WebClient) -> None:
    blocks = [
        {"type": "header", "text": {**PLAIN, "text": "x" * 150}},
        section("x" * 3000, accessory=button("a", "x" * 75, value="x" * 2000)),
        {"type": "context", "elements": [PLAIN] * 10},
        actions(*[button(f"a{n}") for n in range(25)]),
        {"type": "table", "rows": [[CELL] * 20] * 100},
        {"type": "markdown", "text": "x" * 12_000},
        *[{"type": "divider"}] * 44,
    ]
    client.chat_postMessage(channel="C1", text="x", blocks=blocks)
    assert rules(slack) == []
    ids = [block["block_id"] for block in slack.messages("C1")[0].blocks]
    assert len(set(ids)) == 50


def modal(**more: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "comment"}
    field = {"type": "input", "block_id": "b", "label": PLAIN, "element": element}
    view = {"type": "modal", "callback_id": "form", "title": PLAIN, "submit": PLAIN}
    return {**view, "blocks": [field], **more}


def test_views_that_slack_refuses(slack: FakeSlack, client: WebClient) -> None:
    trigger = slack.platform.new_trigger
    long = {**PLAIN, "text": "x" * 25}
    open_view = client.views_open
    for view in (modal(title=long), modal(blocks=[section("x")] * 101), modal(colour="red")):
        error = refused(open_view, trigger_id=trigger("U1"), view=view)
        assert error == "invalid_arguments"
    spent = trigger("U1")
    client.views_open(trigger_id=spent, view=modal())
    assert refused(open_view, trigger_id=spent, view=modal()) == "exchanged_trigger_id"
    old = trigger("U1")
    slack.advance(3.5)
    assert refused(open_view, trigger_id=old, view=modal()) == "expired_trigger_id"
    client.views_publish(user_id="U1", view={"type": "home", "blocks": [section("home")]})
    seen = ["view", "view_blocks_100", "view", "trigger_once", "trigger_3s"]
    assert rules(slack) == seen


def test_a_transcript_shows_what_people_see(slack: FakeSlack, client: WebClient) -> None:
    sent = slack.say("U1", "C1", "how much <leave>?")
    rows = [[{**CELL, "text": "Grade"}], [CELL]]
    blocks = [
        section("*Fifteen* days, see `leave.md` and <https://example.com|the rules>\n> quoted"),
        {"type": "table", "rows": rows},
        {"type": "markdown", "text": "| a |\n|---|\n| **b** |"},
        actions(button("show", "Show [1]", style="primary")),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "_beta_ :lock:"}]},
    ]
    client.chat_postMessage(channel="C1", text="x", blocks=blocks, thread_ts=sent.ts)
    client.chat_postEphemeral(channel="C1", user="U1", text="psst & <script>")
    page = slack.transcript_html("C1")
    for part in (
        '<span class="mention">@Bot</span> how much &lt;leave&gt;?',
        "<b>Fifteen</b> days, see <code>leave.md</code>",
        '<a href="https://example.com">the rules</a>',
        "<blockquote>quoted</blockquote>",
        "<th>Grade</th>",
        "<strong>b</strong>",
        '<span class="button primary">Show [1]</span>',
        "<i>beta</i> 🔒",
        "Only visible to 李雷",
        "&lt;script&gt;",
    ):
        assert part in page
    assert "<script>" not in page
    assert "psst" not in slack.transcript_html("C1", viewer="U2")


def test_every_rule_names_its_page() -> None:
    assert all(url.startswith("https://docs.slack.dev/") for url in RULES.values())
