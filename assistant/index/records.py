"""The catalogue's schema, and how its rows become the values that travel."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from assistant.ingest.chunk import Passage
from assistant.types import Chunk, Document, Language

SCHEMA_VERSION = 1
Vectors = NDArray[np.float32]

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audiences (id INTEGER PRIMARY KEY, groups TEXT NOT NULL UNIQUE);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('writing', 'visible', 'retired')),
    title TEXT NOT NULL,
    source TEXT NOT NULL,
    path TEXT NOT NULL,
    language TEXT NOT NULL,
    audience_id INTEGER NOT NULL REFERENCES audiences (id),
    provenance TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    signature BLOB NOT NULL,
    blocks TEXT NOT NULL,
    chunk_count INTEGER NOT NULL,
    ingested_at TEXT NOT NULL
);
CREATE UNIQUE INDEX one_visible ON versions (document_id) WHERE state = 'visible';
CREATE INDEX version_state ON versions (state);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    heading TEXT NOT NULL,
    page INTEGER,
    page_unit TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX chunk_version ON chunks (version_id);
CREATE TABLE quarantine (path TEXT PRIMARY KEY, source TEXT NOT NULL, reason TEXT NOT NULL);
CREATE VIRTUAL TABLE lexical USING fts5 (
    terms, content = '', tokenize = "ascii tokenchars '-._'"
);
CREATE VIRTUAL TABLE lexical_terms USING fts5vocab (lexical, row);
"""


@dataclass(frozen=True)
class Draft:
    """A document version ready to be written; ``vectors`` is (len(passages), dim).

    A version that is written anew keeps its number and its time; a new one has neither yet.
    """

    document_id: str
    title: str
    source: str
    path: str
    language: Language
    groups: tuple[str, ...]
    provenance: str
    content_hash: str
    signature: bytes
    blocks: str
    passages: tuple[Passage, ...]
    vectors: Vectors
    version: int = 0
    ingested_at: str = ""


@dataclass(frozen=True)
class Written:
    """A version in the catalogue, named by its row, and where its vectors belong."""

    version_id: int
    audience_id: int
    chunk_uids: tuple[str, ...]


def to_vector(blob: bytes) -> Vectors:
    """Return a stored vector, float32 (dim,)."""
    return np.frombuffer(blob, np.float16).astype(np.float32)


def to_chunk(row: sqlite3.Row) -> Chunk:
    """Return a row of chunks joined with its version."""
    return Chunk(
        id=row["uid"],
        document_id=row["document_id"],
        text=row["text"],
        heading=tuple(json.loads(row["heading"])),
        page=row["page"],
        page_unit=row["page_unit"],
        start=row["start"],
        end=row["end"],
    )


def to_document(row: sqlite3.Row) -> Document:
    """Return a version joined with its audience."""
    return Document(
        id=row["document_id"],
        title=row["title"],
        source=row["source"],
        version=row["version"],
        language=row["language"],
        groups=tuple(json.loads(row["groups"])),
        provenance=row["provenance"],
        chunks=row["chunk_count"],
        ingested_at=datetime.fromisoformat(row["ingested_at"]),
    )
