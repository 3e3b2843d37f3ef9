"""Windows and variants of samples: whatever is done to a passage, the answer keeps its place."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assistant.adapt import crops
from assistant.adapt.samples import Sample
from assistant.text import fold
from assistant.tokens import estimated_tokens

SENTENCES = (
    "员工每年享有十五天带薪年假。",
    "病假需要提交医院证明！",
    "The CP-2150B pump delivers 45 cubic metres an hour. ",
    "It weighs 320 kilograms and costs 18,500 yuan.\n\n",
    "软件开发与网络信息的里程碑是：后台发布。",
    "國防軍負責維護南太平洋區域的安全性。",
    "- 一项；二项\n",
)


def count(texts: Sequence[str]) -> list[int]:
    return [max(1, estimated_tokens(text)) for text in texts]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    passage = "".join(draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=12))).strip()
    start = draw(st.integers(0, len(passage) - 1))
    end = draw(st.integers(start + 1, min(len(passage), start + 25)))
    answer = passage[start:end]
    assume(answer == answer.strip())
    return Sample(
        question="问什么？",
        passage=passage,
        start=start,
        end=end,
        language="zh",
        source="test",
        group="test:0",
        licence="none",
        answers=(answer,),
        title=draw(st.sampled_from(["", "休假制度", SENTENCES[0][:6]])),
        heading=draw(st.sampled_from([(), ("一", "二")])),
    )


@given(samples(), st.integers(1, 60), st.integers(0, 99))
def test_every_step_keeps_the_answer(sample: Sample, tokens: int, seed: int) -> None:
    rng = random.Random(seed)
    window = crops.around(sample, tokens, count, rng)
    assert window.answer == sample.answer
    assert window.passage in sample.passage
    planted = crops.planted(window, "四十二", rng)
    assert planted.answer == sample.answer
    assert "四十二" in planted.passage
    assert crops.dressed(planted).answer == sample.answer


@given(samples())
def test_a_change_of_script_keeps_the_place(sample: Sample) -> None:
    for script in ("s2t", "t2s"):
        changed = crops.converted(sample, script)
        assert changed is not None
        assert fold(changed.answer) == fold(sample.answer)
        assert len(changed.passage) == len(sample.passage)


@given(samples(), st.integers(1, 60), st.integers(0, 99))
def test_beside_an_answer_it_is_not(sample: Sample, tokens: int, seed: int) -> None:
    without = crops.beside(sample, tokens, count, random.Random(seed))
    if without is not None:
        assert not without.answerable
        assert sample.answer not in without.passage
        assert without.passage in sample.passage


@given(samples(), st.integers(0, 99))
def test_a_dictated_answer_is_none(sample: Sample, seed: int) -> None:
    bare = crops.anywhere(sample, 40, count, random.Random(seed))
    dictated = crops.dictated(bare, "四十二", random.Random(seed))
    assert not dictated.answerable
    assert sample.question in dictated.passage


def test_the_answer_comes_in_every_position() -> None:
    passage = "".join(f"第{n}条规定如下。" for n in range(40))
    start = passage.index("第20条")
    sample = Sample("q", passage, start, start + 4, "zh", "t", "t:0", "none", ("第20条",))
    windows = [crops.around(sample, 60, count, random.Random(seed)) for seed in range(60)]
    places = {window.passage[: window.start].count("。") for window in windows}
    after = {window.passage[window.end :].count("。") for window in windows}
    assert min(places) == min(after) - 1 == 0
    assert max(places) >= 4 and max(after) >= 5


def test_a_title_that_the_passage_begins_with_is_not_repeated() -> None:
    sample = Sample("q", "年假十天。", 2, 4, "zh", "t", "t:0", "none", ("十天",), title="年假")
    assert crops.dressed(sample).passage == "年假十天。"
    titled = crops.dressed(Sample("q", "共十天。", 1, 3, "zh", "t", "t:0", "none", title="年假"))
    assert titled.passage == "年假\n共十天。"
    assert titled.answer == "十天"


@pytest.mark.parametrize(
    ("text", "traditional"), [("國防軍負責維護區域", True), ("国防军负责维护区域", False)]
)
def test_the_script_is_seen(text: str, traditional: bool) -> None:
    assert crops.is_traditional(text) is traditional


def test_an_answer_is_found_in_either_script_and_any_case() -> None:
    assert crops.holds_answer("國防軍負責維護", ("国防军",))
    assert crops.holds_answer("the KV Cache", ("kv cache",))
    assert not crops.holds_answer("国防部", ("国防军",))


def test_a_span_outside_its_passage_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        Sample("q", "短", 0, 2, "zh", "t", "t:0", "none")
