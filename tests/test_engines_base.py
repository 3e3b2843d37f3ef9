from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from engine_contract import WORDS, EngineContract
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from assistant.engines import base
from assistant.engines.base import (
    Engine,
    Evidence,
    Passage,
    ScriptedEngine,
    attach_evidence,
    context_tokens,
    count_tokens,
    engine_name,
    estimated_tokens,
    evidence_of,
    follows_instructions,
    load_engine,
)
from assistant.errors import ConfigurationError, EngineError
from assistant.settings import Settings


class _Echo(ScriptedEngine):
    """Scripted by the prompt itself, so that what many ask at once can be told apart."""

    def _next(self, messages: list[BaseMessage]) -> str:
        return f"You said {messages[-1].text}."


class TestScripted(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return _Echo()

    def ask(self, word: str) -> list[BaseMessage]:
        return [HumanMessage(word)]


class TestExtractive(EngineContract):
    @pytest.fixture
    def engine(self, settings: Settings) -> Engine:
        return load_engine("extractive", settings)

    def ask(self, word: str) -> list[BaseMessage]:
        text = f"The {word} stands in the main hall. Visitors are met at the gate."
        evidence = Evidence(f"Where does the {word} stand?", (Passage(1, "House", (), text),))
        return attach_evidence([HumanMessage("Answer from the passages.")], evidence)


def test_the_fake_replies_in_order_and_remembers_the_prompts() -> None:
    engine = ScriptedEngine(replies=["first reply", EngineError("broken"), ""])
    asked = [SystemMessage("Be brief."), HumanMessage("one")]
    assert [c.text for c in engine.stream(asked) if c.text] == ["fir", "st ", "rep", "ly"]
    with pytest.raises(EngineError, match="broken"):
        engine.invoke("two")
    assert "".join(c.text for c in engine.stream("three")) == ""
    assert [prompt[-1].text for prompt in engine.seen] == ["one", "two", "three"]
    assert engine.seen[0][0].text == "Be brief."
    with pytest.raises(IndexError):
        engine.invoke("four")


@pytest.mark.parametrize("name", base.ENGINES)
def test_every_registered_engine_has_a_factory(name: str) -> None:
    module, _, factory = base.ENGINES[name].partition(":")
    assert callable(getattr(importlib.import_module(module), factory))


@pytest.mark.parametrize("name", base.ENGINES)
def test_an_engine_is_built_without_loading_its_model(name: str, settings: Settings) -> None:
    missing = settings.model_copy(
        update={"llm_model": "/no/such/model.gguf", "vllm_base_url": "http://127.0.0.1:9/v1"}
    )
    engine = load_engine(name, missing)
    assert engine_name(engine) == name


def test_an_unknown_engine_is_refused_with_the_choices(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"'gpt'.*auto, extractive, llamacpp"):
        load_engine("gpt", settings)


def test_importing_the_contract_loads_no_engine() -> None:
    code = (
        "import sys, assistant.engines.base; "
        "sys.exit(any(m in sys.modules for m in ('llama_cpp', 'torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_any_langchain_model_can_be_asked_what_it_wants() -> None:
    foreign = FakeListChatModel(responses=["hello"])
    assert follows_instructions(foreign)
    assert context_tokens(foreign) == 4096
    assert count_tokens(foreign, "some words") == estimated_tokens("some words")
    assert engine_name(foreign) == "fake-list-chat-model"
    told = FakeListChatModel(responses=["hello"], profile={"max_input_tokens": 32_000})
    assert context_tokens(told) == 32_000


def test_an_engine_is_asked_itself() -> None:
    engine = ScriptedEngine(prompt_form="completion")
    assert not follows_instructions(engine)
    assert context_tokens(engine) == engine.context_tokens
    assert count_tokens(engine, WORDS[0]) == engine.count_tokens(WORDS[0])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("abcd", 1), ("abcde", 2), ("训练数据", 4), ("GPU显存", 3), ("训练 data", 4)],
)
def test_tokens_are_estimated_by_script(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_evidence_travels_beside_the_last_message() -> None:
    evidence = Evidence("q", (Passage(1, "t", ("h",), "text"),))
    before = [SystemMessage("s"), HumanMessage("h")]
    after = attach_evidence(before, evidence)
    assert evidence_of(after) == evidence
    assert [m.content for m in after] == ["s", "h"]
    assert evidence_of(before) == Evidence("", ()), "the messages given are left alone"
    assert evidence_of([]) == Evidence("", ())
