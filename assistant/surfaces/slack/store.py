"""`slack.sqlite`: events seen, questions under way, threads' conversations, answers given.

A question's text is kept only until the question is answered. Nothing here talks to Slack.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from assistant.errors import StoreLockedError
from assistant.index.database import connect, make_folder, transaction, translated_errors
from assistant.types import Principal

SLACK_FILE = "slack.sqlite"
SEEN_FOR_S = 3 * 24 * 3600.0
KNOWN_FOR_S = 180 * 24 * 3600.0
_PURGE_EVERY_S = 3600.0

Kind = Literal["channel", "direct", "private"]
State = Literal["waiting", "answering", "delivering"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
    thread_ts TEXT NOT NULL, user TEXT NOT NULL, team TEXT NOT NULL, text TEXT NOT NULL,
    response_url TEXT NOT NULL, addressed INTEGER NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', reply_ts TEXT NOT NULL DEFAULT '',
    streaming INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS threads (
    channel TEXT NOT NULL, thread_ts TEXT NOT NULL, conversation_id TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (channel, thread_ts)
);
CREATE TABLE IF NOT EXISTS answers (
    answer_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, user_id TEXT NOT NULL,
    groups TEXT NOT NULL, slack_user TEXT NOT NULL, channel TEXT NOT NULL,
    thread_ts TEXT NOT NULL, reply_ts TEXT NOT NULL, private INTEGER NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS answer_thread ON answers (channel, thread_ts, at);
"""


@dataclass(frozen=True)
class Question:
    """A question on its way.

    ``kind``: ``channel`` is answered before everybody, ``direct`` in a direct message,
    ``private`` ephemerally. ``ts`` names the message, ``thread_ts`` the thread it belongs to
    (its own ``ts`` when it begins one; both empty when private). ``addressed`` is false for a
    follow-up that mentions nobody. ``reply_ts`` is the message that holds or will hold the answer,
    ``streaming`` while it is an open stream.
    """

    kind: Kind
    channel: str
    user: str
    text: str
    ts: str = ""
    thread_ts: str = ""
    team: str = ""
    response_url: str = ""
    addressed: bool = True
    at: float = 0.0
    id: int = 0
    state: State = "waiting"
    reply_ts: str = ""
    streaming: bool = False
    attempts: int = 0


@dataclass(frozen=True)
class Given:
    """An answer that stands in Slack: for whom it was drawn, and where."""

    answer_id: str
    conversation_id: str
    principal: Principal
    slack_user: str
    channel: str
    thread_ts: str
    reply_ts: str
    private: bool


class SlackStore:
    """The bot's memory; one process at a time, any number of threads.

    Raises:
        StoreLockedError: another bot runs on this data directory.
    """

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
        make_folder(data_dir)
        self._path = data_dir / SLACK_FILE
        self._clock = clock
        self._lock = threading.RLock()
        self._owner = FileLock(data_dir / "slack.lock")
        try:
            self._owner.acquire(timeout=0)
        except Timeout:
            raise StoreLockedError(
                f"Another Slack bot runs on {data_dir}. Stop it first; two would answer twice."
            ) from None
        try:
            with translated_errors(self._path):
                self._db = connect(self._path)
                self._db.executescript(_SCHEMA)
        except BaseException:
            self._owner.release()
            raise
        self._purged = 0.0

    # -- what was seen ----------------------------------------------------------------------

    def first_time(self, *keys: str) -> bool:
        """Note keys; False when any of them was seen before."""
        with self._lock, transaction(self._db, self._path):
            return self._note(keys)

    def take(self, question: Question, *keys: str) -> Question | None:
        """Note keys and write the question down, in one transaction; None when seen before."""
        with self._lock, transaction(self._db, self._path) as db:
            if not self._note(keys):
                return None
            row = db.execute(
                "INSERT INTO questions (kind, channel, ts, thread_ts, user, team, text, "
                "response_url, addressed, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (
                    question.kind,
                    question.channel,
                    question.ts,
                    question.thread_ts,
                    question.user,
                    question.team,
                    question.text,
                    question.response_url,
                    question.addressed,
                    self._clock(),
                ),
            ).fetchone()
            return _question(row)

    def _note(self, keys: tuple[str, ...]) -> bool:
        now = self._clock()
        self._purge(now)
        fresh = [
            self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, now)).rowcount
            for key in keys
        ]
        return all(fresh)

    def _purge(self, now: float) -> None:
        if now - self._purged < _PURGE_EVERY_S:
            return
        self._purged = now
        self._db.execute("DELETE FROM seen WHERE at < ?", (now - SEEN_FOR_S,))
        self._db.execute("DELETE FROM answers WHERE at < ?", (now - KNOWN_FOR_S,))
        self._db.execute("DELETE FROM threads WHERE at < ?", (now - KNOWN_FOR_S,))

    # -- questions on their way -------------------------------------------------------------

    def unfinished(self) -> list[Question]:
        """Return the questions that have no answer yet, oldest first."""
        return [_question(row) for row in self._rows("SELECT * FROM questions ORDER BY id")]

    def question(self, question_id: int) -> Question | None:
        """Return a question that has no answer yet."""
        rows = self._rows("SELECT * FROM questions WHERE id = ?", question_id)
        return _question(rows[0]) if rows else None

    def asked(self, channel: str, ts: str) -> Question | None:
        """Return the question that a message put, while it has no answer yet."""
        rows = self._rows("SELECT * FROM questions WHERE channel = ? AND ts = ?", channel, ts)
        return _question(rows[0]) if rows else None

    def reword(self, question_id: int, text: str) -> None:
        """Give a question another text."""
        self._run("UPDATE questions SET text = ? WHERE id = ?", text, question_id)

    def begin(self, question_id: int) -> None:
        """Count another attempt at an answer."""
        self._run(
            "UPDATE questions SET state = 'answering', attempts = attempts + 1 WHERE id = ?",
            question_id,
        )

    def deliver(self, question_id: int) -> None:
        """Note that the answer is being handed over, where that cannot be checked afterwards."""
        self._run("UPDATE questions SET state = 'delivering' WHERE id = ?", question_id)

    def reply_at(self, question_id: int, reply_ts: str, *, streaming: bool = False) -> None:
        """Note the message that will hold the answer, and whether it is an open stream."""
        self._run(
            "UPDATE questions SET reply_ts = ?, streaming = ? WHERE id = ?",
            reply_ts,
            streaming,
            question_id,
        )

    def finish(self, question_id: int) -> None:
        """Forget a question: it is answered, or is not to be."""
        with self._lock, transaction(self._db, self._path) as db:
            gone = db.execute(
                "DELETE FROM questions WHERE id = ? RETURNING channel, reply_ts", (question_id,)
            ).fetchone()
            if gone and gone["reply_ts"]:
                self._note((_reply_key(gone["channel"], gone["reply_ts"]),))

    def note_reply(self, channel: str, ts: str) -> None:
        """Note a message of the bot that holds no answer to be completed."""
        self.first_time(_reply_key(channel, ts))

    def knows_reply(self, channel: str, ts: str) -> bool:
        """Tell whether a message of the bot is one that it knows of."""
        query = (
            "SELECT 1 FROM seen WHERE key = ? UNION ALL "
            "SELECT 1 FROM questions WHERE channel = ? AND reply_ts = ?"
        )
        return bool(self._rows(query, _reply_key(channel, ts), channel, ts))

    # -- threads and answers ----------------------------------------------------------------

    def join(self, channel: str, thread_ts: str) -> None:
        """Note that the bot is in a thread."""
        self._run(
            "INSERT OR IGNORE INTO threads VALUES (?, ?, '', ?)", channel, thread_ts, self._clock()
        )

    def conversation(self, channel: str, thread_ts: str) -> str | None:
        """Return a thread's conversation, ``""`` before its first answer, None if not in it."""
        rows = self._rows(
            "SELECT conversation_id FROM threads WHERE channel = ? AND thread_ts = ?",
            channel,
            thread_ts,
        )
        return str(rows[0]["conversation_id"]) if rows else None

    def converse(self, channel: str, thread_ts: str, conversation_id: str) -> None:
        """Note a thread's conversation."""
        self._run(
            "INSERT OR REPLACE INTO threads VALUES (?, ?, ?, ?)",
            channel,
            thread_ts,
            conversation_id,
            self._clock(),
        )

    def give(self, given: Given) -> None:
        """Note an answer."""
        self._run(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            given.answer_id,
            given.conversation_id,
            given.principal.user_id,
            json.dumps(sorted(given.principal.groups), ensure_ascii=False),
            given.slack_user,
            given.channel,
            given.thread_ts,
            given.reply_ts,
            given.private,
            self._clock(),
        )

    def given(self, answer_id: str) -> Given | None:
        """Return an answer that the bot gave."""
        rows = self._rows("SELECT * FROM answers WHERE answer_id = ?", answer_id)
        return _given(rows[0]) if rows else None

    def answers_since(self, channel: str, thread_ts: str, seconds: float) -> int:
        """Count the answers given in a thread in the last seconds."""
        rows = self._rows(
            "SELECT count(*) AS n FROM answers WHERE channel = ? AND thread_ts = ? AND at > ?",
            channel,
            thread_ts,
            self._clock() - seconds,
        )
        return int(rows[0]["n"])

    def close(self) -> None:
        """Close the file and let another bot have it."""
        with self._lock:
            self._db.close()
            self._owner.release()

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, translated_errors(self._path):
            return self._db.execute(query, values).fetchall()

    def _run(self, statement: str, *values: Any) -> None:
        with self._lock, translated_errors(self._path):
            self._db.execute(statement, values)


def _reply_key(channel: str, ts: str) -> str:
    return f"reply:{channel}:{ts}"


def _question(row: sqlite3.Row) -> Question:
    flags = {name: bool(row[name]) for name in ("addressed", "streaming")}
    return Question(**dict(row) | flags)


def _given(row: sqlite3.Row) -> Given:
    return Given(
        answer_id=row["answer_id"],
        conversation_id=row["conversation_id"],
        principal=Principal(row["user_id"], json.loads(row["groups"])),
        slack_user=row["slack_user"],
        channel=row["channel"],
        thread_ts=row["thread_ts"],
        reply_ts=row["reply_ts"],
        private=bool(row["private"]),
    )
