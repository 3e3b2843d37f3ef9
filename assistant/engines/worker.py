"""One thread owns an object that is not thread-safe; askers wait in line and read what it yields.

One at a time, and nobody waits for two questions of the same other person. It knows
nothing of models or prompts: the owned object and the work on it are given to it.
"""

from __future__ import annotations

import bisect
import itertools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from assistant.errors import AssistantError, EngineBusyError, EngineError

Owned = TypeVar("Owned")
Item = TypeVar("Item")

_log = logging.getLogger(__name__)

# How long an asker sleeps before it looks whether it was told to stop, or the thread is gone.
_GLANCE_S = 0.2
# How long to wait before a lost object is opened again, doubling with each loss in a row.
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.25, 30.0
# Longer than this nobody waits for it.
_PATIENCE_S = 2.0


class LostError(EngineError):
    """The owned object is of no further use; it is opened anew for whoever waits."""


@dataclass(frozen=True)
class Waiting:
    """What an asker reads before its turn: how many are served before it."""

    ahead: int


@dataclass(eq=False)
class _Job:
    """One asker's work, and the way back: items, then an exception or the end.

    ``turn`` orders the line: the round, in which each asker has one turn, then the arrival.
    """

    work: Callable[[Any], Generator[Any, None, None]]
    cancel: threading.Event
    asker: str
    turn: tuple[int, int]
    told: int = 0
    withdrawn: bool = False
    out: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue)

    @property
    def unwanted(self) -> bool:
        return self.withdrawn or self.cancel.is_set()


class Worker(Generic[Owned]):
    """Runs work on an object in the one thread that opens, uses and closes it.

    Args:
        open_owned: returns the object as a context manager; entered in the thread.
        waiting: how many askers may wait besides the one being served.
        name: of the thread, and in messages.
        interrupt: makes the object give up what it does, from another thread, when the
            worker is closed and the thread does not come back by itself.
    """

    def __init__(
        self,
        open_owned: Callable[[], AbstractContextManager[Owned]],
        waiting: int,
        name: str,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_owned = open_owned
        self._interrupt = interrupt
        self._waiting = waiting
        self._name = name
        self._changed = threading.Condition()
        self._line: list[_Job] = []
        self._arrivals = itertools.count()
        self._rounds: dict[str, int] = {}
        self._round = 0
        self._serving: _Job | None = None
        self._thread: threading.Thread | None = None
        self._opened: Future[Owned] = Future()
        self._back_at = 0.0
        self._closed = False

    def start(self, cancel: threading.Event | None = None) -> Owned:
        """Open the object unless it is open, and return it; the thread stays its only user.

        Args:
            cancel: ends the waiting for it.

        Raises:
            EngineError: the worker is closed, or rests after losses; and whatever opening raises.
        """
        with self._changed:
            self._check_open()
            # A thread does not survive a fork, and may have died: then a new one starts.
            if self._thread is None or not self._thread.is_alive():
                self._line.clear()
                self._serving = None
                self._opened = Future()
                self._thread = threading.Thread(
                    target=self._main, args=(self._opened,), name=self._name, daemon=True
                )
                self._thread.start()
            opened = self._opened
            if (rest := self._back_at - time.monotonic()) > _PATIENCE_S:
                raise EngineError(
                    f"{self._name} was lost several times and is started again in {rest:.0f} s. "
                    "Ask again then; its log says why."
                )
        while True:
            try:
                return opened.result(_GLANCE_S)
            except TimeoutError:
                if opened.done():  # it was opening that timed out
                    raise
                self._check_open()
                if cancel is not None and cancel.is_set():
                    raise _cancelled() from None

    def run(
        self,
        work: Callable[[Owned], Generator[Item, None, None]],
        cancel: threading.Event | None = None,
        asker: str = "",
    ) -> Generator[Item | Waiting, None, None]:
        """Yield `Waiting` whenever the place in line changes, then what ``work`` yields.

        Askers take turns: one with many questions in line has the second served after
        everybody's first. An asker that closes this iterator, or whose ``cancel`` is set,
        gives up its place: before its turn the work never begins, after that it ends at its
        next item.

        Raises:
            EngineBusyError: too many are waiting; raised at once.
            EngineError: the work failed, was cancelled, or the worker closed or died.
        """
        cancel = cancel or threading.Event()
        self.start(cancel)
        job, thread = self._enqueue(work, cancel, asker)
        try:
            while (item := self._receive(job, thread)) is not None:
                yield item[0]
        finally:
            self._withdraw(job)

    def close(self) -> None:
        """Stop the work within one item, close the object, and end the thread. Idempotent."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        # Garbage collection may run this in the thread itself, which cannot wait for itself.
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                self._interrupt()
                thread.join(_PATIENCE_S)

    # -- in the askers' threads -------------------------------------------------------------

    def _enqueue(
        self,
        work: Callable[[Owned], Generator[Item, None, None]],
        cancel: threading.Event,
        asker: str,
    ) -> tuple[_Job, threading.Thread]:
        with self._changed:
            self._check_open()
            if self._thread is None:
                raise self._gone()
            ahead = len(self._line) + (self._serving is not None)
            if ahead > self._waiting and not self._make_room(asker):
                raise self._busy(ahead)
            mine = max(self._round, self._rounds.get(asker, -1) + 1)
            self._rounds[asker] = mine
            job = _Job(work, cancel, asker, (mine, next(self._arrivals)))
            bisect.insort(self._line, job, key=lambda waiting: waiting.turn)
            self._tell_places()
            self._changed.notify_all()
            return job, self._thread

    def _busy(self, ahead: int) -> EngineBusyError:
        return EngineBusyError(
            f"{self._waiting} questions are already waiting. Ask again shortly, "
            "or raise ASSISTANT_QUEUE_SIZE.",
            position=ahead,
        )

    def _make_room(self, asker: str) -> bool:
        """Turn away the last question of whoever has most in a full line, if that is fairer."""
        counts = Counter(job.asker for job in self._line)
        crowd, most = counts.most_common(1)[0] if counts else ("", 0)
        if most <= counts[asker] + 1:
            return False
        last = next(job for job in reversed(self._line) if job.asker == crowd)
        self._leave_line(last)
        last.out.put(("error", self._busy(len(self._line) + 1)))
        return True

    def _leave_line(self, job: _Job) -> None:
        """Take a question out of the line, and give its asker's turn back."""
        self._line.remove(job)
        mine = [other.turn[0] for other in self._line if other.asker == job.asker]
        self._rounds[job.asker] = max(mine, default=job.turn[0] - 1)

    def _tell_places(self) -> None:
        """Tell those in line their place, where it changed."""
        first = 1 if self._serving else 0
        for ahead, job in enumerate(self._line, first):
            if ahead and ahead != job.told:
                job.told = ahead
                job.out.put(("item", Waiting(ahead)))

    def _receive(self, job: _Job, thread: threading.Thread) -> tuple[Any] | None:
        """Return the next item in a tuple, or None after the last one."""
        while not job.cancel.is_set():
            alive = thread.is_alive()  # asked first: what a thread left behind still counts
            try:
                kind, value = job.out.get(timeout=_GLANCE_S)
            except queue.Empty:
                if not alive:
                    raise self._gone() from None
                continue
            if kind == "error":
                raise value
            if kind == "item":
                return (value,)
            if not job.cancel.is_set():
                return None
        raise _cancelled()

    def _withdraw(self, job: _Job) -> None:
        with self._changed:
            job.withdrawn = True
            if job in self._line:
                self._leave_line(job)
                self._tell_places()

    def _check_open(self) -> None:
        if self._closed:
            raise self._gone()

    def _gone(self, cause: BaseException | None = None) -> EngineError:
        if self._closed:
            return EngineError(f"{self._name} is closed. Open the assistant anew.")
        why = f" ({cause!r})" if cause else ""
        return EngineError(f"{self._name} stopped in the middle of its work{why}. Ask again.")

    # -- in the owner's thread --------------------------------------------------------------

    def _main(self, opened: Future[Owned]) -> None:
        failure: BaseException | None = None
        losses = 0
        try:
            while not self._closed:
                with self._open_owned() as owned:
                    opened.set_result(owned)
                    served = self._serve_until_lost(owned)
                if not self._closed:
                    losses = 1 if served else losses + 1
                    opened = self._rest(losses)
        except BaseException as error:  # a dead thread must leave nobody waiting
            failure = error
        self._abandon(failure)
        if failure and opened.done():
            _log.error("%s stopped", self._name, exc_info=failure)
        elif not opened.done():
            opened.set_exception(failure or self._gone())

    def _serve_until_lost(self, owned: Owned) -> int:
        """Serve the line until it is time to close, or the object is lost; return how many."""
        for served in itertools.count():
            job = self._next()
            if job is None or not self._serve(job, owned):
                return served
        raise AssertionError("endless")

    def _rest(self, losses: int) -> Future[Owned]:
        """Wait before the object is opened again, longer after each loss that follows at once.

        Return the promise of the next object.
        """
        pause = min(_FIRST_BACKOFF_S * 2 ** (losses - 1), _LONGEST_BACKOFF_S)
        _log.warning("%s was lost; it is started again in %.1f s", self._name, pause)
        with self._changed:
            self._serving = None
            coming: Future[Owned] = Future()
            self._opened = coming
            self._back_at = time.monotonic() + pause
            self._changed.wait_for(lambda: self._closed, timeout=pause)
            self._back_at = 0.0
        return coming

    def _next(self) -> _Job | None:
        """Return the job whose turn it is, or None when it is time to close."""
        with self._changed:
            self._serving = None
            self._changed.wait_for(lambda: self._closed or self._line)
            if not self._closed:
                self._serving = self._line.pop(0)
                self._round = self._serving.turn[0]
                self._rounds = {a: r for a, r in self._rounds.items() if r >= self._round}
                self._tell_places()
            return self._serving

    def _serve(self, job: _Job, owned: Owned) -> bool:
        """Do one asker's work; tell whether the object is still good."""
        try:
            if not job.unwanted:
                with closing(job.work(owned)) as items:
                    for item in items:
                        if job.unwanted or self._closed:
                            break
                        job.out.put(("item", item))
            self._check_open()
            job.out.put(("end", None))
        except AssistantError as error:
            job.out.put(("error", error))
            return not isinstance(error, LostError)
        except Exception as error:
            told = EngineError(f"{self._name} failed while answering ({error}). Ask again.")
            told.__cause__ = error
            job.out.put(("error", told))
        return True

    def _abandon(self, failure: BaseException | None) -> None:
        """Tell everyone who still waits why no answer will come."""
        with self._changed:
            left = [*([self._serving] if self._serving else []), *self._line]
            self._line.clear()
            self._serving = self._thread = None
            for job in left:
                job.out.put(("error", self._gone(failure)))


def _cancelled() -> EngineError:
    return EngineError("The question was cancelled before it was answered. Ask it again.")
