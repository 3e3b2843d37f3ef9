"""Uploaded files: each alone in a folder of its own, with a manifest that says who may read it.

A folder is *unsettled* from before its first change until the index is known to hold what
is in it, and what was there before is kept until then. So a process may be killed at any
point: `recover` puts half-made folders right and `pending` names what is still to be
taken in. Taking in itself is the pipeline's business.

    uploads/<token>/manifest.yaml      written before the file it speaks of
                    报告.pdf
                    .unsettled         the index may not hold this yet
                    .previous          the file that a new one replaced meanwhile
                    .previous.yaml     the manifest before the change
"""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from assistant.errors import SourceError, StorageFullError, StoreError
from assistant.ingest.find import MANIFEST, UPLOADS_FOLDER, document_id
from assistant.ingest.load import Metadata, read_manifest
from assistant.ingest.names import safe_name
from assistant.settings import Settings
from assistant.types import EVERYONE_GROUP

TITLE_CHARS = 300

_UNSETTLED = ".unsettled"
_PREVIOUS = ".previous"
_PREVIOUS_MANIFEST = ".previous.yaml"
_INCOMING = ".incoming"
_MEGABYTE = 1_000_000
_BLOCK = 1 << 20


class FileTooLargeError(SourceError):
    """An upload is larger than ``max_file_mb``."""


class Uploads:
    """The uploaded files of one data directory; safe to share between threads.

    Changes of one and the same file must not overlap; `Jobs.claimed` sees to that.
    ``arriving`` is held from looking whether a name is taken until the file is there.
    """

    def __init__(self, settings: Settings) -> None:
        self._root = (settings.data_dir / UPLOADS_FOLDER).resolve()
        self._max_mb = settings.max_file_mb
        self.arriving = threading.Lock()
        self._lock = threading.Lock()
        self._known: dict[str, Path] | None = None

    # -- finding ----------------------------------------------------------------------------

    def owns(self, path: Path) -> bool:
        """Tell whether a path is that of an uploaded file."""
        return path.resolve().parent.parent == self._root

    def find(self, document: str) -> Path | None:
        """Return the file of a document; None when it was not uploaded."""
        with self._lock:
            return self._paths().get(document)

    def described(self, path: Path) -> Metadata:
        """Return the title, groups and origin that an upload was given.

        Raises:
            SourceError: somebody spoilt its manifest.
        """
        said = read_manifest(path.parent).get(path.name)
        if said is None:
            raise SourceError(f"{path.parent / MANIFEST} does not name {path.name}. Correct it.")
        return said

    def groups(self, path: Path) -> tuple[str, ...]:
        """Return the groups that an upload was given."""
        return self.described(path).groups or (EVERYONE_GROUP,)

    def pending(self) -> list[Path]:
        """Return the uploads that the index may not hold as they are now."""
        unsettled = [folder for folder in self._folders() if (folder / _UNSETTLED).exists()]
        return [path for path in map(_file_in, unsettled) if path]

    def emptied(self) -> list[Path]:
        """Return the folders whose file never came, or was deleted but not yet forgotten."""
        return [folder for folder in self._folders() if _file_in(folder) is None]

    # -- changing ---------------------------------------------------------------------------

    def add(self, stream: IO[bytes], name: str, groups: Sequence[str], title: str, by: str) -> Path:
        """Keep a new file and return its path; nothing of it stays when that fails.

        Raises:
            FileTooLargeError: it is larger than ``max_file_mb``.
            StorageFullError: the disk took no more.
        """
        folder = self._root / secrets.token_hex(8)
        path = folder / safe_name(name)
        with self._writing():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir()
            try:
                _write(folder / _UNSETTLED, b"")
                _write_manifest(path, Metadata(_line(title), None, tuple(groups), _stamp(by)))
                self._receive(stream, folder / _INCOMING)
                _move(folder / _INCOMING, path)
                _sync(self._root)
            except BaseException:
                _erase(folder)
                raise
        with self._lock:
            self._paths()[document_id(path)] = path
        return path

    def replace(self, path: Path, stream: IO[bytes], by: str) -> None:
        """Put new bytes in a file's place; `settle` decides whether they stay.

        Its readers stay the same, so no order of writing can show one file to another's.

        Raises:
            FileTooLargeError: they are more than ``max_file_mb``.
            StorageFullError: the disk took no more.
        """
        said = self.described(path)
        incoming, previous = path.parent / _INCOMING, path.parent / _PREVIOUS
        with self._writing():
            try:
                self._receive(stream, incoming)
            except BaseException:
                incoming.unlink(missing_ok=True)
                raise
            if filecmp.cmp(incoming, path, shallow=False):  # nothing new
                incoming.unlink()
                return
            with self._changing(path):
                # One that is there already is what the index holds.
                if not previous.exists():
                    _move(path, previous)
                _write_manifest(path, Metadata(said.title, None, said.groups, _stamp(by)))
                _move(incoming, path)

    def retag(self, path: Path, groups: Sequence[str], title: str) -> None:
        """Give an upload other readers or another title; `settle` decides whether they stay."""
        said = self.described(path)
        with self._writing(), self._changing(path):
            changed = Metadata(_line(title), None, tuple(groups), said.provenance)
            _write_manifest(path, changed)

    def settle(self, path: Path, ok: bool) -> bool:
        """Keep a change that the index took in, or undo one that it did not.

        Returns whether anything was put back. A new file that could not be taken in has
        nothing before it: it stays, to be looked at.
        """
        folder = path.parent
        kept = ((folder / _PREVIOUS_MANIFEST, folder / MANIFEST), (folder / _PREVIOUS, path))
        restored = False
        with self._writing():
            for old, new in kept:
                if not ok and old.exists():
                    _move(old, new)
                    restored = True
            for name in (_PREVIOUS, _PREVIOUS_MANIFEST, _UNSETTLED):
                (folder / name).unlink(missing_ok=True)
            _sync(folder)
        return restored

    def discard(self, folder: Path, forget: Callable[[Path], object]) -> None:
        """Delete an upload: its file, then what ``forget(folder)`` clears, then the folder.

        Killed in between, the folder is among those `emptied`, to be discarded again.
        """
        with self._writing():
            for file in _files(folder):
                if file.name != MANIFEST:
                    file.unlink()
            _sync(folder)
        forget(folder)
        with self._writing():
            _erase(folder)
            _sync(self._root)
        with self._lock:
            self._known = {i: p for i, p in self._paths().items() if p.parent != folder}

    def recover(self) -> None:
        """Put right what a killed process left half written; before anything else is done."""
        with self._writing():
            for folder in self._folders():
                for file in _files(folder):
                    if file.name == _INCOMING or file.name.endswith(".part"):
                        file.unlink()
                if _file_in(folder) is None and (folder / _PREVIOUS).exists():
                    self.settle(folder / next(iter(read_manifest(folder))), ok=False)

    # -- inside -----------------------------------------------------------------------------

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(entry for entry in self._root.iterdir() if entry.is_dir())

    def _paths(self) -> dict[str, Path]:
        if self._known is None:
            found = (_file_in(folder) for folder in self._folders())
            self._known = {document_id(path): path for path in found if path}
        return self._known

    def _receive(self, stream: IO[bytes], target: Path) -> None:
        """Write a stream to a file, as far as the limit lets it."""
        size = 0
        with target.open("wb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > self._max_mb * _MEGABYTE:
                    raise FileTooLargeError(
                        f"It is larger than {self._max_mb} MB, the limit. Split it, or raise "
                        "ASSISTANT_MAX_FILE_MB."
                    )
                file.write(block)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _changing(self, path: Path) -> Iterator[None]:
        """Keep the manifest as it was, and put everything back when the change fails."""
        folder = path.parent
        try:
            _write(folder / _UNSETTLED, b"")
            if not (folder / _PREVIOUS_MANIFEST).exists():
                _write(folder / _PREVIOUS_MANIFEST, (folder / MANIFEST).read_bytes())
            yield
        except BaseException:
            (folder / _INCOMING).unlink(missing_ok=True)
            self.settle(path, ok=False)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn the system's errors into ones that name the remedy."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StorageFullError(
                    "The server's disk is full; nothing of this was kept. Free some space there, "
                    "then repeat."
                ) from error
            raise StoreError(
                f"Uploads cannot be written ({error.strerror or error}). Give the server's user "
                f"the right to write {self._root}."
            ) from error


def _line(title: str) -> str:
    """Return a title as one line that can be stored."""
    return " ".join(title.encode("utf-8", "ignore").decode().split())[:TITLE_CHARS]


def _stamp(by: str) -> str:
    return f"{by} · {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _write_manifest(path: Path, said: Metadata) -> None:
    import yaml

    entry = {"groups": list(said.groups or (EVERYONE_GROUP,)), "source": said.provenance}
    if said.title:
        entry["title"] = said.title
    text = yaml.safe_dump({"files": {path.name: entry}}, allow_unicode=True, sort_keys=False)
    _write(path.parent / MANIFEST, text.encode())


def _write(path: Path, content: bytes) -> None:
    """Write a small file so that it is either whole or as it was before."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _move(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _move(source: Path, target: Path) -> None:
    os.replace(source, target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Make renames and deletions in a folder outlive a loss of power."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if not entry.is_dir()]


def _file_in(folder: Path) -> Path | None:
    """Return the upload in a folder, if there is one."""
    names = (file for file in _files(folder) if file.name != MANIFEST)
    return next((file for file in names if not file.name.startswith(".")), None)


def _erase(folder: Path) -> None:
    """Delete a folder, its manifest last: without it the file would be for everyone."""
    for file in sorted(_files(folder), key=lambda file: file.name == MANIFEST):
        file.unlink()
    with suppress(FileNotFoundError):
        folder.rmdir()
