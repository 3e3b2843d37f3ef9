"""The one message that will hold an answer, and the status line before there is one."""

from __future__ import annotations

import threading
from typing import Any

from assistant.surfaces.slack.api import SlackApi, SlackError
from assistant.surfaces.slack.blocks import Block, fallback
from assistant.surfaces.slack.store import Question, SlackStore

UPDATE = "chat.update"
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
# Slack takes a status away after two minutes.
_STATUS_EVERY_S = 90.0


class Post:
    """Posts, edits and finds a question's message; the store learns of each step before the next.

    ``ts`` is the message, ``""`` before there is one.
    """

    def __init__(self, api: SlackApi, store: SlackStore, question: Question, bot_user: str) -> None:
        self._api, self._store = api, store
        self._question = question
        self._bot_user = bot_user
        self.ts = question.reply_ts

    def hold(self, ts: str, *, streaming: bool = False) -> None:
        """Note the message, or with no ``ts`` what is about to be begun."""
        self.ts = ts
        self._store.reply_at(self._question.id, ts, streaming=streaming)

    def new(self, blocks: list[Block] | None, text: str) -> None:
        """Post the message; one whose fate is unknown is looked for before it is posted again."""
        self.hold("")
        try:
            self.hold(self._send(blocks, text))
        except SlackError as error:
            if error.code != "unsure":
                raise
            if not (self.find(streaming=False) and self.update(blocks or [], text)):
                self.hold(self._send(blocks, text))

    def further(self, blocks: list[Block]) -> None:
        """Post what did not fit into the message."""
        ts = self._send(blocks, "…")
        self._store.note_reply(self._question.channel, ts)

    def show(self, mrkdwn: str) -> None:
        """Show something for the time being; an empty list takes away the blocks of before."""
        self._api.try_call(
            UPDATE, channel=self._question.channel, ts=self.ts, text=fallback(mrkdwn), blocks=[]
        )

    def update(self, blocks: list[Block], text: str, *, promised: bool = False) -> bool:
        """Edit the message; False when it is not there any more."""
        try:
            self._api.call(
                UPDATE,
                promised=promised,
                channel=self._question.channel,
                ts=self.ts,
                text=fallback(text),
                blocks=blocks,
            )
        except SlackError as error:
            if error.code not in _GONE:
                raise
            return False
        return True

    def delete(self) -> None:
        """Delete the message."""
        self._api.try_call(
            "chat.delete", channel=self._question.channel, ts=self.ts, patience_s=60.0
        )

    def find(self, *, streaming: bool) -> bool:
        """Find a message, or a stream, that began for the question without our hearing of it."""
        question = self._question
        try:
            found = self._api.call(
                "conversations.replies",
                patience_s=30.0,
                channel=question.channel,
                ts=question.thread_ts,
                oldest=question.ts,
                limit=100,
            )
        except SlackError:
            return False
        for message in found.get("messages", []):
            ts = str(message["ts"])
            mine = message.get("user") == self._bot_user and ts > question.ts
            if mine and not self._store.knows_reply(question.channel, ts):
                self.hold(ts, streaming=streaming)
                return True
        return False

    def _send(self, blocks: list[Block] | None, text: str) -> str:
        shown: dict[str, Any] = {"blocks": blocks} if blocks else {}
        sent = self._api.call(
            "chat.postMessage",
            channel=self._question.channel,
            thread_ts=self._question.thread_ts,
            text=fallback(text),
            unfurl_links=False,
            unfurl_media=False,
            **shown,
        )
        return str(sent["ts"])


class Status:
    """The line that says that the bot is at work, kept alive until `end`."""

    def __init__(self, api: SlackApi, question: Question) -> None:
        self._api = api
        self._question = question
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._text = ""
        self._ended = False

    def set(self, text: str) -> bool:
        """Show a line; tell whether Slack takes one."""
        with self._lock:
            self._text = text
            if self._ended or not self._call():
                return False
            if self._timer is None and text:
                self._arm()
            return True

    def end(self) -> None:
        """Keep it alive no longer: Slack takes it away with the first message."""
        with self._lock:
            self._ended = True
            if self._timer:
                self._timer.cancel()

    def _arm(self) -> None:
        self._timer = threading.Timer(_STATUS_EVERY_S, self._again)
        self._timer.daemon = True
        self._timer.start()

    def _again(self) -> None:
        with self._lock:
            if not self._ended:
                self._call()
                self._arm()

    def _call(self) -> bool:
        return self._api.try_call(
            "assistant.threads.setStatus",
            channel_id=self._question.channel,
            thread_ts=self._question.thread_ts,
            status=self._text,
        )
