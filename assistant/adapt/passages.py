"""The passages of all sources in the product's own index: what a question finds, chunk by chunk.

It is an `Assistant` in a folder of its own, so that negatives are those which the product
would put before the reader. It makes no samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

from assistant import Assistant, Settings
from assistant.adapt.samples import Sample
from assistant.ingest.chunk import indexed_text
from assistant.types import Chunk, Document, Hit

_FOLDER = "passages"
_RANKED = 24  # enough to pass over the chunks that hold the answer


@dataclass(frozen=True)
class Excerpt:
    """A chunk as the product indexes it.

    ``document`` is its file's path below the knowledge folder; of a set's passage, its
    `passage_name`.
    """

    title: str
    chunk: Chunk
    document: str

    @property
    def is_file(self) -> bool:
        """Whether it is of a file of the knowledge folder, not a passage of a set."""
        return "." in self.document

    @property
    def text(self) -> str:
        """Title, headings and text, as they are embedded and read."""
        return indexed_text(self.title, self.chunk.heading, self.chunk.text)


class Library:
    """An index over passages and files in ``folder``; what is in it already is kept.

    Args:
        folder: its own; an `Assistant` opens its data directory there.
        settings: of the embedding model; the data directory is replaced.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._folders: tuple[Path, ...] = ()
        own = {"data_dir": folder / "index", "engine": "extractive", "allowed_folders": ()}
        self._assistant = Assistant(settings.model_copy(update=own))

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._assistant.close()

    def add(
        self,
        samples: Iterable[Sample],
        folders: Sequence[Path],
        tell: Callable[[str], None],
    ) -> None:
        """Index the passages of samples, a file each, and the files of folders."""
        passages = self._folder / _FOLDER
        passages.mkdir(parents=True, exist_ok=True)
        self._folders = tuple(dict.fromkeys(folders))
        for sample in samples:
            file = passages / f"{passage_name(sample.title, sample.passage)}.md"
            if not file.exists():
                title = " ".join(sample.title.split())
                heading = f"# {title}\n\n" if title else ""
                file.write_text(f"{heading}{sample.passage}\n", "utf-8")
        report = self._assistant.ingest(passages, *self._folders)
        tell(
            f"library: {len(report.added)} documents added, {len(report.unchanged)} kept, "
            f"{report.chunks} chunks, {report.seconds:.0f} s"
        )
        for each in report.quarantined:
            tell(f"library: left out {each.source}: {each.reason}")

    def excerpts(self, document: str) -> list[Excerpt]:
        """Return the chunks of a document in reading order; none where it is not there."""
        known = self._documents.get(document)
        if known is None:
            return []
        return [Excerpt(known.title, c, document) for c in self._assistant.chunks(known.id)]

    def search(self, question: str) -> list[Excerpt]:
        """Return what the product finds for a question, best first."""
        return [self._excerpt(hit) for hit in self._assistant.search(question, k=_RANKED)]

    @cached_property
    def _documents(self) -> dict[str, Document]:
        return {self._name(document.source): document for document in self._assistant.documents()}

    def _excerpt(self, hit: Hit) -> Excerpt:
        return Excerpt(hit.document.title, hit.chunk, self._name(hit.document.source))

    def _name(self, source: str) -> str:
        """Return a file's path below its folder, and of a passage its `passage_name`."""
        path = Path(source)
        for folder in self._folders:
            if path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        return path.stem


def passage_name(title: str, passage: str) -> str:
    """Return the name under which a passage is kept in the library."""
    return hashlib.sha256(f"{title}\n{passage}".encode()).hexdigest()[:16]
