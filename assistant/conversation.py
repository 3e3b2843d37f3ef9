"""Conversations: kept in SQLite with their citations, read by their owner alone, exported.

Also the deterministic way of making a follow-up question complete. It asks no model
and searches nothing.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.errors import NotFoundError
from assistant.index.database import connect, make_folder, transaction, translated_errors
from assistant.text import detect_language
from assistant.types import Answer, Citation, Conversation, Message, Principal, Verdict

CONVERSATIONS_FILE = "conversations.sqlite"
TITLE_CHARS = 60
_REVIEWED_HISTORY = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, title TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL,
    answer_id TEXT NOT NULL, refused INTEGER NOT NULL, citations TEXT NOT NULL,
    groups TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_conversation ON messages (conversation_id);
CREATE INDEX IF NOT EXISTS message_answer ON messages (answer_id);
CREATE TABLE IF NOT EXISTS feedback (
    answer_id TEXT NOT NULL, user_id TEXT NOT NULL, verdict TEXT NOT NULL,
    comment TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (answer_id, user_id)
);
"""

# Words that point back into the conversation, and openings that leave the subject out.
_POINTS_BACK = re.compile(
    r"(?<!其)它|他们|她|这个|那个|这些|那些|这种|那种|其中|上面|上述|刚才|前者|后者|前面|同样|继续|展开|详细说"
    r"|\b(?:it|its|they|them|their|this|these|those|he|she|his|her|former|latter|above)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(
    r"^(?:那|那么|还有|另外|以及|为什么|怎么做|好的|是的|对|嗯)|呢[？?]?$"
    r"|^(?:and|but|so|then|what about|how about|why|why not|more|go on|yes|ok|okay)\b",
    re.IGNORECASE,
)
_SHORT = {"zh": 5, "en": 10}
_LONG = 80


def needs_context(question: str) -> bool:
    """Tell whether a question cannot be understood without the conversation before it."""
    if len(question) > _LONG:
        return False
    if _ELLIPSIS.search(question) or len(question) <= _SHORT[detect_language(question)]:
        return True
    return bool(_POINTS_BACK.search(question))


def complete(question: str, history: Sequence[Message]) -> str:
    """Return the question with the user's last complete question before it, if it needs one."""
    asked = [message.text for message in history if message.role == "user"]
    if not asked or not needs_context(question):
        return question
    standing = next((q for q in reversed(asked) if not needs_context(q)), asked[0])
    return f"{standing} {question}"


@dataclass(frozen=True)
class Reviewable:
    """An answer worth a second look: it was refused, or its reader disliked it.

    ``history`` holds the user's questions before it in the conversation, ``groups`` the
    asker's; who asked is left out. ``verdict`` is ``""`` where nobody gave one.
    """

    question: str
    history: tuple[str, ...]
    groups: tuple[str, ...]
    answer: str
    refused: bool
    verdict: str
    comment: str
    at: datetime


class ConversationStore:
    """One SQLite file of conversations and feedback.

    Raises:
        NotFoundError: the conversation or answer does not exist, or is somebody else's;
            the two are not told apart.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / CONVERSATIONS_FILE
        make_folder(data_dir)
        self._lock = threading.RLock()
        self._path = path
        with translated_errors(path):
            self._db = connect(path)
            self._db.executescript(_SCHEMA)

    def history(self, conversation_id: str, principal: Principal) -> tuple[Message, ...]:
        """Return the messages of a conversation, oldest first.

        What was asked with groups that the principal no longer holds is left out: the
        answer may quote what they may not read any more.
        """
        with self._lock:
            self._own(conversation_id, principal.user_id)
            rows = self._db.execute(
                "SELECT * FROM messages WHERE conversation_id = ? ORDER BY id", (conversation_id,)
            ).fetchall()
        return tuple(
            _message(row) for row in rows if set(json.loads(row["groups"])) <= principal.groups
        )

    def append(self, principal: Principal, question: str, answer: Answer) -> None:
        """Add a question and its answer; the first pair opens the conversation."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        cited = json.dumps([asdict(c) for c in answer.citations], ensure_ascii=False)
        groups = json.dumps(sorted(principal.groups), ensure_ascii=False)
        exchange = [
            (answer.conversation_id, "user", question, now, "", 0, "[]", groups),
            (
                answer.conversation_id,
                "assistant",
                answer.text,
                now,
                answer.answer_id,
                answer.refused,
                cited,
                groups,
            ),
        ]
        with self._lock, transaction(self._db, self._path) as db:
            db.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
                (answer.conversation_id, principal.user_id, question.strip()[:TITLE_CHARS], now),
            )
            db.executemany("INSERT INTO messages VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", exchange)

    def list(self, user_id: str) -> list[Conversation]:
        """Return a user's conversations without their messages, latest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM conversations WHERE user_id = ? "
                "ORDER BY updated_at DESC, rowid DESC",
                (user_id,),
            ).fetchall()
        return [_conversation(row, ()) for row in rows]

    def get(self, conversation_id: str, principal: Principal) -> Conversation:
        """Return a conversation with its messages."""
        with self._lock:
            row = self._own(conversation_id, principal.user_id)
            return _conversation(row, self.history(conversation_id, principal))

    def rename(self, conversation_id: str, user_id: str, title: str) -> None:
        """Give a conversation another title."""
        with self._lock, translated_errors(self._path):
            self._own(conversation_id, user_id)
            self._db.execute(
                "UPDATE conversations SET title = ? WHERE id = ?",
                (title.strip()[:TITLE_CHARS], conversation_id),
            )

    def delete(self, conversation_id: str, user_id: str) -> None:
        """Delete a conversation and its messages."""
        with self._lock, translated_errors(self._path):
            self._own(conversation_id, user_id)
            self._db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def feedback(self, answer_id: str, user_id: str, verdict: Verdict, comment: str) -> None:
        """Keep a user's verdict on an answer given to them; a later one replaces it."""
        with self._lock, translated_errors(self._path):
            row = self._db.execute(
                "SELECT c.user_id FROM messages m JOIN conversations c ON c.id = m.conversation_id "
                "WHERE m.answer_id = ?",
                (answer_id,),
            ).fetchone()
            if not answer_id or row is None or row["user_id"] != user_id:
                raise NotFoundError(
                    f"There is no answer {answer_id!r} of yours. Use the answer_id of an Answer."
                )
            self._db.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?)",
                (answer_id, user_id, verdict, comment, datetime.now(UTC).isoformat()),
            )

    def to_review(self) -> tuple[Reviewable, ...]:
        """Return the refused and the disliked answers of all users, oldest first.

        For whoever runs the assistant; no surface offers it to those who ask.
        """
        with self._lock:
            rows = self._db.execute(
                "SELECT m.*, f.verdict, f.comment FROM messages m "
                "LEFT JOIN feedback f USING (answer_id) "
                "WHERE m.role = 'assistant' AND (m.refused OR f.verdict = 'down') ORDER BY m.id"
            ).fetchall()
            asked = [self._questions_before(row) for row in rows]
        return tuple(
            Reviewable(
                question=questions[-1],
                history=questions[:-1],
                groups=tuple(json.loads(row["groups"])),
                answer=row["text"],
                refused=bool(row["refused"]),
                verdict=row["verdict"] or "",
                comment=row["comment"] or "",
                at=datetime.fromisoformat(row["at"]),
            )
            for row, questions in zip(rows, asked, strict=True)
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _questions_before(self, answer: Any) -> tuple[str, ...]:
        """Return the question of an answer, after the last few questions before it."""
        rows = self._db.execute(
            "SELECT text FROM messages WHERE conversation_id = ? AND role = 'user' AND id < ? "
            "ORDER BY id DESC LIMIT ?",
            (answer["conversation_id"], answer["id"], 1 + _REVIEWED_HISTORY),
        ).fetchall()
        return tuple(row["text"] for row in reversed(rows))

    def _own(self, conversation_id: str, user_id: str) -> Any:
        row = self._db.execute(
            "SELECT * FROM conversations WHERE id = ? AND user_id = ?", (conversation_id, user_id)
        ).fetchone()
        if row is None:
            raise NotFoundError(
                f"There is no conversation {conversation_id!r} of yours. "
                "`assistant conversations` lists them; leave the id out to begin a new one."
            )
        return row


def new_id() -> str:
    """Return a fresh id for a conversation or an answer; it cannot be guessed."""
    return uuid.uuid4().hex


def export_markdown(conversation: Conversation) -> str:
    """Return a conversation as Markdown, each answer followed by its sources."""
    chinese = detect_language(conversation.title) == "zh"
    names = (
        {"user": "提问", "assistant": "回答"}
        if chinese
        else {"user": "Question", "assistant": "Answer"}
    )
    lines = [f"# {conversation.title}", ""]
    for message in conversation.messages:
        lines += [f"## {names[message.role]} · {message.at:%Y-%m-%d %H:%M}", "", message.text, ""]
        for citation in message.citations:
            lines.append(f"- [{citation.marker}] {place(citation)}")
            lines.append(f"  > {' '.join(citation.quote.split())}")
        if message.citations:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def export_json(conversation: Conversation) -> str:
    """Return a conversation as JSON, all fields included."""
    return json.dumps(asdict(conversation), ensure_ascii=False, indent=2, default=str)


def place(citation: Citation) -> str:
    """Return where a citation points, for a person: title, headings, page, and file."""
    chinese = detect_language(citation.title) == "zh"
    title = f"《{citation.title}》" if chinese else citation.title
    path = " > ".join(part for part in citation.heading if part != citation.title)
    units = (
        {"page": "第{}页", "slide": "第{}张幻灯片", "row": "第{}行"}
        if chinese
        else {"page": "p. {}", "slide": "slide {}", "row": "row {}"}
    )
    page = units[citation.page_unit].format(citation.page) if citation.page else ""
    return " · ".join(part for part in (title, path, page, citation.source) if part)


def _message(row: Any) -> Message:
    cited = [
        Citation(**{**c, "heading": tuple(c["heading"])}) for c in json.loads(row["citations"])
    ]
    return Message(
        role=row["role"],
        text=row["text"],
        at=datetime.fromisoformat(row["at"]),
        answer_id=row["answer_id"],
        citations=tuple(cited),
        refused=bool(row["refused"]),
    )


def _conversation(row: Any, messages: tuple[Message, ...]) -> Conversation:
    return Conversation(
        id=row["id"],
        user_id=row["user_id"],
        title=row["title"],
        updated_at=datetime.fromisoformat(row["updated_at"]),
        messages=messages,
    )
