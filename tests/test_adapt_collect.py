"""Collecting and processing: what only measures never enters, and negatives do not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import Settings
from assistant.adapt.collect import (
    Collected,
    check_allowed,
    collect,
    evaluation_questions,
    is_training_case,
)
from assistant.adapt.crops import holds_answer
from assistant.adapt.documents import Question
from assistant.adapt.passages import Library
from assistant.adapt.process import Processor, deduplicated
from assistant.adapt.public_sets import read_public
from assistant.adapt.recipe import RECIPES, PublicSource, ReaderRecipe, Recipe, load_recipe
from assistant.adapt.samples import (
    Sample,
    counts,
    data_hash,
    group_of,
    is_held_back,
    question_hash,
    read_samples,
    write_samples,
)
from assistant.errors import ConfigurationError
from assistant.tokens import estimated_tokens
from evals.case import load_cases

TOPICS = ("水泵", "轴承", "齿轮", "电机", "阀门", "机床", "焊枪", "仪表", "叉车", "模具")


def squad(file: Path) -> Path:
    articles = [
        {
            "title": f"{topic}说明",
            "paragraphs": [
                {
                    "context": f"{topic}由第{n}车间生产。每年检修{n + 2}次。费用是{n + 11}万元。",
                    "qas": [
                        {
                            "question": f"{topic}每年检修几次？",
                            "answers": [{"text": f"{n + 2}次", "answer_start": 99}],
                        },
                        {
                            "question": f"{topic}的费用是多少？",
                            "answers": [{"text": f"{n + 11}万元", "answer_start": 0}],
                        },
                    ],
                }
            ],
        }
        for n, topic in enumerate(TOPICS)
    ]
    file.write_text(json.dumps({"data": articles}, ensure_ascii=False), "utf-8")
    return file


def write_questions(folder: Path) -> None:
    knowledge = folder / "knowledge" / "zh"
    knowledge.mkdir(parents=True)
    (knowledge / "leave.md").write_text(
        "# 休假制度\n\n员工每年享有十五天带薪年假。\n\n## 婚假\n\n婚假为十天。\n", "utf-8"
    )
    (folder / "questions.yaml").write_text(
        "- {question: 年假有几天？, language: zh, document: zh/leave.md, answers: [十五天]}\n"
        "- {question: 产假有几天？, language: zh, document: zh/leave.md, answers: []}\n"
        "- {question: 谁批准？, language: zh, document: zh/leave.md, answers: [总经理]}\n",
        "utf-8",
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    write_questions(tmp_path)
    common = {"licence": "none"}
    return ReaderRecipe.model_validate(
        {
            "kind": "reader",
            "name": "test",
            "sources": [
                {
                    "kind": "public",
                    "name": "set",
                    "format": "squad",
                    "path": squad(tmp_path / "set.json"),
                    "held_back": 0.4,
                    "copies": 2,
                    **common,
                },
                {
                    "kind": "questions",
                    "name": "own",
                    "files": "questions.yaml",
                    "knowledge": tmp_path / "knowledge",
                    **common,
                },
            ],
        }
    )


@pytest.fixture
def library(tmp_path: Path, settings: Settings) -> Iterator[Library]:
    with Library(tmp_path / "library", settings) as opened:
        yield opened


@pytest.fixture
def collected(recipe: Recipe, library: Library) -> Collected:
    return collect(recipe, library, lambda _: None)


def test_an_answer_that_is_placed_wrongly_is_found(tmp_path: Path) -> None:
    source = PublicSource(
        kind="public", name="set", licence="none", format="squad", path=squad(tmp_path / "s.json")
    )
    samples = read_public(source)
    assert len(samples) == 2 * len(TOPICS)
    assert all(sample.answer == sample.answers[0] for sample in samples)


def test_the_sentence_an_answer_rests_on_is_its_place(tmp_path: Path) -> None:
    sentences = ["Pumps move water .", "They weigh `` 320 '' kg ( dry ) .", "It 's old ."]
    rows = [
        {
            "input": "how heavy are pumps",
            "passages": [{"title": "Pump", "text": "", "sentences": sentences}],
            "output": [{"answer": "Pumps weigh 320 kg .", "selected_sentences": sentences[:2]}],
        },
        {
            "input": "how old are pumps",
            "passages": [{"title": "Pump", "text": "", "sentences": sentences}],
            "output": [{"answer": "", "selected_sentences": []}],
        },
    ]
    file = tmp_path / "clap.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    source = PublicSource(kind="public", name="clap", licence="x", format="clapnq", path=file)
    first, second = read_public(source)
    assert first.answer == 'They weigh "320" kg (dry).'
    assert first.passage == 'Pumps move water. They weigh "320" kg (dry). It\'s old.'
    assert not second.answerable


def test_a_missing_set_is_told_with_its_remedy(tmp_path: Path) -> None:
    source = PublicSource(
        kind="public", name="set", licence="none", format="squad", path=tmp_path / "none.json"
    )
    with pytest.raises(ConfigurationError, match="put the set there"):
        read_public(source)


def test_what_is_held_back_depends_on_the_document_alone() -> None:
    groups = [group_of("set", f"document {n}") for n in range(2000)]
    share = sum(is_held_back(group, 0.2) for group in groups) / len(groups)
    assert share == pytest.approx(0.2, abs=0.03)
    assert all(is_held_back(g, 0.3) for g in groups if is_held_back(g, 0.2))
    assert not any(is_held_back(group, 0.0) for group in groups)


def test_a_document_is_trained_on_or_held_back(collected: Collected) -> None:
    trained = {sample.group for sample in collected.training}
    held = {sample.group for sample in collected.held_back}
    assert held and trained and not held & trained
    assert {question_hash(s.question) for s in collected.held_back} <= collected.forbidden


def test_a_document_held_back_beyond_those_measured_is_not_trained_on_through_another_source(
    tmp_path: Path, library: Library
) -> None:
    write_questions(tmp_path)
    (tmp_path / "knowledge" / "zh" / "pay.md").write_text("# 薪酬\n\n每月五日发薪。\n", "utf-8")
    files = {
        "kept": {"年假有几天？": ("leave", "十五天"), "几日发薪？": ("pay", "五日")},
        "taught": {"婚假有几天？": ("leave", "十天"), "发薪是每月几日？": ("pay", "五日")},
    }
    for name, asked in files.items():
        rows = [
            {"question": q, "language": "zh", "document": f"zh/{document}.md", "answers": [answer]}
            for q, (document, answer) in asked.items()
        ]
        (tmp_path / f"{name}.yaml").write_text(json.dumps(rows), "utf-8")
    sources = [
        {
            "kind": "questions",
            "name": name,
            "files": f"{name}.yaml",
            "knowledge": tmp_path / "knowledge",
            "licence": "none",
            "held_back": share,
        }
        for name, share in (("kept", 1.0), ("taught", 0.0))
    ]
    recipe = {"kind": "reader", "name": "test", "sources": sources, "measured": 1}
    collected = collect(ReaderRecipe.model_validate(recipe), library, lambda _: None)
    assert len(collected.held_back) == 1
    assert collected.training == ()
    assert collected.dropped["question or document of the evaluation, or held back"] == 2


def test_questions_find_their_answers_in_the_documents(collected: Collected) -> None:
    own = {s.question: s for s in collected.training if s.source == "own"}
    assert own["年假有几天？"].answer == "十五天"
    assert own["年假有几天？"].title == "休假制度"
    assert not own["产假有几天？"].answerable
    assert "谁批准？" not in own
    assert collected.dropped["own: answer or document not found"] == 1


def test_the_questions_of_the_evaluation_are_forbidden(
    recipe: Recipe, library: Library, tmp_path: Path
) -> None:
    cases = load_cases()
    asked = next(case for case in cases if not is_training_case(case))
    taught = next(case for case in cases if is_training_case(case))
    assert 0.1 < sum(map(is_training_case, cases)) / len(cases) < 0.3
    rows = [
        {"question": q, "language": "zh", "document": "zh/leave.md", "answers": ["十五天"]}
        for q in (f" {asked.question.upper()}??", taught.question)
    ]
    (tmp_path / "questions.yaml").write_text(json.dumps(rows), "utf-8")
    collected = collect(recipe, library, lambda _: None)
    questions = {s.question for s in collected.training if s.source == "own"}
    assert questions == {taught.question}
    assert collected.dropped["question or document of the evaluation, or held back"] == 1
    assert question_hash(asked.question) in evaluation_questions()


def test_what_only_measures_is_refused(collected: Collected) -> None:
    held = {sample.group for sample in collected.held_back}
    check_allowed(collected.training, collected.forbidden, held)
    with pytest.raises(ConfigurationError, match="kept for measuring"):
        check_allowed(collected.held_back, frozenset(), held)
    with pytest.raises(ConfigurationError, match="kept for measuring"):
        check_allowed(collected.held_back, collected.forbidden, ())


def processor(
    recipe: Recipe,
    library: Library,
    collected: Collected,
    forbidden: frozenset[str] = frozenset(),
) -> Processor:
    def count(texts: object) -> list[int]:
        assert isinstance(texts, list)
        return [max(1, estimated_tokens(text)) for text in texts]

    return Processor(recipe, library, count, collected.held_back, forbidden)


def test_samples_are_whole_and_negatives_do_not_answer(
    recipe: Recipe, library: Library, collected: Collected
) -> None:
    samples = processor(recipe, library, collected).samples(collected.training, lambda _: None)
    held = {s.passage for s in collected.held_back}
    for sample in samples:
        if sample.answerable:
            assert sample.answer in sample.answers
        else:
            assert not holds_answer(sample.passage, sample.answers)
            assert not any(passage in sample.passage for passage in held)
    kinds = counts(samples)
    assert kinds["set, zh, answerable"] == 2 * len(
        [s for s in collected.training if s.source == "set"]
    )
    assert kinds["set, zh, unanswerable"] > 0
    assert any(sample.passage.startswith("休假制度\n") for sample in samples)


def test_copies_are_worded_otherwise_but_never_as_a_question_that_measures(
    recipe: Recipe, library: Library, collected: Collected
) -> None:
    def asked(forbidden: frozenset[str]) -> set[str]:
        always = recipe.process.model_copy(update={"paraphrased": 1.0, "traditional": 0.0})
        source = recipe.sources[0].model_copy(update={"copies": 8})
        changed = recipe.model_copy(update={"process": always, "sources": (source,)})
        inner = processor(changed, library, collected, forbidden)
        training = [s for s in collected.training if s.source == source.name]
        return {sample.question for sample in inner.samples(training, lambda _: None)}

    written = {s.question for s in collected.training if s.source == recipe.sources[0].name}
    worded = asked(frozenset()) - written
    assert written < asked(frozenset())
    forbidden = frozenset(map(question_hash, worded))
    assert asked(forbidden) == written


def test_the_same_seed_makes_the_same_samples(
    recipe: Recipe, library: Library, collected: Collected
) -> None:
    made = [
        processor(recipe, library, collected).samples(collected.training, lambda _: None)
        for _ in range(2)
    ]
    assert data_hash(made[0]) == data_hash(made[1])
    other = recipe.model_copy(update={"seed": 8})
    changed = processor(other, library, collected).samples(collected.training, lambda _: None)
    assert data_hash(changed) != data_hash(made[0])


def test_a_trial_has_its_gold_passage_and_look_alikes(
    recipe: Recipe, library: Library, collected: Collected
) -> None:
    for trial in processor(recipe, library, collected).trials(collected.held_back):
        assert trial.gold.answer == trial.gold.answers[0]
        assert trial.negatives
        assert not any(holds_answer(text, trial.gold.answers) for text in trial.negatives)


def test_the_same_question_and_answer_count_once() -> None:
    one = Sample("年假有几天？", "共十天。", 1, 3, "zh", "t", "t:0", "none", ("十天",))
    same = Sample("年假有几天", "十天。", 0, 2, "zh", "t", "t:1", "none", ("十天",))
    none = [Sample("谁？", text, -1, -1, "zh", "t", "t:0", "none") for text in ("甲", "乙")]
    assert deduplicated([one, same, *none]) == [one, *none]


def test_samples_are_written_and_read(tmp_path: Path, collected: Collected) -> None:
    file = tmp_path / "samples.jsonl"
    write_samples(file, collected.training)
    assert read_samples(file, Sample) == list(collected.training)
    file.write_text("{}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="Delete the work folder"):
        read_samples(file, Sample)


def test_the_recipes_that_ship_are_sound() -> None:
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert names == ["reader-full", "reader-small", "writer-7b", "writer-full", "writer-small"]
    for name in names:
        assert load_recipe(Path(name)).name == name


def test_a_recipe_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("kind: reader\nname: x\nsources: []\nspeed: 3\n", "utf-8")
    with pytest.raises(ConfigurationError, match="speed"):
        load_recipe(file)
    with pytest.raises(ConfigurationError, match="reader-small"):
        load_recipe(tmp_path / "none.yaml")


def test_a_question_has_all_its_fields() -> None:
    with pytest.raises(ValueError, match="answers"):
        Question.model_validate({"question": "q", "language": "zh", "document": "d"})
