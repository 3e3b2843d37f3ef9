"""The engines' contract, their registry, and the queue-driven fake that tests use.

An engine is a LangChain chat model. Any other LangChain chat model can take its place;
the functions here ask a model what it wants and fall back where it does not say.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    convert_to_openai_messages,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from assistant.errors import AssistantError, ConfigurationError, EngineError, ModelError
from assistant.prompts import PromptName
from assistant.settings import Settings
from assistant.text import is_cjk
from assistant.types import PromptForm, Reading

_EVIDENCE = "evidence"
_AHEAD = "ahead"
_DEFAULT_CONTEXT = 4096


@dataclass(frozen=True)
class Passage:
    """A numbered passage as an engine sees it."""

    marker: int
    title: str
    heading: tuple[str, ...]
    text: str
    reading: Reading | None = None


@dataclass(frozen=True)
class Evidence:
    """The question and passages behind a prompt, for engines that quote instead of writing."""

    question: str
    passages: tuple[Passage, ...]


class Engine(BaseChatModel):
    """A chat model that also knows its prompt form, its window and its tokens."""

    name: str = ""

    @property
    def form(self) -> PromptForm:
        """``chat``: messages; ``completion``: the last message is the whole prompt."""
        return "chat"

    @property
    def prompt_name(self) -> PromptName:
        """The prompt that answers are asked by; a taught writer has its own."""
        return "answer" if self.form == "chat" else "answer_completion"

    @property
    def follows_instructions(self) -> bool:
        """Whether it does what any prompt asks; a taught writer knows its own prompt alone."""
        return self.prompt_name == "answer"

    @property
    def context_tokens(self) -> int:
        """The window for prompt and answer, in tokens."""
        return _DEFAULT_CONTEXT

    def count_tokens(self, text: str) -> int:
        """Return the tokens of ``text``; estimated where there is no tokenizer."""
        return estimated_tokens(text)

    def get_num_tokens(self, text: str) -> int:
        """Return `count_tokens`; LangChain's own default would fetch a tokenizer."""
        return self.count_tokens(text)

    def load(self) -> None:
        """Load the model now instead of at the first question."""

    def close(self) -> None:
        """Let go of the model."""


class WritingEngine(Engine):
    """An engine that writes piece by piece; a whole answer is its stream, gathered."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))


ENGINES: Mapping[str, str] = {
    "extractive": "assistant.engines.extractive:build",
    "llamacpp": "assistant.engines.llamacpp:build",
    "openai_compatible": "assistant.engines.openai_compatible:build",
}


def load_engine(name: str, settings: Settings) -> Engine:
    """Return the engine of that name; it loads its model on first use.

    Raises:
        ConfigurationError: there is no such engine; the message lists the choices.
    """
    if name not in ENGINES:
        raise ConfigurationError(
            f"`engine` = {name!r} is not an engine. Choose auto, {', '.join(sorted(ENGINES))}."
        )
    module, _, factory = ENGINES[name].partition(":")
    build: Callable[[Settings], Engine] = getattr(import_module(module), factory)
    return build(settings)


def plain_messages(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    """Return the messages as every server takes them, each a ``role`` and a ``content``."""
    return [
        {"role": str(m["role"]), "content": str(m["content"])}
        for m in convert_to_openai_messages(list(messages))
    ]


def waiting_chunk(ahead: int) -> ChatGenerationChunk:
    """Return what an engine yields while ``ahead`` others are served first: no text yet."""
    told = AIMessageChunk(content="", response_metadata={_AHEAD: ahead})
    return ChatGenerationChunk(message=told)


def ahead_of(piece: BaseMessage) -> int:
    """Return how many are served before this asker; 0 in a piece of an answer."""
    return int(piece.response_metadata.get(_AHEAD, 0))


def without_password(url: str) -> str:
    """Return an address as people may see it."""
    return re.sub(r"//[^/@]*@", "//", url)


def attach_evidence(messages: Sequence[BaseMessage], evidence: Evidence) -> list[BaseMessage]:
    """Return the messages with the evidence beside the last one's text."""
    last = messages[-1].model_copy(update={"additional_kwargs": {_EVIDENCE: evidence}})
    return [*messages[:-1], last]


def evidence_of(messages: Sequence[BaseMessage]) -> Evidence:
    """Return the evidence that travels with a prompt; an empty one where there is none."""
    found = messages[-1].additional_kwargs.get(_EVIDENCE) if messages else None
    return found if isinstance(found, Evidence) else Evidence("", ())


def engine_name(model: BaseChatModel) -> str:
    """Return what `Answer.engine` shows for a model."""
    return str(getattr(model, "name", None) or model._llm_type)


@contextmanager
def failures_named(model: BaseChatModel) -> Iterator[None]:
    """Turn whatever a model raises into an EngineError; each LangChain model has its own kinds."""
    try:
        yield
    except ModelError as error:
        raise EngineError(str(error)) from error
    except AssistantError:
        raise
    except Exception as error:
        why = str(error) or type(error).__name__
        raise EngineError(
            f"The engine {engine_name(model)} failed ({why}). Ask again; "
            "if it fails again, check the engine or set ASSISTANT_ENGINE to another."
        ) from error


def follows_instructions(model: BaseChatModel) -> bool:
    """Tell whether a model does what any prompt asks, as LangChain's chat models do."""
    return model.follows_instructions if isinstance(model, Engine) else True


def prompt_name(model: BaseChatModel) -> PromptName:
    """Return the prompt that a model is asked by; ``answer`` for other LangChain models."""
    return model.prompt_name if isinstance(model, Engine) else "answer"


def context_tokens(model: BaseChatModel) -> int:
    """Return a model's window, in tokens; a small one where the model does not tell."""
    if isinstance(model, Engine):
        return model.context_tokens
    return (model.profile or {}).get("max_input_tokens") or _DEFAULT_CONTEXT


def count_tokens(model: BaseChatModel, text: str) -> int:
    """Return the tokens of ``text`` for a model; estimated where it cannot count."""
    return model.count_tokens(text) if isinstance(model, Engine) else estimated_tokens(text)


def estimated_tokens(text: str) -> int:
    """Return one token for each Chinese character and one for four others, never too few."""
    chinese = sum(map(is_cjk, text))
    return chinese + math.ceil((len(text) - chinese) / 4)


class ScriptedEngine(Engine):
    """The fake: gives the replies it was given, in order, and keeps the messages it saw."""

    name: str = "scripted"
    replies: Sequence[str | Exception] = ()
    prompt_form: PromptForm = "chat"
    _queue: deque[str | Exception] = PrivateAttr(default_factory=deque)
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any, /) -> None:
        """Fill the queue."""
        super().model_post_init(context)
        self._queue.extend(self.replies)

    @property
    def form(self) -> PromptForm:
        """The form the test asked for."""
        return self.prompt_form

    @property
    def seen(self) -> list[list[BaseMessage]]:
        """The prompts so far."""
        return self._seen

    @property
    def _llm_type(self) -> str:
        return self.name

    def _next(self, messages: list[BaseMessage]) -> str:
        self._seen.append(messages)
        reply = self._queue.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(content=self._next(messages)))]
        )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._next(messages)
        for start in range(0, len(reply) or 1, 3):  # LangChain wants a chunk even of nothing
            yield ChatGenerationChunk(message=AIMessageChunk(content=reply[start : start + 3]))
