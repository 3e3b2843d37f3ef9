"""Commands, clicks, forms and HTTP mode of the fake Slack, taken by Bolt."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from fake_slack import FakeSlack
from slack_apps import PLAIN, actions, bolt, button, rules, section, workspace
from slack_bolt import App
from slack_bolt.request import BoltRequest
from slack_sdk import WebClient

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with workspace() as fake:
        yield fake


def test_a_command_and_its_response_url(slack: FakeSlack) -> None:
    responds: list[Any] = []

    def build(app: App) -> None:
        @app.command("/ask")
        def ask(ack: Any, respond: Any, command: dict[str, Any]) -> None:
            ack(text=f"asking {command['text']}")
            blocks = [section("private"), actions(button("share", value="7"))]
            responds.append(respond)
            respond(text="private", blocks=blocks)

        @app.action("share")
        def share(ack: Any, respond: Any, action: dict[str, Any], body: dict[str, Any]) -> None:
            ack()
            assert "message" not in body and body["container"]["is_ephemeral"]
            respond(text=f"shared {action['value']}", response_type="in_channel")
            respond(delete_original=True)

    with bolt(slack, build):
        slack.command("U1", "C1", "/ask", "what?")
        # What the response address is sent may arrive before the acknowledgement does.
        slack.wait_for(lambda: len(slack.messages("C1")) == 2)
        (private,) = [m for m in slack.messages("C1") if m.text == "private"]
        assert private.ephemeral_to == "U1"
        assert not slack.platform.sent_events  # an ephemeral answer is no event
        slack.click("U1", private.ts, "share")
        slack.wait_for(
            lambda: {m.text for m in slack.messages("C1")} == {"asking what?", "shared 7"}
        )
        for _ in range(4):
            responds[0](text="again")
        assert responds[0](text="a sixth time").status_code == 404
        slack.advance(1801)
        assert "expired_url" in responds[0](text="late").body
    (shared,) = [m for m in slack.messages("C1") if m.text == "shared 7"]
    assert shared.ephemeral_to is None
    (asked,) = [m for m in slack.messages("C1") if m.text == "asking what?"]
    with pytest.raises(AssertionError, match="cannot see"):
        slack.click("U2", asked.ts, "share")
    assert rules(slack) == ["response_url_5", "response_url_30min"]


def test_a_command_that_nobody_takes(slack: FakeSlack) -> None:
    slack.command("U1", "C1", "/ask", "?")
    (notice,) = slack.wait_for(lambda: slack.messages("C1"))
    assert (notice.user, notice.ephemeral_to) == ("USLACKBOT", "U1")
    assert "dispatch_failed" in notice.text


def modal(**more: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "comment"}
    field = {"type": "input", "block_id": "b", "label": PLAIN, "element": element}
    view = {"type": "modal", "callback_id": "form", "title": PLAIN, "submit": PLAIN}
    return {**view, "blocks": [field], **more}


def test_shortcut_modal_submission(slack: FakeSlack) -> None:
    values: list[str] = []

    def build(app: App) -> None:
        app.event("message")(lambda: None)  # Bolt acknowledges only what somebody listens to

        @app.shortcut("ask_about")
        def about(ack: Any, client: WebClient, shortcut: dict[str, Any]) -> None:
            ack()
            metadata = json.dumps(shortcut["message"]["text"])
            view = modal(private_metadata=metadata)
            client.views_open(trigger_id=shortcut["trigger_id"], view=view)

        @app.view("form")
        def submitted(ack: Any, view: dict[str, Any]) -> None:
            value = view["state"]["values"]["b"]["comment"]["value"]
            values.append(value)
            if value:
                ack()
            else:
                ack(response_action="errors", errors={"b": "say something"})

    with bolt(slack, build):
        sent = slack.say("U1", "C1", "about this", mention=False)
        slack.shortcut("U1", "ask_about", "C1", sent.ts)
        slack.wait_for(lambda: slack.platform.workspace.views)
        assert slack.view("U1")["private_metadata"] == '"about this"'
        slack.submit_view("U1")
        slack.wait_for(lambda: slack.view("U1").get("_errors") == {"b": "say something"})
        slack.submit_view("U1", {"comment": "good"})
        slack.wait_for(lambda: not slack.platform.workspace.views)
    assert values == [None, "good"] and rules(slack) == []


@contextmanager
def request_url(app: App) -> Iterator[str]:
    """Serve a Bolt app over HTTP, as behind a request URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = app.dispatch(BoltRequest(body=body, headers=dict(self.headers.items())))
            self.send_response(answer.status)
            for name, value in answer.first_headers_without_set_cookie().items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/slack/events"
        finally:
            server.shutdown()
            thread.join()


def test_http_mode(slack: FakeSlack) -> None:
    seen: list[str] = []
    web_client = WebClient(slack.bot_token, base_url=slack.api_url)
    app = App(client=web_client, signing_secret=slack.signing_secret)
    app.event("message")(lambda event: seen.append(event["text"]))
    app.command("/ask")(lambda ack, command: ack(f"asked {command['text']}"))
    app.action("go")(lambda ack, respond: (ack(), respond("went")))
    with request_url(app) as url:
        slack.post_events_to(url)
        assert slack.verify_url()
        slack.dm("U1", "over HTTP")
        slack.command("U1", "C1", "/ask", "x")
        slack.wait_for(lambda: seen == ["over HTTP"] and slack.messages("C1"))
        assert slack.messages("C1")[0].text == "asked x"
        go = web_client.chat_postMessage(channel="C1", text="x", blocks=[actions(button("go"))])
        slack.click("U1", go["ts"], "go")
        slack.wait_for(lambda: slack.messages("C1")[-1].text == "went")
        slack.wait_for(lambda: not slack.unacknowledged)
        slack.post_events_to(url, secret="not-the-secret")
        assert not slack.verify_url()
    app.listener_runner.listener_executor.shutdown()
    assert rules(slack) == []
