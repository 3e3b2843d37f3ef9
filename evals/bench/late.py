"""Late interaction: what it finds across languages, and what it costs at each size.

    python evals/bench/late.py recall
    python evals/bench/late.py cost [--chunks 1000 10000 50000]

`recall` asks the questions of ``cross_language.yaml`` of the company's papers and half of the
guidance in each language, so that an answer stands in the other language alone (and then of
the other language's guidance by itself). The space is fitted on paragraphs of that same
guidance: it learns one direction and the principal components from them, no question.
`cost` fills a store with recombined sentences; each gets the token vectors of a real passage.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import yaml
from speed import QUESTIONS, _spread, _synthetic

from assistant import Assistant, Settings
from assistant.embed import load_embedder
from assistant.index.store import Store
from assistant.ingest.chunk import indexed_text
from assistant.late import LateInteraction
from assistant.retrieve import Searcher
from assistant.settings import data_folder
from assistant.types import EVERYONE
from evals.ranking import hit_at

ASKED = Path(__file__).with_name("cross_language.yaml")
OTHER = {"zh": "en", "en": "zh"}
SEED = 11


@dataclass(frozen=True)
class Asked:
    """A question, its language, and the chapter in the other language that answers it."""

    text: str
    language: str
    chapter: int


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("recall", "cost"))
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    arguments = parser.parse_args()
    if arguments.what == "recall":
        recall()
    else:
        cost(arguments.chunks)


def recall() -> None:
    """Print recall@1 and recall@5 by reranker, index and direction."""
    asked = [Asked(q["question"], q["language"], q["chapter"]) for q in _read()]
    print("| index | question | questions | reranker | recall@1 | recall@5 |")
    print("|---|---|---|---|---|---|")
    for reranker in ("off", "late"):
        half: dict[str, list[tuple[list[str], dict[str, int]]]] = {"zh": [], "en": []}
        for zh in (0, 1):  # the parity of the chapters that are Chinese
            found = _answers(
                reranker,
                lambda language, chapter, zh=zh: (chapter % 2 == zh) == (language == "zh"),
                [q for q in asked if (q.chapter % 2 == zh) == (q.language == "en")],
                company=True,
            )
            for question, order, gold in found:
                half[question.language].append((order, gold))
        for language, pairs in half.items():
            _row("both languages, papers", language, reranker, pairs)
        for language in ("zh", "en"):
            mine = [q for q in asked if q.language == language]
            found = _answers(reranker, lambda of, _, own=language: of != own, mine, company=False)
            _row(f"{OTHER[language]} alone", language, reranker, [(o, g) for _, o, g in found])


def _read() -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = yaml.safe_load(ASKED.read_text("utf-8"))
    return rows


def _answers(
    reranker: str,
    keep: Callable[[str, int], bool],
    asked: Sequence[Asked],
    company: bool,
) -> list[tuple[Asked, list[str], dict[str, int]]]:
    """Ingest the chapters to ``keep``, and return the order of files for each question."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        for language in ("zh", "en"):
            for path in sorted((data_folder("knowledge") / "guidance" / language).glob("*.md")):
                chapter = int(path.name[:2])
                if "faq" not in path.name and keep(language, chapter):
                    shutil.copy(path, files / f"{language}-{path.name[:2]}.md")
        if company:
            shutil.copytree(data_folder("knowledge") / "company", files / "company")
        settings = Settings(data_dir=Path(folder) / "data", reranker=reranker)
        with Assistant(settings) as assistant:
            assistant.ingest(files)
            found = []
            for question in asked:
                hits = assistant.search(question.text, k=30)
                order = list(dict.fromkeys(Path(hit.document.source).stem for hit in hits))
                gold = f"{OTHER[question.language]}-{question.chapter:02d}"
                found.append((question, order, {gold: 1}))
        return found


def _row(
    index: str, language: str, reranker: str, pairs: Sequence[tuple[list[str], dict[str, int]]]
) -> None:
    at = {k: np.mean([hit_at(k, order, gold) for order, gold in pairs]) for k in (1, 5)}
    print(
        f"| {index} | {language}, answered in {OTHER[language]} | {len(pairs)} | {reranker} "
        f"| {at[1]:.3f} | {at[5]:.3f} |",
        flush=True,
    )


def cost(sizes: Sequence[int]) -> None:
    """Print time, bytes and memory at each size, and what ingest loses."""
    print("| chunks | reranker | search beyond embedding | bytes a chunk | resident, MB |")
    print("|---|---|---|---|---|")
    embedder = load_embedder(Settings())
    assert embedder.gives_tokens
    for size in sizes:
        for reranker in ("off", "late"):
            with tempfile.TemporaryDirectory() as folder:
                _cost_row(Path(folder), embedder, size, reranker)
    ingest_ratio()


def _cost_row(folder: Path, embedder, size: int, reranker: str) -> None:  # type: ignore[no-untyped-def]
    import random

    settings = Settings(data_dir=folder, reranker=reranker)
    store = Store(folder, embedder.fingerprint)
    late = LateInteraction(embedder, folder) if reranker == "late" else None
    pool = _pool(late) if late else []
    turn = 0
    for batch in _synthetic(size, random.Random(SEED)):
        if late:
            for draft in batch:
                texts = [indexed_text(draft.title, p.heading, p.text) for p in draft.passages]
                late.keep(
                    draft.groups, texts, [pool[(turn + i) % len(pool)] for i in range(len(texts))]
                )
                turn += len(texts)
        store.replace(batch)
    searcher = Searcher(store, embedder, settings, late)
    asked = {q: (embedder.embed_question(q), embedder.encode_question(q)) for q in QUESTIONS}
    embed, encode = embedder.embed_question, embedder.encode_question
    embedder.embed_question = lambda q: asked[q][0]
    embedder.encode_question = lambda q: asked[q][1]
    spent = []
    for question in QUESTIONS * 15:
        began = time.perf_counter()
        found = searcher.search(question, EVERYONE, settings.top_k)
        spent.append(time.perf_counter() - began)
        assert bool(late) == any(hit.late_score for hit in found.hits)
    embedder.embed_question, embedder.encode_question = embed, encode
    memory = psutil.Process().memory_info()
    held = (
        f"{sum(map(late.files.size, (('everyone',), ('finance',)))) / size:,.0f}" if late else "0"
    )
    resident = f"{memory.rss / 1e6:,.0f}, of it mapped files {memory.shared / 1e6:,.0f}"
    print(f"| {size:,} | {reranker} | {_spread(spent)} | {held} | {resident} |", flush=True)
    store.close()
    if late:
        late.close()


def _pool(late: LateInteraction):  # type: ignore[no-untyped-def]
    texts = []
    for file in sorted((data_folder("knowledge") / "guidance").glob("*/*.md"))[:24]:
        text = file.read_text("utf-8")
        width = 420 if "/zh/" in str(file) else 1200
        texts += [text[i : i + width] for i in range(0, len(text) - width, width)][:6]
    return late.encode(texts)[1]


def ingest_ratio() -> None:
    """Ingest the guidance with and without, in turn, and print the ratio."""
    rates = {"off": [], "late": []}  # type: ignore[var-annotated]
    for _ in range(3):
        for reranker, rate in rates.items():
            with tempfile.TemporaryDirectory() as folder:
                settings = Settings(data_dir=Path(folder) / "d", reranker=reranker)
                (Path(folder) / "warm.md").write_text("# Warm\n\nOne sentence.\n", "utf-8")
                with Assistant(settings) as assistant:
                    assistant.ingest(Path(folder) / "warm.md")
                    report = assistant.ingest(data_folder("knowledge") / "guidance")
                    rate.append(report.chunks / report.seconds)
    medians = {name: float(np.median(rate)) for name, rate in rates.items()}
    print(f"\nIngest, chunks a second: {medians}, ratio {medians['late'] / medians['off']:.3f}")


if __name__ == "__main__":
    main()
