"""Long work in order of arrival: taking files in, and building the index anew.

One thread does it; whoever asked for it looks at frozen snapshots. A document that a job
works on is *claimed*: nobody else may change it until the job is done, so that a slow job
can never bring back the readers or the content that somebody has just taken away.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from assistant.accounts.records import Identity
from assistant.core import Assistant
from assistant.errors import (
    AssistantError,
    ConflictError,
    NotFoundError,
    ServerError,
    SourceError,
)
from assistant.ingest.find import document_id
from assistant.ingest.uploads import Uploads
from assistant.surfaces.http.records import FileProgress, FileState, Job, JobKind, JobState
from assistant.types import IngestReport, Progress

logger = logging.getLogger(__name__)

__all__ = ["FileProgress", "Job", "Jobs"]

FINISHED_KEPT = 200
# A watcher is given the same snapshot again after so long, so that it notices who left.
REPEAT_S = 10.0
# Whose files the server takes in by itself when it starts.
NOBODY = ""


class Jobs:
    """The work of one server; safe to share between threads."""

    def __init__(self, assistant: Assistant, uploads: Uploads) -> None:
        self.uploads = uploads
        self._assistant = assistant
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._paths: dict[str, dict[str, Path]] = {}  # job -> document -> its file
        self._claims: set[str] = set()
        self._emptied: list[Path] = []
        self._queue: deque[str] = deque()
        self._closing = False
        self._worker = threading.Thread(target=self._work, name="jobs")
        self._worker.start()

    # -- asking -----------------------------------------------------------------------------

    def get(self, job_id: str, asker: Identity) -> Job:
        """Return a job of the asker's; any job for an administrator.

        Raises:
            NotFoundError: there is none.
        """
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None or not _may_see(job, asker):
            raise NotFoundError("There is no such job, or it is too old. `GET /v1/jobs` lists all.")
        return job

    def list(self, asker: Identity) -> list[Job]:
        """Return the asker's jobs, latest first; everybody's for an administrator."""
        with self._changed:
            return [job for job in reversed(self._jobs.values()) if _may_see(job, asker)]

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield a job as it is now and after each change, until it is finished."""
        last: Job | None = None
        while last is None or not last.is_finished:
            with self._changed:
                now = self._jobs.get(job_id)
                if now is not None and now is last:
                    self._changed.wait(REPEAT_S)
                    now = self._jobs.get(job_id)
            if now is None:
                return
            last = now
            yield now

    # -- giving -----------------------------------------------------------------------------

    def take_in(
        self, kind: JobKind, by: str, paths: Sequence[Path], files: Sequence[FileProgress] = ()
    ) -> Job:
        """Queue files to be taken in, and end the claims on their documents after that.

        ``files`` is what the job shows instead of the paths: with those that were refused
        before, say, or under the names that the user knows.
        """
        documents = {identity(path): path for path in paths}
        shown = files or [
            FileProgress(path.name, document_id=document) for document, path in documents.items()
        ]
        return self._submit(kind, by, tuple(shown), documents)

    def reindex(self, by: str) -> Job:
        """Queue building the index anew.

        Raises:
            ConflictError: that is queued or under way.
        """
        with self._changed:
            if any(j.kind == "reindex" and not j.is_finished for j in self._jobs.values()):
                raise ConflictError("The index is being built anew already. Watch that job.")
            return self._submit("reindex", by, (), {})

    def resume(self) -> None:
        """Put right what a killed process left: take in, or forget, what it did not get to."""
        self.uploads.recover()
        waiting, self._emptied = self.uploads.pending(), self.uploads.emptied()
        if waiting or self._emptied:
            self.take_in("ingest", NOBODY, waiting)

    def claim(self, *documents: str) -> None:
        """Keep others from changing documents until `release`, or the end of a job of theirs.

        Raises:
            ConflictError: somebody is changing one of them.
        """
        with self._changed:
            if not self._claims.isdisjoint(documents):
                raise ConflictError(
                    "This document is being changed or taken in just now. Repeat when that is done."
                )
            self._claims.update(documents)

    def release(self, *documents: str) -> None:
        """End a claim."""
        with self._changed:
            self._claims.difference_update(documents)

    @contextmanager
    def claimed(self, document: str) -> Iterator[None]:
        """Claim a document for a short change.

        Raises:
            ConflictError: somebody is changing it, or the whole index is being built anew.
        """
        with self._changed:
            if any(j.kind == "reindex" and j.state == "running" for j in self._jobs.values()):
                raise ConflictError(
                    "The index is being built anew; nothing can be changed meanwhile. Repeat "
                    "when that job is done."
                )
            self.claim(document)
        try:
            yield
        finally:
            self.release(document)

    def is_claimed(self, document: str) -> bool:
        """Tell whether a document is being changed or taken in."""
        with self._changed:
            return document in self._claims

    def close(self) -> None:
        """Finish the job under way and drop the rest; stored files are taken in at next start."""
        with self._changed:
            self._closing = True
            while self._queue:
                self._finish(
                    self._queue.popleft(),
                    "The server was stopped before it began. Files that were received are kept, "
                    "and taken in when it starts again.",
                )
            self._changed.notify_all()
        self._worker.join()

    # -- working ----------------------------------------------------------------------------

    def _submit(
        self, kind: JobKind, by: str, files: tuple[FileProgress, ...], paths: dict[str, Path]
    ) -> Job:
        with self._changed:
            if self._closing:
                raise ServerError("The server is being stopped. Repeat when it runs again.")
            job = Job(secrets.token_hex(8), kind, by, "queued", datetime.now(UTC), files)
            self._jobs[job.id] = job
            self._paths[job.id] = paths
            self._claims.update(paths)
            self._queue.append(job.id)
            self._changed.notify_all()
            return job

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                job = self._set(self._queue.popleft(), state="running")
            error = ""
            try:
                if job.kind == "reindex":
                    self._assistant.reindex(partial(self._tell, job.id))
                else:
                    self._take_in(job.id, list(self._paths[job.id].values()))
            except AssistantError as failure:
                error = str(failure)
            except Exception:
                logger.exception("job %s failed", job.id)
                error = "The server failed unexpectedly. Its log says why; ask an administrator."
            with self._changed:
                self._finish(job.id, error)

    def _finish(self, job_id: str, error: str) -> None:
        self._claims.difference_update(self._paths.pop(job_id))
        state: JobState = "failed" if error else "done"
        self._set(job_id, state=state, error=error, finished_at=datetime.now(UTC))
        finished = [job.id for job in self._jobs.values() if job.is_finished]
        for old in finished[:-FINISHED_KEPT]:
            del self._jobs[old]

    def _take_in(self, job_id: str, paths: Sequence[Path]) -> None:
        """Take files in, those for the same readers together."""
        while self._emptied:
            self.uploads.discard(self._emptied.pop(), self._assistant.ingest)
        together: dict[tuple[str, ...], list[Path]] = {}
        for path in paths:
            groups = self._readers(job_id, path)
            if groups is not None:
                together.setdefault(groups, []).append(path)
        for groups, several in together.items():
            report = self._assistant.ingest(
                *several, groups=groups or None, progress=partial(self._tell, job_id)
            )
            self._conclude(job_id, several, report)

    def _readers(self, job_id: str, path: Path) -> tuple[str, ...] | None:
        """Return the groups to take a file in for; () keeps them, None: it cannot be known."""
        try:
            return self.uploads.groups(path) if self.uploads.owns(path) else ()
        except SourceError as error:
            self._set_file(job_id, path, "quarantined", str(error))
            return None

    def _conclude(self, job_id: str, paths: Sequence[Path], report: IngestReport) -> None:
        """Keep what was taken in, put back what a bad file replaced, and say how each went."""
        states: tuple[FileState, ...] = ("added", "updated", "unchanged")
        outcome = {source: (state, "") for state in states for source in getattr(report, state)}
        outcome |= {bad.source: ("quarantined", bad.reason) for bad in report.quarantined}
        for path in paths:
            state, reason = outcome[str(path)]
            if self.uploads.owns(path) and self.uploads.settle(path, state != "quarantined"):
                # As before, so it is no longer among the files that cannot be taken in.
                self._assistant.ingest(path, groups=self.uploads.groups(path))
            self._set_file(job_id, path, state, reason)

    # -- telling ----------------------------------------------------------------------------

    def _tell(self, job_id: str, progress: Progress) -> None:
        """Note how far a job is; called from two threads."""
        path = Path(progress.item) if progress.item else None
        name = path.name if path else ""
        with self._changed:
            self._set(job_id, progress=replace(progress, item=name))
            if path:
                self._set_file(job_id, path, "reading", "")

    def _set_file(self, job_id: str, path: Path, state: FileState, reason: str) -> None:
        document = identity(path)
        with self._changed:
            files = tuple(
                replace(file, state=state, reason=reason)
                if file.document_id == document and file.state != "conflict"
                else file
                for file in self._jobs[job_id].files
            )
            self._set(job_id, files=files)

    def _set(self, job_id: str, **values: object) -> Job:
        self._jobs[job_id] = job = replace(self._jobs[job_id], **values)  # type: ignore[arg-type]
        self._changed.notify_all()
        return job


def identity(path: Path) -> str:
    """Return the id of the document that a file is, however its path is written."""
    return document_id(path.expanduser().resolve())


def _may_see(job: Job, asker: Identity) -> bool:
    # An older job is that of a deleted user who had the name before.
    own = job.by == asker.user.id and job.created_at >= asker.user.created_at
    return own or "admin" in asker.scopes
