"""The process in which llama.cpp runs: it loads the model and answers until its input ends.

A crash in native code ends this process and no other. llama.cpp has its home here; who asks,
and in which order, the parent decides.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from assistant.engines.cores import physical_cores
from assistant.engines.gguf import gguf_file, known_form
from assistant.engines.llama_model import LlamaModel, Request
from assistant.errors import AssistantError, ModelError
from assistant.pipes import receive, send
from assistant.settings import Settings
from assistant.writer import ADAPTER_FILE, chosen_writer, read_writer_facts

Reply = Callable[[int, str, Any], None]

_log = logging.getLogger(__name__)

# Tokens read at once. On a processor 128 is as fast as 512, takes less memory, and a
# cancelled question stops that much sooner; a GPU needs more to be busy.
_BATCH_CPU, _BATCH_GPU = 128, 512
_GGML_ERROR = 4  # ggml.h; llama_cpp._logger still maps the levels of an older one


def serve() -> None:
    """Be the process: load the model, then answer each request on standard input.

    The first message holds the settings. A request is ``[id, "count", text]``,
    ``[id, "write", fields of a Request]`` or ``[id, "stop", null]``; a reply
    ``[id, kind, value]``. Texts are counted while the model writes.
    """
    replies, sending = os.fdopen(os.dup(1), "wb"), threading.Lock()
    os.dup2(2, 1)  # what a library prints must not look like a reply

    def reply(ident: int, kind: str, value: Any) -> None:
        with sending:
            send(replies, [ident, kind, value])

    try:
        settings = Settings(**(receive(sys.stdin.buffer) or {}))
        model = open_model(settings, chosen_writer(settings, gguf_file(settings)))
    except AssistantError as error:
        reply(0, "error", [type(error).__name__, str(error)])
        return
    reply(0, "ready", [model.window, model.form, model.writer])
    writer = _Writer(model, reply)
    while (request := receive(sys.stdin.buffer)) is not None:
        ident, task, value = request
        if task == "count":
            reply(ident, "count", model.count(value))
        elif task == "write":
            writer.write(ident, Request(**value))
        else:
            writer.stop(ident)
    os._exit(0)  # the parent is done, or gone: what is being written is nobody's


class _Writer:
    """Writes one request after the other in a thread of its own."""

    def __init__(self, model: LlamaModel, reply: Reply) -> None:
        self._model = model
        self._reply = reply
        self._requests: queue.SimpleQueue[tuple[int, Request]] = queue.SimpleQueue()
        self._stopped = -1
        threading.Thread(target=self._main, daemon=True).start()

    def write(self, ident: int, request: Request) -> None:
        self._requests.put((ident, request))

    def stop(self, ident: int) -> None:
        """Stop writing at the next token; ids only grow, so a late stop harms nobody."""
        self._stopped = ident

    def _main(self) -> None:
        while True:
            ident, request = self._requests.get()
            try:
                with closing(self._model.write(request)) as pieces:
                    for piece in pieces:
                        if self._stopped >= ident:
                            break
                        self._reply(ident, "piece", [piece.text, piece.finish_reason, piece.usage])
                self._reply(ident, "end", None)
            except Exception as error:  # native bindings raise all kinds
                self._reply(ident, "error", [type(error).__name__, str(error)])


def open_model(settings: Settings, writer: Path | None = None) -> LlamaModel:
    """Load the model of ``settings.llm_model`` and compute once, so that no asker waits for it.

    Args:
        settings: of the model.
        writer: the folder of a taught writer to put into it.

    Raises:
        ModelError: the model is missing or does not load.
    """
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
            lora_path=str(writer / ADAPTER_FILE) if writer else None,
            verbose=False,
        )
        llama.eval([max(llama.token_bos(), 0)])  # reads the weights in; forgotten again
        llama.reset()
        form = read_writer_facts(writer).form if writer else None
        return LlamaModel(native, llama, known_form(settings), form)
    except ModelError:
        raise
    except Exception as error:
        why = "; ".join([*_complaints(), str(error)])
        off = " (ASSISTANT_WRITER=off goes without)"
        within = f" with the adapter {writer}{off}" if writer else ""
        raise ModelError(
            f"llama.cpp cannot load {path}{within} ({why}). If the file is damaged, fetch it "
            "again; if its kind is unknown, upgrade llama-cpp-python; if memory is short, lower "
            "ASSISTANT_LLM_CONTEXT or choose a smaller model."
        ) from error


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
