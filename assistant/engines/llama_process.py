"""The parent's side of the process in which llama.cpp runs: texts counted, answers written.

It starts the process, tells the replies of different askers apart, and says why the process
ended when it did; `llama_child` is the other side, and who may ask next is the worker's business.
"""

from __future__ import annotations

import itertools
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from assistant.engines.llama_model import Piece, Request
from assistant.engines.worker import LostError
from assistant.errors import (
    AssistantError,
    ConfigurationError,
    EngineError,
    ModelError,
    RequestRefusedError,
)
from assistant.pipes import receive, send
from assistant.settings import Settings
from assistant.types import PromptForm
from assistant.writer import Form

_STOP_TIMEOUT_S = 2.0
# -c, not -m: the caller's main module is not imported, so scripts without a main guard work.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from assistant.engines.llama_child import serve; serve()"
)
_KINDS: dict[str, type[AssistantError]] = {
    kind.__name__: kind
    for kind in (ConfigurationError, EngineError, ModelError, RequestRefusedError)
}
# Longer without a sign of life, and it hangs: one step is a batch of tokens or one token.
_STALL_S = 300.0
_MOST_LOADING_S = 1800.0


class LlamaProcess:
    """A process with a loaded model; one asker at a time may `write`, any may `count`.

    It is started at once; `wait_until_ready` comes before any other use.

    Raises:
        ModelError: no process can be started.
        LostError: from any use, when the process ended or hangs.
    """

    def __init__(self, settings: Settings) -> None:
        self._errors, self._process = _started()
        self._ids = itertools.count(1)
        self._replies: dict[int, queue.SimpleQueue[tuple[str, Any]]] = {0: queue.SimpleQueue()}
        self._lost = False
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="llama.cpp replies", daemon=True).start()
        # By the pipe: a command line is everybody's to read.
        names = [name for name in Settings.model_fields if name.startswith("llm_")]
        self._send(
            settings.model_dump(mode="json", include={*names, "cache_dir", "data_dir", "writer"})
        )
        self.window = 0
        self.form: PromptForm = "completion"
        self.writer: Form | None = None

    def wait_until_ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ModelError: it is missing or does not load.
        """
        self.window, self.form, self.writer = self._receive(self._replies[0], _MOST_LOADING_S)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def count(self, text: str) -> int:
        """Return the tokens of a text that stands inside a prompt."""
        with self._asking("count", text) as (_, replies):
            return int(self._receive(replies))

    def write(self, request: Request) -> Generator[Piece, None, None]:
        """Yield a piece, maybe empty, for each batch read and each token written."""
        with self._asking("write", asdict(request)) as (ident, replies):
            try:
                while (piece := self._receive(replies)) is not None:
                    text, reason, usage = piece
                    yield Piece(text, reason, usage and tuple(usage))
            finally:
                with suppress(LostError):
                    self._send([ident, "stop", None])

    def kill(self) -> None:
        """End the process at once, whatever it does; any thread may."""
        self._process.kill()

    def close(self) -> None:
        """End the process: by closing its input, else by force."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):  # it is gone already
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    # -- inside -----------------------------------------------------------------------------

    @contextmanager
    def _asking(
        self, task: str, value: Any
    ) -> Generator[tuple[int, queue.SimpleQueue[tuple[str, Any]]], None, None]:
        replies: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        with self._lock:
            if self._lost:
                raise LostError(self._obituary())
            ident = next(self._ids)
            self._replies[ident] = replies
        try:
            self._send([ident, task, value])
            yield ident, replies
        finally:
            with self._lock:
                self._replies.pop(ident, None)

    def _send(self, message: Any) -> None:
        assert self._process.stdin
        try:
            with self._lock:
                send(self._process.stdin, message)
        except (OSError, ValueError) as error:  # a broken or a closed pipe
            raise LostError(self._obituary()) from error

    def _receive(
        self, replies: queue.SimpleQueue[tuple[str, Any]], patience: float = _STALL_S
    ) -> Any:
        try:
            kind, value = replies.get(timeout=patience)
        except queue.Empty:
            self.kill()
            raise LostError(
                f"llama.cpp gave no sign of life for {patience:.0f} s and is started again. Ask "
                "again; if it hangs again, choose a smaller model or fewer passages."
            ) from None
        if kind == "lost":
            raise LostError(self._obituary())
        if kind == "error":
            name, text = value
            raise _KINDS.get(name, RuntimeError)(text)
        return value

    def _read(self) -> None:
        """Hand each reply to who asked; at the end tell all that no more will come."""
        assert self._process.stdout
        with suppress(OSError, ValueError):  # a broken pipe, or no JSON: as good as lost
            while (message := receive(self._process.stdout)) is not None:
                ident, kind, value = message
                with self._lock:
                    asked = self._replies.get(ident)
                if asked is not None:
                    asked.put((kind, value))
        with self._lock:
            self._lost = True
            for asked in self._replies.values():
                asked.put(("lost", None))
        self._process.stdout.close()

    def _obituary(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        code = self._process.poll()
        if code is not None and code < 0:
            return (
                f"llama.cpp crashed ({signal.Signals(-code).name}) and is started again. Ask "
                "again; if it crashes again, the model's file may be damaged or memory short."
            )
        with suppress(OSError, ValueError):
            self._errors.seek(0)
            lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
            return f"llama.cpp ended ({lines[-1] if lines else f'exit code {code}'}). Ask again."
        return "llama.cpp was stopped. Ask again."


def _started() -> tuple[IO[bytes], subprocess.Popen[bytes]]:
    """Start the process; return the file that takes what it complains of, and it."""
    paths = json.dumps([*filter(None, sys.path), str(Path(__file__).parents[2])])
    try:
        errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD, paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        return errors, process
    except OSError as error:
        raise ModelError(
            f"No process can be started for llama.cpp ({error}). Free some memory, or set "
            "ASSISTANT_ENGINE to `extractive`."
        ) from error
