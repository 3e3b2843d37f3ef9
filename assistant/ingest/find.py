"""Which files count, what identifies one, and how its path is written; light enough for a client.

It opens no file: what a manifest says of one is told in `sources`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

MANIFEST = "manifest.yaml"
# Below the data directory: what people uploaded, each file alone in a folder of its own.
UPLOADS_FOLDER = "uploads"


def document_id(path: Path) -> str:
    """Return the identity of a file: its resolved path, hashed."""
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def walk(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, hidden ones and lock files left out."""
    for directory, names, files in os.walk(folder, onerror=on_error):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if name != MANIFEST and not name.startswith((".", "~$")):
                yield Path(directory, name)


def readable(path: str | Path) -> str:
    """Return a path as text that can be stored; bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
