"""Calibrate the gate that weighs a reader's word, and show what reading adds to search.

    PYTHONPATH=evals/bench python evals/bench/reading.py FOLDER [--samples FILE] [--write]

FOLDER holds the public sets CMRC 2018, DRCD and CLAP-NQ, of which only documents are asked
about that the shipped reader was not taught on. As in `gate`, a part of the passages is left
out, and every figure is for a set that the regression did not see. The last row and the curve
are of the evaluation's own cases, which nothing is fitted on. `--write` stores the regression
fitted on all sets in assistant/gate.json; its threshold is where an answer is as likely as not.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gate as search_gate
import numpy as np
from sklearn.metrics import roc_auc_score

from assistant import Settings
from assistant.adapt.collect import is_training_case
from assistant.adapt.recipe import PublicSource, ReaderRecipe
from assistant.adapt.samples import group_of, is_held_back, normalised
from assistant.embed import Embedder, load_embedder
from assistant.reader import SHIPPED
from assistant.reading import ReadingStage
from assistant.retrieve import Found
from assistant.settings import data_folder
from assistant.types import EVERYONE, Principal
from evals.case import PLANTED, load_cases
from evals.public import Corpus, Question, write_files

SIZES = (3, 10, 40, 200)
CASES = "cases"
WRITTEN = 3  # the sets of `gate.corpora_of` whose questions people wrote; others ask by headings
# Three signals that say much the same: loosely held, the search's own outweighs the reader's.
REGULARISATION = 0.1
THRESHOLD = 0.5

Search = Callable[[str, Principal], Found]


@dataclass(frozen=True)
class Sample:
    """One question: the gate's signals after reading, and the confidence of search alone."""

    corpus: str
    signals: dict[str, float]
    answerable: bool
    retrieved: float
    seconds: float


def main() -> None:
    """Collect signals, print the table, and store the regression if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=60, help="of each set, size and kind")
    parser.add_argument("--samples", type=Path, help="keep the signals here, or reuse them")
    parser.add_argument("--write", action="store_true", help="store in assistant/gate.json")
    arguments = parser.parse_args()
    samples = gather(arguments.folder, arguments.questions, arguments.samples)
    model = fit([s for s in samples if s.corpus != CASES])
    print_table(samples)
    print_curve([s for s in samples if s.corpus == CASES], model)
    print(json.dumps(model, indent=2, ensure_ascii=False))
    if arguments.write:
        search_gate.store("reading", model)


def gather(folder: Path, questions: int, cache: Path | None) -> list[Sample]:
    """Collect the samples of all sets and sizes and of the cases, or read an earlier run's."""
    if cache and cache.exists():
        return [Sample(**row) for row in json.loads(cache.read_text("utf-8"))]
    embedder = load_embedder(Settings())
    stage = ReadingStage(Settings(), embedder)
    samples: list[Sample] = []
    for corpus in search_gate.corpora_of(folder)[:WRITTEN]:
        for turn, size in enumerate(SIZES):
            seed = search_gate.SEED + turn
            samples += ask_set(corpus, size, questions, embedder, stage, seed)
            print(f"{corpus.name}, {size} passages: {len(samples)} samples so far", flush=True)
    samples += ask_cases(embedder, stage)
    if cache:
        cache.write_text(json.dumps([asdict(s) for s in samples]), "utf-8")
    return samples


def ask_set(
    corpus: Corpus, size: int, questions: int, embedder: Embedder, stage: ReadingStage, seed: int
) -> Iterator[Sample]:
    """Ask a set's unseen questions, of which the passages of ``size`` topics are there."""
    left_out, _, _ = search_gate.split(corpus, size, questions, seed)
    unseen = [q for q in corpus.questions if q.gold and is_unseen(corpus, q)]
    there = [q for q in unseen if not q.gold <= left_out]
    absent = [q for q in unseen if q.gold <= left_out]
    rng = random.Random(seed)
    asked = {True: rng.sample(there, min(questions, len(there)))}
    asked[False] = rng.sample(absent, min(max(5, len(asked[True])), len(absent)))
    with tempfile.TemporaryDirectory() as name:
        write_files(corpus, Path(name) / "files", left_out)
        with search_gate.searching(Path(name), [Path(name) / "files"], embedder, "late") as search:
            for answerable, chosen in asked.items():
                for question in chosen:
                    yield from ask(corpus.name, question.text, answerable, search, stage)


def ask_cases(embedder: Embedder, stage: ReadingStage) -> Iterator[Sample]:
    """Ask the evaluation's cases that only measure and stand by themselves."""
    files = [data_folder("knowledge"), PLANTED]
    with (
        tempfile.TemporaryDirectory() as name,
        search_gate.searching(Path(name), files, embedder, "late") as search,
    ):
        for case in load_cases():
            if not case.history and not is_training_case(case):
                principal = Principal("asker", case.groups)
                there = case.expect == "answer"
                yield from ask(CASES, case.question, there, search, stage, principal)


def ask(
    corpus: str,
    question: str,
    answerable: bool,
    search: Search,
    stage: ReadingStage,
    principal: Principal = EVERYONE,
) -> Iterator[Sample]:
    """Yield the sample of a question; none where nothing is found."""
    found = search(question, principal)
    began = time.perf_counter()
    read = stage.read(question, found)
    took = time.perf_counter() - began
    if found.hits:
        yield Sample(corpus, dict(read.signals), answerable, found.confidence, took)


def is_unseen(corpus: Corpus, question: Question) -> bool:
    """Tell whether the shipped reader was taught nothing of a question's documents."""
    recipe = ReaderRecipe.model_validate_json((SHIPPED / "recipe.json").read_text("utf-8"))
    sources = {s.path.stem.lower(): s for s in recipe.sources if isinstance(s, PublicSource)}
    source = sources[corpus.name.lower()]
    documents = (corpus.titles[place] or corpus.passages[place] for place in question.gold)
    groups = (group_of(source.name, normalised(document)) for document in documents)
    return all(is_held_back(group, source.held_back) for group in groups)


def fit(samples: Sequence[Sample]) -> dict[str, object]:
    """Return weights, bias and threshold."""
    names = sorted(samples[0].signals)
    slope, bias = search_gate.regress(samples, names, REGULARISATION)
    cut = math.log(THRESHOLD / (1 - THRESHOLD))
    return search_gate.packed(samples, names, slope, bias, cut)


def print_table(samples: Sequence[Sample]) -> None:
    """Print, for each set left out of the fit, what search alone tells and what reading adds."""
    print("| set left out | n | AUC of search | AUC with reading | wrongly answered | refused |")
    print("|---|---|---|---|---|---|")
    for name in sorted({s.corpus for s in samples}):
        inside = [s for s in samples if s.corpus == name]
        model = fit([s for s in samples if s.corpus not in (name, CASES)])
        scores = search_gate.scores_of(model, inside)
        there = np.array([s.answerable for s in inside])
        passed = scores >= model["threshold"]
        print(
            f"| {name} | {len(inside)} | {roc_auc_score(there, [s.retrieved for s in inside]):.3f} "
            f"| {roc_auc_score(there, scores):.3f} | {passed[~there].mean():.1%} "
            f"| {1 - passed[there].mean():.1%} |"
        )
    took = [s.seconds for s in samples]
    print(f"\nReading a question's hits: {1000 * np.median(took):.0f} ms at the median.")


def print_curve(cases: Sequence[Sample], model: dict[str, object]) -> None:
    """Print what thresholds would let pass of the cases, by search alone and with reading."""
    there = np.array([s.answerable for s in cases])
    sides = {
        "search": np.array([s.retrieved for s in cases]),
        "reading": search_gate.scores_of(model, cases),
    }
    print("\n| threshold | search: answered, refused | reading: answered, refused |")
    print("|---|---|---|")
    for threshold in np.arange(0.1, 1.0, 0.1):
        cells = [
            f"{(scores[there] >= threshold).mean():.1%}, {(scores[~there] < threshold).mean():.1%}"
            for scores in sides.values()
        ]
        print(f"| {threshold:.1f} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
