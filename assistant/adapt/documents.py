"""Questions about documents of the library as raw samples: written ones and evaluation cases.

An answer is found in its document by its spelling; of several chunks that hold it, the one
that search ranks best for the question is taken. It decides nothing about splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import glob
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from assistant.adapt.passages import Excerpt, Library
from assistant.adapt.recipe import CasesSource, QuestionsSource
from assistant.adapt.samples import NO_ANSWER, Sample, group_of
from assistant.errors import ConfigurationError
from assistant.types import Language
from evals.case import Case

NEAR_MISSES = 2  # chunks of a document that a question without an answer is put to


KNOWLEDGE = "knowledge"


class Question(BaseModel):
    """A question about a document; without ``answers`` the document does not answer it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(min_length=1)
    language: Language
    document: str
    answers: tuple[str, ...]


def read_questions(
    source: QuestionsSource, library: Library, dropped: Counter[str]
) -> list[Sample]:
    """Return a raw sample an answer, and near misses for questions without one.

    Raises:
        ConfigurationError: there is no such file, or one is malformed.
    """
    files = sorted(map(Path, glob(source.files)))
    if not files:
        raise ConfigurationError(
            f"No file matches {source.files!r} below {Path().resolve()}. Run this in a checkout "
            f"of the project, or correct `files` of the source {source.name!r}."
        )
    samples = []
    for question in (q for file in files for q in _questions(file)):
        parts = [(answer,) for answer in question.answers]
        found = _samples(question.question, [question.document], parts, library)
        if not found:
            dropped[f"{source.name}: answer or document not found"] += 1
        origin = _origin(source, question.language)
        samples += [Sample(question=question.question, **origin, **rest) for rest in found]
    return samples


def read_cases(
    source: CasesSource, cases: Iterable[Case], library: Library, dropped: Counter[str]
) -> list[Sample]:
    """Return a raw sample a fact of each case that stands alone and is open to everyone."""
    samples = []
    prefix = f"{source.knowledge.name}/"
    for case in cases:
        if case.history or case.groups:
            dropped[f"{source.name}: follow-up or restricted"] += 1
            continue
        documents = [name.removeprefix(prefix) for names in case.documents for name in names]
        found = _samples(case.question, documents, case.facts, library)
        if not found:
            dropped[f"{source.name}: fact or document not found"] += 1
        origin = _origin(source, case.language)
        samples += [Sample(question=case.question, **origin, **rest) for rest in found]
    return samples


def knowledge_group(document: str) -> str:
    """Return the group of a document of the knowledge folder.

    Chapters of the same name in two languages say the same: one document, one split.
    """
    return group_of(KNOWLEDGE, Path(document).name)


def _questions(file: Path) -> tuple[Question, ...]:
    try:
        rows = yaml.safe_load(file.read_text("utf-8"))
        return TypeAdapter(tuple[Question, ...]).validate_python(rows)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}. Correct it.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{file}, {where}: {first['msg']}. Correct the file.") from None


def _samples(
    question: str,
    documents: Sequence[str],
    parts: Sequence[Sequence[str]],
    library: Library,
) -> list[dict[str, Any]]:
    """Return what a sample says of its passage, for each part of the answer that was found.

    Args:
        question: the question.
        documents: where the answer stands; none: nowhere in the library.
        parts: the parts of the answer, each in its spellings; none: there is no answer.
        library: holds the documents.
    """
    ranked = library.search(question)
    places = {excerpt.chunk.id: place for place, excerpt in enumerate(ranked)}
    excerpts = [e for name in dict.fromkeys(documents) for e in library.excerpts(name)]
    excerpts.sort(key=lambda e: places.get(e.chunk.id, len(places)))
    if not parts:
        return [_passage(e, NO_ANSWER, NO_ANSWER, ()) for e in (excerpts or ranked)[:NEAR_MISSES]]
    every = tuple(spelling for part in parts for spelling in part)
    return [found for part in parts if (found := _located(part, excerpts, every))]


def _located(
    spellings: Sequence[str], excerpts: Sequence[Excerpt], every: tuple[str, ...]
) -> dict[str, Any] | None:
    """Return the best-ranked chunk that holds one of the spellings, and where; None for none."""
    for excerpt in excerpts:
        for spelling in spellings:
            match = re.search(_guarded(spelling), excerpt.chunk.text)
            if match:
                return _passage(excerpt, match.start(), match.end(), every)
    return None


def _guarded(spelling: str) -> str:
    """Return the expression for a spelling that is no part of a longer number or word."""
    before = r"(?<![A-Za-z0-9.,])" if re.match(r"[A-Za-z0-9]", spelling) else ""
    after = r"(?![A-Za-z0-9])(?![.,]\d)" if re.search(r"[A-Za-z0-9]$", spelling) else ""
    return before + re.escape(spelling) + after


def _passage(excerpt: Excerpt, start: int, end: int, answers: tuple[str, ...]) -> dict[str, Any]:
    return {
        "passage": excerpt.chunk.text,
        "start": start,
        "end": end,
        "answers": answers,
        "title": excerpt.title,
        "heading": excerpt.chunk.heading,
        "group": knowledge_group(excerpt.document),
    }


def _origin(source: QuestionsSource | CasesSource, language: Language) -> dict[str, Any]:
    return {"language": language, "source": source.name, "licence": source.licence}
