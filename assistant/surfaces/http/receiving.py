"""Files as they come in: whose they may be, what has their name already, and where they go.

Each file of several is judged by itself; what becomes of the good ones is a job's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Literal

from assistant.accounts.names import clean_groups
from assistant.accounts.records import Identity
from assistant.errors import (
    AssistantError,
    ConflictError,
    ForbiddenError,
    QuestionError,
    SourceError,
)
from assistant.ingest.names import safe_name
from assistant.surfaces.http.jobs import identity
from assistant.surfaces.http.records import FileProgress, Job
from assistant.surfaces.http.service import Service
from assistant.types import EVERYONE_GROUP

Existing = Literal["refuse", "replace", "keep"]

ELSEWHERE = (
    "This document was taken in from a folder of the server, not uploaded. Change it there and "
    "ingest it again."
)


@dataclass(frozen=True)
class File:
    """A file on its way in: the name it has there, and its bytes, to be read once."""

    name: str
    stream: IO[bytes]


def allowed_groups(
    asker: Identity, groups: Sequence[str], keep: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return groups as they are kept, if the asker may give a document to them.

    Raises:
        ForbiddenError: an editor names one that is not theirs; those in ``keep`` may stay.
        QuestionError: one cannot be a group.
    """
    if any(not clean_groups([name]) for name in groups):
        return (EVERYONE_GROUP,)  # beside which no other matters
    cleaned = clean_groups(groups)
    foreign = set(cleaned) - asker.principal.groups - set(keep)
    if foreign and "admin" not in asker.scopes:
        raise ForbiddenError(
            f"You do not belong to {', '.join(sorted(foreign))}. Give documents to your own "
            "groups or to everyone, or ask an administrator."
        )
    return cleaned


class Receiver:
    """Takes the files of one request, for one user."""

    def __init__(
        self,
        service: Service,
        asker: Identity,
        groups: Sequence[str],
        existing: Existing,
        title: str,
    ) -> None:
        self._assistant = service.assistant
        self._uploads = service.uploads
        self._jobs = service.jobs
        self._asker = asker
        self._groups = allowed_groups(asker, groups)
        self._existing = existing
        self._title = title

    def receive(self, files: Sequence[File]) -> Job:
        """Keep the files and queue them.

        Raises:
            SourceError: there are none, or none that could be kept.
            QuestionError: one title was given for several.
        """
        if not files:
            raise SourceError("No file came with the request. Send some in the field `files`.")
        if self._title and len(files) > 1:
            raise QuestionError("One title cannot name several files. Send them one by one.")
        with self._uploads.arriving:
            return self._receive(files)

    def _receive(self, files: Sequence[File]) -> Job:
        names = self._names()
        shown: list[FileProgress] = []
        errors: list[AssistantError] = []
        try:
            for file in files:
                twins = names.setdefault(safe_name(file.name).casefold(), [])
                shown.append(self._keep(file, twins, errors))
            if len(errors) == len(files):
                raise errors[0]
            paths = [self._uploads.find(document) for document in _waiting(shown)]
            kept = [path for path in paths if path]
            return self._jobs.take_in("upload", self._asker.user.id, kept, shown)
        except BaseException:
            self._jobs.release(*_waiting(shown))
            raise

    def _names(self) -> dict[str, list[str]]:
        """Return, by the name of their file, the documents that the asker reads, or will read."""
        names: dict[str, list[str]] = {}
        for document in self._assistant.documents(self._asker.principal):
            names.setdefault(safe_name(document.source).casefold(), []).append(document.id)
        for path in self._uploads.pending():
            with suppress(SourceError):  # whose it is cannot be known
                if not self._asker.principal.groups.isdisjoint(self._uploads.groups(path)):
                    names.setdefault(path.name.casefold(), [identity(path)])
        return names

    def _keep(self, file: File, twins: list[str], errors: list[AssistantError]) -> FileProgress:
        """Keep one file, or say why not; a refusal is noted in ``errors``, a conflict is none."""
        name = file.name or safe_name("")
        try:
            if not twins or self._existing == "keep":
                groups = self._groups or (EVERYONE_GROUP,)
                path = self._uploads.add(
                    file.stream, file.name, groups, self._title, self._asker.user.id
                )
                twins.append(identity(path))
                return FileProgress(name, document_id=identity(path))
            if self._existing == "refuse":
                raise ConflictError("There is a document of this name. Replace it, or keep both.")
            self._replace(file, twins)
            return FileProgress(name, document_id=twins[0])
        except ConflictError as error:
            return FileProgress(name, "conflict", str(error), twins[0])
        except AssistantError as error:
            errors.append(error)
            return FileProgress(name, "quarantined", str(error))

    def _replace(self, file: File, twins: list[str]) -> None:
        """Put a file in the place of the one document that has its name.

        Raises:
            ConflictError: it must not be, or cannot.
        """
        if len(twins) > 1:
            raise ConflictError(
                "Several documents have this name. Replace the right one by its id."
            )
        path = self._uploads.find(twins[0])
        if path is None:
            raise ConflictError(ELSEWHERE)
        readers = self._uploads.groups(path)
        if (
            self._groups
            and EVERYONE_GROUP not in self._groups
            and not set(readers) <= set(self._groups)
        ):
            # Else those who read the old file would read what is not meant for them.
            raise ConflictError(
                f"The document is for {', '.join(readers)}, more than the new file. Change its "
                "groups first, or keep both."
            )
        self._jobs.claim(twins[0])
        try:
            self._uploads.replace(path, file.stream, self._asker.user.id)
        except BaseException:
            self._jobs.release(twins[0])
            raise


def _waiting(files: Sequence[FileProgress]) -> list[str]:
    return [file.document_id for file in files if file.state == "waiting"]
