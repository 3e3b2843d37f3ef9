"""Measures: spans, both kinds of refusal, the calibration, and what counts as worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from assistant.adapt.measure import ALL, Outcome, calibrate, outcomes, summary, worse
from assistant.adapt.samples import Sample, Trial
from assistant.adapt.scores import area, best_f1, cross_entropy, equal_error, exact
from assistant.errors import ConfigurationError
from assistant.reader import Reading


class FakeReader:
    """Finds the word after "is", as surely as the passage is long."""

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        readings = []
        for _, passage in pairs:
            start = passage.index(" is ") + 4
            chance = 1 / (1 + np.exp(-(len(passage) - 20) / 4))
            readings.append(Reading(start, len(passage), 0.0, float(chance), passage[start:]))
        return readings


READER: Any = FakeReader()


def gold(passage: str, answer: str) -> Sample:
    start = passage.index(answer) if answer else -1
    end = start + len(answer) if answer else -1
    return Sample("q", passage, start, end, "en", "set", "set:0", "none", (answer,))


def outcome(f1: float, inside: float, outside: float) -> Outcome:
    return Outcome("set", "en", f1, f1, inside, outside, 0.1)


def test_spans_are_compared_without_case_and_punctuation() -> None:
    assert exact("“Fifteen Days”", ("fifteen days",))
    assert not exact("fifteen", ("fifteen days",))
    assert best_f1("十五天", ("十天", "十五天")) == 1.0
    assert best_f1("fifteen", ("fifteen days",)) == pytest.approx(2 / 3)


def test_the_area_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    labels = rng.random(200) < 0.3
    scores = np.round(labels + rng.normal(size=200), 1)  # with ties
    expected = roc_auc_score(labels, scores)
    assert area(scores.tolist(), labels.tolist()) == pytest.approx(expected)
    assert area([1.0, 2.0], [True, True]) == 0.5


def test_errors_are_equal_at_the_threshold() -> None:
    scores = [0.1, 0.2, 0.6, 0.4, 0.8, 0.9]
    there = [False, False, False, True, True, True]
    threshold, error = equal_error(scores, there)
    assert 0.4 < threshold <= 0.6
    assert error == pytest.approx(1 / 3)
    assert equal_error([0.5], [True]) == (0.5, 0.0)


def test_the_cross_entropy_is_the_mean_surprise() -> None:
    assert cross_entropy([0.5, 0.25], [True, False]) == pytest.approx(
        -(np.log(0.5) + np.log(0.75)) / 2
    )
    assert np.isfinite(cross_entropy([0.0], [True]))


def test_a_question_is_put_to_its_passage_and_to_look_alikes() -> None:
    trials = [
        Trial(gold("The leave of everybody is ten days", "ten days"), ("It is x", "He is y")),
        Trial(gold("Nothing of it is here", ""), ("It is x",)),
    ]
    first, second = outcomes(READER, trials, lambda _: None)
    assert first.f1 == first.exact_match == 1.0
    assert first.inside is not None and first.inside > 0.9
    assert first.outside < 0.1
    assert second.inside is second.f1 is None
    assert second.outside == pytest.approx(1 / (1 + np.exp(-0.25)))


def test_the_summary_counts_both_errors() -> None:
    made = [outcome(1.0, 0.9, 0.1), outcome(0.5, 0.3, 0.2), outcome(0.0, 0.8, 0.7)]
    scores = summary([*made, Outcome("other", "zh", None, None, None, 0.9, 0.1)], 0.5)
    assert set(scores) == {ALL, "set", "en", "other", "zh"}
    assert scores["set"].f1.value == pytest.approx(0.5)
    assert scores["set"].wrongly_refused.value == pytest.approx(1 / 3)
    assert scores["set"].wrongly_answered.value == pytest.approx(1 / 3)
    assert scores[ALL].wrongly_answered.value == pytest.approx(0.5)
    assert scores[ALL].f1.n == 3
    assert scores["set"].auc.low <= scores["set"].auc.value <= scores["set"].auc.high


def test_a_reader_is_worse_only_if_that_is_no_chance() -> None:
    good = [outcome(0.9, 0.9, 0.1) for _ in range(40)]
    unlucky = [outcome(0.8, 0.9, 0.1), *good[1:]]
    refusing = [outcome(0.9, 0.2, 0.1) for _ in range(40)]
    assert worse(good, 0.5, unlucky, 0.5) == {}
    assert set(worse(good, 0.5, refusing, 0.5)) == {"refusal"}
    assert worse(refusing, 0.5, good, 0.5) == {}
    assert set(worse(good, 0.5, [outcome(0.1, 0.9, 0.1) for _ in good], 0.5)) == {"F1"}


def test_the_calibration_makes_of_scores_probabilities() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.integers(5, 35, 400)
    validation = [
        gold(("x" * int(n) + " is y"), "y" if rng.random() < 1 / (1 + np.exp(18 - n)) else "")
        for n in lengths
    ]
    calibration = calibrate(READER, validation)
    assert 0.1 < calibration.temperature < 0.6  # the fake's logits are a quarter of the true ones
    assert 0.2 < calibration.threshold < 0.8
    with pytest.raises(ConfigurationError, match="with and without"):
        calibrate(READER, validation[:1])
