"""Calibrate the evidence gate, and show how well it tells what the documents hold.

    python evals/bench/gate.py FOLDER [--write] [--questions N]

FOLDER holds the public sets (see `corpora`). Of each set a random part of the
passages is ingested; questions whose passage is among them are answerable, the
others are not. Small and large corpora are mixed, since the signals depend on size.
Every figure is for a set that the regression did not see (leave one set out).
`--write` stores the regression fitted on all sets in assistant/gate.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from assistant import Settings
from assistant.embed import Embedder, load_embedder
from assistant.index.store import Store
from assistant.ingest.pipeline import Pipeline
from assistant.retrieve import Searcher
from assistant.settings import data_folder
from assistant.types import EVERYONE

GATE_FILE = Path(__file__).parents[2] / "assistant" / "gate.json"
SIZES = (3, 3, 3, 10, 10, 40, 200)
SEED = 7
# Questions put to company papers are worded farther from the text than those of the
# public sets, and score lower: the cut is eased by this much (a logit).
LENIENCY = 0.5
DIRECTIONS = ("zh_asks_en", "en_asks_zh")


@dataclass(frozen=True)
class Sample:
    """One question's signals; whether its passage was there, and whether it was found."""

    corpus: str
    signals: dict[str, float]
    answerable: bool
    found: bool


def main() -> None:
    """Collect signals, print the table and the curve, and store the regression if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=300, help="of each set and size")
    parser.add_argument("--samples", type=Path, help="keep the signals here, or reuse them")
    parser.add_argument("--write", action="store_true", help="store in assistant/gate.json")
    arguments = parser.parse_args()
    samples = gather(arguments.folder, arguments.questions, arguments.samples)
    names = sorted(samples[0].signals)
    print_table(samples, names)
    model = fit(samples, names)
    if arguments.write:
        model["embedding_model"] = load_embedder(Settings()).fingerprint
        GATE_FILE.write_text(json.dumps(model, indent=2, ensure_ascii=False) + "\n", "utf-8")


def gather(folder: Path, questions: int, cache: Path | None) -> list[Sample]:
    """Collect the samples of all sets and sizes, or read them from an earlier run."""
    if cache and cache.exists():
        return [Sample(**row) for row in json.loads(cache.read_text("utf-8"))]
    embedder = load_embedder(Settings())
    samples = []
    for corpus in corpora_of(folder):
        for turn, size in enumerate(SIZES):
            samples += collect(corpus, size, questions, embedder, SEED + turn)
            print(f"{corpus.name}, {size} passages: {len(samples)} samples so far", flush=True)
    if cache:
        cache.write_text(json.dumps([asdict(s) for s in samples]), "utf-8")
    return samples


def corpora_of(folder: Path) -> list[corpora.Corpus]:
    """Return the sets to calibrate on: Chinese in both scripts, English, and across languages."""
    guidance = data_folder("knowledge") / "guidance"
    return [
        corpora.load(folder / "cmrc2018_dev.json"),
        corpora.load(folder / "drcd_dev"),
        corpora.load(folder / "clapnq_dev"),
        corpora.load_guidance(guidance, ask="zh", answer="en"),
        corpora.load_guidance(guidance, ask="en", answer="zh"),
        corpora.load_guidance(guidance, ask="zh", answer="zh"),
        corpora.load_guidance(guidance, ask="en", answer="en"),
        corpora.load_bilingual_guidance(guidance),
    ]


def collect(
    corpus: corpora.Corpus, size: int, questions: int, embedder: Embedder, seed: int
) -> list[Sample]:
    """Ingest ``size`` topics (at most half of them) and search questions of both kinds."""
    kept, absent = corpus.split(size, questions, seed)
    with tempfile.TemporaryDirectory() as folder:
        corpora.write_files(kept, Path(folder) / "files")
        settings = Settings(data_dir=Path(folder) / "data")
        store = Store(settings.data_dir, embedder.fingerprint)
        Pipeline(store, embedder, settings).run([Path(folder) / "files"])
        searcher = Searcher(store, embedder, settings)
        asked = [(q.text, q.gold) for q in kept.questions] + [(q.text, None) for q in absent]
        samples = []
        for text, gold in asked:
            found = searcher.search(text, EVERYONE, settings.top_k)
            if found.signals:
                ranked = [int(Path(hit.document.source).stem) for hit in found.hits]
                samples.append(
                    Sample(corpus.name, dict(found.signals), gold is not None, gold in ranked)
                )
        store.close()
    return samples


def fit(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Any]:
    """Return weights, bias and threshold; each set weighs the same, whatever its size.

    The threshold makes the two errors equal on the sets whose questions people wrote
    (headings asked as questions are easier), less the leniency. Across languages the
    scores lie elsewhere: there the direction's own weight is moved until the errors are
    equal, too.
    """
    x, y = _matrix(samples, names)
    scaler = StandardScaler().fit(x)
    counts = {key: sum(_key(s) == key for s in samples) for key in {_key(s) for s in samples}}
    weights = np.array([1.0 / counts[_key(s)] for s in samples])
    regression = LogisticRegression(C=1.0, max_iter=1000)
    regression.fit(scaler.transform(x), y, sample_weight=weights / weights.mean())
    slope = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - slope @ scaler.mean_)
    logits = x @ slope + bias
    written = np.array([not s.corpus.startswith("guidance") for s in samples])
    cut = _balanced_cut(logits[written], y[written], weights[written]) - LENIENCY
    for direction in DIRECTIONS:
        column = list(names).index(direction)
        there = x[:, column] == 1.0
        if y[there].any() and not y[there].all():
            slope[column] += cut - _balanced_cut(logits[there], y[there], weights[there])
    return {
        "weights": {name: round(float(w), 5) for name, w in zip(names, slope, strict=True)},
        "bias": round(bias, 5),
        "threshold": round(float(1 / (1 + np.exp(-cut))), 3),
        "calibrated_on": sorted({s.corpus for s in samples}),
        "samples": len(samples),
    }


def print_table(samples: Sequence[Sample], names: Sequence[str]) -> None:
    """Print, for each set left out of the fit, the two errors at the fitted threshold."""
    print("| set left out | n | AUC | wrongly answered | wrongly refused |")
    print("|---|---|---|---|---|")
    pooled: list[tuple[float, bool]] = []
    for name in sorted({s.corpus for s in samples}):
        inside = [s for s in samples if s.corpus == name]
        model = fit([s for s in samples if s.corpus != name], names)
        scores, y = _scores(model, inside), np.array([s.answerable for s in inside])
        passed = scores >= model["threshold"]
        wrong = passed[~y].mean()
        refused = 1 - passed[y].mean()
        print(
            f"| {name} | {len(inside)} | {roc_auc_score(y, scores):.3f} "
            f"| {wrong:.1%} | {refused:.1%} |"
        )
        pooled += zip(scores.tolist(), y.tolist(), strict=True)
    print("\nCurve, all sets, each scored by a gate that did not see it:\n")
    print("| threshold | wrongly answered | wrongly refused |")
    print("|---|---|---|")
    scores, y = np.array([p[0] for p in pooled]), np.array([p[1] for p in pooled])
    for threshold in np.arange(0.1, 1.0, 0.1):
        passed = scores >= threshold
        print(f"| {threshold:.1f} | {passed[~y].mean():.1%} | {1 - passed[y].mean():.1%} |")


def _scores(model: dict[str, Any], samples: Sequence[Sample]) -> Any:
    names = list(model["weights"])
    x, _ = _matrix(samples, names)
    logits = x @ np.array(list(model["weights"].values())) + model["bias"]
    return 1 / (1 + np.exp(-logits))


def _matrix(samples: Sequence[Sample], names: Sequence[str]) -> tuple[Any, Any]:
    x = np.array([[s.signals[name] for name in names] for s in samples])
    return x, np.array([s.answerable for s in samples])


def _key(sample: Sample) -> tuple[str, bool]:
    return sample.corpus, sample.answerable


def _balanced_cut(logits: Any, y: Any, weights: Any) -> float:
    """Return the logit at which the two errors are equal."""

    def gap(cut: float) -> float:
        passed = logits >= cut
        wrong = np.average(passed[~y], weights=weights[~y])
        return float(abs(wrong - np.average(~passed[y], weights=weights[y])))

    return min(np.linspace(-4.0, 4.0, 401).tolist(), key=gap)


if __name__ == "__main__":
    main()
