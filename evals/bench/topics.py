"""Train the topic router, and show how well it routes questions that it never saw.

    python evals/bench/topics.py [--write]

It is fitted on ``evals/topics/train.yaml``. Five folds of that file, drawn five times, choose
how tightly the weights are held, by log loss, and the probability from which a question is
declined as off-topic. Every other figure is for ``evals/topics/test.yaml``, on which nothing is
chosen. `--write` stores the router in assistant/topics.npz.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold

from assistant import Settings
from assistant.embed import Embedder, Vectors, load_embedder
from assistant.linear import LinearClassifier
from assistant.text import detect_language
from assistant.topics import OFF_TOPIC, TOPICS, Routed, TopicRouter
from evals.stats import CONFIDENCE, RESAMPLES, SEED, Mean, mean

QUESTIONS = Path(__file__).parents[1] / "topics"
WEIGHTS_FILE = Path(__file__).parents[2] / "assistant" / "topics.npz"
FOLDS, DRAWS = 5, 5
STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1000.0)
# Questions that belong here, of which no more than this share may be declined.
MOST_DECLINED = 0.01

Indices = NDArray[np.intp]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Questions with their vectors (n, dimension) and topics (n,), as places in `TOPICS`."""

    questions: tuple[str, ...]
    vectors: Vectors
    topics: Indices

    @property
    def languages(self) -> NDArray[np.str_]:
        """The language of each question, (n,)."""
        return np.array([detect_language(question) for question in self.questions])


def main() -> None:
    """Train, print the tables, and store the router if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="store in assistant/topics.npz")
    arguments = parser.parse_args()
    embedder = load_embedder(Settings())
    train, test = (read(QUESTIONS / name, embedder) for name in ("train.yaml", "test.yaml"))
    router = train_router(train, embedder)
    print_test(router, test)
    if arguments.write:
        router.classifier.save(WEIGHTS_FILE)


def read(file: Path, embedder: Embedder) -> Labelled:
    """Read a file of labels, each with its questions, and embed the questions."""
    labelled: dict[str, list[str]] = yaml.safe_load(file.read_text("utf-8"))
    pairs = [(question, topic) for topic, asked in labelled.items() for question in asked]
    vectors = np.stack([embedder.embed_question(question) for question, _ in pairs])
    topics = np.array([TOPICS.index(topic) for _, topic in pairs], np.intp)
    return Labelled(tuple(question for question, _ in pairs), vectors, topics)


def train_router(train: Labelled, embedder: Embedder) -> TopicRouter:
    """Return the router fitted as the folds say, and print what they say."""
    strength, rows, probabilities = choose_strength(train)
    gold = train.topics[rows]
    threshold = choose_threshold(gold, probabilities)
    print(f"\nC = {strength:g}. Declined as off-topic over a probability of {threshold:.3f}:\n")
    guessed, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    print_declined(gold, (guessed == TOPICS.index(OFF_TOPIC)) & (sure > threshold))
    model = fit(train.vectors, train.topics, strength)
    # As they are stored: what is measured is what ships.
    weights = model.coef_.astype(np.float16).astype(np.float32)
    bias = model.intercept_.astype(np.float32)
    return TopicRouter(embedder, LinearClassifier(weights, bias, threshold, embedder.fingerprint))


def choose_strength(train: Labelled) -> tuple[float, Indices, Probabilities]:
    """Return the C of the least log loss, and what `cross_validate` gives with it."""
    print(f"Training file, {FOLDS} folds drawn {DRAWS} times:\n")
    print("| C | log loss | accuracy | macro F1 |")
    print("|---|---|---|---|")
    tried = {}
    for strength in STRENGTHS:
        rows, probabilities = cross_validate(train, strength)
        gold, guessed = train.topics[rows], probabilities.argmax(axis=1)
        loss = log_loss(gold, probabilities, labels=range(len(TOPICS)))
        f1 = macro(confusion(gold, guessed))[2]
        print(f"| {strength:g} | {loss:.3f} | {(gold == guessed).mean():.3f} | {f1:.3f} |")
        tried[loss] = strength, rows, probabilities
    return tried[min(tried)]


def fit(vectors: Vectors, topics: Indices, strength: float) -> LogisticRegression:
    """Fit a regression; in double precision, for in single it stops short of the optimum."""
    model = LogisticRegression(C=strength, tol=1e-6, max_iter=2000)
    return model.fit(vectors.astype(np.float64), topics)


def cross_validate(train: Labelled, strength: float) -> tuple[Indices, Probabilities]:
    """Return the rows that each fold leaves out, and the probabilities of their topics."""
    draws = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=DRAWS, random_state=SEED)
    strata = [f"{topic} {lang}" for topic, lang in zip(train.topics, train.languages, strict=True)]
    rows, probabilities = [], []
    for inside, outside in draws.split(train.vectors, strata):
        model = fit(train.vectors[inside], train.topics[inside], strength)
        rows.append(outside)
        probabilities.append(model.predict_proba(train.vectors[outside].astype(np.float64)))
    return np.concatenate(rows), np.concatenate(probabilities)


def choose_threshold(gold: Indices, probabilities: Probabilities) -> float:
    """Return the least threshold that declines few enough of the questions that belong here."""
    off = TOPICS.index(OFF_TOPIC)
    mistaken = (gold != off) & (probabilities.argmax(axis=1) == off)
    surest = np.sort(probabilities[mistaken, off])[::-1]
    allowed = int(MOST_DECLINED * (gold != off).sum())
    return float(surest[allowed]) if allowed < len(surest) else 0.0


def print_test(router: TopicRouter, test: Labelled) -> None:
    """Print all that is measured on the test file."""
    start = time.perf_counter()
    routed = [router.route_vector(vector) for vector in test.vectors]
    milliseconds = (time.perf_counter() - start) * 1000 / len(routed)
    guessed = np.array([TOPICS.index(each.topic) for each in routed], np.intp)
    languages = test.languages
    print(f"\nTest file, {len(routed)} questions, with {CONFIDENCE:.0%} bootstrap intervals:\n")
    print("| | n | accuracy | macro precision | macro recall | macro F1 |")
    print("|---|---|---|---|---|---|")
    every = np.ones(len(routed), np.bool_)
    for name, rows in (("all", every), ("zh", languages == "zh"), ("en", languages == "en")):
        print_overall(name, test.topics[rows], guessed[rows])
    print_topics(test.topics, guessed, languages)
    print_confusion(confusion(test.topics, guessed))
    print(f"\nDeclined as off-topic (probability over {router.classifier.threshold:.3f}):\n")
    print_declined(test.topics, np.array([router.sure(each) == OFF_TOPIC for each in routed]))
    print_sureness(test.topics == guessed, routed)
    print(f"\n{milliseconds:.3f} ms a question beyond embedding.")


def print_overall(name: str, gold: Indices, guessed: Indices) -> None:
    """Print a row of accuracy and the macro averages, each with its interval."""
    accuracy = mean((gold == guessed).astype(float).tolist())
    figures = [accuracy, *macro_intervals(gold, guessed)]
    shown = " | ".join(f"{f.value:.3f} ({f.low:.3f}–{f.high:.3f})" for f in figures)
    print(f"| {name} | {len(gold)} | {shown} |")


def print_topics(gold: Indices, guessed: Indices, languages: NDArray[np.str_]) -> None:
    """Print precision, recall and F1 of each topic, and its recall in each language."""
    matrix = confusion(gold, guessed)
    print("\n| topic | n | precision | recall | F1 | recall zh | recall en |")
    print("|---|---|---|---|---|---|---|")
    for place, topic in enumerate(TOPICS):
        recalls = [
            (guessed[(gold == place) & (languages == language)] == place).mean()
            for language in ("zh", "en")
        ]
        precision, recall, f1 = by_topic(matrix)[:, place]
        print(
            f"| {topic} | {matrix[place].sum()} | {precision:.3f} | {recall:.3f} | {f1:.3f} "
            f"| {recalls[0]:.3f} | {recalls[1]:.3f} |"
        )


def print_confusion(matrix: Indices) -> None:
    """Print how many questions of each topic went where."""
    print("\n| asked about ↓, routed to → | " + " | ".join(TOPICS) + " |")
    print("|---" * (len(TOPICS) + 1) + "|")
    for topic, row in zip(TOPICS, matrix, strict=True):
        print(f"| {topic} | " + " | ".join(map(str, row)) + " |")


def print_declined(gold: Indices, declined: NDArray[np.bool_]) -> None:
    """Print how many of those declined are off-topic, and of the off-topic declined."""
    off = gold == TOPICS.index(OFF_TOPIC)
    print("| precision | recall | of the rest declined |")
    print("|---|---|---|")
    print(
        f"| {off[declined].mean():.3f} | {declined[off].mean():.3f} | {declined[~off].mean():.1%} |"
    )


def print_sureness(right: NDArray[np.bool_], routed: Sequence[Routed]) -> None:
    """Print how often the router is right when it is as sure as this."""
    sure = np.array([each.probability for each in routed])
    print("\n| probability at least | questions | right |")
    print("|---|---|---|")
    for least in (0.0, 0.5, 0.7, 0.9):
        rows = sure >= least
        print(f"| {least:.1f} | {rows.mean():.1%} | {right[rows].mean():.3f} |")


def confusion(gold: Indices, guessed: Indices) -> Indices:
    """Return how many questions of each topic (rows) were routed to each (columns)."""
    size = len(TOPICS)
    return np.bincount(gold * size + guessed, minlength=size * size).reshape(size, size)


def by_topic(matrix: Indices) -> Probabilities:
    """Return precision, recall and F1 of each topic, (3, topics); 0 where nothing is counted."""
    hits, routed, asked = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    counted = np.maximum(np.stack([routed, asked, routed + asked]), 1)
    shares: Probabilities = np.stack([hits, hits, 2 * hits]) / counted
    return shares


def macro(matrix: Indices) -> Probabilities:
    """Return the means over the topics of precision, recall and F1, (3,)."""
    averages: Probabilities = by_topic(matrix).mean(axis=1)
    return averages


def macro_intervals(gold: Indices, guessed: Indices) -> list[Mean]:
    """Return `macro` with its percentile bootstrap intervals, questions drawn anew."""
    rng = np.random.default_rng(SEED)
    draws = rng.integers(len(gold), size=(RESAMPLES, len(gold)))
    values = np.array([macro(confusion(gold[rows], guessed[rows])) for rows in draws])
    lows, highs = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    averages = macro(confusion(gold, guessed))
    return [
        Mean(float(value), float(low), float(high), len(gold))
        for value, low, high in zip(averages, lows, highs, strict=True)
    ]


if __name__ == "__main__":
    main()
