"""Public question sets as (passages, questions with their gold passage), read from given paths.

Formats: SQuAD layout (CMRC 2018, DRCD) and CLAP-NQ JSON lines. Nothing is downloaded
and nothing is copied into the project.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """A question, the index of the passage that answers it, and the reference answers."""

    text: str
    gold: int
    answers: tuple[str, ...]


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

    def split(self, topics: int, questions: int, seed: int) -> tuple[Corpus, list[Question]]:
        """Keep some topics: return them as a corpus, and questions about the others."""
        rng = random.Random(seed)
        of = self.topics or tuple(range(len(self.passages)))
        everything = sorted(set(of))
        chosen = set(rng.sample(everything, min(topics, len(everything) // 2)))
        kept = [i for i, topic in enumerate(of) if topic in chosen]
        index = {old: new for new, old in enumerate(kept)}
        asked = [q for q in self.questions if q.gold in index]
        absent = [q for q in self.questions if q.gold not in index]
        asked = rng.sample(asked, min(questions, len(asked)))
        corpus = Corpus(
            self.name,
            tuple(self.passages[i] for i in kept),
            tuple(self.titles[i] for i in kept),
            tuple(Question(q.text, index[q.gold], q.answers) for q in asked),
        )
        return corpus, rng.sample(absent, min(len(asked), len(absent)))


def load(path: Path) -> Corpus:
    """Read a set by what lies at ``path``: a SQuAD-layout JSON file or a CLAP-NQ folder."""
    if path.is_dir() and list(path.glob("clapnq*.jsonl")):
        return _clapnq(path)
    if path.is_dir():
        path = next(path.glob("*.json"))
    return _squad(path)


def _squad(path: Path) -> Corpus:
    passages: list[str] = []
    titles: list[str] = []
    questions: list[Question] = []
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = tuple(dict.fromkeys(answer["text"] for answer in qa["answers"]))
                questions.append(Question(qa["question"], len(passages), answers))
            passages.append(paragraph["context"])
            titles.append(article.get("title", ""))
    return Corpus(path.stem, tuple(passages), tuple(titles), tuple(questions))


def _clapnq(folder: Path) -> Corpus:
    """Answerable questions with their passages; the others' passages are added as distractors."""
    passages: list[str] = []
    titles: list[str] = []
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            passage = row["passages"][0]
            index = seen.setdefault(passage["text"], len(passages))
            if index == len(passages):
                passages.append(passage["text"])
                titles.append(passage["title"])
            answers = tuple(out["answer"] for out in row["output"] if out["answer"])
            if answers and "unanswerable" not in file.name:
                questions.append(Question(row["input"], index, answers))
    return Corpus(folder.name, tuple(passages), tuple(titles), tuple(questions))


def write_files(corpus: Corpus, folder: Path) -> None:
    """Write each passage as one file, with its title as Markdown heading where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (title, text) in enumerate(zip(corpus.titles, corpus.passages, strict=True)):
        if title:
            (folder / f"{i:06d}.md").write_text(f"# {title}\n\n{text}\n", "utf-8")
        else:
            (folder / f"{i:06d}.txt").write_text(text, "utf-8")


def load_guidance(folder: Path, ask: str, answer: str) -> Corpus:
    """Ask one language's section headings of the other language's chapters.

    The chapters of the two languages are parallel, so a heading's gold passage is the
    chapter of the same number. The FAQ repeats all chapters and is left out.
    """
    passages: list[str] = []
    titles: list[str] = []
    questions: list[Question] = []
    for file in sorted((folder / answer).glob("*.md")):
        if "faq" in file.name:
            continue
        title, text = _chapter(file)
        asked = _chapter(folder / ask / file.name)[1]
        headings = [line[3:].strip() for line in asked.splitlines() if line.startswith("## ")]
        questions += [Question(heading, len(passages), ()) for heading in headings]
        passages.append(text)
        titles.append(title)
    return Corpus(f"guidance {ask}→{answer}", tuple(passages), tuple(titles), tuple(questions))


def load_bilingual_guidance(folder: Path) -> Corpus:
    """Both languages side by side, as a company has them: much is said twice."""
    halves = [load_guidance(folder, language, language) for language in ("zh", "en")]
    offset = len(halves[0].passages)
    questions = [
        Question(q.text, q.gold + i * offset, ())
        for i, half in enumerate(halves)
        for q in half.questions
    ]
    return Corpus(
        "guidance zh+en",
        sum((half.passages for half in halves), ()),
        sum((half.titles for half in halves), ()),
        tuple(questions),
        topics=tuple(range(offset)) * 2,
    )


def _chapter(file: Path) -> tuple[str, str]:
    body = file.read_text("utf-8").split("---\n", 2)[2].strip()
    title, text = body.split("\n", 1)
    return title.removeprefix("# ").strip(), text.strip()
