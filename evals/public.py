"""Public question sets, read from a path: passages, questions, gold passages, answers.

Layouts: SQuAD JSON, BEIR folders, CLAP-NQ, RGB and NoMIRACL JSON lines. Nothing is
downloaded and nothing is copied into the project. It asks nothing and scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from assistant.errors import ConfigurationError
from evals.rows import Row, files_of, only_file, read_json, read_lines, read_rows

Parts = tuple[tuple[str, ...], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A question, the grade of each judged passage, and the reference answers.

    ``grades`` maps the index of a passage to 0 (judged, of no use) or more. A right answer
    holds every one of ``answers``, each in any of its spellings; a set without answers has
    none. A question without a gold passage is one that the set itself calls unanswerable.
    """

    text: str
    grades: Mapping[int, int]
    answers: Parts = ()

    @property
    def gold(self) -> frozenset[int]:
        """The passages that answer it."""
        return frozenset(index for index, grade in self.grades.items() if grade > 0)


@dataclass(frozen=True)
class Corpus:
    """Passages, and questions about them; ``titles`` are empty where the set has none.

    Passages of one ``topic`` say the same (in two languages, say): they are kept or
    left out together. By default each passage is a topic of its own.
    """

    name: str
    passages: tuple[str, ...]
    titles: tuple[str, ...]
    questions: tuple[Question, ...]
    topics: tuple[int, ...] = ()


def read(format: str, path: Path) -> Corpus:
    """Return the set at ``path``.

    Raises:
        ConfigurationError: the format is unknown, or a file is missing or malformed; the
            message names the file, the line and the remedy.
    """
    reader = FORMATS.get(format)
    if reader is None:
        raise ConfigurationError(f"{format!r} is no format. Choose from: {', '.join(FORMATS)}.")
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist. Nothing is downloaded: name a local set.")
    corpus = reader(path)
    if not corpus.questions:
        raise ConfigurationError(f"{path} holds no question. Is it of the format {format!r}?")
    return corpus


def write_files(corpus: Corpus, folder: Path, without: frozenset[int] = frozenset()) -> None:
    """Write each passage as one file named by its index, its title as Markdown heading."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (title, text) in enumerate(zip(corpus.titles, corpus.passages, strict=True)):
        if i not in without:
            suffix = "md" if title else "txt"
            (folder / f"{i:06d}.{suffix}").write_text(passage_text(title, text), "utf-8")


def passage_text(title: str, text: str) -> str:
    """Return a passage as it is ingested."""
    return f"# {' '.join(title.split())}\n\n{text}\n" if title else text


class _Shelf:
    """Passages in the order of their first occurrence; the same one twice is one."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], int] = {}

    def place(self, text: str, title: str | None = "") -> int:
        return self._places.setdefault((title or "", text), len(self._places))

    def corpus(self, name: str, questions: list[Question]) -> Corpus:
        titles, passages = zip(*self._places, strict=True) if self._places else ((), ())
        return Corpus(name, passages, titles, tuple(questions))


# -- SQuAD: one JSON file; answers empty or `is_impossible` where there is none ------------------


class _Answer(Row):
    text: str


class _Qa(Row):
    question: str
    answers: tuple[_Answer, ...] = ()
    is_impossible: bool = False


class _Paragraph(Row):
    context: str
    qas: tuple[_Qa, ...]


class _Article(Row):
    title: str = ""
    paragraphs: tuple[_Paragraph, ...]


class _SquadFile(Row):
    data: tuple[_Article, ...]


def _squad(path: Path) -> Corpus:
    """Source: P. Rajpurkar et al., "SQuAD", 2016; CMRC 2018 and DRCD keep its layout."""
    file = only_file(path, "*.json")
    shelf, questions = _Shelf(), []
    for article in read_json(_SquadFile, file).data:
        for paragraph in article.paragraphs:
            index = shelf.place(paragraph.context, article.title)
            for qa in paragraph.qas:
                spellings = tuple(dict.fromkeys(a.text for a in qa.answers if a.text.strip()))
                if qa.is_impossible or not spellings:
                    questions.append(Question(qa.question, {}))
                else:
                    questions.append(Question(qa.question, {index: 1}, (spellings,)))
    return shelf.corpus(file.stem, questions)


# -- BEIR: corpus.jsonl, queries.jsonl, qrels/*.tsv ----------------------------------------------


class _BeirDocument(Row):
    id: str = Field(alias="_id")
    text: str
    title: str | None = ""


class _BeirQuery(Row):
    id: str = Field(alias="_id")
    text: str


def _beir(path: Path) -> Corpus:
    """Read the judgements of ``test.tsv``, or of the only split.

    Source: N. Thakur et al., "BEIR: a heterogeneous benchmark", 2021.
    """
    shelf = _Shelf()
    documents = {
        row.id: shelf.place(row.text, row.title)
        for row in read_rows(_BeirDocument, path / "corpus.jsonl")
    }
    queries = {r.id: r.text for r in read_rows(_BeirQuery, path / "queries.jsonl")}
    grades: dict[str, dict[int, int]] = {}
    for query, document, grade in _judgements(path / "qrels", queries, documents):
        grades.setdefault(query, {})[documents[document]] = grade
    return shelf.corpus(path.name, [Question(queries[q], graded) for q, graded in grades.items()])


def _judgements(
    folder: Path, queries: Container[str], documents: Container[str]
) -> Iterator[tuple[str, str, int]]:
    test = folder / "test.tsv"
    file = test if test.exists() else only_file(folder, "*.tsv")
    for number, line in read_lines(file):
        columns = [column.strip() for column in line.split("\t")]
        if number == 1 and columns[0] == "query-id":
            continue
        if len(columns) != 3 or not columns[2].lstrip("-").isdigit():
            raise ConfigurationError(
                f"{file}, line {number}: a line is query-id, corpus-id and a whole number, set "
                "apart by tabs. Mend the line."
            )
        query, document = columns[:2]
        if query not in queries or document not in documents:
            lacking = "corpus.jsonl" if query in queries else "queries.jsonl"
            raise ConfigurationError(
                f"{file}, line {number}: {(document if query in queries else query)!r} is not in "
                f"{lacking}. Complete that file, or remove the line."
            )
        yield query, document, int(columns[2])


# -- CLAP-NQ: JSON lines; no answer where there is none ------------------------------------------


class _ClapPassage(Row):
    text: str
    title: str | None = ""


class _ClapOutput(Row):
    answer: str | None = None


class _ClapRow(Row):
    input: str
    passages: tuple[_ClapPassage, ...] = Field(min_length=1)
    output: tuple[_ClapOutput, ...]


def _clapnq(path: Path) -> Corpus:
    """Read one file, or all of a folder; passages that answer nothing stay as distractors.

    Source: S. Rosenthal et al., "CLAPnq", 2024, https://github.com/primeqa/clapnq.
    """
    shelf, questions = _Shelf(), []
    for file in files_of(path, "*.jsonl"):
        for row in read_rows(_ClapRow, file):
            places = [shelf.place(passage.text, passage.title) for passage in row.passages]
            answers = tuple(dict.fromkeys(out.answer for out in row.output if out.answer))
            grade = 1 if answers else 0
            graded = dict.fromkeys(places, grade)
            questions.append(Question(row.input, graded, (answers,) if answers else ()))
    return shelf.corpus(path.stem, questions)


# -- RGB: JSON lines; positive passages may be grouped by the part of the answer they hold -------


class _RgbRow(Row):
    query: str
    answer: str | tuple[str | tuple[str, ...], ...]
    positive: tuple[str | tuple[str, ...], ...]
    negative: tuple[str, ...]


def _rgb(path: Path) -> Corpus:
    """Pool the passages of all questions; the counterfactual ``positive_wrong`` are not read.

    Source: J. Chen et al., "Benchmarking large language models in retrieval-augmented
    generation", 2023, https://github.com/chen700564/RGB.
    """
    shelf, questions = _Shelf(), []
    for row in read_rows(_RgbRow, only_file(path, "*.json*")):
        graded = {shelf.place(text): 0 for text in row.negative}
        for group in row.positive:
            graded |= {shelf.place(text): 1 for text in _many(group)}
        parts = (tuple(filter(str.strip, _many(part))) for part in _many(row.answer))
        questions.append(Question(row.query, graded, tuple(filter(None, parts))))
    return shelf.corpus(path.stem, questions)


# -- NoMIRACL: JSON lines of the relevant and the non-relevant split -----------------------------


class _MiraclRow(Row):
    query: str
    positive_passages: tuple[_ClapPassage, ...]
    negative_passages: tuple[_ClapPassage, ...]


def _nomiracl(path: Path) -> Corpus:
    """Read one file, or both splits of a folder: the non-relevant one has no positive passages.

    Source: N. Thakur et al., "NoMIRACL", 2023, https://github.com/project-miracl/nomiracl.
    """
    shelf, questions = _Shelf(), []
    for file in files_of(path, "*.jsonl"):
        for row in read_rows(_MiraclRow, file):
            graded = {shelf.place(p.text, p.title): 0 for p in row.negative_passages}
            graded |= {shelf.place(p.text, p.title): 1 for p in row.positive_passages}
            questions.append(Question(row.query, graded))
    return shelf.corpus(path.stem, questions)


FORMATS: dict[str, Callable[[Path], Corpus]] = {
    "squad": _squad,
    "beir": _beir,
    "clapnq": _clapnq,
    "rgb": _rgb,
    "nomiracl": _nomiracl,
}


def _many(value: str | tuple[T, ...]) -> tuple[str | T, ...]:
    return (value,) if isinstance(value, str) else value
