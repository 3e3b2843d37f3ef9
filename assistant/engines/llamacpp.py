"""Any GGUF model through llama.cpp, on a processor or a GPU, as a LangChain chat model.

Loads llama.cpp and the model, and has one thread do all the work. It does not know what a
prompt says, nor who asks.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr, model_validator

from assistant.engines.base import Engine, PromptForm
from assistant.engines.cores import physical_cores
from assistant.engines.gguf import EMBEDDED, gguf_file
from assistant.engines.llama_model import LlamaModel, Piece, Request
from assistant.engines.worker import Worker
from assistant.errors import ModelError
from assistant.settings import Settings

_log = logging.getLogger(__name__)

# Tokens read at once. On a processor 128 is as fast as 512, takes less memory, and a
# cancelled question stops that much sooner; a GPU needs more to be busy.
_BATCH_CPU, _BATCH_GPU = 128, 512
_GGML_ERROR = 4  # ggml.h; llama_cpp._logger still maps the levels of an older one


class LlamaCppEngine(Engine):
    """The model of ``settings.llm_model``, owned by one thread; askers wait in line for it.

    ``stream`` and ``invoke`` also take ``max_tokens``, ``temperature``, ``seed``, and
    ``cancel``, a `threading.Event` that withdraws the question wherever it stands.
    """

    name: str = "llamacpp"
    settings: Settings = Field(exclude=True, repr=False)
    _worker: Worker[LlamaModel] = PrivateAttr()

    @model_validator(mode="after")
    def _employ_worker(self) -> Self:
        self._worker = Worker(
            partial(_opened, self.settings), self.settings.queue_size, "The llama.cpp engine"
        )
        # Also at exit: the model must not be freed while the thread still computes.
        weakref.finalize(self, self._worker.close)
        return self

    @property
    def _llm_type(self) -> str:
        return self.name

    @property
    def form(self) -> PromptForm:
        """As set; else ``chat`` when the model carries a chat template, which may load it."""
        return _form(self.settings) or self._worker.start().form

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

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        cancel: threading.Event | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        settings = self.settings
        request = Request(
            self._worker.start().tokens(messages),
            stop or (),
            max_tokens or settings.max_answer_tokens,
            settings.temperature if temperature is None else temperature,
            seed,
        )
        for piece in self._worker.run(lambda model: model.write(request), cancel):
            if piece.text or piece.finish_reason:
                yield _chunk(piece, settings.llm_model)


def build(settings: Settings) -> LlamaCppEngine:
    """Return the engine; the model is loaded on first use."""
    return LlamaCppEngine(settings=settings)


def _chunk(piece: Piece, model_name: str) -> ChatGenerationChunk:
    if not piece.finish_reason:
        return ChatGenerationChunk(message=AIMessageChunk(content=piece.text))
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=piece.text,
            usage_metadata=piece.usage,
            response_metadata={"finish_reason": piece.finish_reason, "model_name": model_name},
            chunk_position="last",
        )
    )


@contextmanager
def _opened(settings: Settings) -> Iterator[LlamaModel]:
    model = _load(settings)
    try:
        yield model
    finally:
        model.close()


def _load(settings: Settings) -> LlamaModel:
    path = gguf_file(settings)
    native = _native()
    _complaints().clear()
    threads = settings.llm_threads or physical_cores()
    if settings.llm_gpu_layers and not native.llama_supports_gpu_offload():
        _log.warning("llama-cpp-python was built without GPU support; llm_gpu_layers has no effect")
    try:
        llama = native.Llama(
            str(path),
            n_ctx=settings.llm_context,
            n_batch=_BATCH_GPU if settings.llm_gpu_layers else _BATCH_CPU,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=settings.llm_gpu_layers,
            verbose=False,
        )
        llama.eval([max(llama.token_bos(), 0)])  # reads the weights in; forgotten again
        llama.reset()
        return LlamaModel(native, llama, _form(settings))
    except ModelError:
        raise
    except Exception as error:
        why = "; ".join([*_complaints(), str(error)])
        raise ModelError(
            f"llama.cpp cannot load {path} ({why}). If the file is damaged, fetch it again; if "
            "its kind is unknown, upgrade llama-cpp-python; if memory is short, lower "
            "ASSISTANT_LLM_CONTEXT or choose a smaller model."
        ) from error


def _form(settings: Settings) -> PromptForm | None:
    """Return the prompt form where the model need not be asked."""
    if settings.llm_form != "auto":
        return settings.llm_form
    return "completion" if settings.llm_model == EMBEDDED else None  # Gemma's base model


@lru_cache(maxsize=1)
def _native() -> ModuleType:
    """Import llama.cpp, silenced.

    libgomp's threads spin while they wait for each other. Beside another busy process that
    took two threads on two cores from 67 tokens a second to 1.6; spinning a thousandth as
    long gives 26, and 65 on an idle machine. The variable counts only when set before any
    library loads libgomp; torch does, too.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            f"llama.cpp cannot be used ({error}). Run `pip install --force-reinstall "
            "llama-cpp-python`, or set ASSISTANT_ENGINE to `extractive`."
        ) from error
    llama_cpp.llama_log_set(_log_callback(), ctypes.c_void_p(0))
    return llama_cpp


@lru_cache(maxsize=1)  # native code holds no reference of its own
def _log_callback() -> Any:
    import llama_cpp

    def keep_errors(level: int, text: bytes, _: ctypes.c_void_p) -> None:
        if level == _GGML_ERROR:
            _complaints().append(text.decode("utf-8", "replace").strip())

    return llama_cpp.llama_log_callback(keep_errors)


@lru_cache(maxsize=1)
def _complaints() -> deque[str]:
    """Return llama.cpp's latest error messages."""
    return deque(maxlen=3)
