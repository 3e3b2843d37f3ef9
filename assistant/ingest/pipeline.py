"""Take files and folders in: find them, parse, clean, chunk, embed, and hand them to the store.

Every source ends in exactly one line of the report. It decides what a file's
identity, title and groups are; how a format is read and how a version is written
safely are others' business.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from assistant.embed import Embedder
from assistant.errors import SourceError
from assistant.index.records import Draft
from assistant.index.store import Store
from assistant.ingest.chunk import Passage, chunk_blocks, document_text, indexed_text
from assistant.ingest.clean import clean_blocks, signature, similarity
from assistant.ingest.load import (
    MANIFEST,
    Block,
    IsolatedParser,
    Metadata,
    check_size,
    read_manifest,
)
from assistant.settings import Settings
from assistant.text import detect_language
from assistant.types import (
    EVERYONE_GROUP,
    Duplicate,
    IngestReport,
    Progress,
    Quarantined,
)

logger = logging.getLogger(__name__)

# Below the data directory: what people uploaded, each file alone in a folder of its own.
UPLOADS_FOLDER = "uploads"
NEAR_DUPLICATE = 0.9
TITLE_CHARS = 40
# Chunks embedded and written together: enough to sort by length and fill batches.
BATCH_CHUNKS = 256
# Room in the embedder's window for the title and headings before a chunk.
CONTEXT_TOKENS = 64

ProgressCallback = Callable[[Progress], None]
_TELLING_NAME = re.compile(r"[\u3400-\u9fff]{2}|[A-Za-z]{3,}[ _\-][A-Za-z]{3,}")


@dataclass(frozen=True)
class _File:
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
        return document_id(self.path)


@dataclass
class _Tally:
    """The report while it grows."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    chunks: int = 0

    def report(self, seconds: float) -> IngestReport:
        lists = {name: tuple(value) for name, value in vars(self).items() if name != "chunks"}
        return IngestReport(**lists, chunks=self.chunks, seconds=seconds)


def document_id(path: Path) -> str:
    """Return the identity of a file: its resolved path, hashed."""
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Pipeline:
    """One ingest run over a store.

    Raises (from `run`):
        SourceError: a source named by the caller does not exist or is outside the
            allowed folders. Files found inside a folder are quarantined instead.
    """

    def __init__(self, store: Store, embedder: Embedder, settings: Settings) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._uploads = (settings.data_dir / UPLOADS_FOLDER).resolve()

    def run(
        self,
        sources: Sequence[str | Path],
        groups: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> IngestReport:
        """Take the sources in, remove documents whose file vanished from a folder among them.

        Without ``groups`` a known document keeps its readers and a new one is for everyone.
        ``progress`` is called from two threads: files are read while others are embedded.
        """
        began = time.monotonic()
        if isinstance(groups, str) or (groups is not None and not groups):
            raise SourceError("`groups` is a list of one or more group names, e.g. ['finance'].")
        tell = progress or (lambda _: None)
        tally = _Tally()
        files, vanished = self._find(sources)
        known = self._store.catalog.states()
        named = {file.document_id: file.source for file in files}
        duplicates = _Duplicates(self._store.catalog.signatures())
        with IsolatedParser(self._settings) as parser:
            drafts = self._drafts(files, known, groups, parser, duplicates, tally, tell)
            for batch in _ahead(_batches(drafts)):
                self._store.replace(self._embed(batch, tally, tell))
                for draft in batch:
                    (tally.updated if draft.document_id in known else tally.added).append(
                        named[draft.document_id]
                    )
        self._forget(vanished, tally)
        tell(Progress("done", len(files), len(files)))
        return tally.report(time.monotonic() - began)

    def redraft(self, draft: Draft) -> Draft:
        """Chunk and embed a stored document anew."""
        blocks = _decode(draft.blocks)
        passages = self._chunk(blocks)
        texts = [indexed_text(draft.title, p.heading, p.text) for p in passages]
        return replace(
            draft, passages=tuple(passages), vectors=self._embedder.embed_passages(texts)
        )

    # -- finding ----------------------------------------------------------------------------

    def _find(self, sources: Sequence[str | Path]) -> tuple[list[_File], set[str]]:
        """Return the files named or found, and the ids of documents whose file is gone."""
        files: dict[Path, _File] = {}
        folders: list[Path] = []
        closed: list[Path] = []
        for source in sources:
            path = Path(source).expanduser()
            resolved = path.resolve()
            self._check_allowed(resolved, str(source))
            if resolved.is_dir():
                folders.append(resolved)
                for file in _walk(path, closed):
                    files.setdefault(file.path, file)
            elif resolved.exists():
                files.setdefault(resolved, _described([(str(source), resolved)], path.parent)[0])
            else:
                raise SourceError(f"{source} does not exist. Check the path.")
        vanished = {
            document
            for document, (_, stored) in self._store.catalog.states().items()
            if Path(stored) not in files
            and any(f in Path(stored).parents for f in folders)
            and not any(f in Path(stored).parents for f in closed)
        }
        self._forget_quarantine(folders, closed, {_readable(path) for path in files})
        return list(files.values()), vanished

    def _check_allowed(self, path: Path, source: str) -> None:
        allowed = [folder.expanduser().resolve() for folder in self._settings.allowed_folders]
        folders = (*allowed, self._uploads)
        if allowed and not any(f == path or f in path.parents for f in folders):
            raise SourceError(
                f"{source} is outside the folders that documents may come from "
                f"({', '.join(map(str, allowed))}). Move it there, or extend `allowed_folders`."
            )

    def _forget_quarantine(
        self, folders: Sequence[Path], closed: Sequence[Path], found: set[str]
    ) -> None:
        """Clear what was noted of files that are gone."""
        catalog = self._store.catalog
        for name in catalog.quarantine():
            parents = Path(name).parents
            gone = any(f in parents for f in folders) and not any(f in parents for f in closed)
            if gone and name not in found:
                catalog.set_quarantine(name, None)

    def _forget(self, vanished: set[str], tally: _Tally) -> None:
        if not vanished:
            return
        names = {s[0]: s[1] for s in self._store.catalog.signatures()}
        self._store.replace([], retire=sorted(vanished))
        tally.removed.extend(sorted(names[document] for document in vanished))

    # -- drafting ---------------------------------------------------------------------------

    def _drafts(
        self,
        files: Sequence[_File],
        known: dict[str, tuple[str, str]],
        groups: Sequence[str] | None,
        parser: IsolatedParser,
        duplicates: _Duplicates,
        tally: _Tally,
        tell: ProgressCallback,
    ) -> Iterator[Draft]:
        """Yield a draft without vectors for each new or changed file; quarantine the bad ones."""
        catalog = self._store.catalog
        readers = {d.id: d.groups for d in catalog.documents(catalog.audiences())}
        noted = catalog.quarantine()
        for done, file in enumerate(files):
            tell(Progress("read", done, len(files), file.source))
            try:
                if file.problem:
                    raise SourceError(file.problem)
                # The real path: a link inside an allowed folder may lead out of it.
                self._check_allowed(file.path, file.source)
                check_size(file.path, self._settings)
                given = groups or readers.get(file.document_id, (EVERYONE_GROUP,))
                content_hash = _content_hash(file, given)
                # A document that narrowed its readers itself was given to everyone.
                same = (
                    {content_hash}
                    if groups
                    else {content_hash, _content_hash(file, (EVERYONE_GROUP,))}
                )
                if known.get(file.document_id, ("", ""))[0] in same:
                    if _readable(file.path) in noted:  # it was bad meanwhile, and is as before
                        catalog.set_quarantine(_readable(file.path), None)
                    tally.unchanged.append(file.source)
                    continue
                draft = self._draft(file, given, parser, content_hash)
            except (SourceError, OSError) as error:
                reason = str(error) or type(error).__name__
                if file.document_id in known:
                    reason += " Its earlier version stays in the index."
                entry = Quarantined(file.source, reason)
                catalog.set_quarantine(_readable(file.path), entry)
                tally.quarantined.append(entry)
                continue
            catalog.set_quarantine(_readable(file.path), None)
            tally.duplicates.extend(duplicates.check(draft))
            yield draft

    def _draft(
        self, file: _File, groups: Sequence[str], parser: IsolatedParser, content_hash: str
    ) -> Draft:
        parsed = parser.parse(file.path)
        blocks = clean_blocks(parsed.blocks)
        text = document_text(blocks)
        if not text.strip():
            raise SourceError("It holds no text. If it is a scan, run OCR on it first.")
        said = _merge(file.metadata, parsed.metadata)
        return Draft(
            document_id=file.document_id,
            title=said.title or _title(file.path, blocks),
            # An upload's path tells nobody anything; its name is what people know it by.
            source=file.path.name if self._uploads in file.path.parents else file.source,
            path=str(file.path),
            language=said.language or detect_language(text[:5000]),
            groups=_narrow(said.groups, groups),
            provenance=said.provenance,
            content_hash=content_hash,
            signature=signature(text).tobytes(),
            blocks=json.dumps([asdict(block) for block in blocks], ensure_ascii=False),
            passages=tuple(self._chunk(blocks)),
            vectors=np.empty((0, 0), np.float32),
        )

    def _chunk(self, blocks: Sequence[Block]) -> list[Passage]:
        limit = min(self._settings.chunk_tokens, self._embedder.max_tokens - CONTEXT_TOKENS)
        return chunk_blocks(blocks, limit=limit, count_tokens=self._embedder.count_tokens)

    def _embed(self, batch: Sequence[Draft], tally: _Tally, tell: ProgressCallback) -> list[Draft]:
        texts = [indexed_text(d.title, p.heading, p.text) for d in batch for p in d.passages]
        vectors = self._embedder.embed_passages(
            texts, progress=lambda done: tell(Progress("embed", done, len(texts)))
        )
        tally.chunks += len(texts)
        embedded, first = [], 0
        for draft in batch:
            last = first + len(draft.passages)
            embedded.append(replace(draft, vectors=vectors[first:last]))
            first = last
        return embedded


class _Duplicates:
    """Finds documents whose text is (nearly) another's, by MinHash over all visible ones."""

    def __init__(self, signatures: Sequence[tuple[str, str, bytes]]) -> None:
        self._ids = [s[0] for s in signatures]
        self._sources = [s[1] for s in signatures]
        self._blobs = [s[2] for s in signatures]

    def check(self, draft: Draft) -> list[Duplicate]:
        """Return the closest twin of a draft, if there is one, and remember the draft."""
        found: list[Duplicate] = []
        if self._blobs:
            width = np.dtype(np.uint64).itemsize
            known = np.frombuffer(b"".join(self._blobs), np.uint64)
            known = known.reshape(len(self._blobs), len(draft.signature) // width)
            scores = similarity(np.frombuffer(draft.signature, np.uint64), known)
            scores[[document == draft.document_id for document in self._ids]] = 0.0
            best = int(scores.argmax())
            if scores[best] >= NEAR_DUPLICATE:
                found = [Duplicate(draft.source, self._sources[best], float(scores[best]))]
        self._ids.append(draft.document_id)
        self._sources.append(draft.source)
        self._blobs.append(draft.signature)
        return found


def _walk(folder: Path, closed: list[Path]) -> Iterator[_File]:
    """Yield the files below a folder in a fixed order, hidden ones and lock files left out.

    Folders that cannot be read are added to ``closed``: what is in them is not gone.
    """

    def note(error: OSError) -> None:
        logger.warning("%s cannot be read (%s); its documents stay", error.filename, error)
        closed.append(Path(error.filename).resolve())

    for directory, names, files in os.walk(folder, onerror=note):
        names[:] = sorted(name for name in names if not name.startswith("."))
        here = Path(directory)
        paths = [
            here / name
            for name in sorted(files)
            if name != MANIFEST and not name.startswith((".", "~$"))
        ]
        yield from _described([(str(path), path.resolve()) for path in paths], here)


def _described(named: Sequence[tuple[str, Path]], folder: Path) -> list[_File]:
    """Join files of one folder with what its manifest says of them."""
    problem, manifest = "", {}
    try:
        manifest = read_manifest(folder)
    except SourceError as error:
        problem = str(error)
    files = []
    for source, path in named:
        said = manifest.get(Path(source).name, Metadata())
        name = _readable(Path(source))
        garbled = "" if name == source else "Its name is not valid text. Rename it."
        files.append(_File(name, path, said, problem or garbled))
    return files


def _readable(path: Path) -> str:
    """Return a path as text that can be stored; bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _content_hash(file: _File, groups: Sequence[str]) -> str:
    """Hash what decides a version: the bytes, what the manifest says, and who may read it."""
    said = json.dumps([asdict(file.metadata), sorted(groups)], ensure_ascii=False)
    with file.path.open("rb") as handle:
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    return hashlib.sha256((content + said).encode()).hexdigest()


def _merge(manifest: Metadata, own: Metadata) -> Metadata:
    """Let the manifest speak before the file's own front matter, except about who may read."""
    groups = manifest.groups if own.groups is None else own.groups
    if manifest.groups is not None and own.groups is not None:
        groups = _narrow(own.groups, manifest.groups)
    return Metadata(
        title=manifest.title or own.title,
        language=manifest.language or own.language,
        groups=groups,
        provenance=manifest.provenance or own.provenance,
    )


def _narrow(own: Sequence[str] | None, given: Sequence[str]) -> tuple[str, ...]:
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


def _title(path: Path, blocks: Sequence[Block]) -> str:
    """Name a document that does not name itself: its heading, file name, or first words."""
    if blocks[0].heading:
        return blocks[0].heading[0]
    if _TELLING_NAME.search(path.stem):
        return path.stem.replace("_", " ")
    line = blocks[0].text.splitlines()[0].strip()
    return line if len(line) <= TITLE_CHARS else line[:TITLE_CHARS].rstrip() + "…"


def _batches(drafts: Iterator[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        batch.append(draft)
        size += len(draft.passages)
        if size >= BATCH_CHUNKS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ahead(batches: Iterator[list[Draft]]) -> Iterator[list[Draft]]:
    """Yield the batches, the next one made in a thread of its own while this one is embedded.

    The first is made here: nothing is embedded yet, and what the tokenizer takes up in
    another thread's memory is not given back when the model is loaded.
    """
    batch = next(batches, None)
    with ThreadPoolExecutor(1, "ingest") as thread:
        while batch:
            coming = thread.submit(next, batches, None)
            yield batch
            batch = coming.result()


def _decode(blocks: str) -> list[Block]:
    return [Block(**{**b, "heading": tuple(b["heading"])}) for b in json.loads(blocks)]
