"""Token vectors on disk: one append-only, memory-mapped file an audience. Derived, never the truth.

A record is found by a digest of the text it was made of, so nothing here depends on versions or
row ids: a text that is indexed twice is kept once, and what no visible text asks for is dead.
Records are on disk before their version becomes visible. A killed process leaves at most a
torn record at the end, which the next writer cuts off; a record whose check sum is wrong
counts as missing. Missing ones are made anew from the catalogue's text (`backfill`).
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from assistant.index.database import make_folder, unwritable

TokenVectors = NDArray[np.int8]

_MARK = b"TKN1"
_HEADER = struct.Struct("<4s16sII")  # mark, digest, tokens, check sum of what follows
# Smaller files are not worth writing anew, whatever share of them is dead.
LEAST_COMPACTED = 4 << 20


def text_digest(text: str) -> bytes:
    """Return what a text's record is found by."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class TokenFiles:
    """The files of one space, ``width`` bytes a token; safe for threads and several processes.

    Args:
        folder: is made when missing.
        version: of the space; files of others are left alone.
        width: the space's.
    """

    def __init__(self, folder: Path, version: str, width: int) -> None:
        make_folder(folder)
        self._folder = folder
        self._version = version
        self._width = width
        self._lock = threading.RLock()
        self._file_lock = FileLock(folder / "lock", thread_local=False)
        self._files: dict[str, _File] = {}

    def get(self, groups: Sequence[str], digests: Sequence[bytes]) -> list[TokenVectors | None]:
        """Return an audience's vectors (n, width) of each text; None where they are missing."""
        with self._lock:
            file = self._file(groups)
            found = [file.read(digest) for digest in digests]
            if any(record is None for record in found) and file.refresh():
                found = [file.read(digest) for digest in digests]
            return found

    def missing(self, groups: Sequence[str], digests: Iterable[bytes]) -> set[bytes]:
        """Return which of the digests have no record in an audience's file."""
        with self._lock:
            file = self._file(groups)
            file.refresh()
            return {digest for digest in digests if digest not in file}

    def add(self, groups: Sequence[str], records: Mapping[bytes, TokenVectors]) -> None:
        """Append records that are not there yet; on return they are on disk.

        Raises:
            StorageFullError: the disk is full; nothing is lost.
        """
        with self._writing():
            file = self._file(groups)
            file.refresh()
            new = {d: v for d, v in records.items() if len(v) and d not in file}
            if new:
                file.append(b"".join(_record(d, v) for d, v in new.items()))
                file.refresh()

    def compact(self, groups: Sequence[str], live: set[bytes], known: int) -> bool:
        """Write an audience's file anew without its dead records, when most of it is dead.

        Readers in other processes keep the old file until they look for something new.

        Args:
            groups: the audience.
            live: what visible texts ask for.
            known: the file's size before ``live`` was gathered; what came later is kept.
        """
        with self._writing():
            file = self._file(groups)
            file.refresh()
            kept = live | file.since(known)
            if file.size < LEAST_COMPACTED or 2 * file.bytes_of(kept) >= file.size:
                return False
            file.rewrite(kept)
            return True

    def forget_others(self) -> None:
        """Delete the files of other spaces: another embedding model's, or an older version's."""
        with self._writing():
            for path in self._folder.glob("*.tokens"):
                if not path.name.startswith(f"{self._version}-"):
                    path.unlink(missing_ok=True)

    def size(self, groups: Sequence[str]) -> int:
        """Return the bytes of an audience's file."""
        with self._lock:
            file = self._file(groups)
            file.refresh()
            return file.size

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, self._file_lock:
            try:
                yield
            except OSError as error:
                raise unwritable(self._folder, error) from error

    def _file(self, groups: Sequence[str]) -> _File:
        name = hashlib.sha256(json.dumps(sorted(set(groups))).encode()).hexdigest()[:16]
        if name not in self._files:
            path = self._folder / f"{self._version}-{name}.tokens"
            self._files[name] = _File(path, self._width)
        return self._files[name]


class _File:
    """One file and the places of its records; `TokenFiles` keeps threads apart."""

    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._width = width
        self._inode = 0
        self._map: mmap.mmap | None = None
        self._places: dict[bytes, tuple[int, int]] = {}
        self._checked: set[bytes] = set()
        self.size = 0
        self.refresh()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._places

    def read(self, digest: bytes) -> TokenVectors | None:
        place = self._places.get(digest)
        if place is None or self._map is None:
            return None
        at, tokens = place
        vectors = np.frombuffer(self._map, np.int8, tokens * self._width, at)
        if digest not in self._checked:
            check = _HEADER.unpack_from(self._map, at - _HEADER.size)[3]
            if zlib.crc32(vectors.tobytes()) != check:
                del self._places[digest]  # so that it is made anew
                return None
            self._checked.add(digest)
        return vectors.reshape(tokens, self._width)

    def refresh(self) -> bool:
        """Take up what was appended, or another file in its place; tell if there was any."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            self._forget()
            return False
        if now.st_ino != self._inode:
            self._forget()
            self._inode = now.st_ino
        if now.st_size <= self.size:
            return False
        with self._path.open("rb") as file:
            # The old map lives on while vectors that were read from it do.
            self._map = mmap.mmap(file.fileno(), now.st_size, access=mmap.ACCESS_READ)
        self._scan(now.st_size)
        return True

    def append(self, records: bytes) -> None:
        with self._path.open("ab") as file:
            file.truncate(self.size)  # a killed writer's torn end
            try:
                file.write(records)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self.size)
                raise

    def since(self, size: int) -> set[bytes]:
        return {digest for digest, (at, _) in self._places.items() if at > size}

    def bytes_of(self, digests: set[bytes]) -> int:
        lengths = (self._places[d][1] for d in digests if d in self._places)
        return sum(_HEADER.size + tokens * self._width for tokens in lengths)

    def rewrite(self, live: set[bytes]) -> None:
        draft = self._path.with_suffix(".new")
        with draft.open("wb") as file:
            for digest in [d for d in self._places if d in live]:
                vectors = self.read(digest)
                if vectors is not None:
                    file.write(_record(digest, vectors))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)
        self.refresh()

    def close(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._map, self._inode, self.size = None, 0, 0
        self._places, self._checked = {}, set()

    def _scan(self, end: int) -> None:
        """Note the places of the records from where the last scan ended."""
        assert self._map is not None
        at = self.size
        while at + _HEADER.size <= end:
            mark, digest, tokens, _ = _HEADER.unpack_from(self._map, at)
            after = at + _HEADER.size + tokens * self._width
            if mark != _MARK or after > end:
                break
            self._places[digest] = (at + _HEADER.size, tokens)
            self._checked.discard(digest)
            at = after
        self.size = at


def _record(digest: bytes, vectors: TokenVectors) -> bytes:
    data = np.ascontiguousarray(vectors, np.int8).tobytes()
    return _HEADER.pack(_MARK, digest, len(vectors), zlib.crc32(data)) + data
