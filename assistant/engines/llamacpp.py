"""Any GGUF model through llama.cpp, on a processor or a GPU, as a LangChain chat model.

The model runs in a process of its own, which one thread asks for one answer at a time. This
module does not know what a prompt says, nor who asks.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field, PrivateAttr, model_validator

from assistant.engines.base import (
    WritingEngine,
    plain_messages,
    waiting_chunk,
)
from assistant.engines.gguf import known_form
from assistant.engines.llama_model import Piece, Request
from assistant.engines.llama_process import LlamaProcess
from assistant.engines.worker import Waiting, Worker
from assistant.prompts import PromptName
from assistant.settings import Settings
from assistant.types import PromptForm
from assistant.writer import PROMPTS


class LlamaCppEngine(WritingEngine):
    """The model of ``settings.llm_model``, owned by one thread; askers wait in line for it.

    ``stream`` and ``invoke`` also take ``max_tokens``, ``temperature``, ``seed``, ``asker``
    (askers take turns), and ``cancel``, a `threading.Event` that withdraws the question
    wherever it stands.
    """

    name: str = "llamacpp"
    settings: Settings = Field(exclude=True, repr=False)
    _worker: Worker[LlamaProcess] = PrivateAttr()

    @model_validator(mode="after")
    def _employ_worker(self) -> Self:
        running = _Running()
        self._worker = Worker(
            partial(running.opened, self.settings),
            self.settings.queue_size,
            "The llama.cpp engine",
            running.kill,
        )
        # Also at exit: the process must not outlive its parent.
        weakref.finalize(self, self._worker.close)
        return self

    @property
    def _llm_type(self) -> str:
        return self.name

    @property
    def form(self) -> PromptForm:
        """As set; else ``chat`` when the model carries a chat template, which may load it."""
        return known_form(self.settings) or self._worker.start().form

    @property
    def prompt_name(self) -> PromptName:
        """That of the writer whose adapter is in the model, if one is; asking loads the model."""
        writer = self._worker.start().writer
        return PROMPTS[writer] if writer else super().prompt_name

    @property
    def context_tokens(self) -> int:
        """The window: ``llm_context``, or less where the model was trained on less."""
        return self._worker.start().window

    def count_tokens(self, text: str) -> int:
        """Return the tokens of ``text`` by the model's own tokenizer."""
        return self._worker.start().count(text)

    def load(self) -> None:
        """Load the model and compute once, so that the first question does not wait for it.

        Raises:
            ModelError: the model is missing or does not load.
        """
        self._worker.start()

    def close(self) -> None:
        """Stop what is being written, free the model; any later use is an `EngineError`."""
        self._worker.close()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        asker: str = "",
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        settings = self.settings
        request = Request(
            plain_messages(messages),
            stop or (),
            max_tokens or settings.max_answer_tokens,
            settings.temperature if temperature is None else temperature,
            seed,
        )
        for piece in self._worker.run(lambda model: model.write(request), cancel, asker):
            if isinstance(piece, Waiting):
                yield waiting_chunk(piece.ahead)
            elif piece.text or piece.finish_reason:
                yield _chunk(piece, settings.llm_model)


def build(settings: Settings) -> LlamaCppEngine:
    """Return the engine; the model is loaded on first use."""
    return LlamaCppEngine(settings=settings)


class _Running:
    """The process that runs now, to be killed from another thread, while it loads too."""

    def __init__(self) -> None:
        self._process: LlamaProcess | None = None

    @contextmanager
    def opened(self, settings: Settings) -> Iterator[LlamaProcess]:
        with closing(LlamaProcess(settings)) as process:
            self._process = process
            process.wait_until_ready()
            yield process

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def _chunk(piece: Piece, model_name: str) -> ChatGenerationChunk:
    if not piece.usage:
        return ChatGenerationChunk(message=AIMessageChunk(content=piece.text))
    read, written, known = piece.usage
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=piece.text,
            usage_metadata=UsageMetadata(
                input_tokens=read,
                output_tokens=written,
                total_tokens=read + written,
                input_token_details=InputTokenDetails(cache_read=known),
            ),
            response_metadata={"finish_reason": piece.finish_reason, "model_name": model_name},
            chunk_position="last",
        )
    )
