"""How every SQLite file of the product is opened, and its errors made readable."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from assistant.errors import StorageFullError, StoreError


def make_folder(folder: Path) -> None:
    """Make the folder of a store.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> StoreError:
    """Return the error for a data directory that cannot be written, or has no room left."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"The disk that holds {folder} is full. Free some space.")
    return StoreError(
        f"The data directory {folder} cannot be written ({error.strerror or error}). Give this "
        "user the right to, or set ASSISTANT_DATA_DIR to another directory."
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open a SQLite file the way every store of the product does: WAL, explicit transactions."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the disk or the file into ones that name the remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise StorageFullError(
                f"The disk that holds {path} took no more ({text}). Nothing that was visible is "
                "lost. Free some space and repeat."
            ) from error
        if "malformed" in text or "not a database" in text:
            raise StoreError(
                f"{path} is damaged ({text}). Restore it from a backup, or move it away and "
                "ingest again."
            ) from error
        if "closed database" in text:
            raise StoreError(f"{path} was closed in the middle of its use. Ask again.") from error
        if "readonly" in text or "unable to open" in text:
            raise unwritable(path.parent, OSError(text)) from error
        raise


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Run a block as one immediate transaction: all of it or nothing."""
    with translated_errors(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def marks(values: Sequence[object]) -> str:
    """Return the placeholders of an ``IN`` list."""
    return "(" + ",".join("?" * len(values)) + ")"
