"""An event loop in a thread of its own, from which other threads draw what its tasks produce.

It is what lets a thread leave a connection at once, before the first byte of the reply too:
cancelling the task closes the connection, and the server at its other end stops working.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from assistant.errors import EngineError

Item = TypeVar("Item")

# How long a thread sleeps before it looks whether it was told to stop.
_GLANCE_S = 0.1


class Background:
    """The loop; it starts with its first task and ends with `close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, task: Coroutine[Any, Any, Item]) -> Item:
        """Return what a task returns, or raise what it raises.

        Raises:
            EngineError: the loop was closed meanwhile.
        """
        loop = self._started()
        coming = asyncio.run_coroutine_threadsafe(task, loop)
        while True:
            try:
                return coming.result(_GLANCE_S)
            except TimeoutError:
                if coming.done():  # it was the task that timed out
                    raise
                self._check_open(loop)
            except CancelledError:
                raise _closed(self._name) from None

    def draw(
        self, items: AsyncIterator[Item], cancel: threading.Event | None = None
    ) -> Generator[Item, None, None]:
        """Yield what ``items`` produces; closing this, or ``cancel``, cancels its task at once.

        Raises:
            EngineError: it was cancelled, or the loop was closed.
        """
        drawn: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async for item in items:
                    drawn.put(("item", item))
                drawn.put(("end", None))
            except BaseException as error:
                drawn.put(("error", error))
                raise

        loop = self._started()
        task = asyncio.run_coroutine_threadsafe(pump(), loop)
        try:
            while True:
                if cancel is not None and cancel.is_set():
                    raise EngineError(
                        "The question was cancelled before it was answered. Ask it again."
                    )
                try:
                    kind, value = drawn.get(timeout=_GLANCE_S)
                except queue.Empty:
                    self._check_open(loop)
                    continue
                if kind == "error":
                    gone = isinstance(value, asyncio.CancelledError)
                    raise _closed(self._name) if gone else value
                if kind == "end":
                    return
                yield value
        finally:
            task.cancel()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what runs, do ``last``, and end the loop. Idempotent."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_wind_up(last), loop)

    def _check_open(self, loop: asyncio.AbstractEventLoop) -> None:
        """A task given to a loop that ends never tells so itself."""
        if self._loop is not loop:
            raise _closed(self._name)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A thread does not survive a fork: the child needs a loop of its own.
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


def _closed(name: str) -> EngineError:
    return EngineError(f"The {name} was closed in the middle of its work. Open the assistant anew.")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lambda *_: None)  # the asking thread was told of each failure
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _wind_up(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    try:
        await asyncio.gather(*others, return_exceptions=True)
        if last is not None:
            await last()
            await asyncio.sleep(0)  # transports close in the loop's next round
    finally:
        asyncio.get_running_loop().stop()
