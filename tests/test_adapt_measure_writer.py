"""Measures of a writer: against the passages, and both kinds of refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_adapt_writer import SAMPLES, sample

from assistant.adapt.measure import ALL
from assistant.adapt.measure_writer import (
    WriterOutcome,
    outcome,
    writer_summary,
    writer_worse,
    written,
)
from assistant.adapt.writing import WriterSample
from assistant.types import Language
from assistant.writer import declined

POINTED = ("[1] 制度\n(1) 年假有十五天。\n(2) 病假需要证明。", "[2] 公司\n(1) 预算是三百万元。")


def measured(trial: WriterSample, text: str) -> WriterOutcome:
    return outcome(trial, text, trial.target, 0.5)


def pointed(number: int) -> WriterSample:
    """Return a sample as a writer that points is given it."""
    plain = sample(number, number % 4 > 0)
    target = ("1.1", "1.2", "2.1")[number % 3] if plain.answerable else declined("point", "zh")
    return replace(plain, passages=POINTED, target=target)


def test_an_answer_is_held_against_its_passages() -> None:
    trial = sample(1)  # 病假需要证明。, of the first passage
    right = measured(trial, "病假需要证明。[1]")
    assert (right.refused, right.f1, right.found, right.copied, right.cited) == (False, 1, 1, 1, 1)
    other = measured(trial, "预算是三百万元。[2]")
    assert other.f1 is not None and other.f1 < 0.5
    assert (other.found, other.copied, other.cited, other.numbers) == (0, 1, 0, 1)
    wrong = measured(trial, "病假需要证明，预算是40万元。[1]")
    assert (wrong.copied, wrong.numbers, wrong.cited) == (0, 0, 1)
    for text in ("", "资料中没有答案。"):
        refused = measured(trial, text)
        assert (refused.refused, refused.f1, refused.found) == (True, 0, 0)
        assert refused.numbers is refused.copied is refused.cited is None
    asked = measured(replace(trial, quote=""), "病假需要证明。[1]")
    assert (asked.refused, asked.f1, asked.cited, asked.copied) == (False, None, None, 1)


@pytest.mark.parametrize(
    "said", ["资料中没有答案。", "资料中未提及。", "The documents do not say."]
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_refusal_in_the_other_language_is_one(language: Language, said: str) -> None:
    made = measured(replace(sample(1), language=language), said)
    assert (made.refused, made.f1, made.found, made.copied) == (True, 0, 0, None)


def test_the_number_of_a_passage_is_none_of_its_numbers() -> None:
    trial = sample(1)
    assert measured(trial, "病假有1天。[1]").numbers == 0
    assert measured(trial, "病假需要2份证明。[2]").numbers == 0
    with_number = replace(trial, passages=("[1] 制度\n病假需要2份证明。",))
    assert measured(with_number, "病假需要2份证明。[1]").numbers == 1


def test_a_pointer_is_measured_by_what_it_points_at() -> None:
    trials = [pointed(number) for number in range(12)]
    scores = writer_summary(written(lambda s: s.target, "point", trials, lambda _: None))[ALL]
    assert (scores.f1.value, scores.found.value, scores.copied.value) == (1, 1, 1)
    assert (scores.cited.value, scores.cited.n) == (1, sum(t.answerable for t in trials))
    assert (scores.wrongly_refused.value, scores.wrongly_answered.value) == (0, 0)
    (elsewhere,) = written(lambda _: "2.1", "point", [pointed(1)], lambda _: None)
    assert (elsewhere.refused, elsewhere.cited, elsewhere.copied) == (False, 0, 1)
    (nowhere,) = written(lambda _: "9.9", "point", [pointed(1)], lambda _: None)
    assert (nowhere.refused, nowhere.cited) == (True, None)
    two = replace(pointed(1), target="1.1-2", quote="年假有十五天。病假需要证明。")
    (both,) = written(lambda s: s.target, "point", [two], lambda _: None)
    assert (both.f1, both.cited, both.copied) == (1, 1, 1)


def test_scores_count_both_kinds_of_refusal() -> None:
    answered, refusing = (lambda s: s.target), (lambda s: declined("sentence", "zh"))
    made = written(answered, "sentence", SAMPLES, lambda _: None)
    scores = writer_summary(made)[ALL]
    assert scores.questions == len(SAMPLES)
    assert (scores.f1.value, scores.cited.value, scores.copied.value) == (1, 1, 1)
    assert (scores.wrongly_refused.value, scores.wrongly_answered.value) == (0, 0)
    silent = written(refusing, "sentence", SAMPLES, lambda _: None)
    assert writer_summary(silent)[ALL].wrongly_refused.value == 1
    talking = written(lambda s: SAMPLES[1].target, "sentence", SAMPLES, lambda _: None)
    assert writer_summary(talking)[ALL].wrongly_answered.value == 1
    assert set(writer_worse(made, silent)) == {"F1", "refusal"}
    assert writer_worse(silent, made) == {}
