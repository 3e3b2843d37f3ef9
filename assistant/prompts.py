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
from assistant.text import sentences, unmarked
from assistant.types import Hit, Language

PromptName = Literal[
    "answer", "answer_adapted", "answer_completion", "answer_pointed", "brief", "condense"
]

# As the prompts ask for it, and as models word it.
_DECLINED = ("资料中没有答案", "资料中未提及", "the documents do not say")

Marks = Literal["passages", "sentences", "nothing"]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    system: str = ""


class Prompt(BaseModel):
    """One prompt in both languages; ``variables`` are all that its texts may name.

    ``marks`` says what is numbered in it: passages, their sentences as well, or nothing.
    ``most_passages`` bounds the passages (0: as the settings say). With ``excerpts`` a passage
    in which a reader found an answer is cut down to the sentences around it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str
    version: int
    variables: tuple[str, ...]
    zh: _Text
    en: _Text
    stop: tuple[str, ...] = ()
    marks: Marks = "passages"
    most_passages: int = 0
    excerpts: bool = False

    def messages(self, language: Language, **values: str) -> list[BaseMessage]:
        """Return the prompt as LangChain messages, the fixed system part first."""
        return self._template(language).format_messages(**values)

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


def declines(text: str) -> bool:
    """Tell whether a model says, in either language, that the passages do not answer."""
    return text.strip().lower().startswith(_DECLINED)


@lru_cache(maxsize=1)
def _hints() -> dict[str, Any]:
    return _read("topics")


def topic_hint(topic: str, language: Language) -> str:
    """Return what prompts/topics.yaml wants heeded in an answer on a topic, ``""`` for none."""
    hint: str = _hints()[language].get(topic, "")
    return hint


def number_passages(hits: Sequence[Hit], marks: Marks = "passages") -> list[str]:
    """Return the hits as passages, headed by their document's title and marked as said."""
    return [
        numbered(n, h.document.title, h.chunk.heading, h.chunk.text, marks)
        for n, h in enumerate(hits, 1)
    ]


def numbered(
    marker: int, title: str, heading: Sequence[str], text: str, marks: Marks = "passages"
) -> str:
    """Return a passage as prompts show it.

    Square brackets round a number inside a document would read as a citation, so
    they become round ones: a document cannot cite on the assistant's behalf.
    """
    path = unmarked(" > ".join(dict.fromkeys(part for part in (title, *heading) if part)))
    number = "" if marks == "nothing" else f"[{marker}] "
    body = unmarked(text)
    if marks == "sentences":
        body = "\n".join(f"({n}) {each}" for n, each in enumerate(sentences(body), 1))
    return f"{number}{path}\n{body}" if path else f"{number}{body}"


def fit(
    hits: Sequence[Hit], budget: int, count_tokens: Callable[[str], int], marks: Marks = "passages"
) -> list[Hit]:
    """Return the first hits that together stay within ``budget`` tokens; maybe none."""
    kept: list[Hit] = []
    used = 0
    for hit, text in zip(hits, number_passages(hits, marks), strict=True):
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
