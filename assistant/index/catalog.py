"""The SQLite catalogue: documents, their versions, chunks, vectors and full text. The truth.

This module writes; what is read is in `reading`. It knows nothing of Chroma, models or
files; `store` keeps the two in step.

A version is written (`writing`), made `visible` in the same transaction that makes
its predecessor `retired`, and retired versions are purged last. The full-text rows
of a version come and go with its visibility.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assistant.errors import StoreError
from assistant.index.database import make_folder, marks, transaction, translated_errors
from assistant.index.reading import Reader, rowid_range
from assistant.index.records import SCHEMA, SCHEMA_VERSION, Draft, Written
from assistant.ingest.chunk import indexed_text
from assistant.text import terms
from assistant.types import Quarantined

TERMS_VERSION = 1


class Catalog(Reader):
    """One SQLite file in WAL mode; safe for many reading threads and one writing at a time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        make_folder(path.parent)
        with translated_errors(path), self._transaction() as db:
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                self._set_meta(db, "schema", str(SCHEMA_VERSION))
                self._set_meta(db, "namespace", uuid.uuid4().hex[:12])
        self._inode = path.stat().st_ino
        if self.meta("schema") != str(SCHEMA_VERSION):
            raise StoreError(
                f"{path} has schema {self.meta('schema')}, this version reads {SCHEMA_VERSION}. "
                "Use the assistant's version that made it, or another data directory."
            )

    # -- meta -------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Tell whether the file opened still is the one at its path, or was replaced."""
        return self.path.stat().st_ino == self._inode

    def set_meta(self, key: str, value: str) -> None:
        """Store a value."""
        with self._transaction() as db:
            self._set_meta(db, key, value)

    # -- writing ----------------------------------------------------------------------------

    def write(self, drafts: Sequence[Draft]) -> list[Written]:
        """Write new versions, not yet visible."""
        with self._transaction() as db:
            return [self._write(db, draft) for draft in drafts]

    def publish(self, written: Sequence[int], retire: Sequence[str] = ()) -> None:
        """Make versions visible, and their predecessors and ``retire``d documents invisible."""
        with self._transaction() as db:
            new = db.execute(
                f"SELECT id, document_id FROM versions WHERE id IN {marks(written)}",
                tuple(written),
            ).fetchall()
            for document_id in [row["document_id"] for row in new] + list(retire):
                self._retire(db, document_id)
            for row in new:
                db.execute("UPDATE versions SET state = 'visible' WHERE id = ?", (row["id"],))
                self._index(db, row["id"])

    def set_quarantine(self, path: str, entry: Quarantined | None) -> None:
        """Note why a path was not taken in; None: it was, or it is gone."""
        with self._transaction() as db:
            db.execute("DELETE FROM quarantine WHERE path = ?", (path,))
            if entry:
                row = (path, entry.source, entry.reason)
                db.execute("INSERT INTO quarantine VALUES (?, ?, ?)", row)

    def leftovers(self) -> list[Written]:
        """Return the versions that no reader sees: half written ones and retired ones."""
        rows = self._db.execute(
            "SELECT v.id, v.audience_id, group_concat(c.uid) AS uids FROM versions v "
            "LEFT JOIN chunks c ON c.version_id = v.id WHERE v.state != 'visible' GROUP BY v.id"
        )
        return [
            Written(row["id"], row["audience_id"], tuple((row["uids"] or "").split(",")))
            for row in rows
        ]

    def purge(self, versions: Sequence[int]) -> None:
        """Delete versions for good."""
        with self._transaction() as db:
            db.execute(f"DELETE FROM versions WHERE id IN {marks(versions)}", tuple(versions))

    def flush(self) -> None:
        """Move everything from the write-ahead log into the file itself.

        Raises:
            StoreError: readers kept the log in use.
        """
        busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self.path} is being read without a pause. Repeat in a moment.")

    # -- inside -----------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._db, self.path) as db:
            yield db

    @staticmethod
    def _set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _write(self, db: sqlite3.Connection, draft: Draft) -> Written:
        audience = self._audience(db, draft.groups)
        last = db.execute(
            "SELECT max(version) FROM versions WHERE document_id = ?", (draft.document_id,)
        ).fetchone()[0]
        number = draft.version or (last or 0) + 1
        version = db.execute(
            "INSERT INTO versions VALUES (NULL, ?, ?, 'writing', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                draft.document_id,
                number,
                draft.title,
                draft.source,
                draft.path,
                draft.language,
                audience,
                draft.provenance,
                draft.content_hash,
                draft.signature,
                draft.blocks,
                len(draft.passages),
                draft.ingested_at or datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        ).lastrowid
        assert version is not None
        uids = tuple(f"{draft.document_id}.{number}.{i}" for i in range(len(draft.passages)))
        first = self._next_rowid(db, audience)
        vectors = draft.vectors.astype(np.float16)
        db.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    first + i,
                    uids[i],
                    version,
                    p.text,
                    json.dumps(p.heading, ensure_ascii=False),
                    p.page,
                    p.page_unit,
                    p.start,
                    p.end,
                    vectors[i].tobytes(),
                )
                for i, p in enumerate(draft.passages)
            ],
        )
        return Written(version, audience, uids)

    @staticmethod
    def _audience(db: sqlite3.Connection, groups: Iterable[str]) -> int:
        name = json.dumps(sorted(set(groups)), ensure_ascii=False)
        db.execute("INSERT OR IGNORE INTO audiences (groups) VALUES (?)", (name,))
        row = db.execute("SELECT id FROM audiences WHERE groups = ?", (name,)).fetchone()
        return int(row[0])

    @staticmethod
    def _next_rowid(db: sqlite3.Connection, audience: int) -> int:
        low, high = rowid_range(audience)
        last = db.execute(
            "SELECT max(id) FROM chunks WHERE id BETWEEN ? AND ?", (low, high)
        ).fetchone()[0]
        return (low if last is None else last) + 1

    def _retire(self, db: sqlite3.Connection, document_id: str) -> None:
        row = db.execute(
            "SELECT id FROM versions WHERE document_id = ? AND state = 'visible'", (document_id,)
        ).fetchone()
        if row is None:
            return
        # A contentless FTS5 table forgets a row only when told what was in it.
        db.executemany(
            "INSERT INTO lexical (lexical, rowid, terms) VALUES ('delete', ?, ?)",
            self._streams(db, row["id"]),
        )
        db.execute("UPDATE versions SET state = 'retired' WHERE id = ?", (row["id"],))

    def _index(self, db: sqlite3.Connection, version_id: int) -> None:
        db.executemany(
            "INSERT INTO lexical (rowid, terms) VALUES (?, ?)", self._streams(db, version_id)
        )

    @staticmethod
    def _streams(db: sqlite3.Connection, version_id: int) -> list[tuple[int, str]]:
        rows = db.execute(
            "SELECT c.id, v.title, c.heading, c.text FROM chunks c "
            "JOIN versions v ON v.id = c.version_id WHERE v.id = ?",
            (version_id,),
        )
        return [
            (
                row["id"],
                " ".join(
                    terms(indexed_text(row["title"], json.loads(row["heading"]), row["text"]))
                ),
            )
            for row in rows
        ]
