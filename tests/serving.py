"""A real `assistant serve` in a process of its own, for tests that come in from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

START_S = 90


@dataclass
class Server:
    """A running server: where it is, and the link with which its first administrator begins."""

    address: str
    data_dir: Path
    process: subprocess.Popen[str]
    first_link: str = ""
    lines: list[str] = field(default_factory=list)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Server]:
    """Run a server without models on a free port until the block ends."""
    defaults = {"embedding_model": "hash", "engine": "extractive", "gate_threshold": "0.0"}
    given = defaults | {"data_dir": str(data_dir), "port": "0"} | settings
    environment = os.environ | {f"ASSISTANT_{name.upper()}": v for name, v in given.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant.surfaces.cli", "serve"],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _started(process, data_dir, given.get("auth", "none") == "password")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _started(process: subprocess.Popen[str], data_dir: Path, invites: bool) -> Server:
    """Wait for the address, and for the first link where one is due."""
    lines: Queue[str] = Queue()
    seen: list[str] = []
    assert process.stdout is not None
    stream = process.stdout

    def read() -> None:
        for line in stream:
            seen.append(line.rstrip())
            lines.put(line.rstrip())

    threading.Thread(target=read, daemon=True).start()
    links: list[str] = []
    wanted = 2 if invites else 1
    while len(links) < wanted:
        try:
            line = lines.get(timeout=START_S)
        except Empty:
            raise AssertionError(f"the server did not start: {seen}") from None
        if process.poll() is not None:
            raise AssertionError(f"the server ended: {seen}")
        links += [word for word in line.split() if word.startswith("http://")]
    return Server(links[0], data_dir, process, links[1] if invites else "", seen)
