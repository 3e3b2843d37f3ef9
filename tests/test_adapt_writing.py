"""A writer's samples: every passage in every place, refusals, pointers; what measures stays out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_adapt_collect import squad, write_questions
from test_adapt_writer import count, recipe
from tiny_model import tiny_causal

from assistant import Settings
from assistant.adapt.collect import Collected, collect
from assistant.adapt.passages import Library
from assistant.adapt.recipe import RECIPES, WriterRecipe, load_recipe
from assistant.adapt.run import adapt
from assistant.adapt.samples import question_hash, read_samples, write_samples
from assistant.adapt.writing import LONGEST_QUOTE, WriterProcessor, WriterSample
from assistant.errors import ConfigurationError
from assistant.prompts import declines, load_prompt
from assistant.writer import PROMPTS, declined, pointer, resolved


@pytest.fixture
def library(tmp_path: Path, settings: Settings) -> Iterator[Library]:
    with Library(tmp_path / "library", settings) as opened:
        yield opened


def processed(
    made_by: WriterRecipe, library: Library
) -> tuple[Collected, list[WriterSample], list[WriterSample]]:
    collected = collect(made_by, library, lambda _: None)
    processor = WriterProcessor(made_by, library, count, collected.held_back)
    made = processor.samples(collected.training, lambda _: None)
    return collected, made, processor.trials(collected.held_back)


@pytest.mark.parametrize("form", ["sentence", "point"])
def test_the_gold_passage_stands_in_every_place_and_is_cited(
    tmp_path: Path, library: Library, form: str
) -> None:
    squad(tmp_path / "set.json")
    write_questions(tmp_path)
    own = {
        "kind": "questions",
        "name": "own",
        "files": "questions.yaml",
        "knowledge": tmp_path / "knowledge",
        "licence": "none",
        "copies": 3,
    }
    writing = {"form": form, "passages": (2, 3), "unanswerable": 0.3}
    made_by = recipe(tmp_path, tmp_path, sources=[own], writing=writing)
    collected, made, trials = processed(made_by, library)
    places: Counter[int] = Counter()
    for each in [*made, *trials]:
        said = each.target
        if form == "point":
            said = resolved(said, each.passages, each.language)
        if not each.answerable:
            assert said == declined("sentence", each.language)
            assert declines(said)
            continue
        text, _, mark = said.rpartition("[")
        place = int(mark.rstrip("]"))
        places[place] += 1
        assert text == each.quote
        assert any(answer in text for answer in each.answers)
        assert each.passages[place - 1].startswith(f"[{place}] ")
        if form == "sentence":
            assert text in each.passages[place - 1]
        others = [p for n, p in enumerate(each.passages, 1) if n != place]
        assert not any(answer in other for other in others for answer in each.answers)
    assert set(places) == {1, 2, 3}
    share = sum(not each.answerable for each in made) / len(made)
    assert 0.1 < share < 0.5
    held = {s.passage for s in collected.held_back}
    assert not any(passage in shown for each in made for shown in each.passages for passage in held)
    for answerable in (True, False):
        asked = [trial.question for trial in trials if trial.answerable is answerable]
        assert sorted(asked) == sorted(s.question for s in collected.held_back)
    file = tmp_path / "samples.jsonl"
    write_samples(file, made)
    assert read_samples(file, WriterSample) == made


def passage_set(folder: Path, context: str, *answers: str) -> None:
    """Write a set of one passage, of which the same question is asked once an answer."""
    asked = [
        {"question": "费用是多少？", "answers": [{"text": text, "answer_start": 0}]}
        for text in answers
    ]
    paragraphs = [{"context": context, "qas": asked}]
    content = {"data": [{"title": "水泵", "paragraphs": paragraphs}]}
    (folder / "set.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def held_back(made_by: WriterRecipe, share: float) -> WriterRecipe:
    (source,) = made_by.sources
    changed = source.model_copy(update={"held_back": share})
    return made_by.model_copy(update={"sources": (changed,)})


@pytest.mark.parametrize("form", ["sentence", "point"])
def test_of_two_answers_to_a_question_on_one_page_the_first_is_taught(
    tmp_path: Path, library: Library, form: str
) -> None:
    passage_set(tmp_path, "运费是三万元。人工费是五万元。", "三万元", "五万元")
    made_by = held_back(recipe(tmp_path, tmp_path, writing={"form": form}), 0.0)
    collected, made, _ = processed(made_by, library)
    assert len(collected.training) == 2
    answered = [each for each in made if each.answerable]
    assert answered
    assert {each.quote for each in answered} == {"运费是三万元。"}


def test_a_long_quote_is_not_taught_but_measured(tmp_path: Path, library: Library) -> None:
    chapter = f"费用是三万元，{'其中包括运费，' * 20}共计三万元。"
    passage_set(tmp_path, chapter, "三万元")
    assert count([chapter])[0] > LONGEST_QUOTE
    made_by = recipe(tmp_path, tmp_path)
    _, made, trials = processed(held_back(made_by, 0.0), library)
    assert not trials
    assert not any(each.answerable for each in made)
    _, made, trials = processed(held_back(made_by, 1.0), library)
    assert not made
    assert [trial.quote for trial in trials] == [chapter]


def test_a_writers_copies_are_never_worded_as_a_question_that_measures(
    tmp_path: Path, library: Library
) -> None:
    squad(tmp_path / "set.json")
    process = {"crop_tokens": (16, 40), "paraphrased": 1.0, "traditional": 0.0}
    made_by = held_back(recipe(tmp_path, tmp_path, process=process), 0.0)
    raw = collect(made_by, library, lambda _: None).training
    written = {sample.question for sample in raw}

    def asked(forbidden: frozenset[str]) -> set[str]:
        made = WriterProcessor(made_by, library, count, (), forbidden).samples(raw, lambda _: None)
        return {each.question for each in made}

    worded = asked(frozenset()) - written
    assert worded
    assert not worded & asked(frozenset(map(question_hash, worded)))


def test_a_pointer_that_points_nowhere_is_a_refusal() -> None:
    shown = ["[1] 题\n(1) 甲。\n(2) 乙。\n(3) 丙。"]
    assert resolved("1.2", shown, "zh") == "乙。[1]"
    assert resolved(f" {pointer(1, 2, 3)}\n", shown, "zh") == "乙。[1]丙。[1]"
    endless = "9" * 5000  # more digits than Python reads as a number
    for text in ("1.4", "2.1", "0", "1.3-9", "1.2-1", "乙。", "1.0", f"{endless}.1"):
        assert resolved(text, shown, "zh") == declined("sentence", "zh")


def test_the_recipes_of_writers_are_sound() -> None:
    for file in RECIPES.glob("writer-*.yaml"):
        assert isinstance(load_recipe(file), WriterRecipe)
    prompts = [load_prompt(name) for name in PROMPTS.values()]
    assert {prompt.marks for prompt in prompts} == {"passages", "sentences"}


# -- rows and the loss ---------------------------------------------------------------------------


def test_questions_of_the_evaluation_stay_out(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    squad(tmp_path / "set.json")
    real = WriterProcessor.samples

    def leaky(self: WriterProcessor, raw: Any, tell: Any) -> list[WriterSample]:
        held = self._inner._withheld
        made = real(self, raw, tell)
        leaked = next(group for group in sorted(held) if group.startswith("set:"))
        return [*made, replace(made[0], group=leaked)]

    monkeypatch.setattr(WriterProcessor, "samples", leaky)
    with pytest.raises(ConfigurationError, match="kept for measuring"):
        adapt(
            recipe(tmp_path, tiny_causal(tmp_path / "model")),
            settings,
            tmp_path / "work",
            lambda _: None,
        )
