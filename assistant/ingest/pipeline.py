"""Take files and folders in: find them, parse, clean, chunk, embed, and hand them to the store.

Every source ends in exactly one line of the report. It decides what a file's
identity, title and groups are; how a format is read and how a version is written
safely are others' business.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from assistant.embed import Embedder
from assistant.errors import SourceError
from assistant.index.records import Draft, Vectors
from assistant.index.store import Store
from assistant.ingest.chunk import Passage, chunk_blocks, document_text, indexed_text
from assistant.ingest.clean import clean_blocks, signature
from assistant.ingest.duplicates import Duplicates
from assistant.ingest.find import UPLOADS_FOLDER, readable
from assistant.ingest.load import Block, IsolatedParser, check_size
from assistant.ingest.sources import (
    SourceFile,
    content_hash,
    described,
    found_in,
    merged,
    narrowed,
)
from assistant.late import LateInteraction
from assistant.settings import Settings
from assistant.text import detect_language
from assistant.types import (
    EVERYONE_GROUP,
    Duplicate,
    IngestReport,
    Progress,
    Quarantined,
)

TITLE_CHARS = 40
# Chunks embedded and written together: enough to sort by length and fill batches.
BATCH_CHUNKS = 256
# Room in the embedder's window for the title and headings before a chunk.
CONTEXT_TOKENS = 64

ProgressCallback = Callable[[Progress], None]
_TELLING_NAME = re.compile(r"[\u3400-\u9fff]{2}|[A-Za-z]{3,}[ _\-][A-Za-z]{3,}")


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


class Pipeline:
    """One ingest run over a store.

    Raises (from `run`):
        SourceError: a source named by the caller does not exist or is outside the
            allowed folders. Files found inside a folder are quarantined instead.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        settings: Settings,
        late: LateInteraction | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._late = late
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
        duplicates = Duplicates(self._store.catalog.signatures())
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
        new = replace(draft, passages=tuple(passages))
        return replace(new, vectors=self._encode([new], texts, lambda _: None))

    # -- finding ----------------------------------------------------------------------------

    def _find(self, sources: Sequence[str | Path]) -> tuple[list[SourceFile], set[str]]:
        """Return the files named or found, and the ids of documents whose file is gone."""
        files: dict[Path, SourceFile] = {}
        folders: list[Path] = []
        closed: list[Path] = []
        for source in sources:
            path = Path(source).expanduser()
            resolved = path.resolve()
            self._check_allowed(resolved, str(source))
            if resolved.is_dir():
                folders.append(resolved)
                for file in found_in(path, closed):
                    files.setdefault(file.path, file)
            elif resolved.exists():
                files.setdefault(resolved, described([(str(source), resolved)], path.parent)[0])
            else:
                raise SourceError(f"{source} does not exist. Check the path.")
        vanished = {
            document
            for document, (_, stored) in self._store.catalog.states().items()
            if Path(stored) not in files
            and any(f in Path(stored).parents for f in folders)
            and not any(f in Path(stored).parents for f in closed)
        }
        self._forget_quarantine(folders, closed, {readable(path) for path in files})
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
        files: Sequence[SourceFile],
        known: dict[str, tuple[str, str]],
        groups: Sequence[str] | None,
        parser: IsolatedParser,
        duplicates: Duplicates,
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
                version = content_hash(file, given)
                # A document that narrowed its readers itself was given to everyone.
                same = {version} if groups else {version, content_hash(file, (EVERYONE_GROUP,))}
                if known.get(file.document_id, ("", ""))[0] in same:
                    if readable(file.path) in noted:  # it was bad meanwhile, and is as before
                        catalog.set_quarantine(readable(file.path), None)
                    tally.unchanged.append(file.source)
                    continue
                draft = self._draft(file, given, parser, version)
            except (SourceError, OSError) as error:
                reason = str(error) or type(error).__name__
                if file.document_id in known:
                    reason += " Its earlier version stays in the index."
                entry = Quarantined(file.source, reason)
                catalog.set_quarantine(readable(file.path), entry)
                tally.quarantined.append(entry)
                continue
            catalog.set_quarantine(readable(file.path), None)
            tally.duplicates.extend(duplicates.check(draft))
            yield draft

    def _draft(
        self, file: SourceFile, groups: Sequence[str], parser: IsolatedParser, content_hash: str
    ) -> Draft:
        parsed = parser.parse(file.path)
        blocks = clean_blocks(parsed.blocks)
        text = document_text(blocks)
        if not text.strip():
            raise SourceError("It holds no text. If it is a scan, run OCR on it first.")
        said = merged(file.metadata, parsed.metadata)
        return Draft(
            document_id=file.document_id,
            title=said.title or _title(file.path, blocks),
            # An upload's path tells nobody anything; its name is what people know it by.
            source=file.path.name if self._uploads in file.path.parents else file.source,
            path=str(file.path),
            language=said.language or detect_language(text[:5000]),
            groups=narrowed(said.groups, groups),
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
        vectors = self._encode(batch, texts, lambda done: tell(Progress("embed", done, len(texts))))
        tally.chunks += len(texts)
        embedded, first = [], 0
        for draft in batch:
            last = first + len(draft.passages)
            embedded.append(replace(draft, vectors=vectors[first:last]))
            first = last
        return embedded

    def _encode(
        self, drafts: Sequence[Draft], texts: Sequence[str], progress: Callable[[int], None]
    ) -> Vectors:
        """Embed the passages' texts, and put their token vectors on disk for their audiences."""
        if self._late is None:
            return self._embedder.embed_passages(texts, progress)
        vectors, tokens = self._late.encode(texts, progress)
        audiences: dict[tuple[str, ...], list[int]] = {}
        readers = [draft.groups for draft in drafts for _ in draft.passages]
        for row, groups in enumerate(readers):
            audiences.setdefault(groups, []).append(row)
        for groups, rows in audiences.items():
            self._late.keep(groups, [texts[i] for i in rows], [tokens[i] for i in rows])
        return vectors


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
