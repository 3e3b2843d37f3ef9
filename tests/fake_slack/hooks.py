"""response_url: five answers within thirty minutes.

https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .methods.chat import content, remove
from .platform import Platform
from .rules import Refusal
from .workspace import BOT_USER, TEAM, Message

USES, SECONDS = 5, 1800
KEYS = {
    *("text", "blocks", "attachments", "response_type", "replace_original", "delete_original"),
    *("thread_ts", "unfurl_links", "unfurl_media", "mrkdwn", "metadata", "markdown_text"),
}


@dataclass
class Hook:
    """A response_url: who acted, where, on which message."""

    user: str
    channel: str
    message: Message | None
    at: float
    used: int = 0


@dataclass
class Hooks:
    """Makes the URLs and serves them."""

    slack: Platform
    _hooks: dict[str, Hook] = field(default_factory=dict)

    def make(self, user: str, channel: str, message: Message | None = None) -> str:
        """Return a new URL."""
        token = secrets.token_hex(12)
        self._hooks[token] = Hook(user, channel, message, self.slack.clock.now())
        return f"http://{self.slack.address}/actions/{TEAM}/{token}"

    async def handle(self, request: web.Request) -> web.Response:
        """Take an answer."""
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = None
        with self.slack.lock:
            try:
                self._use(self._hooks.get(request.match_info["token"]), body)
            except Refusal as refusal:
                status = 404 if refusal.error in ("used_url", "expired_url") else 500
                return web.json_response(refusal.body(), status=status)
            finally:
                self.slack.lock.notify_all()
        return web.Response(text="ok")

    def _use(self, hook: Hook | None, body: Any) -> None:
        if hook is None:
            raise Refusal("invalid_url")
        if self.slack.clock.now() - hook.at > SECONDS:
            detail = "response_url after 30 minutes"
            raise self.slack.broken("response_url_30min", detail, "expired_url")
        hook.used += 1
        if hook.used > USES:
            detail = f"response_url used {hook.used} times"
            raise self.slack.broken("response_url_5", detail, "used_url")
        if not isinstance(body, dict):
            raise self.slack.broken("response_url_body", "not JSON", "invalid_payload")
        for key in sorted(set(body) - KEYS):
            self.slack.ledger.record("response_url_body", f"unknown key {key}")
        original = hook.message
        if body.get("delete_original") and original is not None:
            remove(self.slack, original)
            body = {k: v for k, v in body.items() if k != "delete_original"}
            if not body.get("text") and not body.get("blocks"):
                return
        if body.get("replace_original") and original is not None:
            self._replace(original, body)
        else:
            respond(self.slack, hook.user, hook.channel, body, "response_url")

    def _replace(self, message: Message, body: dict[str, Any]) -> None:
        fields = content(self.slack, body, "response_url")
        before = message.as_api()
        message.text, message.edited = fields["text"], not message.ephemeral_to
        message.blocks = self.slack.workspace.with_ids(fields["blocks"])
        self.slack.emit_change(message, before)


def respond(slack: Platform, user: str, channel: str, body: dict[str, Any], where: str) -> Message:
    """Show an answer to a command or a click: to one person, or ``in_channel``."""
    kind = body.get("response_type", "ephemeral")
    if kind not in ("ephemeral", "in_channel"):
        slack.ledger.record("response_url_body", f"unknown response_type {kind}")
    fields = content(slack, body, where)
    fields["thread_ts"] = body.get("thread_ts")
    if kind != "in_channel":
        fields["ephemeral_to"] = user
    message = slack.workspace.post(channel, BOT_USER, **fields)
    slack.emit_message(message)
    return message
