"""What editors do with documents, for the API and the page alike: who may, and what is noted.

A document that the editor may not read does not exist here. Files are kept by `Uploads`
and taken in by `Jobs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from assistant.accounts.records import Identity
from assistant.errors import NotFoundError, QuestionError, SourceError
from assistant.ingest.names import safe_name
from assistant.surfaces.http.jobs import identity
from assistant.surfaces.http.receiving import ELSEWHERE, Existing, File, Receiver, allowed_groups
from assistant.surfaces.http.records import Job, QuarantinedFile, Removed
from assistant.surfaces.http.service import Service
from assistant.types import Document, Principal


class Editor:
    """One user's hands on the documents; ``address`` is where they ask from."""

    def __init__(self, service: Service, asker: Identity, address: str) -> None:
        self._assistant = service.assistant
        self._accounts = service.accounts
        self._uploads = service.uploads
        self._jobs = service.jobs
        self._service = service
        self._asker = asker
        self._address = address

    # -- files ------------------------------------------------------------------------------

    def upload(
        self,
        files: Sequence[File],
        groups: Sequence[str] = (),
        existing: Existing = "refuse",
        title: str = "",
    ) -> Job:
        """Keep files and queue them to be taken in; a bad one does not stop the others.

        ``existing`` says what becomes of a file whose name one of the asker's documents has.
        Without ``groups`` a new file is for everyone; a replaced one's readers stay as they are.

        Raises:
            SourceError: there is no file, or none that could be kept.
            ForbiddenError: the asker may not give documents to these groups.
        """
        self._asker.require("documents")
        job = Receiver(self._service, self._asker, groups, existing, title).receive(files)
        for file in job.files:
            path = self._uploads.find(file.document_id) if file.state == "waiting" else None
            if path:
                readers = ", ".join(self._uploads.groups(path))
                self._note("upload", file.document_id, f"{path.name} → {readers}")
        return job

    def replace(self, document_id: str, file: File) -> Job:
        """Put a new file in a document's place; a bad one leaves the old one answering.

        Raises:
            NotFoundError: there is no such document.
            SourceError: it was not uploaded, or the new file is of another kind.
            ConflictError: it is being changed.
        """
        document = self._mine(document_id)
        path = self._uploads.find(document_id)
        if path is None:
            raise SourceError(ELSEWHERE)
        if Path(safe_name(file.name)).suffix.lower() != path.suffix.lower():
            raise SourceError(
                f"The document is a {path.suffix} file, and what replaces it must be one too. "
                "Upload the other as a new document, and delete this one."
            )
        with self._claim(document_id):
            self._uploads.replace(path, file.stream, self._asker.user.id)
            job = self._jobs.take_in("replace", self._asker.user.id, [path])
        self._note("replace", document_id, document.title)
        return job

    # -- documents --------------------------------------------------------------------------

    def ingest(self, document_id: str) -> Job:
        """Queue a document to be read again from its file.

        Raises:
            NotFoundError: there is no such document.
            SourceError: its file is gone.
            ConflictError: it is being changed.
        """
        document = self._mine(document_id)
        return self._again(document_id, self._location(document), document.title)

    def retag(
        self, document_id: str, groups: Sequence[str] | None = None, title: str | None = None
    ) -> Document:
        """Give a document other readers or another title; it holds when this returns.

        Raises:
            NotFoundError: there is no such document.
            ForbiddenError: the asker may not give documents to these groups.
            SourceError: its file is gone, or says otherwise itself.
            ConflictError: it is being changed.
        """
        document = self._mine(document_id)
        if groups is not None and not groups:
            raise QuestionError("Nobody could read it. Name at least one group, or `everyone`.")
        given = allowed_groups(self._asker, groups or (), keep=document.groups)
        path = self._location(document)
        with self._jobs.claimed(document_id):
            if self._uploads.owns(path):
                self._retag_upload(path, given, title)
            elif title not in (None, document.title):
                raise SourceError(f"{ELSEWHERE} Its title comes from there.")
            elif given:
                self._retag_other(path, given)
        # Who gives a document away still sees what became of it.
        seen = Principal(self._asker.user.id, (*given, *self._asker.user.groups))
        changed = self._assistant.document(document_id, seen)
        self._note("retag", document_id, f"{changed.title} → {', '.join(changed.groups)}")
        return changed

    def delete(self, document_id: str) -> Removed:
        """Remove a document, and its file if it was uploaded; no answer rests on it any more.

        Raises:
            NotFoundError: there is no such document.
            ConflictError: it is being changed.
        """
        document = self._mine(document_id)
        path = self._uploads.find(document_id)
        with self._jobs.claimed(document_id):
            if path:
                self._uploads.discard(path.parent, self._assistant.ingest)
                detail = "Its file is deleted too."
            else:
                self._assistant.remove(document_id)
                detail = (
                    f"Its file {document.source} stays where it is; ingesting its folder again "
                    "brings the document back."
                )
        self._note("delete", document_id, document.title)
        return Removed(document_id, document.title, detail)

    def reindex(self) -> Job:
        """Queue building the index anew with the settings' model.

        Raises:
            ConflictError: that is queued or under way.
        """
        self._asker.require("admin")
        job = self._jobs.reindex(self._asker.user.id)
        self._note("reindex", job.id, "")
        return job

    # -- quarantine -------------------------------------------------------------------------

    def quarantined(self) -> list[QuarantinedFile]:
        """Return what was not taken in: uploads for the asker's groups, others for admins."""
        self._asker.require("documents")
        uploads: dict[str, QuarantinedFile] = {}
        others = []
        for entry in self._assistant.quarantined():
            document = identity(Path(entry.source))
            path = self._uploads.find(document)
            if path:
                uploads[document] = self._bad(document, path, entry.reason)
            else:
                others.append(QuarantinedFile(entry.source, entry.reason))
        for path in self._uploads.pending():
            document = identity(path)
            if document not in uploads and not self._jobs.is_claimed(document):
                uploads[document] = self._bad(document, path, "It was not taken in yet. Retry it.")
        return [bad for bad in (*uploads.values(), *others) if self._may_see(bad)]

    def retry(self, upload_id: str) -> Job:
        """Queue an upload in quarantine to be taken in once more."""
        bad = self._in_quarantine(upload_id)
        return self._again(upload_id, bad, bad.name)

    def discard(self, upload_id: str) -> None:
        """Delete an upload in quarantine, and the earlier version that it may have."""
        bad = self._in_quarantine(upload_id)
        with self._jobs.claimed(upload_id):
            self._uploads.discard(bad.parent, self._assistant.ingest)
        self._note("discard", upload_id, bad.name)

    # -- inside -----------------------------------------------------------------------------

    def _note(self, action: str, target: str, detail: str) -> None:
        self._accounts.audit(self._asker.user.id, action, target, detail, self._address)

    def _mine(self, document_id: str) -> Document:
        """Return a document to be changed, which takes the right to read it."""
        self._asker.require("documents")
        reader = self._asker.principal
        if self._asker.via == "local" and "admin" in self._asker.scopes:
            # Who holds the data directory holds all of it.
            reader = Principal(reader.user_id, self._assistant.groups())
        return self._assistant.document(document_id, reader)

    def _location(self, document: Document) -> Path:
        """Return the file that a document was taken in from, as it was named then.

        Raises:
            SourceError: it is not there any more.
        """
        upload = self._uploads.find(document.id)
        path = upload or Path(document.source)
        if identity(path) != document.id or not path.expanduser().is_file():
            raise SourceError(
                f"The file of this document, {document.source}, is not where it was taken in "
                "from. Put it back, or ingest its folder where it is now."
            )
        return path

    def _again(self, document_id: str, path: Path, title: str) -> Job:
        with self._claim(document_id):
            job = self._jobs.take_in("ingest", self._asker.user.id, [path])
        self._note("ingest", document_id, title)
        return job

    @contextmanager
    def _claim(self, document_id: str) -> Iterator[None]:
        """Claim a document for a job that is queued within; the job ends the claim."""
        self._jobs.claim(document_id)
        try:
            yield
        except BaseException:
            self._jobs.release(document_id)
            raise

    def _retag_upload(self, path: Path, groups: tuple[str, ...], title: str | None) -> None:
        said, before = self._uploads.described(path), self._uploads.groups(path)
        self._uploads.retag(path, groups or before, said.title if title is None else title)
        try:
            self._give(path, groups or before)
        except BaseException as error:
            self._uploads.settle(path, ok=False)
            if isinstance(error, SourceError):
                self._give(path, before)
            raise
        self._uploads.settle(path, ok=True)

    def _retag_other(self, path: Path, groups: tuple[str, ...]) -> None:
        try:
            self._give(path, groups)
        except SourceError:
            self._give(path, None)
            raise

    def _give(self, path: Path, groups: tuple[str, ...] | None) -> None:
        """Take a file in for other groups, or for those that it has.

        Raises:
            SourceError: it cannot be. The index holds it as before, and notes that the file
                is bad until it is taken in as it was.
        """
        report = self._assistant.ingest(path, groups=groups)
        if report.quarantined:
            raise SourceError(report.quarantined[0].reason)

    def _bad(self, upload_id: str, path: Path, reason: str) -> QuarantinedFile:
        try:
            groups = self._uploads.groups(path)
        except SourceError as error:  # whose it is cannot be known
            groups, reason = (), str(error)
        return QuarantinedFile(path.name, reason, upload_id, groups)

    def _may_see(self, bad: QuarantinedFile) -> bool:
        if bad.groups:
            return not self._asker.principal.groups.isdisjoint(bad.groups)
        return "admin" in self._asker.scopes

    def _in_quarantine(self, upload_id: str) -> Path:
        path = self._uploads.find(upload_id)
        if path is None or upload_id not in {bad.id for bad in self.quarantined()}:
            raise NotFoundError("There is no such file in quarantine. `GET /v1/quarantine` lists.")
        return path
