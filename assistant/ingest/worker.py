"""The process that parses files for `isolate`: it answers paths with blocks, or with a reason.

It limits its own memory and dies with its parent. How long a file may take, and
what becomes of a worker that died, the parent decides.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from assistant.errors import SourceError
from assistant.pipes import receive, send

_ORPHAN_GRACE_S = 5


def serve(memory_mb: int, timeout_s: int, lifeline: int) -> None:
    """Be the worker: answer each path on standard input until it closes.

    Args:
        memory_mb: address space it may take.
        timeout_s: seconds after which the parent gives up a file.
        lifeline: a pipe whose other end the parent holds open for as long as it lives.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    _limit_memory(memory_mb)
    _tie_to_parent(lifeline)
    requests = sys.stdin.buffer
    while (path := receive(requests)) is not None:
        _set_alarm(timeout_s + _ORPHAN_GRACE_S)
        reply = _answer(Path(path), memory_mb)
        _set_alarm(0)
        send(replies, reply)


def _answer(path: Path, memory_mb: int) -> dict[str, Any]:
    from assistant.ingest.load import parse

    reason = (
        f"Parsing it needs more than {memory_mb} MB of memory. Split the file, or raise "
        "ASSISTANT_LOAD_MEMORY_MB."
    )
    try:
        parsed = parse(path)
        said = parsed.metadata
        reply: dict[str, Any] = {
            "metadata": [said.title, said.language, said.groups, said.provenance],
            "blocks": [[b.text, b.heading, b.page, b.page_unit] for b in parsed.blocks],
        }
    except MemoryError:
        return {"error": reason, "retire": True}
    except SourceError as error:
        # Libraries in C report a failed allocation as any error of theirs.
        starved = error.__cause__ is not None and (
            _address_space_mb() > 0.8 * memory_mb or "memory" in str(error.__cause__).lower()
        )
        return {"error": reason if starved else str(error), "retire": starved}
    # What a large file took is rarely given back, and the next one would start with less.
    return {**reply, "retire": _used_mb() > memory_mb / 2}


if sys.platform == "win32":

    def _limit_memory(memory_mb: int) -> None:
        """Windows has no such limit; the time limit still holds."""

    def _tie_to_parent(lifeline: int) -> None: ...

    def _set_alarm(seconds: float) -> None: ...

    def _used_mb() -> float:
        return 0.0

    def _address_space_mb() -> float:
        return 0.0

else:
    import fcntl
    import resource
    import select

    def _limit_memory(memory_mb: int) -> None:
        """Bound the address space, and leave no core dumps of others' documents."""
        limit = memory_mb << 20
        if sys.platform != "darwin":  # which refuses it
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def _tie_to_parent(lifeline: int) -> None:
        """Die when the parent does, even inside native code that lets no Python run.

        Nothing is written to that pipe, so a signal on it can only mean that it closed; its
        default action ends the process. The pipe of requests would not do: the kernel may
        signal a request after it was read.
        """
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        poll = select.poll()
        poll.register(lifeline, 0)
        if poll.poll(0):  # it died before the signal was asked for
            sys.exit()

    def _set_alarm(seconds: float) -> None:
        """Die after so many seconds, as by the lifeline; 0 calls it off."""
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _used_mb() -> float:
        """Return the memory in use; not getrusage's peak, which a child inherits on Linux."""
        return _status_mb("VmRSS:")

    def _address_space_mb() -> float:
        """Return the most address space used so far."""
        return _status_mb("VmPeak:")

    def _status_mb(field: str) -> float:
        """Return a size from the kernel's account of this process, 0 where there is none."""
        try:
            status = Path("/proc/self/status").read_text("ascii", errors="replace")
        except OSError:
            return 0.0
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith(field)]
        return int(sizes[0]) / 1024 if sizes else 0.0
