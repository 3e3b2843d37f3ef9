"""The index that cases are asked against: built once from the sources, kept by fingerprint.

A run works on a copy, so that runs disturb neither one another nor the kept index.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import assistant
from assistant import Assistant, Settings
from assistant.embed import Embedder
from assistant.errors import SourceError
from assistant.index.catalog import TERMS_VERSION
from assistant.ingest.chunk import CHUNKER_VERSION
from assistant.ingest.pipeline import ProgressCallback
from assistant.settings import data_folder
from evals.case import PLANTED

SOURCES = (data_folder("knowledge"), PLANTED)
_SHAPING = ("chunk_tokens", "embedding_dtype", "max_file_mb", "reranker")


def fingerprint(sources: Sequence[Path], settings: Settings, embedder: Embedder) -> str:
    """Return what an index depends on: the files, the reading code, the embedding model."""
    package = Path(assistant.__file__).parent
    facts = {
        "files": [files_digest(folder) for folder in sources],
        "places": [str(folder.resolve()) for folder in sources],  # part of a document's id
        "reading": files_digest(package / "ingest", "*.py"),
        "versions": [CHUNKER_VERSION, TERMS_VERSION],
        "model": embedder.fingerprint,
        "settings": {name: getattr(settings, name) for name in _SHAPING},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def files_digest(folder: Path, pattern: str = "*") -> str:
    """Return a digest of the names and contents of the files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return whole.hexdigest()


@contextmanager
def opened(
    sources: Sequence[Path],
    settings: Settings,
    embedder: Embedder,
    progress: ProgressCallback | None = None,
) -> Iterator[Path]:
    """Yield a data directory with the sources indexed; it is gone afterwards.

    Raises:
        SourceError: a source could not be taken in whole.
    """
    kept = settings.cache_dir / "evals" / fingerprint(sources, settings, embedder)
    if not kept.exists():
        _build(kept, sources, settings, embedder, progress)
    with tempfile.TemporaryDirectory(prefix="assistant-eval-") as folder:
        copy = Path(folder) / "data"
        shutil.copytree(kept, copy)
        yield copy


def _build(
    kept: Path,
    sources: Sequence[Path],
    settings: Settings,
    embedder: Embedder,
    progress: ProgressCallback | None,
) -> None:
    """Index beside the final place, then move there: a killed build leaves nothing half done."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="building-") as folder:
        data = Path(folder) / "data"
        inside = settings.model_copy(update={"data_dir": data, "chroma_url": ""})
        with Assistant(inside, embedder=embedder) as building:
            report = building.ingest(*sources, progress=progress)
        if report.quarantined:
            bad = "; ".join(f"{entry.source}: {entry.reason}" for entry in report.quarantined)
            raise SourceError(f"The evaluation needs every document, but {bad}")
        try:
            os.replace(data, kept)
        except OSError:
            if not kept.exists():  # another run was first; its index is as good
                raise
