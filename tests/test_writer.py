"""A taught writer in use: which one is taken, by which prompt it is asked, what it says."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from assistant import Assistant
from assistant.adapt.registry import Registry, registry_folder
from assistant.engines.base import (
    Evidence,
    ScriptedEngine,
    attach_evidence,
    load_engine,
    prompt_name,
)
from assistant.engines.gguf import embedded_gguf
from assistant.engines.openai_compatible import OpenAICompatibleEngine, ServedModel
from assistant.errors import ConfigurationError
from assistant.settings import Settings
from assistant.writer import (
    ADAPTER_FILE,
    FACTS_FILE,
    WriterFacts,
    chosen_writer,
    idle_writer,
    known_writers,
    prompt_of,
    read_writer_facts,
    sha256_of,
)

MODEL = b"GGUF" + bytes(60)
FACTS = WriterFacts(
    base="embedded",
    base_sha256="",
    base_bytes=len(MODEL),
    form="sentence",
    prompt_version=prompt_of("sentence").version,
    rank=16,
    alpha=32,
)


def write(folder: Path, facts: WriterFacts) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ADAPTER_FILE).exists():
        (folder / ADAPTER_FILE).write_bytes(b"GGUF")
    (folder / FACTS_FILE).write_text(json.dumps(asdict(facts)), "utf-8")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(MODEL)
    return file


@pytest.fixture
def facts(model: Path) -> WriterFacts:
    return replace(FACTS, base_sha256=sha256_of(model))


@pytest.fixture
def shipped(tmp_path: Path, facts: WriterFacts, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write(tmp_path / "shipped", facts)
    monkeypatch.setattr("assistant.writer.SHIPPED", folder)
    return folder


def test_the_adopted_writer_goes_before_the_one_that_ships(
    tmp_path: Path, settings: Settings, model: Path, facts: WriterFacts, shipped: Path
) -> None:
    assert chosen_writer(settings, model) == shipped
    registry = Registry(registry_folder(settings.data_dir))
    own = registry.add("writer", "own", write(tmp_path / "made", facts), {})
    assert chosen_writer(settings, model) == shipped
    registry.adopt("writer", own)
    assert chosen_writer(settings, model) == own
    assert chosen_writer(settings.model_copy(update={"writer": "off"}), model) is None
    shutil.rmtree(own)
    with pytest.raises(ConfigurationError, match="roll-back writer"):
        chosen_writer(settings, model)


def adopted(settings: Settings, folder: Path, facts: WriterFacts) -> Path:
    """Return the folder of a writer that was registered and put to use."""
    registry = Registry(registry_folder(settings.data_dir))
    kept = registry.add("writer", "own", write(folder, facts), {})
    registry.adopt("writer", kept)
    return kept


def test_a_writer_for_another_base_does_not_displace_the_one_for_this(
    tmp_path: Path, settings: Settings, model: Path, facts: WriterFacts, shipped: Path
) -> None:
    first = adopted(settings, tmp_path / "first", facts)
    second = adopted(settings, tmp_path / "second", facts)
    served = adopted(settings, tmp_path / "served", replace(facts, base_sha256="", base_bytes=0))
    other = adopted(settings, tmp_path / "other", replace(facts, base_sha256="0" * 64))
    assert chosen_writer(settings, model) == second
    registry = Registry(registry_folder(settings.data_dir))
    assert known_writers(registry) == [other, served, second, first, shipped]
    for _ in range(3):
        registry.roll_back("writer")
    assert chosen_writer(settings, model) == first


@pytest.mark.parametrize(
    "change",
    [{"base_sha256": "0" * 64}, {"base_bytes": 1}, {"base_bytes": 0}, {"prompt_version": 0}],
)
def test_a_writer_for_another_model_or_prompt_is_not_taken(
    change: dict[str, object], settings: Settings, model: Path, facts: WriterFacts, shipped: Path
) -> None:
    assert chosen_writer(settings, model) == shipped
    write(shipped, replace(facts, **change))  # type: ignore[arg-type]
    assert chosen_writer(settings, model) is None


def test_a_damaged_folder_is_named(tmp_path: Path, facts: WriterFacts) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read as a writer"):
        read_writer_facts(tmp_path)
    with pytest.raises(ConfigurationError, match="version 9"):
        read_writer_facts(write(tmp_path, replace(facts, version=9)))
    with pytest.raises(ConfigurationError, match=r"form 'song'.*one of sentence, point"):
        read_writer_facts(write(tmp_path, replace(facts, form="song")))  # type: ignore[arg-type]


def test_a_writer_that_was_taught_an_earlier_prompt_is_told_of(
    tmp_path: Path, settings: Settings, facts: WriterFacts
) -> None:
    assert idle_writer(settings) == ""
    current = adopted(settings, tmp_path / "made", facts)
    assert idle_writer(settings) == ""
    adopted(settings, tmp_path / "earlier", replace(facts, prompt_version=0))
    assert "own-2 was taught an earlier prompt" in idle_writer(settings)
    assert idle_writer(settings.model_copy(update={"writer": "off"})) == ""
    with Assistant(settings) as assistant:
        (note,) = [note for note in assistant.health().notes if "own-2" in note]
        assert "is not used" in note and "assistant adapt run" in note
        Registry(registry_folder(settings.data_dir)).roll_back("writer")
        assert not any("writes without" in note for note in assistant.health().notes)
    (current / FACTS_FILE).write_text("{}", "utf-8")
    assert "cannot be read as a writer" in idle_writer(settings)


def test_an_engine_says_by_which_prompt_it_is_asked() -> None:
    assert prompt_name(ScriptedEngine()) == "answer"
    assert prompt_name(ScriptedEngine(prompt_form="completion")) == "answer_completion"
    for name, expected in (
        ("assistant-writer", "answer_adapted"),
        ("assistant-pointer", "answer_pointed"),
        ("qwen", "answer"),
    ):
        engine = OpenAICompatibleEngine(settings=Settings(vllm_base_url="http://127.0.0.1:1/v1"))
        engine._served = ServedModel(name, "chat", 4096, True, False)
        assert prompt_name(engine) == expected
        engine.close()


def embedded_writer(folder: Path) -> Path:
    """Write a random adapter for the embedded model, and its facts."""
    file = embedded_gguf(Settings())
    facts = replace(
        FACTS,
        base_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        base_bytes=file.stat().st_size,
        rank=4,
    )
    folder.mkdir()
    writer = gguf.GGUFWriter(folder / ADAPTER_FILE, "gemma3")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 400.0)
    random = np.random.default_rng(1)
    for layer in range(18):
        name = f"blk.{layer}.ffn_down.weight.lora_"
        writer.add_tensor(name + "a", random.normal(size=(4, 2048)).astype(np.float16))
        writer.add_tensor(name + "b", random.normal(size=(640, 4)).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return write(folder, replace(facts, adapter_sha256=sha256_of(folder / ADAPTER_FILE)))


def test_llama_cpp_writes_with_the_adapter(tmp_path: Path) -> None:
    settings = Settings(llm_context=512, max_answer_tokens=16)
    registry = Registry(registry_folder(settings.data_dir))
    folder = registry.add("writer", "own", embedded_writer(tmp_path / "made"), {})
    ask = attach_evidence([HumanMessage("1, 2, 3, 4, 5, 6, 7, 8, 9,")], Evidence("", ()))
    registry.adopt("writer", folder)
    said = []
    for use in ("off", "auto"):
        engine = load_engine("llamacpp", settings.model_copy(update={"writer": use}))
        said.append((prompt_name(engine), engine.invoke(ask).text))
        engine.close()
    assert said[0][0] == "answer_completion"
    assert "10" in str(said[0][1])
    assert said[1][0] == "answer_adapted"
    assert "10" not in str(said[1][1])  # random weights
    with (folder / ADAPTER_FILE).open("r+b") as file:
        file.truncate(20_000)
    broken = load_engine("llamacpp", settings)
    with pytest.raises(ConfigurationError, match="roll-back writer"):
        broken.load()
    broken.close()
    without = load_engine("llamacpp", settings.model_copy(update={"writer": "off"}))
    assert prompt_name(without) == "answer_completion"
    without.close()
