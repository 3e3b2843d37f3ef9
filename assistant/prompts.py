"""Load prompts/*.yaml, check their variables, and fit passages into a model's window.

The texts are product and live in YAML, where editors can read them; nothing is
worded here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import yaml
from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError
from assistant.settings import data_folder
from assistant.text import unmarked
from assistant.types import Hit, Language

PromptName = Literal["answer", "answer_completion", "brief", "condense"]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    system: str = ""


class Prompt(BaseModel):
    """One prompt in both languages; ``variables`` are all that its texts may name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str
    version: int
    variables: tuple[str, ...]
    zh: _Text
    en: _Text
    stop: tuple[str, ...] = ()

    def messages(self, language: Language, **values: str) -> list[BaseMessage]:
        """Return the prompt as LangChain messages, the fixed system part first."""
        return self._template(language).format_messages(**values)

    @property
    def is_chat(self) -> bool:
        """Whether it is for a model with a chat template: those prompts have a system part."""
        return bool(self.zh.system)

    def check(self, name: str) -> None:
        """Raise a ConfigurationError unless each text uses exactly the declared variables."""
        for language in ("zh", "en"):
            used = set(self._template(language).input_variables)
            if used != set(self.variables):
                raise ConfigurationError(
                    f"prompts/{name}.yaml ({language}) uses {sorted(used)}, but declares "
                    f"{sorted(self.variables)}. Make the two agree."
                )

    def _template(self, language: Language) -> ChatPromptTemplate:
        text: _Text = getattr(self, language)
        parts = [("system", text.system)] if text.system else []
        return ChatPromptTemplate.from_messages([*parts, ("human", text.user)])


@lru_cache(maxsize=16)
def load_prompt(name: PromptName) -> Prompt:
    """Return a prompt by its file's name.

    Raises:
        ConfigurationError: the file is missing, malformed, or its variables disagree.
    """
    try:
        prompt = Prompt(**_read(name))
    except ValidationError as error:
        raise ConfigurationError(f"prompts/{name}.yaml is malformed: {error}") from None
    prompt.check(name)
    return prompt


@lru_cache(maxsize=1)
def _replies() -> dict[str, Any]:
    return _read("replies")


def reply(name: str, language: Language, **values: str | int) -> str:
    """Return one of the fixed replies of prompts/replies.yaml."""
    text: str = _replies()[language][name]
    return text.format(**values)


@lru_cache(maxsize=1)
def _hints() -> dict[str, Any]:
    return _read("topics")


def topic_hint(topic: str, language: Language) -> str:
    """Return what prompts/topics.yaml wants heeded in an answer on a topic, ``""`` for none."""
    hint: str = _hints()[language].get(topic, "")
    return hint


def number_passages(hits: Sequence[Hit], *, marked: bool = True) -> list[str]:
    """Return the hits as passages, numbered if ``marked``, headed by their document's title.

    Square brackets round a number inside a document would read as a citation, so
    they become round ones: a document cannot cite on the assistant's behalf.
    """
    numbered = []
    for marker, hit in enumerate(hits, 1):
        path = " > ".join(dict.fromkeys((hit.document.title, *hit.chunk.heading)))
        number = f"[{marker}] " if marked else ""
        numbered.append(f"{number}{unmarked(path)}\n{unmarked(hit.chunk.text)}")
    return numbered


def fit(
    hits: Sequence[Hit], budget: int, count_tokens: Callable[[str], int], most: int
) -> list[Hit]:
    """Return the first ``most`` hits that together stay within ``budget`` tokens; maybe none."""
    kept: list[Hit] = []
    used = 0
    for hit, text in zip(hits[:most], number_passages(hits[:most]), strict=True):
        used += count_tokens(text)
        if used > budget:
            break
        kept.append(hit)
    return kept


def _read(name: str) -> dict[str, Any]:
    path = data_folder("prompts") / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} is not a mapping of keys to texts.")
    return content
