"""Where an answer appears: in a thread (see `thread_reply`), or before one person's eyes only."""

from __future__ import annotations

from typing import Any, Protocol

from assistant.surfaces.slack.api import SlackApi, SlackError
from assistant.surfaces.slack.blocks import Block, fallback
from assistant.surfaces.slack.store import Question, SlackStore

# An interaction's own address takes five messages; one is left for what comes of buttons.
_MOST_RESPONSES = 4


class Reply(Protocol):
    """Where one question is answered."""

    @property
    def ts(self) -> str:
        """The message that holds the answer, ``""`` if none does."""

    def begin(self, text: str) -> None:
        """Show that the question is being worked on."""

    def status(self, text: str) -> None:
        """Say how it goes, before the first word of the answer."""

    def add(self, text: str) -> None:
        """Show the next piece of the answer, as Markdown."""

    def restart(self, text: str) -> None:
        """Take back what was shown: another answer begins."""

    def finish(self, messages: list[list[Block]], foot: list[Block], text: str) -> None:
        """Show the whole answer.

        Args:
            messages: it as blocks, mostly of one message.
            foot: what stands below its text, the end of the last of the messages.
            text: it for notifications.
        """

    def say(self, blocks: list[Block], text: str) -> None:
        """Show the bot's own words in place of an answer."""

    def discard(self) -> None:
        """Remove everything shown: the question is gone."""


class Streams:
    """Remembers which channels have no streams, so that each is tried once."""

    def __init__(self) -> None:
        self._without: set[str] = set()

    def available(self, channel: str) -> bool:
        """Tell whether a channel may have streams."""
        return channel not in self._without and "*" not in self._without

    def refuse(self, channel: str, code: str) -> None:
        """Note that a stream was refused."""
        self._without.add("*" if code in ("unknown_method", "missing_scope") else channel)


class PrivateReply:
    """An answer that only the asker sees, in the channel they asked from."""

    ts = ""

    def __init__(self, api: SlackApi, store: SlackStore, question: Question) -> None:
        self._api, self._store, self._question = api, store, question

    def begin(self, text: str) -> None:
        """Show nothing: the acknowledgement said it already."""

    def status(self, text: str) -> None:
        """Show nothing: an ephemeral message cannot be edited."""

    def add(self, text: str) -> None:
        """Wait for the whole answer."""

    def restart(self, text: str) -> None:
        """Nothing was shown."""

    def discard(self) -> None:
        """Nothing was shown."""

    def finish(self, messages: list[list[Block]], foot: list[Block], text: str) -> None:
        """Hand the answer over; whether it arrived cannot be asked afterwards."""
        self._store.deliver(self._question.id)
        for blocks in messages[:_MOST_RESPONSES]:
            self._deliver(blocks, text)

    def say(self, blocks: list[Block], text: str) -> None:
        """Show the bot's own words."""
        self.finish([blocks], [], text)

    def _deliver(self, blocks: list[Block], text: str) -> None:
        """By the interaction's own address, else ephemerally, else in a direct message."""
        question = self._question
        message: dict[str, Any] = {"text": fallback(text), "blocks": blocks}
        if question.response_url and self._respond(message):
            return
        try:
            self._api.call(
                "chat.postEphemeral", channel=question.channel, user=question.user, **message
            )
        except SlackError:
            opened = self._api.call("conversations.open", users=question.user)
            self._api.call("chat.postMessage", channel=opened["channel"]["id"], **message)

    def _respond(self, message: dict[str, Any]) -> bool:
        """Tell whether the answer went out; when that is unsure, it did: never show it twice."""
        try:
            return self._api.respond(
                self._question.response_url,
                response_type="ephemeral",
                replace_original=False,
                **message,
            )
        except SlackError:
            return True
