"""Documents over HTTP: what there is, files in and out, quarantine, and the jobs behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, TypeAdapter

from assistant.ingest.uploads import FileTooLargeError
from assistant.surfaces.http import receiving
from assistant.surfaces.http.depend import Asker, TheAddress, TheService, limited
from assistant.surfaces.http.editing import Editor
from assistant.surfaces.http.limits import too_large
from assistant.surfaces.http.receiving import Existing
from assistant.surfaces.http.records import Job, QuarantinedFile, Removed
from assistant.surfaces.problems import documented
from assistant.types import Chunk, Document

router = APIRouter(prefix="/v1", tags=["documents"], dependencies=[Depends(limited)])

_job: TypeAdapter[Job] = TypeAdapter(Job)


class Tags(BaseModel):
    """What changes of a document; fields left out stay."""

    groups: list[str] | None = Field(None, max_length=100)
    title: str | None = Field(None, max_length=300)


def _editor(service: TheService, asker: Asker, address: TheAddress) -> Editor:
    return Editor(service, asker, address)


def _reader(asker: Asker) -> None:
    """Let a key that may change documents also look at them."""
    if "documents" not in asker.scopes:
        asker.require("ask")


def _worker(asker: Asker) -> None:
    """Let those see jobs who may give any."""
    if "admin" not in asker.scopes:
        asker.require("documents")


TheEditor = Annotated[Editor, Depends(_editor)]
_reading = [Depends(_reader)]
_working = [Depends(_worker)]


@router.get(
    "/documents", operation_id="list_documents", dependencies=_reading, responses=documented(503)
)
def documents(service: TheService, asker: Asker) -> list[Document]:
    """Return the documents that the asker may read, by source."""
    return service.assistant.documents(asker.principal)


@router.post(
    "/documents",
    operation_id="upload_documents",
    status_code=202,
    response_model=Job,
    responses=documented(413, 422, 503, 507),
)
def upload(
    editor: TheEditor,
    files: Annotated[list[UploadFile], File(default_factory=list, max_length=1000)],
    groups: Annotated[list[str], Form(default_factory=list, max_length=100)],
    existing: Annotated[Existing, Form()] = "refuse",
    title: Annotated[str, Form(max_length=300)] = "",
) -> Job | Response:
    """Take files in, as a job; each that cannot be is named there with its reason.

    `existing` says what becomes of a file whose name one of the asker's documents has:
    it is marked `conflict` (`refuse`), becomes that document's new version (`replace`), or
    a document beside it (`keep`).
    """
    sent = [receiving.File(file.filename or "", file.file) for file in files]
    try:
        return editor.upload(sent, groups, existing, title)
    except FileTooLargeError as error:
        return too_large(str(error))


@router.get(
    "/documents/{document_id}",
    operation_id="get_document",
    dependencies=_reading,
    responses=documented(404, 503),
)
def document(document_id: str, service: TheService, asker: Asker) -> Document:
    """Return one document."""
    return service.assistant.document(document_id, asker.principal)


@router.get(
    "/documents/{document_id}/chunks",
    operation_id="get_document_chunks",
    dependencies=_reading,
    responses=documented(404, 503),
)
def chunks(document_id: str, service: TheService, asker: Asker) -> list[Chunk]:
    """Return the passages that a document was cut into, in its order."""
    return service.assistant.chunks(document_id, asker.principal)


@router.patch(
    "/documents/{document_id}",
    operation_id="retag_document",
    responses=documented(404, 409, 422, 503, 507),
)
def retag(document_id: str, tags: Tags, editor: TheEditor) -> Document:
    """Give a document other readers or another title; it holds when the response comes."""
    return editor.retag(document_id, tags.groups, tags.title)


@router.delete(
    "/documents/{document_id}",
    operation_id="delete_document",
    responses=documented(404, 409, 503, 507),
)
def delete(document_id: str, editor: TheEditor) -> Removed:
    """Remove a document, and its file if it was uploaded."""
    return editor.delete(document_id)


@router.post(
    "/documents/{document_id}/ingest",
    operation_id="ingest_document",
    status_code=202,
    responses=documented(404, 409, 422, 503),
)
def ingest(document_id: str, editor: TheEditor) -> Job:
    """Read a document again from its file, as a job."""
    return editor.ingest(document_id)


@router.put(
    "/documents/{document_id}/file",
    operation_id="replace_document",
    status_code=202,
    response_model=Job,
    responses=documented(404, 409, 413, 422, 503, 507),
)
def replace(
    document_id: str, editor: TheEditor, file: Annotated[UploadFile, File()]
) -> Job | Response:
    """Make a file the document's new version, as a job; if it is bad, the old one stays."""
    try:
        return editor.replace(document_id, receiving.File(file.filename or "", file.file))
    except FileTooLargeError as error:
        return too_large(str(error))


@router.get("/quarantine", operation_id="list_quarantine", responses=documented(503))
def quarantine(editor: TheEditor) -> list[QuarantinedFile]:
    """Return the files that could not be taken in, with the reasons."""
    return editor.quarantined()


@router.post(
    "/quarantine/{upload_id}/ingest",
    operation_id="retry_quarantined",
    status_code=202,
    responses=documented(404, 409, 503),
)
def retry(upload_id: str, editor: TheEditor) -> Job:
    """Try an upload in quarantine once more, as a job."""
    return editor.retry(upload_id)


@router.delete(
    "/quarantine/{upload_id}",
    operation_id="discard_quarantined",
    status_code=204,
    responses=documented(404, 409, 503),
)
def discard(upload_id: str, editor: TheEditor) -> None:
    """Delete an upload in quarantine."""
    editor.discard(upload_id)


@router.post("/reindex", operation_id="reindex", status_code=202, responses=documented(409))
def reindex(editor: TheEditor) -> Job:
    """Build the index anew with the settings' model, as a job; the old one answers till then."""
    return editor.reindex()


@router.get("/jobs", operation_id="list_jobs", dependencies=_working, responses=documented())
def jobs(service: TheService, asker: Asker) -> list[Job]:
    """Return the asker's jobs, latest first; everybody's for an administrator."""
    return service.jobs.list(asker)


@router.get(
    "/jobs/{job_id}", operation_id="get_job", dependencies=_working, responses=documented(404)
)
def job(job_id: str, service: TheService, asker: Asker) -> Job:
    """Return how far a job is."""
    return service.jobs.get(job_id, asker)


@router.get(
    "/jobs/{job_id}/events",
    operation_id="watch_job",
    dependencies=_working,
    response_class=EventSourceResponse,
    responses=documented(404),
)
def watch(seen: Annotated[Any, Depends(job)], service: TheService) -> Iterator[ServerSentEvent]:
    """Tell a job's progress until it is finished: each event, `job`, holds it as it is then."""
    for now in service.jobs.watch(seen.id):
        yield ServerSentEvent(event="job", raw_data=_job.dump_json(now).decode())
