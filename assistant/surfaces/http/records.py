"""What is told of long work: a job, its files, and how far each is. Values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from assistant.types import Progress

FileState = Literal[
    "waiting", "reading", "added", "updated", "unchanged", "quarantined", "conflict"
]
JobKind = Literal["upload", "replace", "ingest", "reindex"]
JobState = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True)
class FileProgress:
    """One file of a job. ``document_id`` is the document it becomes, or conflicts with."""

    name: str
    state: FileState = "waiting"
    reason: str = ""
    document_id: str = ""


@dataclass(frozen=True)
class Job:
    """Work for one user, ``by``; ``progress`` is that of the whole, ``error`` why it failed."""

    id: str
    kind: JobKind
    by: str
    state: JobState
    created_at: datetime
    files: tuple[FileProgress, ...] = ()
    progress: Progress | None = None
    error: str = ""
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing of it will change."""
        return self.state in ("done", "failed")


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that was not taken in, and why; an upload has an ``id`` to retry or discard it by."""

    source: str
    reason: str
    id: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removed:
    """What was removed; ``detail`` says whether it can come back."""

    id: str
    title: str
    detail: str
