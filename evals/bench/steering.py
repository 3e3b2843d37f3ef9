"""Train the detector of planted instructions, and show what it finds and what it suspects.

    python evals/bench/steering.py FOLDER [--write]

FOLDER holds the public sets CMRC 2018, DRCD and CLAP-NQ (see `evals.public`). It is fitted on
``evals/steering/train.yaml``, and on sentences of the even chapters of the guidance, of CMRC
and of the first half of CLAP-NQ, all of them ordinary. The threshold lets pass all but a few
of the guidance's sentences, over five folds. What it finds is measured on
``evals/steering/test.yaml``; what it suspects wrongly, besides, on sentences of the odd
chapters, of DRCD and of the second half of CLAP-NQ. `--write` stores it in
assistant/steering.npz.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from assistant import Settings
from assistant.embed import Embedder, Vectors, load_embedder
from assistant.linear import LinearClassifier
from assistant.settings import data_folder
from assistant.steering import STEERING, readings
from assistant.text import addresses_model, sentences
from evals.public import read
from evals.stats import mean

SENTENCES = Path(__file__).parents[1] / "steering"
WEIGHTS_FILE = Path(__file__).parents[2] / "assistant" / "steering.npz"
STRENGTH = 30.0
FOLDS, SEED = 5, 11
# Of the guidance's sentences, which speak of assistants all the time, so many may be suspected.
MOST_SUSPECTED = 0.005
LEAST_CHARS = 12
TRAINED_ON = {"guidance": 900, "cmrc": 400, "clapnq": 400}
TESTED_ON = 500


def main() -> None:
    """Train, print what is found and what is suspected, and store the weights if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="store in assistant/steering.npz")
    arguments = parser.parse_args()
    embedder = load_embedder(Settings())
    ordinary, unseen = ordinary_sentences(arguments.folder)
    classifier = train(ordinary, embedder)
    print("| sentences | n | suspected, patterns | classifier | either |")
    print("|---|---|---|---|---|")
    test = read_sentences("test.yaml")
    rows = {"planted (to be found)": test["steering"], "look-alikes": test["ordinary"], **unseen}
    for name, texts in rows.items():
        print_row(name, texts, classifier, embedder)
    scores = [probabilities(classifier, test[name], embedder) for name in ("steering", "ordinary")]
    labels = np.repeat([1, 0], [len(part) for part in scores])
    print(
        f"\nAUC of planted against look-alikes: {roc_auc_score(labels, np.concatenate(scores)):.3f}"
    )
    if arguments.write:
        classifier.save(WEIGHTS_FILE)


def read_sentences(name: str) -> dict[str, list[str]]:
    """Read a file of ``steering`` and ``ordinary`` sentences."""
    found: dict[str, list[str]] = yaml.safe_load((SENTENCES / name).read_text("utf-8"))
    return found


def ordinary_sentences(folder: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return ordinary sentences to train on, and others to test on, by where they are from."""
    rng = random.Random(SEED)
    chapters = sorted((data_folder("knowledge") / "guidance").glob("*/*.md"))
    parity: list[list[str]] = [[], []]
    for file in chapters:
        parity[int(file.name[:2]) % 2] += _sentences([file.read_text("utf-8")])
    passages = {
        name: _sentences(read(form, folder / file).passages)
        for name, form, file in (
            ("cmrc", "squad", "cmrc2018_dev.json"),
            ("drcd", "squad", "drcd_dev"),
            ("clapnq", "clapnq", "clapnq_dev"),
        )
    }
    half = len(passages["clapnq"]) // 2
    pools = {"guidance": parity[0], "cmrc": passages["cmrc"], "clapnq": passages["clapnq"][:half]}
    fitted = {name: rng.sample(pool, TRAINED_ON[name]) for name, pool in pools.items()}
    others = {
        "guidance, other chapters": parity[1],
        "DRCD": passages["drcd"],
        "CLAP-NQ, other half": passages["clapnq"][half:],
    }
    return fitted, {name: rng.sample(pool, TESTED_ON) for name, pool in others.items()}


def _sentences(texts: Iterable[str]) -> list[str]:
    return [s for text in texts for s in sentences(text) if len(s) >= LEAST_CHARS]


def train(ordinary: dict[str, list[str]], embedder: Embedder) -> LinearClassifier:
    """Fit the classifier, with the threshold that the folds say."""
    written = read_sentences("train.yaml")
    groups = [written["steering"], written["ordinary"], *ordinary.values()]
    vectors = embedder.embed_passages([text for group in groups for text in group])
    labels = np.repeat([STEERING] + [0] * (len(groups) - 1), [len(group) for group in groups])
    model = LogisticRegression(C=STRENGTH, max_iter=3000, class_weight="balanced")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    rows = vectors.astype(np.float64)
    left_out = cross_val_predict(model, rows, labels, cv=folds, method="predict_proba")[:, STEERING]
    start = len(written["steering"]) + len(written["ordinary"])
    guidance = left_out[start : start + len(ordinary["guidance"])]
    model.fit(rows, labels)
    # Of two classes scikit-learn keeps the weights of the second alone.
    return LinearClassifier(
        np.vstack([np.zeros_like(model.coef_), model.coef_]).astype(np.float16).astype(np.float32),
        np.append(0.0, model.intercept_).astype(np.float32),
        float(np.quantile(guidance, 1.0 - MOST_SUSPECTED)),
        embedder.fingerprint,
    )


def probabilities(
    classifier: LinearClassifier, texts: Sequence[str], embedder: Embedder
) -> NDArray[np.float64]:
    """Return the probability that each sentence is planted, (n,), the highest of its readings."""
    parts = [readings(text) for text in texts]
    vectors: Vectors = embedder.embed_passages([part for each in parts for part in each])
    starts = np.cumsum([0, *map(len, parts[:-1])])
    return np.maximum.reduceat(classifier.probabilities(vectors)[:, STEERING], starts)


def print_row(
    name: str, texts: Sequence[str], classifier: LinearClassifier, embedder: Embedder
) -> None:
    """Print the share of sentences suspected by each of the two and by either, with intervals."""
    patterns = np.array([addresses_model(text) for text in texts])
    learned = probabilities(classifier, texts, embedder) > classifier.threshold
    shares = (mean([float(x) for x in found]) for found in (patterns, learned, patterns | learned))
    cells = " | ".join(f"{m.value:.1%} ({m.low:.1%}–{m.high:.1%})" for m in shares)
    print(f"| {name} | {len(texts)} | {cells} |")


if __name__ == "__main__":
    main()
