"""An answer in a thread: as a stream, by edits of a message, or at once.

What Slack allows decides: streams where it has them and the minute has room for one, else a
message that is edited, else a status line and the answer in one piece. Whatever happens on the
way, one message holds the answer in the end.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

from assistant.surfaces.slack.api import NO_STREAMS, SlackApi, SlackError
from assistant.surfaces.slack.blocks import STREAM_CHARS, Block
from assistant.surfaces.slack.mrkdwn import escape, has_layout, to_mrkdwn
from assistant.surfaces.slack.posting import UPDATE, Post, Status
from assistant.surfaces.slack.reply import Streams
from assistant.surfaces.slack.store import Question, SlackStore

logger = logging.getLogger(__name__)

_APPEND_EVERY_S = 1.0
_EDIT_EVERY_S = 2.0
# Escaping makes a character five at worst.
_PIECE_CHARS = STREAM_CHARS // 5
_START, _STOP = "chat.startStream", "chat.stopStream"


class ThreadReply:
    """An answer in a thread, for everybody in it; used by one thread at a time.

    Args:
        api: Slack.
        store: learns which message holds the answer as soon as there is one.
        streams: what is known of streams.
        question: what is answered.
        bot_user: the bot's own Slack user.
    """

    def __init__(
        self,
        api: SlackApi,
        store: SlackStore,
        streams: Streams,
        question: Question,
        bot_user: str,
    ) -> None:
        self._api, self._streams = api, streams
        self._question = question
        self._post = Post(api, store, question, bot_user)
        self._status = Status(api, question)
        self._mode: Literal["status", "stream", "edit"] = "edit" if self.ts else "status"
        self._text = ""
        self._sent = 0
        self._sent_at = 0.0
        self._edit_promised = False
        # Left by a bot that was cut off; nobody else will end it.
        self._stray_stream = question.streaming and bool(self.ts)

    @property
    def ts(self) -> str:
        """The message that holds the answer, if there is one."""
        return self._post.ts

    def begin(self, text: str) -> None:
        """Show that the question is being worked on: by a status, else by a message."""
        if self._question.attempts > 1:
            self.look_for_traces()
        if self.ts:
            self._end_stray_stream()
            self._show(text)
        elif not self._status.set(text):
            self._start_editing(text)

    def look_for_traces(self) -> None:
        """Find what an attempt left that was cut off before it could note it."""
        if not self.ts:
            self._adopt(streaming=self._question.streaming)

    def status(self, text: str) -> None:
        """Say how it goes."""
        if self._mode == "edit" and not self._text:
            self._show(text)
        elif self._mode == "status":
            self._status.set(text)

    def add(self, text: str) -> None:
        """Show the next piece, no more often than Slack likes."""
        self._text += text
        if not self._text.strip() or (self._mode == "status" and not self._start()):
            return
        every = _APPEND_EVERY_S if self._mode == "stream" else _EDIT_EVERY_S
        if time.monotonic() - self._sent_at < every or len(self._text) > STREAM_CHARS:
            return
        if self._mode == "stream":
            self._append()
        else:
            self._show(to_mrkdwn(self._text))

    def restart(self, text: str) -> None:
        """Take back what was shown; a stream cannot be, so it ends and is edited from now on."""
        self._end_stream()
        self._text, self._sent = "", 0
        self.status(text)

    def finish(self, messages: list[list[Block]], foot: list[Block], text: str) -> None:
        """Show the whole answer."""
        first, *more = messages
        plain = len(messages) == 1 and len(self._text) <= STREAM_CHARS and not has_layout(text)
        if not (self._mode == "stream" and plain and self._stop(foot)):
            self.say(first, text)
        for blocks in more:
            self._post.further(blocks)

    def say(self, blocks: list[Block], text: str) -> None:
        """Make one message hold this: the one there is, or a new one."""
        self._end_stream()
        self._status.end()
        if not (self.ts and self._post.update(blocks, text, promised=self._take_promise())):
            self._post.new(blocks, text)

    def discard(self) -> None:
        """Remove everything shown."""
        self._end_stream()
        if self._take_promise():
            self._api.pace.release(UPDATE)
        if self.ts:
            self._post.delete()
        else:
            self._status.set("")
        self._status.end()

    # -- streams ----------------------------------------------------------------------------

    def _start(self) -> bool:
        """Begin a stream or a message that is edited; tell whether the text is on its way."""
        question = self._question
        available = self._streams.available(question.channel)
        if not available or not self._api.pace.promise(_START, _STOP):
            return self._start_editing(to_mrkdwn(self._text))
        recipient: dict[str, Any] = (
            {"recipient_user_id": question.user, "recipient_team_id": question.team}
            if question.kind == "channel"
            else {}
        )
        first = self._text[:_PIECE_CHARS]
        self._status.end()
        self._post.hold("", streaming=True)  # tells whoever finds traces of it what they are
        try:
            began = self._api.call(
                _START,
                promised=True,
                patience_s=5.0,
                channel=question.channel,
                thread_ts=question.thread_ts,
                markdown_text=escape(first),
                **recipient,
            )
        except SlackError as error:
            self._api.pace.release(_STOP)
            return self._without_stream(error)
        self._mode = "stream"
        self._post.hold(str(began["ts"]), streaming=True)
        self._sent, self._sent_at = len(first), time.monotonic()
        return True

    def _without_stream(self, error: SlackError) -> bool:
        if error.code in NO_STREAMS:
            self._streams.refuse(self._question.channel, error.code)
        if error.code == "unsure" and self._adopt(streaming=True):
            return True
        return self._start_editing(to_mrkdwn(self._text))

    def _append(self, patience_s: float = 0.0) -> bool:
        """Send the next piece of the text; tell whether it went out."""
        piece = self._text[self._sent : self._sent + _PIECE_CHARS]
        sent = not piece or self._api.try_call(
            "chat.appendStream",
            patience_s=patience_s,
            channel=self._question.channel,
            ts=self.ts,
            markdown_text=escape(piece),
        )
        self._sent_at = time.monotonic()
        self._sent += len(piece) if sent else 0
        return sent

    def _stop(self, foot: list[Block]) -> bool:
        """End a stream with what is left of the text; tell whether it holds the whole answer."""
        whole = True
        while foot and whole and len(self._text) - self._sent > _PIECE_CHARS:
            whole = self._append(patience_s=30.0)
        rest = escape(self._text[self._sent :]) if foot and whole else ""
        last: dict[str, Any] = {"markdown_text": rest} if rest.strip() else {}
        if foot and whole:
            last["blocks"] = foot
        self._mode = "edit"
        try:
            self._api.call(
                _STOP,
                promised=True,
                channel=self._question.channel,
                ts=self.ts,
                **last,
            )
        except SlackError as error:
            logger.warning("A stream could not be ended (%s); its message is edited.", error.code)
            return False
        self._post.hold(self.ts)
        return whole

    def _end_stray_stream(self) -> None:
        if self._stray_stream:
            self._stray_stream = False
            self._api.try_call(_STOP, patience_s=60.0, channel=self._question.channel, ts=self.ts)
            self._post.hold(self.ts)

    def _end_stream(self) -> None:
        self._end_stray_stream()
        if self._mode == "stream":
            self._stop([])

    # -- edits ------------------------------------------------------------------------------

    def _start_editing(self, mrkdwn: str) -> bool:
        """Post what there is so far, if the minute has room for the edit that completes it."""
        if not self._api.pace.promise(UPDATE):
            return False
        self._edit_promised = True
        self._status.end()
        self._post.new(None, mrkdwn)
        self._mode, self._sent_at = "edit", time.monotonic()
        return True

    def _take_promise(self) -> bool:
        promised, self._edit_promised = self._edit_promised, False
        return promised

    def _show(self, mrkdwn: str) -> None:
        self._post.show(mrkdwn)
        self._sent_at = time.monotonic()

    def _adopt(self, *, streaming: bool) -> bool:
        if not self._post.find(streaming=streaming):
            return False
        self._mode, self._stray_stream = "edit", streaming
        return True
