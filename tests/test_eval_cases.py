"""The cases: they load, there are enough of each kind, and the documents bear them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from eval_records import case, refusal_case
from pydantic import ValidationError

from assistant.errors import ConfigurationError
from assistant.ingest.load import MANIFEST, parse, read_manifest
from assistant.settings import data_folder
from evals.case import PLANTED, Case, digest, load_cases
from evals.match import holds_any

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return load_cases()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of every document, by the name that cases call it."""
    return {_name(path): _text(path) for path in _files()}


@pytest.fixture(scope="module")
def readers() -> dict[str, set[str]]:
    """The groups that may read each document."""
    said = {folder: read_manifest(folder) for folder in {path.parent for path in _files()}}
    groups = {}
    for path in _files():
        entry = said[path.parent].get(path.name)
        own = entry.groups if entry and entry.groups else parse(path).metadata.groups
        groups[_name(path)] = set(own or ("everyone",))
    return groups


def _files() -> Iterator[Path]:
    for folder in (data_folder("knowledge"), PLANTED):
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(path: Path) -> str:
    return "\n".join("\n".join((*block.heading, block.text)) for block in parse(path).blocks)


# -- how many ------------------------------------------------------------------------------------


def test_there_are_enough_of_each_kind(cases: list[Case]) -> None:
    tags = Counter(tag for each in cases for tag in each.tags)
    assert len(cases) >= 150
    least = {
        "unanswerable": 30,
        "cross-language": 20,
        "follow-up": 10,
        "multi-document": 10,
        "wrong-premise": 10,
        "comparison": 10,
        "table": 20,
        "figures": 20,
        "faq": 10,
    }
    assert {tag: tags[tag] for tag in least if tags[tag] < least[tag]} == {}
    assert sum("injection" in each.tags for each in cases) >= 15
    restricted = [each for each in cases if "restricted" in each.tags]
    assert sum(bool(each.groups) and each.expect == "answer" for each in restricted) >= 10
    assert sum(each.expect == "refuse" and bool(each.forbidden) for each in restricted) >= 10


def test_half_are_chinese_and_half_english(cases: list[Case]) -> None:
    languages = Counter(each.language for each in cases)
    assert 0.4 <= languages["zh"] / len(cases) <= 0.6


def test_every_chapter_and_every_paper_is_asked_about(cases: list[Case]) -> None:
    wanted = {path for each in cases for need in each.documents for path in need}
    assert {_name(path) for path in _files()} - wanted == set()


def test_no_question_is_asked_twice_in_the_same_way(cases: list[Case]) -> None:
    asked = Counter((each.question, each.history, each.groups) for each in cases)
    assert [key for key, n in asked.items() if n > 1] == []


# -- whether the documents bear them -------------------------------------------------------------


def test_every_document_exists(cases: list[Case], texts: dict[str, str]) -> None:
    wanted = {path for each in cases for need in each.documents for path in need}
    assert wanted - texts.keys() == set()


def test_every_fact_stands_in_a_document_that_must_be_cited(
    cases: list[Case], texts: dict[str, str]
) -> None:
    nowhere = [
        (each.id, fact)
        for each in cases
        for fact in each.facts
        if not any(holds_any(texts[path], fact) for need in each.documents for path in need)
    ]
    assert nowhere == []


def test_every_reference_holds_its_facts(cases: list[Case]) -> None:
    lacking = [
        (each.id, fact)
        for each in cases
        for fact in each.facts
        if not holds_any(each.reference, fact)
    ]
    assert lacking == []


def test_the_asker_may_read_what_must_be_cited(
    cases: list[Case], readers: dict[str, set[str]]
) -> None:
    closed = [
        (each.id, path)
        for each in cases
        for need in each.documents
        for path in need
        if readers[path].isdisjoint({"everyone", *each.groups})
    ]
    assert closed == []


def test_a_restricted_fact_stands_only_where_the_asker_may_not_read(
    cases: list[Case], texts: dict[str, str], readers: dict[str, set[str]]
) -> None:
    for each in cases:
        if "restricted" not in each.tags or not each.forbidden:
            continue
        holding = [path for path, text in texts.items() if holds_any(text, each.forbidden)]
        assert holding, each.id
        allowed = {"everyone", *each.groups}
        assert [p for p in holding if not readers[p].isdisjoint(allowed)] == [], each.id


def test_an_injection_is_planted_and_a_right_answer_does_not_obey(cases: list[Case]) -> None:
    for each in cases:
        if "injection" in each.tags:
            cited = [path for need in each.documents for path in need]
            assert any((ROOT / path).parent == PLANTED for path in cited), each.id
            assert each.forbidden, each.id
            assert not holds_any(each.reference, each.forbidden), each.id


# -- the schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": ()},
        {"reference": ""},
        {"documents": ((),)},
        {"language": "fr"},
        {"difficulty": "tricky"},
        {"id": "Not an id"},
        {"tags": ()},
        {"answer": "unknown key"},
    ],
)
def test_an_incomplete_case_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        case(**changes)


def test_a_case_to_refuse_has_no_facts() -> None:
    with pytest.raises(ValidationError, match="neither facts nor documents"):
        refusal_case(facts=(("x",),))


def test_a_mistake_in_a_file_names_the_case(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    row = yaml.safe_load(case().model_dump_json())
    path.write_text(yaml.safe_dump([row, row | {"id": "second", "facts": []}]), "utf-8")
    with pytest.raises(ConfigurationError, match="'second'"):
        load_cases([path])
    path.write_text(yaml.safe_dump([row, row]), "utf-8")
    with pytest.raises(ConfigurationError, match="occurs twice"):
        load_cases([path])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_cases([tmp_path / "missing.yaml"])


def test_a_changed_case_has_another_digest() -> None:
    assert digest([case()]) == digest([case()])
    assert digest([case()]) != digest([case(question="年假几天？")])
