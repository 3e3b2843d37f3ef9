"""One question of Slack, from its place in line to the answer that stands in the thread.

The assistant is asked with the rights of whoever will read the answer: a channel's are those of
everyone. Whatever fails on the way, the asker is told; what Slack does not take now is tried
again later.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from assistant.errors import AssistantError, EngineBusyError, NotFoundError, QuestionError
from assistant.surfaces.slack.api import SlackApi, SlackError
from assistant.surfaces.slack.blocks import answer_foot, answer_messages, note
from assistant.surfaces.slack.config import Channel, Workspace
from assistant.surfaces.slack.door import Door
from assistant.surfaces.slack.heard import in_context
from assistant.surfaces.slack.identity import Directory, audience
from assistant.surfaces.slack.reply import PrivateReply, Reply, Streams
from assistant.surfaces.slack.store import Given, Question, SlackStore
from assistant.surfaces.slack.thread_reply import ThreadReply
from assistant.surfaces.slack.wording import Texts, texts
from assistant.text import detect_language
from assistant.types import Answer, Principal

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
_AGAIN_AFTER_S = 20.0
# Slack's words for troubles that pass.
_PASSING = frozenset({"ratelimited", "unreachable", "unsure", "service_unavailable"})


class _Withdrawn(Exception):
    """The question was deleted meanwhile."""


class _Reworded(Exception):
    """The question was edited meanwhile."""


class _CutOff(Exception):
    """The bot is going; the next one takes the question up."""


@dataclass(frozen=True)
class _Case:
    """A question with everything that its answer depends on."""

    question: Question
    reply: Reply
    texts: Texts
    channel: Channel
    principal: Principal


class Answering:
    """Answers questions; safe to share between workers.

    Args:
        door: the assistant.
        api: Slack.
        store: the bot's memory.
        directory: who people are.
        workspace: how channels are answered.
        bot_user: the bot's own Slack user.
        question_chars: the longest question that is answered, to tell people.
        again: called with the id of a question that is to be tried once more.
    """

    def __init__(
        self,
        door: Door,
        api: SlackApi,
        store: SlackStore,
        directory: Directory,
        workspace: Workspace,
        bot_user: str,
        question_chars: int,
        again: Callable[[int], None],
    ) -> None:
        self._door = door
        self._api = api
        self._store = store
        self._directory = directory
        self._workspace = workspace
        self._bot_user = bot_user
        self._question_chars = question_chars
        self._again = again
        self._streams = Streams()
        self._cut_off = threading.Event()

    def cut_off(self) -> None:
        """Let no answer go on from now on; the questions stay in the store."""
        self._cut_off.set()

    def answer(self, question_id: int) -> None:
        """Answer a question that the store holds; nothing, when it was withdrawn meanwhile."""
        self._store.begin(question_id)
        question = self._store.question(question_id)
        if question is None:
            return
        try:
            self._settle(question)
        except _CutOff:
            return
        except SlackError as error:
            self._put_off(question, error)
        else:
            self._store.finish(question_id)

    def apologise(self, question: Question) -> None:
        """Say of a question that a stop of the bot cut it off, and forget it."""
        case = self._case(question)
        private = question.kind == "private"
        words = case.texts("interrupted_ephemeral" if private else "interrupted")
        try:
            if isinstance(case.reply, ThreadReply):
                case.reply.look_for_traces()
            case.reply.say(note(words), words)
        except SlackError as error:
            logger.error("An apology could not be posted: %s", error.code)
        self._store.finish(question.id)

    def _settle(self, question: Question) -> None:
        """See a question through to an answer, a plain failure, or its withdrawal."""
        reply: Reply | None = None
        while True:
            case = self._case(question, reply)
            reply = case.reply
            try:
                self._attempt(case)
                self._current(case.question)
            except _Withdrawn:
                reply.discard()
            except _Reworded:
                reply.restart(case.texts("changed"))
                question = self._store.question(question.id) or question
                continue
            except AssistantError as error:
                self._told(error)
                words = case.texts.failure(error, self._question_chars)
                reply.say(note(words), words)
            except (SlackError, _CutOff):
                raise
            except Exception as error:
                _log_unexpected(error)
                words = case.texts.failure(error, self._question_chars)
                reply.say(note(words), words)
            return

    def _attempt(self, case: _Case) -> None:
        case.reply.begin(case.texts("working"))
        understood = self._understood(case)
        answer = self._ask(case, understood)
        self._current(case.question)
        self._show(case, answer, "" if understood == case.question.text else understood)

    def _ask(self, case: _Case, text: str) -> Answer:
        """Ask the assistant in the thread's conversation, showing the answer as it grows."""
        question = case.question
        known = self._store.conversation(question.channel, question.thread_ts) or None
        if question.kind == "private":
            known = None
        try:
            return self._follow(case, text, known)
        except NotFoundError:
            if known is None:
                raise
            # The conversation is gone, or was another person's: the thread begins a new one.
            return self._follow(case, text, None)

    def _follow(self, case: _Case, text: str, conversation_id: str | None) -> Answer:
        answer = None
        events = self._door.stream(text, conversation_id=conversation_id, principal=case.principal)
        for event in events:
            self._current(case.question)
            if event.kind == "waiting":
                case.reply.status(case.texts("ahead", ahead=event.ahead))
            elif event.kind == "token" and not case.channel.only_cited:
                case.reply.add(event.text)
            elif event.kind == "restart":
                case.reply.restart(case.texts("restarted"))
            answer = event.answer or answer
        if answer is None:
            raise QuestionError("The question has no answer.")
        return answer

    def _show(self, case: _Case, answer: Answer, understood: str) -> None:
        question, words = case.question, case.texts
        if case.channel.only_cited and not answer.citations and question.kind == "channel":
            self._decline(case)
            return
        self._note(case, answer)
        foot = answer_foot(
            answer,
            words,
            understood=understood,
            persona=case.channel.persona if question.kind == "channel" else "",
            shareable=question.kind == "private" and bool(answer.citations),
        )
        case.reply.finish(answer_messages(answer, words, foot), foot, answer.text)
        self._note(case, answer)

    def _note(self, case: _Case, answer: Answer) -> None:
        """Remember where the answer stands: before it does, so that its buttons work at once."""
        question = case.question
        if question.kind != "private":
            self._store.converse(question.channel, question.thread_ts, answer.conversation_id)
        self._store.give(
            Given(
                answer_id=answer.answer_id,
                conversation_id=answer.conversation_id,
                principal=case.principal,
                slack_user=question.user,
                channel=question.channel,
                thread_ts=question.thread_ts,
                reply_ts=case.reply.ts,
                private=question.kind != "channel",
            )
        )

    def _decline(self, case: _Case) -> None:
        """Tell the asker alone that the channel gets no answer without a source."""
        case.reply.discard()
        self._api.call(
            "chat.postEphemeral",
            channel=case.question.channel,
            user=case.question.user,
            thread_ts=case.question.thread_ts,
            text=case.texts("uncited"),
        )

    # -- what an answer depends on ----------------------------------------------------------

    def _case(self, question: Question, reply: Reply | None = None) -> _Case:
        channel = (
            Channel() if question.kind == "direct" else self._workspace.channel(question.channel)
        )
        if question.kind == "private":
            channel = channel.model_copy(update={"only_cited": False})
        language = (
            detect_language(question.text) if channel.language == "auto" else channel.language
        )
        return _Case(
            question=question,
            reply=reply or self._reply(question),
            texts=texts(language),
            channel=channel,
            principal=(
                audience(question.channel)
                if question.kind == "channel"
                else self._directory.person(question.user).principal
            ),
        )

    def _reply(self, question: Question) -> Reply:
        if question.kind == "private":
            return PrivateReply(self._api, self._store, question)
        return ThreadReply(self._api, self._store, self._streams, question, self._bot_user)

    def _understood(self, case: _Case) -> str:
        """Return the question, with what people wrote before it in a thread the bot is new to."""
        question = case.question
        began_it = question.thread_ts == question.ts
        if question.kind == "private" or began_it:
            return question.text
        if self._store.conversation(question.channel, question.thread_ts):
            return question.text
        try:
            found = self._api.call(
                "conversations.replies",
                patience_s=5.0,
                channel=question.channel,
                ts=question.thread_ts,
                latest=question.ts,
                limit=50,
            )
        except SlackError as error:
            logger.warning("A thread could not be read: %s", error.code)
            return question.text
        earlier = [m for m in found.get("messages", []) if str(m.get("ts", "")) < question.ts]
        return in_context(question.text, earlier, self._bot_user)

    def _current(self, question: Question) -> None:
        """Make sure that the question still stands as it was put."""
        if self._cut_off.is_set():
            raise _CutOff
        now = self._store.question(question.id)
        if now is None:
            raise _Withdrawn
        if now.text != question.text:
            raise _Reworded

    # -- failures ---------------------------------------------------------------------------

    def _told(self, error: AssistantError) -> None:
        level = (
            logging.INFO if isinstance(error, EngineBusyError | QuestionError) else logging.ERROR
        )
        logger.log(level, "A question was not answered: %s", type(error).__name__)

    def _put_off(self, question: Question, error: SlackError) -> None:
        """Try later what Slack does not take now; what it never will is given up."""
        if error.code in _PASSING and question.attempts < MOST_ATTEMPTS:
            logger.warning("Slack did not take an answer (%s); trying again.", error.code)
            timer = threading.Timer(_AGAIN_AFTER_S, self._again, (question.id,))
            timer.daemon = True
            timer.start()
            return
        logger.error("An answer could not be posted: %s", error)
        self._store.finish(question.id)


def _log_unexpected(error: Exception) -> None:
    """Log where an error came from, without its text, which may quote a message."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("A question failed: %s\n%s", type(error).__name__, where)
