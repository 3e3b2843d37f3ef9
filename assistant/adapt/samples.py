"""What a training sample is, and how samples are written, read, counted and told apart.

A sample is one question about one passage. It knows no source, no model and no split; it
only says to which document a sample belongs, so that others can split by it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

from assistant.errors import ConfigurationError
from assistant.text import fold
from assistant.types import Language

NO_ANSWER = -1
_HASH_CHARACTERS = 16
Kept = TypeVar("Kept")
_NOT_A_WORD = re.compile(r"[\W_]+")


class OfDocument(Protocol):
    """Whatever belongs to a document, and so to one split."""

    @property
    def group(self) -> str:
        """The document's hash; see `group_of`."""


class Asked(OfDocument, Protocol):
    """A sample of any kind: a question, where it is from, and whether it can be answered."""

    @property
    def question(self) -> str:
        """The question."""

    @property
    def source(self) -> str:
        """The name of its source in the recipe."""

    @property
    def language(self) -> Language:
        """The question's."""

    @property
    def answerable(self) -> bool:
        """Whether what it shows holds the answer."""


@dataclass(frozen=True)
class Sample:
    """A question, a passage, and where in it the answer stands.

    ``start`` and ``end`` are characters of ``passage``, the end exclusive; both are
    `NO_ANSWER` where the passage does not answer. ``answers`` are all spellings that count as
    right; ``language`` is the question's. ``group`` is the hash of the document (`group_of`):
    all samples of a document fall into the same split. ``title`` and ``heading`` say where the
    passage stands in its document; they are empty once they are part of ``passage``.

    Raises:
        ValueError: the span is empty or not inside the passage.
    """

    question: str
    passage: str
    start: int
    end: int
    language: Language
    source: str
    group: str
    licence: str
    answers: tuple[str, ...] = ()
    title: str = ""
    heading: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.start == NO_ANSWER and self.end == NO_ANSWER:
            return
        if not 0 <= self.start < self.end <= len(self.passage):
            raise ValueError(
                f"The answer {self.start}:{self.end} of {self.question!r} lies outside its "
                f"passage of {len(self.passage)} characters."
            )

    @property
    def answerable(self) -> bool:
        """Whether the passage holds the answer."""
        return self.start != NO_ANSWER

    @property
    def answer(self) -> str:
        """The answer as it stands in the passage; empty where there is none."""
        return self.passage[self.start : self.end] if self.answerable else ""


@dataclass(frozen=True)
class Trial:
    """A held-back question with its gold passage, and look-alike passages without the answer.

    ``gold`` is a whole passage, unanswerable where the set itself says so. ``negatives`` are
    what search ranks highest among passages that hold no spelling of the answer.
    """

    gold: Sample
    negatives: tuple[str, ...]


def normalised(text: str) -> str:
    """Return ``text`` in one script, width and case, without punctuation and white space."""
    return _NOT_A_WORD.sub("", fold(text))


def question_hash(question: str) -> str:
    """Return the hash under which a question is forbidden or known, however it is typed."""
    return _hash(normalised(question))


def group_of(source: str, document: str) -> str:
    """Return the group of a document: its source's name and a hash of what identifies it.

    Args:
        source: the set's name, such as ``cmrc2018_dev``.
        document: the document's title or path, or its text where it has neither.
    """
    return f"{source}:{_hash(document)}"


def is_held_back(group: str, share: float) -> bool:
    """Tell whether a document is kept for measuring, so that no sample of it is trained on.

    It depends on the document alone: another seed, order or limit changes nothing. Whoever
    measures elsewhere asks this with the share of the source in the recipe.
    """
    return int(group.rpartition(":")[2][:8], 16) < share * 2**32


def draw(*parts: object) -> float:
    """Return a number from 0 up to 1 that depends on ``parts`` alone."""
    return int(_hash("\n".join(map(str, parts)))[:8], 16) / 2**32


def write_samples(file: Path, samples: Iterable[Any]) -> None:
    """Write samples or trials, dataclasses, as JSON lines; the file appears whole or not at all."""
    partial = file.with_name(file.name + ".part")
    with partial.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(s), ensure_ascii=False) + "\n" for s in samples)
    partial.replace(file)


def read_samples(file: Path, kind: type[Kept]) -> list[Kept]:
    """Return the samples or trials of a file.

    Raises:
        ConfigurationError: the file is missing or was written by another version.
    """
    adapter = TypeAdapter(kind)
    try:
        lines = file.read_text("utf-8").split("\n")
        return [adapter.validate_json(line) for line in lines if line]
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} cannot be read as samples ({error}). Delete the work folder and run anew."
        ) from None


def data_hash(samples: Iterable[Any]) -> str:
    """Return a fingerprint of samples of any kind in their order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(json.dumps(asdict(sample), ensure_ascii=False).encode())
    return digest.hexdigest()[:_HASH_CHARACTERS]


def counts(samples: Sequence[Asked]) -> dict[str, int]:
    """Return how many samples there are by source, language and answerability."""
    keys = Counter(
        f"{s.source}, {s.language}, {'answerable' if s.answerable else 'unanswerable'}"
        for s in samples
    )
    return dict(sorted(keys.items()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARACTERS]
