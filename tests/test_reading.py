"""The reading stage: which reader is opened, what it reads, and what the gate makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import tiny_embedder, tiny_model

from assistant import Settings
from assistant.adapt.adapter import write_adapter
from assistant.adapt.registry import Registry, registry_folder
from assistant.embed import Embedder
from assistant.gate import Gate, reading_signals
from assistant.reader import WEIGHTS_FILE, Facts, new_heads
from assistant.reading import READ, ReadingStage
from assistant.retrieve import Found
from assistant.types import Chunk, Document, Hit, Reading

TITLE = "员工手册"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return tiny_embedder(tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def adopted(settings: Settings, embedder: Embedder, tmp_path: Path) -> Path:
    torch.manual_seed(5)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    heads = {f"heads.{name}": t for name, t in new_heads(16).state_dict().items()}
    write_adapter(adapter, heads, Facts(embedder.fingerprint, 4, 8.0))
    registry = Registry(registry_folder(settings.data_dir))
    folder = registry.add("reader", "own", adapter, {})
    registry.adopt("reader", folder)
    return folder


def found(texts: list[str]) -> Found:
    document = Document("d", TITLE, "d.md", 1, "zh")
    hits = [
        Hit(Chunk(f"d.1.{n}", "d", text, ("假期",)), document, 0.9, 0.8, 4.0)
        for n, text in enumerate(texts)
    ]
    return Found(tuple(hits), {"top_dense": 0.8}, 0.5, 0.4)


@pytest.mark.usefixtures("adopted")
def test_the_best_hits_are_read_and_the_gate_decides_anew(
    settings: Settings, embedder: Embedder
) -> None:
    texts = [f"第{n}条：员工每年有十五天年假。" for n in range(READ + 2)]
    read = ReadingStage(settings, embedder).read("年假有几天？", found(texts))
    assert [hit.reading is not None for hit in read.hits] == [True] * READ + [False] * 2
    for hit in read.hits[:READ]:
        assert hit.reading is not None
        assert hit.reading.text == hit.chunk.text[hit.reading.start : hit.reading.end]
    gate = Gate.load("reading")
    assert read.confidence == gate.probability(read.signals)
    assert read.threshold == gate.threshold


@pytest.mark.usefixtures("adopted")
def test_nothing_found_is_nothing_read(settings: Settings, embedder: Embedder) -> None:
    nothing = Found((), {}, 0.0, 0.4)
    assert ReadingStage(settings, embedder).read("年假有几天？", nothing) is nothing


def test_another_embedding_model_does_without_the_shipped_reader(
    settings: Settings, embedder: Embedder
) -> None:
    stage, before = ReadingStage(settings, embedder), found(["员工每年有十五天年假。"])
    assert stage.read("年假有几天？", before) is before
    assert "assistant adapt run reader-full" in stage.problem


@pytest.mark.usefixtures("adopted")
def test_the_setting_turns_it_off(settings: Settings, embedder: Embedder) -> None:
    off = ReadingStage(settings.model_copy(update={"reader": "off"}), embedder)
    assert ReadingStage(settings, embedder).open() is not None
    assert (off.open(), off.problem) == (None, "")


def test_a_reader_that_is_gone_is_told_of_and_questions_are_answered(
    settings: Settings, embedder: Embedder, adopted: Path
) -> None:
    for file in adopted.iterdir():
        file.unlink()
    adopted.rmdir()
    stage, before = ReadingStage(settings, embedder), found(["员工每年有十五天年假。"])
    assert stage.read("年假有几天？", before) is before
    assert "roll-back reader" in stage.problem


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_damaged_reader_is_told_of_and_questions_are_answered(
    settings: Settings, embedder: Embedder, adopted: Path, content: bytes
) -> None:
    (adopted / WEIGHTS_FILE).write_bytes(content)
    stage, before = ReadingStage(settings, embedder), found(["员工每年有十五天年假。"])
    assert stage.read("年假有几天？", before) is before
    assert "is damaged" in stage.problem


@pytest.mark.parametrize(("better", "worse"), [((0.9, 0.1), (0.2, 0.1)), ((0.1, 0.9), (0.1, 0.2))])
def test_a_passage_that_answers_raises_the_confidence(
    better: tuple[float, float], worse: tuple[float, float]
) -> None:
    gate = Gate.load("reading")

    def confidence(answerable: tuple[float, float]) -> float:
        return gate.probability(
            reading_signals(0.5, [Reading(0, 1, 0.0, a, "x") for a in answerable])
        )

    assert confidence(better) > confidence(worse)
