"""Documents on their way to a server, and what became of each.

It sends; which files those are, `finding` tells, and parsing is the server's business.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assistant.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    SourceError,
)
from assistant.surfaces.connection import Connection
from assistant.surfaces.finding import File, find_files, readers
from assistant.surfaces.http.records import FileProgress, Job, QuarantinedFile
from assistant.types import Document, IngestReport, Progress, Quarantined

FILES_A_REQUEST = 20
_TRIES = 5
_sleep = time.sleep


@dataclass
class _Tally:
    """The report while it grows; ``documents`` are those that changed."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    documents: set[str] = field(default_factory=set)


class Sender:
    """Takes documents to one server, for the groups given; None keeps those they have."""

    def __init__(
        self,
        connection: Connection,
        groups: Sequence[str] | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        if isinstance(groups, str) or (groups is not None and not groups):
            raise SourceError("`groups` is a list of one or more group names, e.g. ['finance'].")
        self._connection = connection
        self._groups = None if groups is None else tuple(groups)
        self._tell = progress or (lambda _: None)

    def ingest(self, sources: Sequence[str | Path]) -> IngestReport:
        """Send the sources, or let a server on this machine read them where they are."""
        asker = self._call("GET", "/v1/me", dict[str, Any])
        return self._in_place(sources) if asker["via"] == "local" else self._send_all(sources)

    def _send_all(self, sources: Sequence[str | Path]) -> IngestReport:
        began = time.monotonic()
        tally = _Tally()
        files, tally.quarantined = find_files(sources, self._groups)
        known = {each.id: each for each in self._call("GET", "/v1/documents", list[Document])}
        earlier = self._call("GET", "/v1/quarantine", list[QuarantinedFile])
        done = 0
        for batch in _batches(files):
            self._tell(Progress("send", done, len(files), batch[0].source))
            self._send(batch, known, tally)
            done += len(batch)
        names = {file.name.casefold() for file in files}
        self._discard([b.id for b in earlier if b.source.casefold() in names and b.id not in known])
        self._tell(Progress("done", len(files), len(files)))
        documents = self._call("GET", "/v1/documents", list[Document]) if tally.documents else []
        return IngestReport(
            added=tuple(tally.added),
            updated=tuple(tally.updated),
            unchanged=tuple(tally.unchanged),
            quarantined=tuple(tally.quarantined),
            chunks=sum(each.chunks for each in documents if each.id in tally.documents),
            seconds=time.monotonic() - began,
        )

    def _in_place(self, sources: Sequence[str | Path]) -> IngestReport:
        named = {str(Path(source).expanduser().absolute()): str(source) for source in sources}
        body = {"sources": list(named), "groups": self._groups}
        for name, data in self._connection.events("POST", "/v1/ingest", json=body):
            if name == "report":
                report: IngestReport = self._connection.decode(IngestReport, data)
                return _renamed(report, named)
            self._tell(self._connection.decode(Progress, data))
        raise ServerError("The server broke off while it took documents in. Repeat the call.")

    def wait(self, job: Job) -> Job:
        """Return a job when it is finished, telling of its progress.

        Raises:
            ServerError: it failed, or the server broke off.
        """
        job = self._patiently(lambda: self._watch(job))
        if job.error:
            raise ServerError(job.error)
        if not job.is_finished:
            raise ServerError(
                "The server broke off while it took documents in. It goes on by itself when it "
                "runs again; repeat the call to see how they fared."
            )
        return job

    def _watch(self, job: Job) -> Job:
        told: Progress | None = None
        for _, data in self._connection.events("GET", f"/v1/jobs/{job.id}/events"):
            job = self._connection.decode(Job, data)
            if job.progress and job.progress != told and not job.is_finished:
                told = job.progress
                self._tell(told)
        return job

    # -- sending ----------------------------------------------------------------------------

    def _send(
        self,
        batch: Sequence[File],
        known: Mapping[str, Document],
        tally: _Tally,
        narrow: bool = True,
    ) -> None:
        """Send some files in one request; ``narrow`` the readers of a document in their way."""
        try:
            job = self.wait(self._patiently(lambda: self._upload(batch)))
        except SourceError as error:  # not one of them was kept
            if len(batch) == 1:
                tally.quarantined.append(Quarantined(batch[0].source, str(error)))
            for file in batch if len(batch) > 1 else ():
                self._send([file], known, tally)
            return
        for file, became in zip(batch, job.files, strict=True):
            document = known.get(became.document_id)
            if narrow and became.state == "conflict" and document and _may_narrow(file, document):
                self._give(file, document)
                self._send([file], known, tally, narrow=False)
            else:
                self._note(file, became, document, tally)

    def _upload(self, batch: Sequence[File]) -> Job:
        data: dict[str, Any] = {"existing": "replace", "title": batch[0].title}
        if batch[0].groups is not None:
            data["groups"] = list(batch[0].groups)
        try:
            with ExitStack() as opened:
                files = [
                    ("files", (file.name, opened.enter_context(file.path.open("rb"))))
                    for file in batch
                ]
                job: Job = self._connection.call(
                    "POST", "/v1/documents", Job, data=data, files=files
                )
                return job
        except OSError as error:
            raise SourceError(f"It cannot be read ({error.strerror or error}).") from error

    def _note(
        self, file: File, became: FileProgress, document: Document | None, tally: _Tally
    ) -> None:
        """Note what became of a file, after giving its document to the groups wanted."""
        state, reason = became.state, became.reason
        if state in ("updated", "unchanged") and document:
            try:
                state = "updated" if self._give(file, document) else state
            except SourceError as error:
                state, reason = "quarantined", str(error)
        if state in ("added", "updated", "unchanged"):
            getattr(tally, state).append(file.source)
        else:
            tally.quarantined.append(Quarantined(file.source, reason))
        if state in ("added", "updated"):
            tally.documents.add(became.document_id)

    def _give(self, file: File, document: Document) -> bool:
        """Give a document to the groups that its file is for; tell whether that changed them."""
        if file.groups is None or readers(file.groups) == set(document.groups):
            return False
        body = {"groups": list(file.groups)}
        changed = self._call("PATCH", f"/v1/documents/{document.id}", Document, json=body)
        return bool(changed.groups != document.groups)

    def _discard(self, uploads: Sequence[str]) -> None:
        """Delete uploads that could not be taken in and were sent anew since."""
        for upload in filter(None, uploads):
            # Somebody else may be trying it again, or have deleted it.
            with suppress(ConflictError, NotFoundError):
                self._call("DELETE", f"/v1/quarantine/{upload}", None)

    def _call(self, method: str, path: str, kind: Any, **request: Any) -> Any:
        return self._patiently(lambda: self._connection.call(method, path, kind, **request))

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Do something, after waiting as often as the server says that it was asked too much."""
        for _ in range(_TRIES):
            try:
                return action()
            except RateLimitedError as error:
                _sleep(error.retry_after)
        return action()


def _batches(files: Sequence[File]) -> Iterator[list[File]]:
    """Yield the files some at a time: for the same groups, and titled ones alone."""
    batch: list[File] = []
    for file in files:
        alone = file.title or (batch and batch[-1].title)
        if batch and (alone or len(batch) == FILES_A_REQUEST or batch[-1].groups != file.groups):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _may_narrow(file: File, document: Document) -> bool:
    """Tell whether a file waits for its document's readers to be fewer: those it is for."""
    if file.groups is None or Path(document.source).name != document.source:
        return False
    return not set(document.groups) <= readers(file.groups)


def _renamed(report: IngestReport, named: Mapping[str, str]) -> IngestReport:
    """Return a report in which sources have the names that the caller gave them."""

    def given(source: str) -> str:
        whole = (path for path in named if source == path or source.startswith(f"{path}{os.sep}"))
        path = max(whole, key=len, default="")
        return named.get(path, "") + source.removeprefix(path)

    return replace(
        report,
        added=tuple(map(given, report.added)),
        updated=tuple(map(given, report.updated)),
        unchanged=tuple(map(given, report.unchanged)),
        removed=tuple(map(given, report.removed)),
        quarantined=tuple(replace(bad, source=given(bad.source)) for bad in report.quarantined),
        duplicates=tuple(replace(twin, source=given(twin.source)) for twin in report.duplicates),
    )
