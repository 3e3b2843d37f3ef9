"""Catalogue and vectors kept as one: who owns the data directory, and how a write survives a kill.

The catalogue is the truth and the vectors are derived from it: a version is noted in
the catalogue, its vectors are added, one transaction makes it visible and its
predecessor invisible, and only then is the predecessor deleted. Whatever a killed
process left half done is swept at the next start.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from assistant.errors import FingerprintError, StoreError, StoreLockedError
from assistant.index.catalog import TERMS_VERSION, Catalog
from assistant.index.database import make_folder, unwritable
from assistant.index.records import Draft, Vectors, Written
from assistant.index.vectors import VectorIndex
from assistant.ingest.chunk import CHUNKER_VERSION
from assistant.types import Principal

logger = logging.getLogger(__name__)

CATALOG_FILE = "catalog.sqlite"
_LOCK_FILE, _CARD_FILE = "lock", "owner.json"
_BUILDING_FILE = "catalog.building.sqlite"
_LOCK_WAIT_S = 5.0
_REBUILD_BATCH = 2000

Card = dict[str, str | int]


@dataclass(frozen=True)
class Index:
    """One catalogue and the vectors derived from it; row ids mean nothing in another one.

    A search takes the store's index once and keeps to it, so that a rebuild that
    switches to another in the middle changes nothing for it.
    """

    catalog: Catalog
    vectors: VectorIndex

    def audiences(self, principal: Principal) -> list[int]:
        """Return the audiences a principal belongs to; no search goes beyond them."""
        return self.catalog.audiences(principal.groups)

    def dense(
        self, vector: Vectors, audiences: Sequence[int], limit: int
    ) -> list[tuple[int, float]]:
        """Return ``(rowid, cosine)`` of the nearest visible chunks, best first."""
        nearest = self.vectors.query(audiences, vector, limit)
        rowids = self.catalog.rowids([uid for uid, _ in nearest])
        return [(rowids[uid], score) for uid, score in nearest if uid in rowids]

    def close(self) -> None:
        """Close both files."""
        self.vectors.close()
        self.catalog.close()


class Store:
    """The open index of one data directory; ``size`` is its number of visible chunks.

    Raises:
        StoreLockedError: another process owns the directory.
        StoreError: the directory cannot be written.
    """

    def __init__(
        self, data_dir: Path, fingerprint: Mapping[str, str | int], chroma_url: str = ""
    ) -> None:
        self.data_dir = data_dir
        self.fingerprint = {**fingerprint, "chunker": CHUNKER_VERSION, "terms": TERMS_VERSION}
        self._chroma_url = chroma_url
        self._write_lock = threading.RLock()
        self._owner = _Owner(data_dir)
        self._past: list[Index] = []
        # A local Chroma bears one process; a server bears many that only take turns writing.
        self._lifelong = not chroma_url
        if self._lifelong:
            self._owner.acquire()
        try:
            with self._writing():
                self._index = self._open_index()
                if not self.catalog.meta("fingerprint"):
                    self.catalog.set_meta("fingerprint", _canonical(self.fingerprint))
                self._heal()
                self.size = self._count()
        except BaseException:
            self._owner.release()
            raise

    # -- reading ----------------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """The index as it is now; another process that shares it may have built it anew."""
        if not self._lifelong and not self.catalog.is_current():
            with self._write_lock:
                if not self.catalog.is_current():
                    self._adopt()
        return self._index

    @property
    def catalog(self) -> Catalog:
        """The catalogue of the index."""
        return self._index.catalog

    @property
    def vectors(self) -> VectorIndex:
        """The vectors of the index."""
        return self._index.vectors

    def check_fingerprint(self, catalog: Catalog | None = None) -> None:
        """Make sure that an index, by default the open one, was made as the settings ask.

        Raises:
            FingerprintError: it was made with another model or chunker.
        """
        made_with = (catalog or self.catalog).meta("fingerprint")
        now = _canonical(self.fingerprint)
        if made_with != now:
            raise FingerprintError(
                f"The index in {self.data_dir} was made with {made_with}, the settings ask for "
                f"{now}. Run `assistant reindex` to build it anew from the documents it holds, or "
                "set `embedding_model` back."
            )

    # -- writing ----------------------------------------------------------------------------

    def replace(self, drafts: Sequence[Draft], retire: Sequence[str] = ()) -> None:
        """Make ``drafts`` the visible versions of their documents and remove ``retire``.

        A reader sees the old or the new version, never both and never neither.
        """
        with self._writing():
            try:
                written = self.catalog.write(drafts)
                _add(self.vectors, written, drafts)
                self.catalog.publish([w.version_id for w in written], retire)
                self.size = self._count()
            finally:
                self._sweep()

    def rebuild(
        self, redraft: Callable[[Draft], Draft], progress: Callable[[int, int], None]
    ) -> None:
        """Chunk and embed every document anew, beside the old index, then switch to the result.

        The old index answers until the end; killed before it, nothing has changed.
        """
        with self._writing():
            building = self.data_dir / _BUILDING_FILE
            _remove_database(building)
            fresh = Catalog(building)
            self.catalog.set_meta("building", fresh.meta("namespace"))
            vectors = self._open_vectors(fresh)
            total = len(self.catalog.states())
            for done, draft in enumerate(self.catalog.drafts()):
                progress(done, total)
                new = redraft(draft)
                written = fresh.write([new])
                _add(vectors, written, [new])
                fresh.publish([written[0].version_id])
            for path, entry in self.catalog.quarantine().items():
                fresh.set_quarantine(path, entry)
            fresh.set_meta("fingerprint", _canonical(self.fingerprint))
            fresh.set_meta("replaces", self.catalog.meta("namespace"))
            fresh.close()
            vectors.close()
            self.catalog.flush()  # else a kill before the next line but one would lose its log
            _remove_database(self.catalog.path, keep_main=True)
            os.replace(building, self.catalog.path)
            self._adopt()
            progress(total, total)

    def announce(self, url: str, token: str) -> None:
        """Note where this process is reached and with which token, for `owner_card`."""
        with self._write_lock:
            self._owner.announce(url, token)

    def close(self) -> None:
        """Let go of the data directory."""
        with self._write_lock:
            for index in (*self._past, self._index):
                index.close()
            self._owner.release()

    # -- inside -----------------------------------------------------------------------------

    def _open_index(self) -> Index:
        catalog = Catalog(self.data_dir / CATALOG_FILE)
        return Index(catalog, self._open_vectors(catalog))

    def _open_vectors(self, catalog: Catalog) -> VectorIndex:
        return VectorIndex(self.data_dir / "chroma", self._chroma_url, catalog.meta("namespace"))

    def _adopt(self) -> None:
        """Go over to the index that was built beside this one.

        Searches under way end on the old one: it is closed, and its vectors are deleted,
        only when the store is closed and opened again.
        """
        coming = self._open_index()
        try:
            self.check_fingerprint(coming.catalog)
        except FingerprintError:
            coming.close()
            raise
        self._past.append(self._index)
        self._index = coming
        self.size = self._count()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._write_lock:
            if not self._lifelong:
                self._owner.acquire()
            try:
                yield
            finally:
                if not self._lifelong:
                    self._owner.release()

    def _count(self) -> int:
        return self.catalog.chunk_count(self.catalog.audiences())

    def _sweep(self) -> None:
        """Delete what no reader sees: vectors first, so that nothing is left without a record."""
        leftovers = self.catalog.leftovers()
        for version in leftovers:
            self.vectors.remove(version.audience_id, [uid for uid in version.chunk_uids if uid])
        if leftovers:
            self.catalog.purge([version.version_id for version in leftovers])

    def _heal(self) -> None:
        """Finish what a killed process began and rebuild collections that Chroma lost."""
        _remove_database(self.data_dir / _BUILDING_FILE)
        for key in ("building", "replaces"):
            stale = self.catalog.meta(key)
            if stale and stale != self.catalog.meta("namespace"):
                self.vectors.drop_namespace(stale)
                self.catalog.set_meta(key, "")
        self._sweep()
        for audience in self.catalog.audiences():
            expected = self.catalog.chunk_count([audience])
            if not self._sound(audience, expected):
                logger.warning("rebuilding %d vectors of audience %d", expected, audience)
                self._restore(audience)

    def _sound(self, audience: int, expected: int) -> bool:
        """Probe a collection: it has the right number of vectors and finds one that it holds."""
        try:
            if self.vectors.count(audience) != expected:
                return False
            probe = next(iter(self.catalog.audience_vectors(audience)), None)
            if probe is None:
                return True
            nearest = self.vectors.query([audience], probe[1], 1)
        except StoreError as error:
            logger.warning("the vectors of audience %d do not answer: %s", audience, error)
            return False
        return bool(nearest) and nearest[0][1] > 0.99

    def _restore(self, audience: int) -> None:
        self.vectors.drop(audience)
        stored = self.catalog.audience_vectors(audience)
        while batch := list(islice(stored, _REBUILD_BATCH)):
            uids, vectors = zip(*batch, strict=True)
            self.vectors.add(audience, uids, np.stack(vectors))


class _Owner:
    """The lock on a data directory, which tells the next comer who holds it."""

    def __init__(self, data_dir: Path) -> None:
        make_folder(data_dir)
        self._lock = FileLock(data_dir / _LOCK_FILE, thread_local=False)
        self._path = data_dir / _CARD_FILE
        self._card: Card = {"pid": os.getpid(), "host": socket.gethostname()}

    def acquire(self) -> None:
        folder = self._path.parent
        try:
            self._lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout:
            raise StoreLockedError(
                f"{folder} is in use by {self._holder()}. Ask that process, stop it, "
                "or set ASSISTANT_DATA_DIR to another directory."
            ) from None
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            self._write()
        except StoreError:
            self._lock.release()
            raise

    def announce(self, url: str, token: str) -> None:
        self._card |= {"url": url, "token": token}
        if self._lock.is_locked:
            self._write()

    def release(self) -> None:
        if self._lock.is_locked:
            # Gone before the lock is: the next holder's card must not be taken away.
            self._path.unlink(missing_ok=True)
            self._lock.release()

    def _write(self) -> None:
        """Write the card at once, so that no one reads half of it, for this user's eyes only."""
        draft = self._path.with_suffix(".new")
        try:
            draft.unlink(missing_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(self._card, file)
            os.replace(draft, self._path)
        except OSError as error:
            raise unwritable(self._path.parent, error) from error

    def _holder(self) -> str:
        card = _read_card(self._path)
        if card is None:
            return "another process"
        at = f" at {card['url']}" if "url" in card else ""
        return f"process {card['pid']} on {card['host']}{at}"


def owner_card(data_dir: Path) -> Card | None:
    """Return who holds a data directory: ``pid``, ``host`` and, of a server, ``url``, ``token``.

    None when no living process holds it, whatever a killed one has left.
    """
    if not (data_dir / _CARD_FILE).exists():
        return None
    try:
        with FileLock(data_dir / _LOCK_FILE, thread_local=False).acquire(timeout=0):
            return None
    except Timeout:
        return _read_card(data_dir / _CARD_FILE)
    except OSError as error:
        raise unwritable(data_dir, error) from error


def _read_card(path: Path) -> Card | None:
    try:
        card: Card = json.loads(path.read_text("utf-8"))
        return card if {"pid", "host"} <= card.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _add(vectors: VectorIndex, written: Sequence[Written], drafts: Sequence[Draft]) -> None:
    """Add the vectors of written versions, one call an audience."""
    for audience in {w.audience_id for w in written}:
        mine = [
            (w, d)
            for w, d in zip(written, drafts, strict=True)
            if w.audience_id == audience and w.chunk_uids
        ]
        if mine:
            uids = [uid for w, _ in mine for uid in w.chunk_uids]
            vectors.add(audience, uids, np.concatenate([d.vectors for _, d in mine]))


def _remove_database(path: Path, *, keep_main: bool = False) -> None:
    for suffix in ("-wal", "-shm") if keep_main else ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _canonical(fingerprint: Mapping[str, str | int]) -> str:
    return json.dumps(fingerprint, sort_keys=True, ensure_ascii=False)
