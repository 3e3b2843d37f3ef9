"""The SQLite catalogue: documents, their versions, chunks, vectors and full text. The truth.

Readers see visible versions only, and of those only the ones in the audiences they
name. It knows nothing of Chroma, models or files; `store` keeps the two in step.

A version is written (`writing`), made `visible` in the same transaction that makes
its predecessor `retired`, and retired versions are purged last. The full-text rows
of a version come and go with its visibility.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assistant.errors import StoreError
from assistant.index.database import connect, make_folder, marks, transaction, translated_errors
from assistant.index.records import (
    SCHEMA,
    SCHEMA_VERSION,
    Draft,
    Vectors,
    Written,
    to_chunk,
    to_document,
    to_vector,
)
from assistant.ingest.chunk import indexed_text
from assistant.text import terms
from assistant.types import Chunk, Document, Quarantined

TERMS_VERSION = 1

# A chunk's rowid is its audience's number followed by a running number, so an audience is
# a range of rowids and a search needs no join to keep within it.
AUDIENCE_SHIFT = 40

_DOCUMENT_COLUMNS = """
    v.id AS version_id, v.document_id, v.title, v.source, v.version, v.language, a.groups,
    v.provenance, v.ingested_at, v.chunk_count
"""


class Catalog:
    """One SQLite file in WAL mode; safe for many reading threads and one writing at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.RLock()
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

    def meta(self, key: str) -> str:
        """Return a stored value, ``""`` when there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Store a value."""
        with self._transaction() as db:
            self._set_meta(db, key, value)

    # -- reading ----------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Tell whether the file opened still is the one at its path, or was replaced."""
        return self.path.stat().st_ino == self._inode

    def audiences(self, groups: Iterable[str] | None = None) -> list[int]:
        """Return the audiences that any of ``groups`` belongs to; all of them for None."""
        rows = self._db.execute("SELECT id, groups FROM audiences").fetchall()
        if groups is None:
            return [row["id"] for row in rows]
        readers = set(groups)
        return [row["id"] for row in rows if readers & set(json.loads(row["groups"]))]

    def documents(self, audiences: Sequence[int]) -> list[Document]:
        """Return the visible documents of the audiences, ordered by source."""
        rows = self._db.execute(
            f"SELECT {_DOCUMENT_COLUMNS} FROM versions v JOIN audiences a ON a.id = v.audience_id "
            f"WHERE v.state = 'visible' AND v.audience_id IN {marks(audiences)} ORDER BY v.source",
            tuple(audiences),
        )
        return [to_document(row) for row in rows]

    def states(self) -> dict[str, tuple[str, str]]:
        """Return ``document id -> (content hash, path)`` of every visible version."""
        rows = self._db.execute(
            "SELECT document_id, content_hash, path FROM versions WHERE state = 'visible'"
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    def signatures(self) -> list[tuple[str, str, bytes]]:
        """Return ``(document id, source, MinHash)`` of every visible version."""
        rows = self._db.execute(
            "SELECT document_id, source, signature FROM versions WHERE state = 'visible'"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def drafts(self) -> Iterator[Draft]:
        """Yield every visible version without its passages, to be chunked and embedded anew."""
        rows = self._db.execute(
            "SELECT v.*, a.groups FROM versions v JOIN audiences a ON a.id = v.audience_id "
            "WHERE v.state = 'visible' ORDER BY v.id"
        )
        for row in rows:
            yield Draft(
                document_id=row["document_id"],
                title=row["title"],
                source=row["source"],
                path=row["path"],
                language=row["language"],
                groups=tuple(json.loads(row["groups"])),
                provenance=row["provenance"],
                content_hash=row["content_hash"],
                signature=row["signature"],
                blocks=row["blocks"],
                passages=(),
                vectors=np.empty((0, 0), np.float32),
            )

    def quarantined(self) -> list[Quarantined]:
        """Return the sources that could not be taken in when they were last tried."""
        rows = self._db.execute("SELECT source, reason FROM quarantine ORDER BY source")
        return [Quarantined(row["source"], row["reason"]) for row in rows]

    def quarantined_paths(self) -> list[str]:
        """Return the paths of those sources."""
        return [row[0] for row in self._db.execute("SELECT path FROM quarantine")]

    def chunk_count(self, audiences: Sequence[int]) -> int:
        """Return how many chunks are visible in the audiences."""
        row = self._db.execute(
            "SELECT total(chunk_count) FROM versions "
            f"WHERE state = 'visible' AND audience_id IN {marks(audiences)}",
            tuple(audiences),
        ).fetchone()
        return int(row[0])

    def rowids(self, uids: Sequence[str]) -> dict[str, int]:
        """Return the rowids of chunks by their public ids; unknown ids are left out."""
        rows = self._db.execute(
            f"SELECT uid, id FROM chunks WHERE uid IN {marks(uids)}", tuple(uids)
        )
        return {row[0]: row[1] for row in rows}

    def chunks(self, rowids: Sequence[int]) -> dict[int, tuple[Chunk, Document]]:
        """Return visible chunks with their documents; invisible or unknown ones are left out."""
        # The sign keeps the planner from reading every visible version to find a few chunks.
        rows = self._db.execute(
            f"SELECT c.*, {_DOCUMENT_COLUMNS} FROM chunks c JOIN versions v ON v.id = c.version_id "
            "JOIN audiences a ON a.id = v.audience_id "
            f"WHERE +v.state = 'visible' AND c.id IN {marks(rowids)}",
            tuple(rowids),
        )
        return {row["id"]: (to_chunk(row), to_document(row)) for row in rows}

    def vectors(self, rowids: Sequence[int]) -> dict[int, Vectors]:
        """Return the stored vectors, float32 (dim,), by rowid."""
        rows = self._db.execute(
            f"SELECT id, vector FROM chunks WHERE id IN {marks(rowids)}", tuple(rowids)
        )
        return {row[0]: to_vector(row[1]) for row in rows}

    def audience_vectors(self, audience: int) -> Iterator[tuple[str, Vectors]]:
        """Yield ``(chunk id, vector)`` of every visible chunk of an audience."""
        rows = self._db.execute(
            "SELECT c.uid, c.vector FROM chunks c JOIN versions v ON v.id = c.version_id "
            "WHERE v.state = 'visible' AND v.audience_id = ?",
            (audience,),
        )
        for row in rows:
            yield row[0], to_vector(row[1])

    def lexical(
        self, query: Sequence[str], audiences: Sequence[int], limit: int
    ) -> list[tuple[int, float]]:
        """Return ``(rowid, BM25)`` of the best chunks for any of the query's terms, best first."""
        if not query:
            return []
        match = " OR ".join(f'"{term}"' for term in query)
        found: list[tuple[int, float]] = []
        for audience in audiences:
            # A range of rowids is read within the index; any other filter costs four times more.
            rows = self._db.execute(
                "SELECT rowid, -rank FROM lexical WHERE lexical MATCH ? "
                "AND rowid BETWEEN ? AND ? ORDER BY rank LIMIT ?",
                (match, *_rowid_range(audience), limit),
            )
            found.extend((row[0], row[1]) for row in rows)
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    def document_frequencies(self, query: Iterable[str]) -> dict[str, int]:
        """Return in how many chunks each term occurs; absent terms are left out."""
        wanted = list(query)
        rows = self._db.execute(
            f"SELECT term, doc FROM lexical_terms WHERE term IN {marks(wanted)}", wanted
        )
        return {row[0]: row[1] for row in rows}

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

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    # -- inside -----------------------------------------------------------------------------

    @property
    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

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
        number = (last or 0) + 1
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
                datetime.now(UTC).isoformat(timespec="seconds"),
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
        low, high = _rowid_range(audience)
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


def _rowid_range(audience: int) -> tuple[int, int]:
    """Return the first and the last rowid that a chunk of the audience can have."""
    return audience << AUDIENCE_SHIFT, ((audience + 1) << AUDIENCE_SHIFT) - 1
