"""Public question sets as raw samples: each with the place of its answer, as the set gives it.

`evals.public` reads the same sets for measuring, without places. Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import Field

from assistant.adapt.recipe import PublicSource
from assistant.adapt.samples import NO_ANSWER, Sample, group_of, normalised
from assistant.errors import ConfigurationError
from assistant.text import detect_language
from evals.match import token_f1
from evals.rows import Row, files_of, only_file, read_json, read_rows

# Penn-Treebank tokens, as in CLAP-NQ, written as people write.
_DETOKENISED = (
    (re.compile(r"`` ?| ?''"), '"'),
    (re.compile(r" (?=[.,;:?!%)\]])| (?='s\b)| (?=n't\b)"), ""),
    (re.compile(r"(?<=[(\[$]) "), ""),
    (re.compile(r" -- "), " – "),
    (re.compile(r"(?<=\w) - (?=\w)"), "-"),
)


def read_public(source: PublicSource) -> list[Sample]:
    """Return the questions of a set, each with its whole passage.

    Raises:
        ConfigurationError: the set is missing or malformed; the message names the remedy.
    """
    if not source.path.exists():
        raise ConfigurationError(
            f"{source.path} does not exist. Nothing is downloaded: put the set there, or take "
            f"the source {source.name!r} out of the recipe."
        )
    return list(_FORMATS[source.format](source))


# -- SQuAD: one JSON file ------------------------------------------------------------------------


class _Answer(Row):
    text: str
    answer_start: int


class _Qa(Row):
    question: str
    answers: tuple[_Answer, ...] = ()


class _Paragraph(Row):
    context: str
    qas: tuple[_Qa, ...]


class _Article(Row):
    title: str = ""
    paragraphs: tuple[_Paragraph, ...]


class _SquadFile(Row):
    data: tuple[_Article, ...]


def _squad(source: PublicSource) -> Iterator[Sample]:
    """Source: P. Rajpurkar et al., "SQuAD", 2016; CMRC 2018 and DRCD keep its layout."""
    for article in read_json(_SquadFile, only_file(source.path, "*.json")).data:
        for paragraph in article.paragraphs:
            for qa in paragraph.qas:
                start, end = _place(paragraph.context, qa.answers)
                yield Sample(
                    question=qa.question.strip(),
                    passage=paragraph.context,
                    start=start,
                    end=end,
                    answers=tuple(dict.fromkeys(a.text for a in qa.answers)),
                    title=article.title,
                    **_origin(source, qa.question, article.title or paragraph.context),
                )


def _place(text: str, answers: tuple[_Answer, ...]) -> tuple[int, int]:
    """Return the place of the answer that most annotators gave, of the shortest among equals.

    Where ``answer_start`` is wrong (DRCD counts some characters twice), the nearest occurrence.
    """
    spellings = [answer.text for answer in answers]
    for answer in sorted(answers, key=lambda a: (-spellings.count(a.text), len(a.text))):
        found = [m.start() for m in re.finditer(re.escape(answer.text), text)]
        if answer.text.strip() and found:
            start = min(found, key=lambda place: abs(place - answer.answer_start))
            return start, start + len(answer.text)
    return NO_ANSWER, NO_ANSWER


# -- CLAP-NQ: JSON lines; sentences that the answer rests on --------------------------------------


class _ClapPassage(Row):
    title: str | None = ""
    sentences: tuple[str, ...]


class _ClapOutput(Row):
    answer: str | None = None
    selected_sentences: tuple[str, ...] = ()


class _ClapRow(Row):
    input: str
    passages: tuple[_ClapPassage, ...] = Field(min_length=1)
    output: tuple[_ClapOutput, ...]


def _clapnq(source: PublicSource) -> Iterator[Sample]:
    """The answer's place is that selected sentence which is nearest to the answer as written.

    Source: S. Rosenthal et al., "CLAPnq", 2024, https://github.com/primeqa/clapnq.
    """
    for file in files_of(source.path, "*.jsonl"):
        for row in read_rows(_ClapRow, file):
            passage = row.passages[0]
            text = " ".join(map(_detokenised, passage.sentences))
            title = passage.title or ""
            origin = _origin(source, row.input, title or text)
            answers = tuple(
                dict.fromkeys(
                    _detokenised(_nearest(out.selected_sentences, out.answer))
                    for out in row.output
                    if out.answer and out.selected_sentences
                )
            )
            start = text.find(answers[0]) if answers else NO_ANSWER
            end = start + len(answers[0]) if answers else NO_ANSWER
            yield Sample(row.input, text, start, end, answers=answers, title=title, **origin)


def _nearest(sentences: tuple[str, ...], answer: str) -> str:
    return max(sentences, key=lambda sentence: token_f1(sentence, answer))


def _detokenised(text: str) -> str:
    for pattern, replacement in _DETOKENISED:
        text = pattern.sub(replacement, text)
    return text.strip()


_FORMATS: dict[str, Callable[[PublicSource], Iterator[Sample]]] = {
    "squad": _squad,
    "clapnq": _clapnq,
}


def _origin(source: PublicSource, question: str, document: str) -> dict[str, Any]:
    return {
        "language": detect_language(question),
        "source": source.name,
        # In either script and all sets the same, so that an article is held back from all.
        "group": group_of(source.name, normalised(document)),
        "licence": source.licence,
    }
