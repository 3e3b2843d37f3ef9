"""Parses files in a process of its own, so that a bad one takes nothing with it.

One worker serves many files and is replaced when it runs out of time or memory,
or crashes. The two processes speak length-prefixed JSON over pipes: what comes
back from a parser that a hostile file may have taken over is data, never code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from assistant.errors import SourceError
from assistant.ingest.checks import check_size
from assistant.ingest.parsed import Block, Metadata, Parsed
from assistant.pipes import receive, send

if TYPE_CHECKING:
    from assistant.settings import Settings

_STOP_TIMEOUT_S = 1.0
# -c, not -m: the caller's main module is not imported, so scripts without a main guard work.
_WORKER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from assistant.ingest.worker import serve; serve(*map(int, sys.argv[2:]))"
)
# Libraries of linear algebra reserve memory for a thread a core, which the limit would count.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class IsolatedParser:
    """Parses files in a worker process with ``load_timeout_s`` and ``load_memory_mb``.

    A context manager; safe to use from several threads, which take turns. The worker
    starts with the first file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def __enter__(self) -> IsolatedParser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def parse(self, path: Path) -> Parsed:
        """Return what a file holds.

        Raises:
            SourceError: as `load.parse` does, and when the worker ran out of time or
                memory or crashed on the file.
        """
        check_size(path, self._settings)
        with self._lock:
            if self._worker is None or not self._worker.is_idle():
                self._stop()
                self._worker = _Worker(self._settings)
            try:
                reply = self._worker.ask(path)
                if reply.get("retire"):
                    self._stop()
                return _parsed(reply)
            except _WorkerLostError as error:
                self._stop()
                raise SourceError(str(error)) from error
            except SourceError:
                raise
            except BaseException:  # an interrupt: the reply still to come answers no later file
                self._stop()
                raise

    def close(self) -> None:
        """End the worker; a later `parse` starts another."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


class _WorkerLostError(Exception):
    """The worker died over a file; the text is the reason for the report."""


class _Worker:
    """The parent's side of one worker process."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.load_timeout_s
        self._memory = settings.load_memory_mb
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        paths = json.dumps([*filter(None, sys.path), str(Path(__file__).parents[2])])
        limits = [str(self._memory), str(self._timeout)]
        # Nothing is ever written to it: it closes when this process ends, in whatever way.
        theirs, ours = os.pipe()
        self._lifeline = os.fdopen(ours, "wb", 0)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _WORKER, paths, *limits, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C is the parent's to handle
                pass_fds=() if sys.platform == "win32" else (theirs,),
            )
        except BaseException:
            self._lifeline.close()
            self._errors.close()
            raise
        finally:
            os.close(theirs)

    def is_idle(self) -> bool:
        """Tell whether the process still waits for a file."""
        return self._process.poll() is None

    def ask(self, path: Path) -> dict[str, Any]:
        """Return the worker's reply for a file.

        Raises:
            _WorkerLostError: it took too long, or died.
        """
        assert self._process.stdin and self._process.stdout
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(self._timeout, expire)
        timer.daemon = True
        timer.start()
        try:
            send(self._process.stdin, os.path.abspath(path))
            reply = receive(self._process.stdout)
        except (OSError, ValueError):  # a broken pipe, or no JSON
            reply = None
        finally:
            timer.cancel()
            timer.join()
            if expired.is_set():
                self._process.wait()  # else it might pass for idle
        if isinstance(reply, dict):
            return reply
        raise _WorkerLostError(self._obituary(expired.is_set()))

    def stop(self) -> None:
        """End the process: by closing its input, else by force."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):  # it is gone already
            self._process.stdin.close()
        self._end()
        self._lifeline.close()
        self._process.stdout.close()
        self._errors.close()

    def _end(self) -> int:
        """Wait for the process to end, end it if it does not, and return its exit status."""
        try:
            return self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _obituary(self, expired: bool) -> str:
        if expired:
            return (
                f"Parsing took longer than {self._timeout} s. Split the file or simplify it, "
                "or raise ASSISTANT_LOAD_TIMEOUT_S."
            )
        code = self._end()
        if code < 0:
            name = signal.Signals(-code).name
            return (
                f"The parser crashed on it ({name}): the file is damaged, or needs more than "
                f"{self._memory} MB. Open it in its own program and save it again, or raise "
                "ASSISTANT_LOAD_MEMORY_MB."
            )
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return (
            f"The parser ended unexpectedly ({lines[-1] if lines else f'exit code {code}'}). "
            "Run `assistant doctor`, and report the file if that finds nothing."
        )


def _parsed(reply: dict[str, Any]) -> Parsed:
    """Return a worker's reply as values of the expected types.

    Raises:
        SourceError: the worker found the file bad.
        _WorkerLostError: the reply is not as agreed; its sender is not to be used again.
    """
    if "error" in reply:
        raise SourceError(str(reply["error"]))
    try:
        title, language, groups, provenance = reply["metadata"]
        if language not in (None, "zh", "en"):
            raise ValueError(language)
        readers = None if groups is None else tuple(map(str, groups))
        metadata = Metadata(str(title), language, readers, str(provenance))
        blocks = tuple(_block(*fields) for fields in reply["blocks"])
    except (KeyError, TypeError, ValueError) as error:
        raise _WorkerLostError(
            "The parser's reply makes no sense: the file is damaged, or an attack. Open it in "
            "its own program and save it again."
        ) from error
    return Parsed(metadata, blocks)


def _block(text: Any, heading: Any, page: Any, unit: Any) -> Block:
    if unit not in ("page", "slide", "row"):
        raise ValueError(unit)
    place = None if page is None else int(page)
    return Block(str(text), tuple(map(str, heading)), place, unit)
