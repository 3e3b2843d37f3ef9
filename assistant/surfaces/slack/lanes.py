"""Workers that serve lanes: what is in one lane is done in order, lanes side by side.

A thread is a lane, so that a follow-up never overtakes the question it follows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Lanes(Generic[Item]):
    """Threads that take items from the lanes, the oldest of a free lane first.

    Args:
        workers: how many items are handled at once.
        handle: what is done with an item; an error of its ends in the log.
        name: what the threads are called.
    """

    def __init__(self, workers: int, handle: Callable[[Item], None], name: str) -> None:
        self._handle = handle
        self._waiting: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._busy: set[Hashable] = set()
        self._change = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, lane: Hashable, item: Item) -> int:
        """Add an item at the end of a lane; return how many items are to be begun before it."""
        with self._change:
            idle = len(self._threads) - len(self._busy)
            ahead = sum(len(items) for items in self._waiting.values())
            self._waiting.setdefault(lane, deque()).append(item)
            self._change.notify()
            return max(ahead - idle + 1, 0) if idle <= ahead else 0

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing is waiting or being handled; tell whether that came about."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def close(self, grace_s: float) -> bool:
        """Begin nothing more, wait for what was begun; tell whether all of it ended in time."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        deadline = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (begun := self._next()) is not None:
            lane, item = begun
            try:
                self._handle(item)
            except Exception as error:  # its text may quote a message: the type is all that is told
                logger.error("A job failed: %s", type(error).__name__)
            finally:
                with self._change:
                    self._busy.discard(lane)
                    self._change.notify_all()

    def _next(self) -> tuple[Hashable, Item] | None:
        """Wait for an item whose lane is free and take it; None once closed."""
        with self._change:
            while not self._closed:
                for lane, items in self._waiting.items():
                    if lane in self._busy:
                        continue
                    item = items.popleft()
                    if not items:
                        del self._waiting[lane]
                    self._busy.add(lane)
                    return lane, item
                self._change.wait()
            return None
