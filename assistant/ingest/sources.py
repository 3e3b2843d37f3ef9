"""Files to take in: where each is, what its manifest says of it, and who may read it by that.

How a file is read is `load`'s business, what becomes of it, the pipeline's.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from assistant.errors import SourceError
from assistant.ingest.find import document_id, readable, walk
from assistant.ingest.load import Metadata, read_manifest
from assistant.types import EVERYONE_GROUP

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFile:
    """A file to take in: as it was named, where it really is, what its manifest says.

    ``problem`` is set when the manifest beside it cannot be read: who may see the file
    is then unknown, so it must not be taken in.
    """

    source: str
    path: Path
    metadata: Metadata
    problem: str = ""

    @property
    def document_id(self) -> str:
        """The identity of the document that it is."""
        return document_id(self.path)


def found_in(folder: Path, closed: list[Path]) -> Iterator[SourceFile]:
    """Yield the files below a folder, each with what is said of it.

    Folders that cannot be read are added to ``closed``: what is in them is not gone.
    """

    def note(error: OSError) -> None:
        logger.warning("%s cannot be read (%s); its documents stay", error.filename, error)
        closed.append(Path(error.filename).resolve())

    for here, paths in groupby(walk(folder, note), key=lambda path: path.parent):
        yield from described([(str(path), path.resolve()) for path in paths], here)


def described(named: Sequence[tuple[str, Path]], folder: Path) -> list[SourceFile]:
    """Join files of one folder with what its manifest says of them."""
    problem, manifest = "", {}
    try:
        manifest = read_manifest(folder)
    except SourceError as error:
        problem = str(error)
    files = []
    for source, path in named:
        said = manifest.get(Path(source).name, Metadata())
        name = readable(Path(source))
        garbled = "" if name == source else "Its name is not valid text. Rename it."
        files.append(SourceFile(name, path, said, problem or garbled))
    return files


def content_hash(file: SourceFile, groups: Sequence[str]) -> str:
    """Hash what decides a version: the bytes, what the manifest says, and who may read it."""
    said = json.dumps([asdict(file.metadata), sorted(groups)], ensure_ascii=False)
    with file.path.open("rb") as handle:
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    return hashlib.sha256((content + said).encode()).hexdigest()


def merged(manifest: Metadata, own: Metadata) -> Metadata:
    """Let the manifest speak before the file's own front matter, except about who may read."""
    groups = manifest.groups if own.groups is None else own.groups
    if manifest.groups is not None and own.groups is not None:
        groups = narrowed(own.groups, manifest.groups)
    return Metadata(
        title=manifest.title or own.title,
        language=manifest.language or own.language,
        groups=groups,
        provenance=manifest.provenance or own.provenance,
    )


def narrowed(own: Sequence[str] | None, given: Sequence[str]) -> tuple[str, ...]:
    """Return who may read: a document may narrow the groups it is ingested for, never widen.

    Raises:
        SourceError: the two have no group in common.
    """
    wide = {EVERYONE_GROUP}
    if own is None or set(own) == wide:
        return tuple(sorted(set(given)))
    if set(given) == wide:
        return tuple(sorted(set(own)))
    both = set(own) & set(given)
    if not both:
        raise SourceError(
            f"It names the groups {', '.join(sorted(own))}, but was ingested for "
            f"{', '.join(sorted(given))}; nobody could read it. Change one of them."
        )
    return tuple(sorted(both))
