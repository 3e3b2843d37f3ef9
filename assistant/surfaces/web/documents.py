"""The documents view: files in, what is there, what could not be taken in, and one in detail.

It shows; what is changed, the browser changes through the server's API, where the rules
for it are. Files go there too, so that they are received once and their progress is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import gradio as gr

from assistant.accounts.records import Identity
from assistant.errors import AssistantError, NotFoundError
from assistant.ingest.load import SUFFIXES
from assistant.surfaces.http.editing import Editor
from assistant.surfaces.http.limits import FILES_A_REQUEST
from assistant.surfaces.http.records import Job, QuarantinedFile
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.desk import View, admitted, chosen, desk, number, on, region
from assistant.surfaces.web.documents_table import Row, file_name, select, wanted
from assistant.surfaces.web.frame import tell, view
from assistant.surfaces.web.wording import Texts
from assistant.types import EVERYONE_GROUP, Document

PASSAGES = 20
_JOBS_SHOWN = 5
_JOB_MINUTES = 15
_WORDS = (
    "copied",
    "remove",
    "sending",
    "too_large",
    "empty_file",
    "lost",
    "failed_403",
    "failed_413",
    "failed_429",
    "failed_507",
)


@dataclass(frozen=True)
class Bad:
    """A file in quarantine; ``path`` is all of where it is, for those who may see that."""

    id: str
    file: str
    path: str
    reason: str
    groups: tuple[str, ...]


def build(service: Service, texts: Texts) -> gr.Blocks:
    """Return the documents view in one language."""
    shown = Documents(service, texts)
    with view(service, texts, "documents") as blocks, gr.Column(elem_id="view"):
        board = desk(shown.head())
        notice = region("notice")
        upload, jobs, quarantine = region("upload"), region("jobs"), region("quarantine")
        filters = region("filters")
        table = region("table", shown.parts.loading())
        detail = region("detail")
        on("documents", blocks.load, shown.begin, [upload, filters])
        on("documents", board.show, shown.show, [table, quarantine, jobs])
        on("documents", board.open, shown.open, detail)
        on("documents", board.jobs, shown.jobs, jobs)
        on("documents", board.failed, shown.failed, notice)
    return blocks


class Documents(View):
    """The handlers of one language's view."""

    def __init__(self, service: Service, texts: Texts) -> None:
        super().__init__(service, texts, "documents", "documents")

    def head(self) -> str:
        """Return what never changes: the heading, the dialogs, the script's words."""
        words = {name: self._texts(f"documents.{name}") for name in _WORDS}
        file_mb = self._service.settings.max_file_mb
        shown = json.dumps(words, ensure_ascii=False)
        return str(self.parts.desk(shown, file_mb, file_mb * FILES_A_REQUEST))

    def begin(self, request: gr.Request) -> Any:
        """Return the forms, which depend on the groups of whoever opens the page."""
        try:
            identity = admitted(self._service, request, "documents")
            groups = _everyone_first(self._service.groups(identity))
            documents = self._service.assistant.documents(identity.principal)
        except AssistantError as error:
            tell(error, self._texts)
        upload = self.parts.upload(
            groups,
            "admin" in identity.scopes,
            " ".join(sorted(SUFFIXES)),
            self._service.settings.max_file_mb,
        )
        readers = {group for document in documents for group in document.groups}
        return str(upload), str(self.parts.filters(_everyone_first(sorted(readers))))

    def show(self, event: gr.EventData, request: gr.Request) -> Any:
        """Return the table as it is asked for, what is in quarantine, and the work under way."""
        try:
            identity = admitted(self._service, request, "documents")
            editor = Editor(self._service, identity, "")
            bad = editor.quarantined()
            documents = self._service.assistant.documents(identity.principal)
        except AssistantError as error:
            tell(error, self._texts)
        stale = {each.id for each in bad}
        table = select(self._rows(documents, stale), wanted(event))
        listed = [_bad(each) for each in bad]
        return (
            str(self.parts.table(table)),
            str(self.parts.quarantine(listed)),
            self._jobs(identity),
        )

    def open(self, event: gr.EventData, request: gr.Request) -> str:
        """Return one document in detail; nothing when it is being closed or is gone."""
        document_id = chosen(event, "id")
        if not document_id:
            return ""
        try:
            identity = admitted(self._service, request, "documents")
            document = self._service.assistant.document(document_id, identity.principal)
            chunks = self._service.assistant.chunks(document_id, identity.principal)
        except NotFoundError:  # deleted, or given away, meanwhile
            return ""
        except AssistantError as error:
            tell(error, self._texts)
        bad = {each.id for each in Editor(self._service, identity, "").quarantined()}
        path = self._service.uploads.find(document_id)
        may_give = self._service.groups(identity)
        detail = self.parts.detail(
            document,
            self._rows([document], bad)[0],
            chunks[: number(event, "shown", PASSAGES)],
            len(chunks),
            _everyone_first(sorted({*may_give, *document.groups})),
            path is not None,
            path.suffix if path else "",
            "admin" in identity.scopes,
        )
        return str(detail)

    def jobs(self, request: gr.Request) -> str:
        """Return how far the reader's jobs are."""
        try:
            return self._jobs(admitted(self._service, request, "documents", counted=False))
        except AssistantError as error:
            tell(error, self._texts)

    def _jobs(self, identity: Identity) -> str:
        mine = [job for job in self._service.jobs.list(identity) if job.by == identity.user.id]
        return str(self.parts.jobs(recent(mine, datetime.now(UTC))))

    def _rows(self, documents: Sequence[Document], bad: set[str]) -> list[Row]:
        return [Row(each, file_name(each.source), self._state(each.id, bad)) for each in documents]

    def _state(self, document_id: str, bad: set[str]) -> str:
        if self._service.jobs.is_claimed(document_id):
            return "working"
        return "stale" if document_id in bad else "ready"


def recent(jobs: Sequence[Job], now: datetime) -> list[Job]:
    """Return the jobs to be shown: those under way, and the last that ended a while ago."""
    since = now - timedelta(minutes=_JOB_MINUTES)
    shown = [job for job in jobs if job.finished_at is None or job.finished_at > since]
    return [job for job in shown if job.kind != "reindex"][:_JOBS_SHOWN]


def _bad(each: QuarantinedFile) -> Bad:
    return Bad(each.id, file_name(each.source), each.source, each.reason, each.groups)


def _everyone_first(groups: Iterable[str]) -> list[str]:
    return sorted(groups, key=lambda name: (name != EVERYONE_GROUP, name))
