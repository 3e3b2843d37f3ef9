"""Conversations: kept in SQLite with their citations, read and searched by their owner alone.

It asks no model and searches nothing; how a follow-up question is made complete is
told in `followup`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.errors import NotFoundError
from assistant.index.database import connect, make_folder, transaction, translated_errors
from assistant.text import fold
from assistant.types import (
    Answer,
    Citation,
    Conversation,
    Message,
    Principal,
    Reviewable,
    Verdict,
)

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
CREATE INDEX IF NOT EXISTS message_at ON messages (at);
CREATE TABLE IF NOT EXISTS feedback (
    answer_id TEXT NOT NULL, user_id TEXT NOT NULL, verdict TEXT NOT NULL,
    comment TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (answer_id, user_id)
);
"""

# Columns that files made by earlier versions lack; what was not noted then is NULL or empty.
_LATER_COLUMNS = {
    "engine": "TEXT NOT NULL DEFAULT ''",
    "confidence": "REAL",
    "timings": "TEXT NOT NULL DEFAULT '{}'",
    "topic": "TEXT NOT NULL DEFAULT ''",
}
_KEPT_TIMINGS = ("retrieve", "engine", "first_token", "whole")


@dataclass(frozen=True)
class Asked:
    """What is counted of one question; neither its words nor its asker are here.

    ``document_id`` is the first document cited, ``engine`` ``none`` where none wrote, and
    ``""`` where it was not noted, as ``topic`` is where none was sure.
    """

    at: datetime
    refused: bool
    verdict: str
    engine: str
    timings: dict[str, float]
    document_id: str
    topic: str = ""


class ConversationStore:
    """One SQLite file of conversations and feedback; safe to share between threads.

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
        with transaction(self._db, path) as db:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            known = {row["name"] for row in db.execute("PRAGMA table_info (messages)")}
            for name, kind in _LATER_COLUMNS.items():
                if name not in known:
                    db.execute(f"ALTER TABLE messages ADD COLUMN {name} {kind}")

    # -- reading ----------------------------------------------------------------------------

    def history(self, conversation_id: str, principal: Principal) -> tuple[Message, ...]:
        """Return the messages of a conversation, oldest first.

        What was asked with groups that the principal no longer holds is left out: the
        answer may quote what they may not read any more.
        """
        with self._open() as db:
            self._own(conversation_id, principal.user_id)
            rows = db.execute(
                "SELECT m.*, f.verdict FROM messages m LEFT JOIN feedback f "
                "ON f.answer_id = m.answer_id AND f.user_id = ? "
                "WHERE m.conversation_id = ? ORDER BY m.id",
                (principal.user_id, conversation_id),
            ).fetchall()
        return tuple(_message(row) for row in rows if _groups(row) <= principal.groups)

    def up_to(self, answer_id: str, principal: Principal) -> tuple[Message, ...]:
        """Return the history of a conversation up to an answer, which comes last."""
        with self._open():
            conversation_id = self._owner_of(answer_id, principal.user_id)
            messages = self.history(conversation_id, principal)
        end = next((i for i, m in enumerate(messages, 1) if m.answer_id == answer_id), 0)
        if not end:
            raise _no_answer(answer_id)
        return messages[:end]

    def list(self, principal: Principal, query: str = "") -> list[Conversation]:
        """Return the principal's conversations without their messages, latest first.

        With a ``query``, those alone in whose title, or messages that `history` shows, all of
        its words occur, in any case and in either Chinese script.
        """
        with self._open() as db:
            rows = db.execute(
                "SELECT * FROM conversations WHERE user_id = ? "
                "ORDER BY updated_at DESC, rowid DESC",
                (principal.user_id,),
            ).fetchall()
            words = fold(query).split()
            said = self._said(principal) if words else {}
        return [
            _conversation(row, ())
            for row in rows
            if all(word in fold(row["title"]) or word in said.get(row["id"], "") for word in words)
        ]

    def get(self, conversation_id: str, principal: Principal) -> Conversation:
        """Return a conversation with its messages."""
        with self._open():
            row = self._own(conversation_id, principal.user_id)
            return _conversation(row, self.history(conversation_id, principal))

    # -- writing ----------------------------------------------------------------------------

    def append(self, principal: Principal, question: str, answer: Answer) -> None:
        """Add a question and its answer; the first pair opens the conversation."""
        shared = {
            "conversation_id": answer.conversation_id,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "groups": json.dumps(sorted(principal.groups), ensure_ascii=False),
        }
        timings = {k: round(v, 4) for k, v in answer.timings.items() if k in _KEPT_TIMINGS}
        asked = {
            **shared,
            "role": "user",
            "text": question,
            "answer_id": "",
            "refused": False,
            "citations": "[]",
            "engine": "",
            "confidence": None,
            "timings": "{}",
            "topic": "",
        }
        answered = {
            **shared,
            "role": "assistant",
            "text": answer.text,
            "answer_id": answer.answer_id,
            "refused": answer.refused,
            "citations": json.dumps([asdict(c) for c in answer.citations], ensure_ascii=False),
            "engine": answer.engine,
            "confidence": answer.confidence,
            "timings": json.dumps(timings),
            "topic": answer.topic,
        }
        title = question.strip()[:TITLE_CHARS]
        with self._lock, transaction(self._db, self._path) as db:
            db.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at",
                (answer.conversation_id, principal.user_id, title, shared["at"]),
            )
            db.executemany(
                f"INSERT INTO messages ({', '.join(answered)}) "
                f"VALUES ({', '.join(f':{name}' for name in answered)})",
                [asked, answered],
            )

    def rename(self, conversation_id: str, user_id: str, title: str) -> None:
        """Give a conversation another title."""
        with self._open() as db:
            self._own(conversation_id, user_id)
            db.execute(
                "UPDATE conversations SET title = ? WHERE id = ?",
                (title.strip()[:TITLE_CHARS], conversation_id),
            )

    def delete(self, conversation_id: str, user_id: str) -> None:
        """Delete a conversation, its messages and what was said of its answers."""
        with self._lock, transaction(self._db, self._path) as db:
            self._own(conversation_id, user_id)
            db.execute(
                "DELETE FROM feedback WHERE answer_id IN "
                "(SELECT answer_id FROM messages WHERE conversation_id = ?)",
                (conversation_id,),
            )
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def delete_all(self, user_id: str) -> None:
        """Delete everything of a user: conversations, messages and what they said of answers."""
        with self._lock, transaction(self._db, self._path) as db:
            db.execute("DELETE FROM feedback WHERE user_id = ?", (user_id,))
            db.execute("DELETE FROM conversations WHERE user_id = ?", (user_id,))

    def feedback(self, answer_id: str, user_id: str, verdict: Verdict, comment: str) -> None:
        """Keep a user's verdict on an answer given to them; a later one replaces it."""
        with self._open() as db:
            self._owner_of(answer_id, user_id)
            db.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?)",
                (answer_id, user_id, verdict, comment, datetime.now(UTC).isoformat()),
            )

    # -- for whoever runs the assistant -----------------------------------------------------

    def to_review(
        self, groups: Set[str] | None = None, limit: int | None = None
    ) -> tuple[Reviewable, ...]:
        """Return the refused and the disliked answers of all users, latest first.

        With ``groups``, only what was asked with none but these, its history included.
        """
        found: list[Reviewable] = []
        with self._open() as db:
            rows = db.execute(
                "SELECT m.*, f.verdict, f.comment FROM messages m "
                "LEFT JOIN feedback f USING (answer_id) "
                "WHERE m.role = 'assistant' AND (m.refused OR f.verdict = 'down') "
                "ORDER BY m.id DESC"
            )
            for row in rows:
                if len(found) == limit:
                    break
                if groups is None or _groups(row) <= groups:
                    found.append(_reviewable(row, self._questions_before(row, groups)))
        return tuple(found)

    def asked_since(self, moment: datetime) -> tuple[Asked, ...]:
        """Return every question since a moment, greetings left out, oldest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT m.at, m.refused, m.engine, m.timings, m.topic, f.verdict, "
                "json_extract(m.citations, '$[0].document_id') AS document_id "
                "FROM messages m LEFT JOIN feedback f USING (answer_id) "
                "WHERE m.role = 'assistant' AND m.at >= ? "
                "AND (m.refused OR m.engine != 'none') ORDER BY m.id",
                (moment.astimezone(UTC).isoformat(timespec="seconds"),),
            ).fetchall()
        return tuple(
            Asked(
                at=datetime.fromisoformat(row["at"]),
                refused=bool(row["refused"]),
                verdict=row["verdict"] or "",
                engine=row["engine"],
                timings=json.loads(row["timings"]),
                document_id=row["document_id"] or "",
                topic=row["topic"],
            )
            for row in rows
        )

    def questions_since(self, moment: datetime) -> tuple[tuple[str, float], ...]:
        """Return the first question of each conversation and the evidence gate's confidence in it.

        Oldest first; nobody is named. Follow-ups lean on what went before and are left out, as
        greetings are.
        """
        with self._open() as db:
            rows = db.execute(
                "SELECT q.text, a.confidence FROM messages a JOIN messages q ON q.id = "
                "(SELECT min(id) FROM messages WHERE conversation_id = a.conversation_id) "
                "WHERE a.role = 'assistant' AND a.at >= ? AND a.confidence IS NOT NULL "
                "AND (a.refused OR a.engine != 'none') AND a.id = "
                "(SELECT min(id) FROM messages WHERE conversation_id = a.conversation_id "
                "AND role = 'assistant') ORDER BY a.id",
                (moment.astimezone(UTC).isoformat(timespec="seconds"),),
            ).fetchall()
        return tuple((row["text"], float(row["confidence"])) for row in rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # -- inside -----------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated_errors(self._path):
            yield self._db

    def _questions_before(self, answer: Any, groups: Set[str] | None) -> tuple[str, ...]:
        """Return the question of an answer, after the last few questions before it."""
        rows = self._db.execute(
            "SELECT text, groups FROM messages WHERE conversation_id = ? AND role = 'user' "
            "AND id < ? ORDER BY id DESC LIMIT ?",
            (answer["conversation_id"], answer["id"], 1 + _REVIEWED_HISTORY),
        ).fetchall()
        return tuple(
            row["text"] for row in reversed(rows) if groups is None or _groups(row) <= groups
        )

    def _said(self, principal: Principal) -> dict[str, str]:
        """Return the folded words of each of the principal's conversations."""
        said: dict[str, str] = {}
        rows = self._db.execute(
            "SELECT m.conversation_id, m.text, m.groups FROM messages m "
            "JOIN conversations c ON c.id = m.conversation_id WHERE c.user_id = ?",
            (principal.user_id,),
        )
        for row in rows:
            if _groups(row) <= principal.groups:
                earlier = said.get(row["conversation_id"], "")
                said[row["conversation_id"]] = f"{earlier}\n{fold(row['text'])}"
        return said

    def _owner_of(self, answer_id: str, user_id: str) -> str:
        """Return the conversation of an answer given to a user."""
        row = self._db.execute(
            "SELECT m.conversation_id FROM messages m JOIN conversations c "
            "ON c.id = m.conversation_id WHERE m.answer_id = ? AND c.user_id = ?",
            (answer_id, user_id),
        ).fetchone()
        if not answer_id or row is None:
            raise _no_answer(answer_id)
        return str(row["conversation_id"])

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


def _no_answer(answer_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no answer {answer_id!r} of yours. Use the answer_id of an Answer."
    )


def _groups(row: Any) -> set[str]:
    """Return the groups with which a message was asked."""
    return set(json.loads(row["groups"]))


def _reviewable(row: Any, questions: tuple[str, ...]) -> Reviewable:
    return Reviewable(
        question=questions[-1],
        history=questions[:-1],
        groups=tuple(json.loads(row["groups"])),
        answer=row["text"],
        refused=bool(row["refused"]),
        verdict=row["verdict"] or "",
        comment=row["comment"] or "",
        at=datetime.fromisoformat(row["at"]),
    )


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
        verdict=row["verdict"],
    )


def _conversation(row: Any, messages: tuple[Message, ...]) -> Conversation:
    return Conversation(
        id=row["id"],
        user_id=row["user_id"],
        title=row["title"],
        updated_at=datetime.fromisoformat(row["updated_at"]),
        messages=messages,
    )
