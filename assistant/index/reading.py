"""What is read from the catalogue: visible versions only, and of those the audiences named.

It changes nothing; `catalog` writes.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from assistant.index.database import connect, marks
from assistant.index.records import Draft, Vectors, to_chunk, to_document, to_vector
from assistant.ingest.chunk import indexed_text
from assistant.types import Chunk, Context, Document, Quarantined

# A chunk's rowid is its audience's number followed by a running number, so an audience is
# a range of rowids and a search needs no join to keep within it.
AUDIENCE_SHIFT = 40

_DOCUMENT_COLUMNS = """
    v.id AS version_id, v.document_id, v.title, v.source, v.version, v.language, a.groups,
    v.provenance, v.ingested_at, v.chunk_count
"""


class Reader:
    """The reading half of the catalogue; every thread reads through a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.RLock()

    def meta(self, key: str) -> str:
        """Return a stored value, ``""`` when there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

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

    def document(self, document_id: str, audiences: Sequence[int]) -> Document | None:
        """Return a visible document of the audiences, None when there is none."""
        row = self._db.execute(
            f"SELECT {_DOCUMENT_COLUMNS} FROM versions v JOIN audiences a ON a.id = v.audience_id "
            "WHERE v.document_id = ? AND v.state = 'visible' "
            f"AND v.audience_id IN {marks(audiences)}",
            (document_id, *audiences),
        ).fetchone()
        return to_document(row) if row else None

    def document_chunks(self, document_id: str, audiences: Sequence[int]) -> list[Chunk]:
        """Return the chunks of a visible document of the audiences, in reading order."""
        rows = self._db.execute(
            "SELECT c.*, v.document_id FROM chunks c JOIN versions v ON v.id = c.version_id "
            "WHERE v.document_id = ? AND v.state = 'visible' "
            f"AND v.audience_id IN {marks(audiences)} ORDER BY c.id",
            (document_id, *audiences),
        )
        return [to_chunk(row) for row in rows]

    def context(self, uid: str, audiences: Sequence[int], neighbours: int) -> Context | None:
        """Return a visible chunk of the audiences between its neighbours, None if there is none."""
        # One statement, so that a version that becomes visible meanwhile is not mixed in.
        rows = self._db.execute(
            f"SELECT c.*, {_DOCUMENT_COLUMNS} FROM chunks m "
            "JOIN versions v ON v.id = m.version_id JOIN audiences a ON a.id = v.audience_id "
            "JOIN chunks c ON c.version_id = v.id AND c.id BETWEEN m.id - ? AND m.id + ? "
            f"WHERE m.uid = ? AND v.state = 'visible' AND v.audience_id IN {marks(audiences)} "
            "ORDER BY c.id",
            (neighbours, neighbours, uid, *audiences),
        ).fetchall()
        if not rows:
            return None
        chunks = [to_chunk(row) for row in rows]
        at = next(i for i, chunk in enumerate(chunks) if chunk.id == uid)
        return Context(
            to_document(rows[at]), chunks[at], tuple(chunks[:at]), tuple(chunks[at + 1 :])
        )

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
                version=row["version"],
                ingested_at=row["ingested_at"],
            )

    def quarantined(self) -> list[Quarantined]:
        """Return the sources that could not be taken in when they were last tried."""
        rows = self._db.execute("SELECT source, reason FROM quarantine ORDER BY source")
        return [Quarantined(row["source"], row["reason"]) for row in rows]

    def quarantine(self) -> dict[str, Quarantined]:
        """Return those sources by their paths."""
        rows = self._db.execute("SELECT path, source, reason FROM quarantine ORDER BY path")
        return {row["path"]: Quarantined(row["source"], row["reason"]) for row in rows}

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

    def audience_texts(self, audience: int) -> Iterator[str]:
        """Yield the indexed text of every visible chunk of an audience."""
        rows = self._db.execute(
            "SELECT v.title, c.heading, c.text FROM chunks c "
            "JOIN versions v ON v.id = c.version_id "
            "WHERE v.state = 'visible' AND v.audience_id = ?",
            (audience,),
        )
        for title, heading, text in rows:
            yield indexed_text(title, json.loads(heading), text)

    def audience_groups(self) -> dict[int, tuple[str, ...]]:
        """Return who belongs to each audience."""
        rows = self._db.execute("SELECT id, groups FROM audiences")
        return {row["id"]: tuple(json.loads(row["groups"])) for row in rows}

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
                (match, *rowid_range(audience), limit),
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

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    @property
    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection


def rowid_range(audience: int) -> tuple[int, int]:
    """Return the first and the last rowid that a chunk of the audience can have."""
    return audience << AUDIENCE_SHIFT, ((audience + 1) << AUDIENCE_SHIFT) - 1
