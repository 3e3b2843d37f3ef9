"""Vectors in Chroma: one collection an audience, local or on a server. Derived, never the truth.

It stores ids and unit vectors and finds the nearest; what an id means, who may see
it, and what to do when a collection is lost are the store's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assistant.errors import ConfigurationError, StorageFullError, StoreError
from assistant.index.records import Vectors

# Chroma's default ef_search of 100 returns fewer than 50 true neighbours of 50 now and then.
_HNSW = {"space": "cosine", "ef_construction": 128, "ef_search": 160, "max_neighbors": 24}


class VectorIndex:
    """The collections of one catalogue, told from others' by its ``namespace``."""

    def __init__(self, folder: Path, url: str, namespace: str) -> None:
        self.namespace = namespace
        self._collections: dict[int, Any] = {}
        with _translated_errors():
            self._client = _connect(folder, url)
            self._batch = self._client.get_max_batch_size()

    def add(self, audience: int, uids: Sequence[str], vectors: Vectors) -> None:
        """Store vectors, (len(uids), dim) and of unit length; the same ids again replace."""
        with _translated_errors():
            collection = self._collection(audience)
            for i in range(0, len(uids), self._batch):
                part = slice(i, i + self._batch)
                collection.upsert(ids=list(uids[part]), embeddings=vectors[part])

    def remove(self, audience: int, uids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are passed over."""
        with _translated_errors():
            collection = self._collection(audience)
            for i in range(0, len(uids), self._batch):
                collection.delete(ids=list(uids[i : i + self._batch]))

    def query(
        self, audiences: Sequence[int], vector: Vectors, limit: int
    ) -> list[tuple[str, float]]:
        """Return ``(id, cosine similarity)`` of the nearest over the audiences, best first."""
        found: list[tuple[str, float]] = []
        with _translated_errors():
            for audience in audiences:
                answer = self._collection(audience).query(
                    query_embeddings=vector[None, :], n_results=limit, include=["distances"]
                )
                found.extend(
                    (uid, 1.0 - distance)
                    for uid, distance in zip(answer["ids"][0], answer["distances"][0], strict=True)
                )
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    def count(self, audience: int) -> int:
        """Return how many vectors an audience has."""
        with _translated_errors():
            return int(self._collection(audience).count())

    def drop(self, audience: int) -> None:
        """Delete an audience's collection."""
        self._collections.pop(audience, None)
        self._drop(self._name(audience))

    def drop_namespace(self, namespace: str) -> None:
        """Delete every collection of another catalogue's namespace."""
        with _translated_errors():
            names = [collection.name for collection in self._client.list_collections()]
        for name in names:
            if name.startswith(f"{namespace}-"):
                self._drop(name)

    def close(self) -> None:
        """Let go of the client; a local one flushes what it holds."""
        self._collections.clear()
        self._client.close()

    def _name(self, audience: int) -> str:
        return f"{self.namespace}-{audience}"

    def _collection(self, audience: int) -> Any:
        if audience not in self._collections:
            self._collections[audience] = self._client.get_or_create_collection(
                self._name(audience), embedding_function=None, configuration={"hnsw": _HNSW}
            )
        return self._collections[audience]

    def _drop(self, name: str) -> None:
        from chromadb.errors import NotFoundError

        with _translated_errors():
            try:
                self._client.delete_collection(name)
            except NotFoundError:
                return


def _connect(folder: Path, url: str) -> Any:
    # Read by Chroma's OpenTelemetry and PostHog hooks at import; nothing may leave the machine.
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if not url:
        folder.mkdir(parents=True, exist_ok=True)
        return chromadb.PersistentClient(path=folder, settings=settings)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"`chroma_url` = {url!r} is not a server's address. Set it to http://HOST:PORT, or "
            "leave it empty to keep the vectors in the data directory."
        )
    try:
        return chromadb.HttpClient(
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 8000),
            ssl=parts.scheme == "https",
            settings=settings,
        )
    except ValueError as error:
        raise StoreError(
            f"No Chroma server answers at {url} ({error}). Start one with `chroma run`, or unset "
            "`chroma_url`."
        ) from error


@contextmanager
def _translated_errors() -> Iterator[None]:
    import sqlite3

    from chromadb.errors import ChromaError
    from httpx import TransportError

    try:
        yield
    except (ChromaError, TransportError, sqlite3.Error) as error:
        text = str(error) or type(error).__name__
        if "full" in text or "No space left" in text:
            raise StorageFullError(
                f"The disk that holds the vectors took no more ({text}). Nothing that was visible "
                "is lost. Free some space and repeat."
            ) from error
        raise StoreError(
            f"The vector index failed ({text}). Restart; if it fails again, `assistant reindex` "
            "builds it anew from the catalogue."
        ) from error
