"""What people press: passages, feedback, sharing, and the forms that go with them.

Each is acknowledged before it gets here. Who may see a passage is decided for the person who
presses the button, now, not for the one who asked.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from assistant.errors import AssistantError, NotFoundError
from assistant.surfaces.slack.api import SlackApi, SlackError
from assistant.surfaces.slack.blocks import (
    SECTION_CHARS,
    Block,
    answer_foot,
    answer_messages,
    fallback,
    modal,
    note,
    pieces,
    section,
    source_line,
    text_input,
)
from assistant.surfaces.slack.config import Workspace
from assistant.surfaces.slack.door import Door
from assistant.surfaces.slack.identity import Directory
from assistant.surfaces.slack.listen import Listener
from assistant.surfaces.slack.mrkdwn import escape, to_mrkdwn
from assistant.surfaces.slack.store import Given, SlackStore
from assistant.surfaces.slack.wording import Texts, texts
from assistant.types import EVERYONE, Answer, Citation, Context, Message, Principal

ASK_ABOUT, REASON, SHOWN = "ask_about", "feedback_reason", "passage_shown"
# What a modal takes, well below its hundred blocks.
_MODAL_SECTIONS = 20


class Clicks:
    """Serves buttons, shortcuts and forms."""

    def __init__(
        self,
        door: Door,
        api: SlackApi,
        store: SlackStore,
        directory: Directory,
        workspace: Workspace,
        listener: Listener,
    ) -> None:
        self._door = door
        self._api = api
        self._store = store
        self._directory = directory
        self._workspace = workspace
        self._listener = listener

    # -- passages ---------------------------------------------------------------------------

    def passage(self, body: dict[str, Any]) -> None:
        """Open a passage that an answer cites."""
        words = self._words(body)
        opened = self._open(
            body, modal(SHOWN, words, words("passage_title"), note(words("passage_loading")))
        )
        if opened is None:
            return
        said = json.loads(body["actions"][0]["value"])
        try:
            blocks = self._passage(said["answer"], int(said["marker"]), body["user"]["id"], words)
        except NotFoundError:
            blocks = note(words("passage_gone"))
        except AssistantError as error:
            blocks = note(words.failure(error, 0))
        shown = modal(SHOWN, words, words("passage_title"), blocks)
        self._api.try_call("views.update", patience_s=30.0, view_id=opened["id"], view=shown)

    def _passage(self, answer_id: str, marker: int, clicker: str, words: Texts) -> list[Block]:
        given = self._store.given(answer_id)
        if given is None or (given.private and given.slack_user != clicker):
            raise NotFoundError("There is no such answer.")
        reader = self._directory.person(clicker).principal
        _, answer = self._said(given, reader if given.private else given.principal)
        citation = next((c for c in answer.citations if c.marker == marker), None)
        if citation is None:
            raise NotFoundError("The answer has no such mark.")
        return _passage_blocks(citation, self._context(citation, reader), words)

    def _context(self, citation: Citation, reader: Principal) -> Context | None:
        """Return the cited passage, None when its document has changed since.

        Raises:
            NotFoundError: the document is gone, or not the reader's to see (any more).
        """
        try:
            context = self._door.passage(citation.chunk_id, reader, 1)
        except NotFoundError:
            self._door.document(citation.document_id, reader)
            return None
        return context if citation.quote in context.chunk.text else None

    # -- feedback ---------------------------------------------------------------------------

    def feedback(self, body: dict[str, Any]) -> None:
        """Keep a verdict; ask what was wrong with an answer that did not help."""
        said = json.loads(body["actions"][0]["value"])
        words = self._words(body)
        # Before the form opens: the verdict with the reason must come after the bare one.
        problem = self._rate(said["answer"], body["user"]["id"], said["verdict"], "", words)
        if said["verdict"] == "down" and not problem:
            reason = text_input(words, "reason_label", "reason_hint", needed=False)
            view = modal(
                REASON,
                words,
                words("reason_title"),
                [reason],
                submit=words("send"),
                private_metadata=json.dumps({"answer": said["answer"]}),
            )
            self._open(body, view)
        self._tell(body, problem or words("thanks"))

    def reason(self, body: dict[str, Any]) -> None:
        """Keep the reason that goes with a verdict."""
        answer_id = json.loads(body["view"]["private_metadata"])["answer"]
        comment = _submitted(body)
        if comment:
            self._rate(answer_id, body["user"]["id"], "down", comment, self._words(body))

    def _rate(self, answer_id: str, clicker: str, verdict: Any, comment: str, words: Texts) -> str:
        """Pass a verdict on; return what went wrong, or ``""``."""
        given = self._store.given(answer_id)
        if given is None:
            return words("feedback_gone")
        if given.private and given.slack_user != clicker:
            return words("feedback_other")
        try:
            self._door.feedback(answer_id, verdict, comment, given.principal)
        except NotFoundError:
            return words("feedback_gone")
        except AssistantError as error:
            return words.failure(error, 0)
        return ""

    # -- sharing ----------------------------------------------------------------------------

    def share(self, body: dict[str, Any]) -> None:
        """Post an answer that only its asker saw, if everyone may read what it cites."""
        words = self._words(body)
        given = self._store.given(body["actions"][0]["value"])
        if given is None or given.slack_user != body["user"]["id"]:
            self._tell(body, words("share_gone"))
            return
        if not self._workspace.channel(given.channel).allowed:
            self._tell(body, words("share_failed"))
            return
        try:
            reader = self._directory.person(given.slack_user).principal
            question, answer = self._said(given, reader)
            for citation in answer.citations:
                self._door.passage(citation.chunk_id, EVERYONE, 0)
        except NotFoundError:
            self._tell(body, words("share_restricted"))
            return
        except AssistantError as error:
            self._tell(body, words.failure(error, 0))
            return
        if self._store.first_time(f"share:{given.answer_id}"):
            self._tell(body, words(self._post(given, question, answer, words)))

    def _said(self, given: Given, reader: Principal) -> tuple[Message, Message]:
        """Return a question and its answer as they were kept, if the reader still may see them."""
        messages = self._door.conversation(given.conversation_id, reader).messages
        for question, answer in pairwise(messages):
            if answer.answer_id == given.answer_id and answer.citations:
                return question, answer
        raise NotFoundError("There is no such answer.")

    def _post(self, given: Given, question: Message, said: Message, words: Texts) -> str:
        """Post an answer; return the key of what to tell the one who shared it."""
        answer = Answer(
            said.text, said.citations, False, 1.0, "", given.conversation_id, given.answer_id
        )
        persona = self._workspace.channel(given.channel).persona
        foot = answer_foot(answer, words, persona=persona)
        asked = words("shared_by", user=given.slack_user, question=escape(question.text))
        messages = answer_messages(answer, words, foot)
        messages[0] = [section(pieces(asked)[0]), *messages[0]]
        thread: dict[str, Any] = {}
        try:
            for blocks in messages:
                sent = self._api.call(
                    "chat.postMessage",
                    channel=given.channel,
                    text=fallback(said.text),
                    blocks=blocks,
                    unfurl_links=False,
                    **thread,
                )
                thread = thread or {"thread_ts": sent["ts"]}
        except SlackError:
            return "share_failed"
        ts = str(thread["thread_ts"])
        self._store.give(replace(given, private=False, thread_ts=ts, reply_ts=ts))
        self._store.join(given.channel, ts)
        return "shared"

    # -- asking about a message -------------------------------------------------------------

    def ask_about(self, body: dict[str, Any]) -> None:
        """Open a form that holds a message's text as the question."""
        words = self._words(body)
        about = self._listener.words_of(body.get("message", {}).get("text") or "")
        view = modal(
            ASK_ABOUT,
            words,
            words("ask_title"),
            [text_input(words, "ask_label", "ask_hint", value=about, needed=True)],
            submit=words("ask_send"),
            private_metadata=json.dumps(
                {"channel": body["channel"]["id"], "url": body["response_url"]}
            ),
        )
        self._open(body, view)

    def asked_about(self, body: dict[str, Any]) -> None:
        """Take the question of that form; called before it is acknowledged."""
        told = json.loads(body["view"]["private_metadata"])
        self._listener.ask_privately(
            channel=told["channel"],
            user=body["user"]["id"],
            text=_submitted(body),
            response_url=told["url"],
            key=f"view:{body['view']['id']}",
        )

    # -- helpers ----------------------------------------------------------------------------

    def _open(self, body: dict[str, Any], view: Block) -> dict[str, Any] | None:
        """Open a form at once: Slack allows three seconds for it."""
        try:
            opened = self._api.call(
                "views.open", patience_s=2.0, trigger_id=body["trigger_id"], view=view
            )
        except SlackError:
            return None
        return dict(opened["view"])

    def _tell(self, body: dict[str, Any], text: str) -> None:
        """Answer a press of a button, before that person's eyes only."""
        message: dict[str, Any] = {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": text,
        }
        try:
            if url := body.get("response_url"):
                self._api.respond(url, **message)
        except SlackError:
            return

    def _words(self, body: dict[str, Any]) -> Texts:
        channel = (body.get("channel") or {}).get("id", "")
        said = self._workspace.channel(channel).language
        language = self._directory.person(body["user"]["id"]).language if said == "auto" else said
        return texts(language or "zh")


def _submitted(body: dict[str, Any]) -> str:
    value = body["view"]["state"]["values"]["text"]["text"]["value"]
    return (value or "").strip()


def _passage_blocks(citation: Citation, context: Context | None, words: Texts) -> list[Block]:
    """Return the passage in its place, or the quoted sentence where its document has changed."""
    blocks = [section(f"*{source_line(citation)}*"[:SECTION_CHARS])]
    if context is None:
        quote = "> " + escape(citation.quote)
        return [*blocks, *note(f"_{words('passage_changed')}_"), *note(quote)]
    chunks = (*context.before, context.chunk, *context.after)
    for chunk in chunks:
        shown = to_mrkdwn(chunk.text)
        if chunk.id == context.chunk.id and len(chunks) > 1:
            shown = "\n".join("> " + line for line in shown.splitlines())
        blocks += [section(piece) for piece in pieces(shown)]
    return blocks[:_MODAL_SECTIONS]
