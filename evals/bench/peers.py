"""Ours beside other frameworks on one set, in one run: the same questions, the same embedder.

    python evals/bench/peers.py PATH [--format squad] [--limit N] [--out peers.html]

The peers are an extra, `pip install 'strategy-assistant[peers]'`; one that is missing is
named with its command, and the others run. Each method has a process of its own, so that
its memory is its own. Times of one run can be compared, those of two runs cannot.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from assistant import Settings
from assistant.embed import Embedder, Vectors, load_embedder
from evals.bench.peer_methods import METHODS, Passages
from evals.bench.peers_page import markdown, page
from evals.public import FORMATS, Corpus, Question, passage_text, read, write_files
from evals.ranking import hit_at, reciprocal_rank

SEED = 7
WARM_UP = 8
# Read when the frameworks are imported; nothing may leave the machine.
_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGSMITH_TRACING": "false",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Row:
    """One method's figures; ``problem`` says why there are none.

    ``milliseconds`` and ``bare_milliseconds`` are means of a question with and without the
    embedding of the query. ``ingest`` is passages a second, ``embedding`` the share of that time
    spent in the embedder: what is left is the method's own. ``megabytes`` is what the resident
    memory grew by, beyond the embedding model.
    """

    label: str
    problem: str = ""
    recall_1: float = 0.0
    recall_5: float = 0.0
    mrr: float = 0.0
    milliseconds: float = 0.0
    bare_milliseconds: float = 0.0
    ingest: float = 0.0
    embedding: float = 0.0
    megabytes: float | None = None


def main() -> None:
    """Run every method in a process of its own, print a table and write a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--format", choices=FORMATS, default="squad")
    parser.add_argument("--limit", type=int, default=0, help="questions to draw; 0: all")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, help="an HTML page with the table and a chart")
    parser.add_argument("--only", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    corpus = read(arguments.format, arguments.path)
    questions = drawn(corpus, arguments.limit)
    if arguments.only:
        print(json.dumps(asdict(measure(arguments.only, corpus, questions))))
        return
    heading = f"{corpus.name}: {len(corpus.passages)} passages, {len(questions)} questions"
    rows = []
    for name in arguments.methods:
        rows.append(apart(name, sys.argv[1:]))
        print(f"{name}: {rows[-1].problem or 'done'}", file=sys.stderr, flush=True)
    print(f"{heading}\n\n{markdown(rows)}")
    if arguments.out:
        arguments.out.write_text(page(heading, rows), "utf-8")


def drawn(corpus: Corpus, limit: int) -> list[Question]:
    """Return ``limit`` of the questions that a passage answers; the same ones every time."""
    questions = [question for question in corpus.questions if question.gold]
    if limit and limit < len(questions):
        return random.Random(SEED).sample(questions, limit)
    return questions


def apart(name: str, given: Sequence[str]) -> Row:
    """Measure one method in a process of its own, which is given our own arguments again."""
    command = [sys.executable, __file__, *given, "--only", name]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | _QUIET)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Row(METHODS[name].label, f"failed: {last}")
    return Row(**json.loads(done.stdout.splitlines()[-1]))


# -- in the process of one method ----------------------------------------------------------------


def measure(name: str, corpus: Corpus, questions: Sequence[Question]) -> Row:
    """Build one method and ask it everything, with the model loaded beforehand."""
    method = METHODS[name]
    texts = tuple(map(passage_text, corpus.titles, corpus.passages))
    embedder = load_embedder(Settings())
    embedder.embed_passages(sorted(texts, key=len)[-WARM_UP:])
    embedder.embed_question(questions[0].text)
    before = resident()
    try:
        for module in method.modules:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        return Row(method.label, f"not installed ({error.name}): pip install {method.packages}")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        write_files(corpus, files)
        watch = Stopwatch(embedder)
        rank = method.build(Passages(texts, files), embedder)
        built, embedded = watch.lap()
        rank(questions[0].text)  # what is opened on first use is open now
        watch.lap()
        orders = [rank(question.text) for question in questions]
        spent, embedding = watch.lap()
        after = resident()
    pairs = [(order, question.grades) for order, question in zip(orders, questions, strict=True)]
    return Row(
        method.label,
        recall_1=fmean(hit_at(1, *pair) for pair in pairs),
        recall_5=fmean(hit_at(5, *pair) for pair in pairs),
        mrr=fmean(reciprocal_rank(10, *pair) for pair in pairs),
        milliseconds=1000 * spent / len(questions),
        bare_milliseconds=1000 * (spent - embedding) / len(questions),
        ingest=len(texts) / built,
        embedding=embedded / built,
        megabytes=None if before is None or after is None else after - before,
    )


class Stopwatch:
    """Tells how long something took, and how much of it an embedder spent embedding."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedding = 0.0
        self._began = time.perf_counter()
        embedder.embed_question = self._timed(embedder.embed_question)  # type: ignore[method-assign]
        embedder.embed_passages = self._timed(embedder.embed_passages)  # type: ignore[method-assign]

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last lap, and those of them spent embedding."""
        now = time.perf_counter()
        whole, embedding = now - self._began, self._embedding
        self._began, self._embedding = now, 0.0
        return whole, embedding

    def _timed(self, embed: Callable[..., Vectors]) -> Callable[..., Vectors]:
        def timed(*given: Any, **named: Any) -> Vectors:
            began = time.perf_counter()
            try:
                return embed(*given, **named)
            finally:
                self._embedding += time.perf_counter() - began

        return timed


def resident() -> float | None:
    """Return this process's resident memory in megabytes; None where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
