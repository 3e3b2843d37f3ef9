"""The whole HTTP application in this process, served by uvicorn on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from assistant import Assistant
from assistant.engines.base import WritingEngine, waiting_chunk
from assistant.surfaces.http.app import create_app
from assistant.surfaces.http.service import Service, opened_service

LOCAL_TOKEN = "local-token-of-the-tests"


@dataclass
class Served:
    """A running server."""

    url: str
    service: Service

    def key(self, *scopes: Any, groups: Sequence[str] = (), name: str = "bot") -> str:
        """Return a new API key of a new administrator."""
        self.service.accounts.create_user(name, role="admin", groups=groups)
        return self.service.accounts.create_key(name, name, scopes)[1]


@contextmanager
def serving_here(assistant: Assistant) -> Iterator[Served]:
    """Serve an assistant until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with opened_service(assistant, assistant.settings, url, LOCAL_TOKEN) as service:
            yield from _running(service, listener, url)


def _running(service: Service, listener: socket.socket, url: str) -> Iterator[Served]:
    config = uvicorn.Config(create_app(service), log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Served(url, service)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def wait_until(true: Any, seconds: float = 20.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class PacedEngine(WritingEngine):
    """Plays ``steps``: text, a place in line, an error to raise, an event to wait for.

    ``left`` is set when an asker is done with it, or gone.
    """

    name: str = "paced"
    steps: Sequence[Any] = ()
    _left: threading.Event = PrivateAttr(default_factory=threading.Event)
    _seen: list[str] = PrivateAttr(default_factory=list)

    @property
    def left(self) -> threading.Event:
        return self._left

    @property
    def seen(self) -> list[str]:
        """The prompts so far."""
        return self._seen

    @property
    def _llm_type(self) -> str:
        return self.name

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self._seen.append("\n".join(str(message.content) for message in messages))
        try:
            for step in self.steps:
                if isinstance(step, threading.Event):
                    step.wait(20)
                elif isinstance(step, int):
                    yield waiting_chunk(step)
                elif isinstance(step, str):
                    usage = {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42}
                    yield ChatGenerationChunk(
                        message=AIMessageChunk(content=step, usage_metadata=usage)
                    )
                else:
                    raise step
        finally:
            self._left.set()
