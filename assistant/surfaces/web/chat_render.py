"""The chat view as HTML: each function returns one part of it, for one language.

Templates escape whatever comes from documents, models and people; marks become links only
to this server's own pages. It asks nothing and knows no Gradio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from assistant.conversation import TITLE_CHARS
from assistant.export import place as full_place
from assistant.surfaces.web.chat_turn import Turn
from assistant.surfaces.web.templating import macros
from assistant.surfaces.web.wording import Texts, lang
from assistant.text import detect_language
from assistant.types import Answer, Chunk, Citation, Conversation, Verdict

REASON_CHARS = 1000
SHOWN_CONVERSATIONS = 100
_INLINE = re.compile(r"\s?\[(?P<mark>\d{1,3})\]|\*\*(?P<strong>[^*\n]+)\*\*")
_LIST_SIGN = re.compile(r"^\s*[-*•]\s+")

Part = tuple[Literal["mark", "strong", "text"], Any]
Block = tuple[Literal["list", "text"], list[list[Part]]]


@dataclass(frozen=True)
class Said:
    """One question of a conversation and its answer."""

    question: str
    text: str
    answer_id: str
    citations: tuple[Citation, ...]
    refused: bool
    conversation_id: str
    verdict: Verdict | None = None
    notice: str = ""

    @property
    def cited(self) -> dict[int, Citation]:
        """The citations by their mark."""
        return {each.marker: each for each in self.citations}


class ChatRenderer:
    """Renders the parts of the chat view in one language."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._parts = macros(
            "chat",
            t=texts,
            blocks=blocks,
            markdown=markdown,
            place=lambda found, title="": _place(found, title or found.title, texts),
            language_of=lambda text: lang(detect_language(text)),
            reason_limit=REASON_CHARS,
        )

    def thread(self, conversation: Conversation) -> str:
        """Return a conversation with all its answers."""
        return str(
            self._parts.thread(conversation.id, conversation.title, list(paired(conversation)))
        )

    def welcome(self, starters: Sequence[str], documents: int) -> str:
        """Return what stands where no conversation is."""
        return str(self._parts.welcome(starters, documents))

    def missing(self) -> str:
        """Return what stands where a conversation is gone, or was never the reader's."""
        return str(self._parts.missing(self._texts("chat.missing")))

    def asked(self, turn: Turn) -> str:
        """Return the question under way, and the documents found for it."""
        return str(self._parts.asked(turn))

    def reply(self, turn: Turn) -> str:
        """Return the answer under way, whole, or what kept it from being given."""
        if turn.problem:
            return str(self._parts.failed(turn))
        if turn.answer is None:
            progress = self._texts(f"chat.state_{turn.state}", ahead=turn.ahead)
            return str(self._parts.live(turn, progress))
        return str(self._parts.answer(_said(turn.question, turn.answer), True))

    def followups(self, questions: Sequence[str]) -> str:
        """Return questions to go on with, as buttons."""
        return str(self._parts.followups(questions))

    def listing(self, conversations: Sequence[Conversation], current: str, query: str = "") -> str:
        """Return the list of conversations by age."""
        shown = conversations[:SHOWN_CONVERSATIONS]
        more = len(conversations) - len(shown)
        return str(self._parts.listing(list(_by_age(shown)), current, query, more))

    def part(self, name: str, *values: object) -> str:
        """Return a part that never changes: ``side``, ``bar`` or ``desk``."""
        return str(getattr(self._parts, name)(*values))

    def desk(self, question_limit: int, words: str) -> str:
        """Return the box to write in and the dialogs."""
        return self.part("desk", question_limit, TITLE_CHARS, words)


def paired(conversation: Conversation) -> Iterator[Said]:
    """Yield the questions of a conversation, each with its answer."""
    messages = conversation.messages
    for asked, answered in zip(
        islice(messages, 0, None, 2), islice(messages, 1, None, 2), strict=True
    ):
        yield Said(
            asked.text,
            answered.text,
            answered.answer_id,
            answered.citations,
            answered.refused,
            conversation.id,
            answered.verdict,
        )


def blocks(text: str) -> list[Block]:
    """Return a text as paragraphs and lists, their lines split into text, marks and bold."""
    found: list[Block] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        is_item = _LIST_SIGN.match(line)
        kind: Literal["list", "text"] = "list" if is_item else "text"
        parts = _parts(line[is_item.end() :] if is_item else line.strip())
        if kind == "list" and found and found[-1][0] == "list":
            found[-1][1].append(parts)
        else:
            found.append((kind, [parts]))
    return found


def markdown(text: str, citations: Sequence[Citation]) -> str:
    """Return an answer with its sources, to be pasted elsewhere."""
    sources = "\n".join(f"[{each.marker}] {full_place(each)}" for each in citations)
    return f"{text}\n\n{sources}" if sources else text


def _said(question: str, answer: Answer) -> Said:
    return Said(
        question,
        answer.text,
        answer.answer_id,
        answer.citations,
        answer.refused,
        answer.conversation_id,
        notice=answer.notice,
    )


def _parts(line: str) -> list[Part]:
    parts: list[Part] = []
    end = 0
    for match in _INLINE.finditer(line):
        if match.start() > end:
            parts.append(("text", line[end : match.start()]))
        mark, strong = match["mark"], match["strong"]
        parts.append(("mark", int(mark)) if mark else ("strong", strong))
        end = match.end()
    if line[end:]:
        parts.append(("text", line[end:]))
    return parts


def _place(found: Chunk | Citation, title: str, texts: Texts) -> str:
    """Return where in its document a passage stands: the last headings, and the page."""
    path = [part for part in found.heading if part != title][-2:]
    page = texts(f"chat.{found.page_unit}", number=found.page) if found.page else ""
    return " · ".join(part for part in (*path, page) if part)


def _by_age(conversations: Sequence[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    today = datetime.now(UTC).astimezone().date()
    groups: dict[str, list[Conversation]] = {}
    for each in conversations:
        days = today - each.updated_at.astimezone().date()
        name = "today" if days < timedelta(1) else "week" if days < timedelta(7) else "earlier"
        groups.setdefault(name, []).append(each)
    yield from groups.items()
