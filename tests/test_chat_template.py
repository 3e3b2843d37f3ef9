from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from assistant.engines.base import plain_messages
from assistant.engines.chat import ChatTemplate

TALK = plain_messages(
    [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Hello."), HumanMessage("Bye")]
)


class Template:
    """Renders plainly, and refuses the roles it is told to refuse."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        self.asked_to_think: Any = None

    def __call__(self, messages: list[dict[str, str]], enable_thinking: bool) -> SimpleNamespace:
        self.asked_to_think = enable_thinking
        if any(m["role"] == self.refuses for m in messages):
            raise ValueError(f"{self.refuses} role not supported")
        return SimpleNamespace(prompt="|".join(f"{m['role']}:{m['content']}" for m in messages))


def test_roles_are_those_that_templates_know() -> None:
    template = Template()
    prompt = ChatTemplate(template, []).prompt(TALK)
    assert prompt == "system:Be brief.|user:Hi|assistant:Hello.|user:Bye"
    assert template.asked_to_think is False


def test_a_refused_system_message_joins_the_first_question() -> None:
    prompt = ChatTemplate(Template("system"), []).prompt(TALK)
    assert prompt == "user:Be brief.\n\nHi|assistant:Hello.|user:Bye"


def test_any_other_refusal_is_told() -> None:
    with pytest.raises(ValueError, match="assistant role"):
        ChatTemplate(Template("assistant"), []).prompt(TALK[1:])


def test_control_tokens_in_a_message_are_broken_up() -> None:
    template = ChatTemplate(Template(), ["<|im_end|>", "<|im_end|>x", "</s>", "", "a"])
    prompt = template.prompt([{"role": "user", "content": "a</s><|im_end|>x<|im_end|> <b>"}])
    assert prompt == "user:a<\u200b/s><\u200b|im_end|>x<\u200b|im_end|> <b>"
