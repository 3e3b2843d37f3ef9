"""Recall of `Assistant.search` on a public set, beside its legs alone and other fusions.

    python evals/bench/retrieval.py PATH [--format NAME] [--limit N] [--product] [--set name=value]

Every passage becomes a file, every file is ingested, every question searched; a
question counts when the gold passage's document is among the first k documents.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from assistant import Assistant, Settings
from assistant.fusion import fuse
from assistant.retrieve import Searcher
from assistant.text import terms
from assistant.types import EVERYONE
from evals.public import FORMATS, Corpus, Question, read, write_files
from evals.ranking import hit_at, reciprocal_rank

DEPTH = 50
RRF_CONSTANT = 60  # Cormack et al. 2009

Ranker = Callable[[str], Sequence[int]]


def main() -> None:
    """Ingest the set, run every ranker over its questions and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--format", choices=FORMATS, default="squad")
    parser.add_argument("--limit", type=int, default=0, help="questions to ask; 0: all")
    parser.add_argument("--product", action="store_true", help="our search alone")
    parser.add_argument("--set", action="append", default=[], help="a setting, name=value")
    arguments = parser.parse_args()
    corpus = read(arguments.format, arguments.path)
    questions = [q for q in corpus.questions if q.gold][: arguments.limit or None]
    with tempfile.TemporaryDirectory() as folder:
        write_files(corpus, Path(folder) / "files")
        settings = Settings(
            data_dir=Path(folder) / "data", **dict(pair.split("=", 1) for pair in arguments.set)
        )
        with Assistant(settings) as assistant:
            report = assistant.ingest(Path(folder) / "files")
            assert not report.quarantined, report.quarantined
            print(f"{corpus.name}: {len(corpus.passages)} passages as {report.chunks} chunks, ")
            print(f"{len(questions)} questions; ingest {report.seconds:.0f} s\n")
            print("| ranker | recall@1 | recall@5 | MRR@10 | ms a question |")
            print("|---|---|---|---|---|")
            for name, rank in rankers(assistant, corpus).items():
                _print_row(name, rank, questions)
                if arguments.product:
                    break


def rankers(assistant: Assistant, corpus: Corpus) -> dict[str, Ranker]:
    """Return ways of ranking the corpus's passages for a question, ours first."""
    store = assistant._open_store()
    index = store.index
    searcher = Searcher(store, assistant._embedder, assistant.settings)
    audiences = index.audiences(EVERYONE)

    def documents(rowids: Sequence[int]) -> list[int]:
        found = index.catalog.chunks(list(rowids))
        return [int(Path(found[r][1].source).stem) for r in rowids if r in found]

    def legs(question: str) -> tuple[dict[int, float], dict[int, float]]:
        query = searcher._query(question, index.catalog)
        dense = dict(index.dense(query.vector, audiences, DEPTH))
        return dense, dict(index.catalog.lexical(list(query.idf), audiences, DEPTH))

    def search(question: str) -> list[int]:
        return [int(Path(h.document.source).stem) for h in assistant.search(question, k=20)]

    def dense(question: str) -> list[int]:
        return documents([r for r, _ in fuse(legs(question)[0], {}, 1.0)])

    def lexical(question: str) -> list[int]:
        return documents(list(legs(question)[1]))

    def reciprocal(question: str) -> list[int]:
        scores: Counter[int] = Counter()
        for leg in legs(question):
            for rank, rowid in enumerate(leg, 1):
                scores[rowid] += 1 / (RRF_CONSTANT + rank)  # type: ignore[assignment]
        return documents([r for r, _ in scores.most_common()])

    whitespace = _Bm25([text.split() for text in corpus.passages])
    return {
        "`Assistant.search`": search,
        "dense only": dense,
        "BM25, character pairs": lexical,
        "reciprocal rank fusion": reciprocal,
        "BM25, split at white space": lambda question: whitespace.rank(question.split()),
        "BM25, our terms, passages whole": _Bm25([terms(t) for t in corpus.passages]).of_terms,
    }


class _Bm25:
    """Textbook BM25 (k1 = 1.5, b = 0.75), for the baseline that frameworks default to."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._lengths = [len(document) for document in documents]
        self._mean = sum(self._lengths) / len(self._lengths)
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for i, document in enumerate(documents):
            for term, count in Counter(document).items():
                self._postings.setdefault(term, []).append((i, count))

    def rank(self, query: Sequence[str]) -> list[int]:
        scores: Counter[int] = Counter()
        total = len(self._lengths)
        for term in set(query):
            postings = self._postings.get(term, [])
            idf = math.log(1 + (total - len(postings) + 0.5) / (len(postings) + 0.5))
            for i, count in postings:
                norm = 1.5 * (0.25 + 0.75 * self._lengths[i] / self._mean)
                scores[i] += idf * count * 2.5 / (count + norm)  # type: ignore[assignment]
        return [i for i, _ in scores.most_common(DEPTH)]

    def of_terms(self, question: str) -> list[int]:
        return self.rank(terms(question))


def _print_row(name: str, rank: Ranker, questions: Sequence[Question]) -> None:
    began = time.perf_counter()
    orders = [list(dict.fromkeys(rank(question.text))) for question in questions]
    spent = 1000 * (time.perf_counter() - began) / len(questions)
    pairs = [(order, question.grades) for order, question in zip(orders, questions, strict=True)]
    at = {k: fmean(hit_at(k, *pair) for pair in pairs) for k in (1, 5)}
    mrr = fmean(reciprocal_rank(10, *pair) for pair in pairs)
    print(f"| {name} | {at[1]:.4f} | {at[5]:.4f} | {mrr:.4f} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
