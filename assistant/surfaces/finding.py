"""Which files to send to a server, under which names and for whom; it sends nothing.

Files are found by the pipeline's rules, and the manifests beside them are heeded, so that
nobody reads on the server what they could not read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import SourceError
from assistant.ingest.find import MANIFEST, readable, walk
from assistant.types import EVERYONE_GROUP, Quarantined


@dataclass(frozen=True)
class File:
    """A file to send: as the caller named it, where it is, and what the server shall call it."""

    source: str
    path: Path
    name: str
    groups: tuple[str, ...] | None
    title: str = ""


def find_files(
    sources: Sequence[str | Path], groups: Sequence[str] | None
) -> tuple[list[File], list[Quarantined]]:
    """Return the files named or found in folders, and those that cannot be sent.

    Raises:
        SourceError: a source does not exist.
    """
    bad: list[Quarantined] = []
    files: dict[str, File] = {}
    seen: set[Path] = set()
    for source in sources:
        for given, path, name in _named(source, bad):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                file = _described(given, path, name, groups, files.get(name.casefold()))
            except SourceError as error:
                bad.append(Quarantined(readable(given), str(error)))
            else:
                files[name.casefold()] = file
    return list(files.values()), bad


def _named(source: str | Path, bad: list[Quarantined]) -> Iterator[tuple[str, Path, str]]:
    """Yield the files of a source: as they are called here, where they are, and there."""
    path = Path(source).expanduser()
    if path.is_dir():
        for each in _walk(path, bad):
            yield str(each), each, " - ".join(each.relative_to(path).parts)
    elif path.exists():
        yield str(source), path, path.name
    else:
        raise SourceError(f"{source} does not exist. Check the path.")


def _walk(folder: Path, bad: list[Quarantined]) -> Iterator[Path]:
    """Return the files below a folder; those that cannot be read are added to ``bad``."""

    def note(error: OSError) -> None:
        reason = f"It cannot be read ({error.strerror or error})."
        bad.append(Quarantined(readable(str(error.filename)), reason))

    return walk(folder, note)


def _described(
    source: str, path: Path, name: str, groups: Sequence[str] | None, twin: File | None
) -> File:
    """Return a file with what the manifest beside it says of it.

    Raises:
        SourceError: it cannot be sent.
    """
    if twin:
        raise SourceError(
            f"{twin.source} would have the same name on the server. Rename one of them."
        )
    if readable(source) != source:
        raise SourceError("Its name is not valid text. Rename it.")
    if not (path.parent / MANIFEST).exists():
        return File(source, path, name, None if groups is None else tuple(groups))
    from assistant.ingest.load import Metadata, read_manifest

    said = read_manifest(path.parent).get(path.name, Metadata())
    return File(source, path, name, _narrow(said.groups, groups), said.title or "")


def _narrow(own: Sequence[str] | None, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return who may read: what a manifest says narrows what the caller gave, as here so there.

    Raises:
        SourceError: the two have no group in common.
    """
    if own is None or readers(own) == {EVERYONE_GROUP}:
        return None if given is None else tuple(given)
    if given is None or readers(given) == {EVERYONE_GROUP}:
        return tuple(sorted(set(own)))
    both = set(own) & set(given)
    if not both:
        raise SourceError(
            f"Its manifest names the groups {', '.join(sorted(own))}, but it was sent for "
            f"{', '.join(sorted(given))}; nobody could read it. Change one of them."
        )
    return tuple(sorted(both))


def readers(groups: Sequence[str]) -> set[str]:
    """Return who may read what is given to these groups: beside everyone, no other counts."""
    return {EVERYONE_GROUP} if EVERYONE_GROUP in groups else set(groups)
