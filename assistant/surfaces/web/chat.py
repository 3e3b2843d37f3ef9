"""The chat view: questions, answers as they come, their sources, and earlier conversations.

The browser sends what its reader does as events of one component, the desk; each handler
takes who asks from its own request. What the parts look like is told in `chat_render`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr

from assistant.accounts.records import Identity
from assistant.errors import AssistantError, NotFoundError, ServerError
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.chat_render import REASON_CHARS, ChatRenderer
from assistant.surfaces.web.chat_turn import Turn, relayed
from assistant.surfaces.web.desk import on, region, sent
from assistant.surfaces.web.frame import asker, explain, tell, view
from assistant.surfaces.web.wording import Texts
from assistant.types import Document, Principal, Verdict

logger = logging.getLogger(__name__)

# Who answers how many at once is the engine's to say; this only keeps threads in bounds.
_ASKING_AT_ONCE = 96
_STARTERS = 4
_WORDS = ("copied", "thanks", "too_long", "chars", "loading", "failed", "done", "untitled")
# Gradio finds the names of a component's own events in this script.
_DESK_SCRIPT = (
    "window.assistantChat(element, trigger, "
    "['ask', 'stop', 'open', 'find', 'rename', 'delete', 'verdict', 'settled'])"
)


def build(service: Service, texts: Texts) -> gr.Blocks:
    """Return the chat view in one language."""
    chat = Chat(service, texts)
    render = chat.render
    words = json.dumps({name: texts(f"chat.{name}") for name in _WORDS}, ensure_ascii=False)
    with view(service, texts, "chat") as blocks, gr.Row(elem_id="chat"):
        with gr.Column(elem_id="side", min_width=0):
            region(value=render.part("side"))
            listing = region("listing")
        with gr.Column(elem_id="talk", min_width=0):
            region("bar", render.part("bar"))
            thread = region("thread")
            asked = region("asked")
            reply = region("reply")
            followups = region("followups")
            desk = gr.HTML(
                render.desk(service.settings.max_question_chars, words),
                elem_id="desk",
                js_on_load=_DESK_SCRIPT,
                apply_default_css=False,
            )
        under_way = on(
            "chat", desk.ask, chat.ask, [thread, asked, reply, followups], limit=_ASKING_AT_ONCE
        )
        desk.stop(None, cancels=[under_way], queue=False, api_visibility="private")
        conversation = [thread, asked, reply, followups, listing]
        for event, handler, outputs in (
            (desk.open, chat.open, conversation),
            (desk.find, chat.find, listing),
            (desk.rename, chat.rename, listing),
            (desk.delete, chat.delete, conversation),
            (desk.verdict, chat.verdict, None),
            (desk.settled, chat.settled, [followups, listing]),
        ):
            on("chat", event, handler, outputs, limit=None)
    return blocks


class Chat:
    """The handlers of one language's chat view; it holds nothing of those who use it."""

    def __init__(self, service: Service, texts: Texts) -> None:
        self.render = ChatRenderer(texts)
        self._service = service
        self._assistant = service.assistant
        self._texts = texts

    async def ask(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Any]:
        """Answer a question, step by step."""
        identity = asker(request)
        question, conversation_id = sent(event, "question"), sent(event, "conversation")
        async for parts in self.answering(identity, question, conversation_id):
            yield parts

    async def answering(
        self, identity: Identity, question: str, conversation_id: str
    ) -> AsyncIterator[tuple[Any, Any, str, Any]]:
        """Yield the thread, the question, its answer so far, and what to ask next."""
        turn = Turn(question)
        try:
            identity.require("ask")
            self._service.limits.count_question(identity)
            before = await anyio.to_thread.run_sync(self._thread, conversation_id, identity)
            yield before, self.render.asked(turn), self.render.reply(turn), ""
            async for event in relayed(
                lambda: self._service.metrics.watch(
                    self._assistant.stream(
                        question,
                        conversation_id=conversation_id or None,
                        principal=identity.principal,
                    )
                )
            ):
                turn.apply(event)
                found = self.render.asked(turn) if event.kind == "sources" else gr.skip()
                yield gr.skip(), found, self.render.reply(turn), gr.skip()
        except AssistantError as error:
            turn.fail(*explain(error, self._texts))
        except Exception:  # a defect; its place is the log, and the asker is not left waiting
            logger.exception("a question failed")
            turn.fail(*explain(ServerError(), self._texts))
        if turn.problem:
            yield gr.skip(), self.render.asked(turn), self.render.reply(turn), gr.skip()

    def open(self, event: gr.EventData, request: gr.Request) -> Any:
        """Show a conversation, or the beginning of a new one."""
        identity = self._counted(request)
        conversation_id = sent(event, "id")
        try:
            if conversation_id:
                thread = self._thread(conversation_id, identity)
            else:
                thread = self._welcome(identity.principal)
        except NotFoundError:
            thread = self.render.missing()
        except AssistantError as error:
            tell(error, self._texts)
        return thread, "", "", "", self._listing(identity, conversation_id)

    def find(self, event: gr.EventData, request: gr.Request) -> str:
        """List the conversations in which the words sought occur."""
        identity = self._counted(request)
        return self._listing(identity, sent(event, "id"), sent(event, "query"))

    def rename(self, event: gr.EventData, request: gr.Request) -> str:
        """Give a conversation another title."""
        identity = self._counted(request)
        title = sent(event, "title").strip()
        if title:
            self._do(
                lambda: self._assistant.rename_conversation(
                    sent(event, "id"), title, identity.principal
                )
            )
        return self._listing(identity, sent(event, "current"), sent(event, "query"))

    def delete(self, event: gr.EventData, request: gr.Request) -> Any:
        """Delete a conversation for good; the one on show makes room for a new one."""
        identity = self._counted(request)
        self._do(lambda: self._assistant.delete_conversation(sent(event, "id"), identity.principal))
        current = sent(event, "current")
        if current != sent(event, "id"):
            listing = self._listing(identity, current, sent(event, "query"))
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), listing
        listing = self._listing(identity, "", sent(event, "query"))
        return self._welcome(identity.principal), "", "", "", listing

    def verdict(self, event: gr.EventData, request: gr.Request) -> None:
        """Keep what the reader thinks of an answer."""
        identity = self._counted(request)
        verdict: Verdict = "up" if sent(event, "verdict") == "up" else "down"
        comment = sent(event, "comment")[:REASON_CHARS]
        self._do(
            lambda: self._assistant.feedback(
                sent(event, "answer"), verdict, comment, identity.principal
            )
        )
        self._service.metrics.verdict(verdict)

    def settled(self, event: gr.EventData, request: gr.Request) -> Any:
        """After an answer: what one might ask next, and the list with this conversation."""
        identity = self._counted(request)
        try:
            questions = self._assistant.suggestions(sent(event, "answer"), identity.principal)
        except NotFoundError:  # deleted meanwhile
            questions = []
        listing = self._listing(identity, sent(event, "id"), sent(event, "query"))
        return self.render.followups(questions), listing

    def _thread(self, conversation_id: str, identity: Identity) -> str:
        if not conversation_id:
            return ""
        return self.render.thread(self._assistant.conversation(conversation_id, identity.principal))

    def _welcome(self, principal: Principal) -> str:
        documents = self._assistant.documents(principal)
        return self.render.welcome(starters(documents, self._texts), len(documents))

    def _listing(self, identity: Identity, current: str, query: str = "") -> str:
        found = self._assistant.conversations(identity.principal, query)
        return self.render.listing(found, current, query)

    def _counted(self, request: gr.Request) -> Identity:
        """Return who asks, after counting the request."""
        identity = asker(request)

        def count() -> None:
            identity.require("ask")
            self._service.limits.count_request(identity)

        self._do(count)
        return identity

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except AssistantError as error:
            tell(error, self._texts)


def starters(documents: list[Document], texts: Texts) -> list[str]:
    """Return questions to begin with that the given documents answer."""
    names = {Path(document.source).stem for document in documents}
    prepared = [
        texts(key)
        for key in sorted(texts.keys())
        if key.startswith("chat.starter.") and key.rpartition(".")[2] in names
    ]
    latest = sorted(documents, key=lambda each: each.ingested_at, reverse=True)
    titles = dict.fromkeys(each.title for each in latest if each.language == texts.language)
    about = [texts("chat.starter_about", title=title) for title in titles]
    return (prepared or about)[:_STARTERS]
