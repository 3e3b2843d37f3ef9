"""What Slack tells, written down before it is acknowledged: a question, an edit, a deletion.

Nothing here waits for Slack or for the assistant. A question and the ids it came with are stored
in one transaction, so a redelivery finds them, and a crash after the acknowledgement loses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from assistant.surfaces.slack.api import SlackApi
from assistant.surfaces.slack.config import Workspace
from assistant.surfaces.slack.heard import WRITTEN, is_from_person, mentioned, question_text
from assistant.surfaces.slack.store import Question, SlackStore
from assistant.surfaces.slack.wording import Texts, texts
from assistant.text import detect_language

logger = logging.getLogger(__name__)

COMMAND = "/ask"
# More answers than this in one thread are a machine's doing, whatever it signs in as.
_MOST_ANSWERS, _WITHIN_S = 30, 600.0


class Listener:
    """Takes questions in.

    Args:
        api: for notes that cost nobody a wait.
        store: the bot's memory.
        workspace: which channels are answered.
        bot_user: the bot's own Slack user.
        put: puts a stored question into its lane and returns how many are before it.
        aside: runs what talks to Slack apart from the acknowledgement.
    """

    def __init__(
        self,
        api: SlackApi,
        store: SlackStore,
        workspace: Workspace,
        bot_user: str,
        put: Callable[[Question], int],
        aside: Callable[[Callable[[], object]], None],
    ) -> None:
        self._api = api
        self._store = store
        self._workspace = workspace
        self._bot_user = bot_user
        self._put = put
        self._aside = aside

    def message(self, body: dict[str, Any]) -> None:
        """Take a ``message`` or ``app_mention`` event; the two of one message count once."""
        event = body["event"]
        subtype = event.get("subtype")
        if subtype == "message_changed":
            self._changed(event)
        elif subtype == "message_deleted":
            self._deleted(event["channel"], event["deleted_ts"])
        elif subtype in WRITTEN and is_from_person(event, self._bot_user):
            self._written(body, event)

    def command(self, body: dict[str, Any]) -> str:
        """Take a slash command; return what to acknowledge it with."""
        text = question_text(body.get("text", ""), self._bot_user)
        words = self._texts(body["channel_id"], text or "空")
        if not text:
            return words("empty", command=body["command"])
        self.ask_privately(
            channel=body["channel_id"],
            user=body["user_id"],
            text=text,
            response_url=body["response_url"],
            key=f"command:{body['trigger_id']}",
        )
        return words("asked")

    def words_of(self, text: str) -> str:
        """Return a message's text as people see it."""
        return question_text(text, self._bot_user)

    def ask_privately(
        self, *, channel: str, user: str, text: str, response_url: str, key: str
    ) -> None:
        """Take a question whose answer only the asker sees."""
        question = Question("private", channel, user, text, response_url=response_url)
        if taken := self._store.take(question, key):
            self._put(taken)

    def _written(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        channel, ts = event["channel"], event["ts"]
        direct = event.get("channel_type") == "im" or channel.startswith("D")
        thread_ts = event.get("thread_ts") or ts
        raw = event.get("text") or ""
        if not direct and not self._is_addressed(channel, thread_ts, raw):
            return
        keys = [f"message:{channel}:{ts}"]
        if event.get("client_msg_id"):
            keys.append(f"client:{event['client_msg_id']}")
        if body.get("event_id"):
            keys.append(f"event:{body['event_id']}")
        question = Question(
            kind="direct" if direct else "channel",
            channel=channel,
            user=event["user"],
            text=question_text(raw, self._bot_user),
            ts=ts,
            thread_ts=thread_ts,
            team=event.get("team") or body.get("team_id") or "",
            addressed=self._bot_user in mentioned(raw),
        )
        if why_not := self._declined(question):
            if self._store.first_time(*keys):
                self._whisper(question, why_not)
            return
        if taken := self._store.take(question, *keys):
            self._store.join(channel, thread_ts)
            self._line_up(taken)

    def _is_addressed(self, channel: str, thread_ts: str, text: str) -> bool:
        """Tell whether a channel message is for the bot: by mention, or in a thread it is in."""
        people = mentioned(text)
        if self._bot_user in people:
            return True
        if people or not self._workspace.channel(channel).follow_ups:
            return False
        return self._store.conversation(channel, thread_ts) is not None

    def _declined(self, question: Question) -> str:
        """Return what to tell the asker when the question is not taken, else ``""``."""
        words = self._texts(question.channel, question.text or "空")
        if question.kind == "channel" and not self._workspace.channel(question.channel).allowed:
            return words("not_allowed", command=COMMAND)
        if not question.text:
            return words("mention_empty")
        given = self._store.answers_since(question.channel, question.thread_ts, _WITHIN_S)
        return words("too_many") if given >= _MOST_ANSWERS else ""

    def _line_up(self, question: Question) -> None:
        ahead = self._put(question)
        if ahead:
            words = self._texts(question.channel, question.text)
            self._aside(lambda: self._status(question, words("ahead", ahead=ahead)))

    def _status(self, question: Question, text: str) -> None:
        self._api.try_call(
            "assistant.threads.setStatus",
            channel_id=question.channel,
            thread_ts=question.thread_ts,
            status=text,
        )

    def _whisper(self, question: Question, text: str) -> None:
        """Tell the asker alone; a machine that asks too much hears it once in a while."""
        window = int(time.time() // _WITHIN_S)
        if not self._store.first_time(f"told:{question.channel}:{question.user}:{window}:{text}"):
            return
        thread = {"thread_ts": question.thread_ts} if question.thread_ts != question.ts else {}
        self._aside(
            lambda: self._api.try_call(
                "chat.postEphemeral",
                patience_s=60.0,
                channel=question.channel,
                user=question.user,
                text=text,
                **thread,
            )
        )

    def _changed(self, event: dict[str, Any]) -> None:
        """Heed an edit of a question that has no answer yet."""
        message = event.get("message") or {}
        channel, ts = event["channel"], message.get("ts", "")
        if message.get("subtype") == "tombstone":  # deleted, but others answered to it
            self._deleted(channel, ts)
            return
        asked = self._store.asked(channel, ts)
        if asked is None or not is_from_person(message, self._bot_user):
            return
        text = question_text(message.get("text") or "", self._bot_user)
        if not text:
            self._deleted(channel, ts)
        elif text != asked.text:
            self._store.reword(asked.id, text)

    def _deleted(self, channel: str, ts: str) -> None:
        """Withdraw a question that has no answer yet; one still to be delivered is not taken."""
        asked = self._store.asked(channel, ts)
        if asked is None:
            self._store.first_time(f"message:{channel}:{ts}")
            return
        self._store.finish(asked.id)
        self._aside(lambda: self._clear(asked))

    def _clear(self, question: Question) -> None:
        """Remove what was shown of a question; whoever is answering it does so too."""
        if question.reply_ts:
            self._api.try_call(
                "chat.delete", patience_s=60.0, channel=question.channel, ts=question.reply_ts
            )
        else:
            self._status(question, "")

    def _texts(self, channel: str, text: str) -> Texts:
        said = self._workspace.channel(channel).language
        return texts(detect_language(text) if said == "auto" else said)
