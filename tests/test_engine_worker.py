from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from assistant.engines.worker import LostError, Waiting, Worker
from assistant.errors import EngineBusyError, EngineError, ModelError

Work = Callable[[list[str]], Generator[str, None, None]]
SECONDS = 10.0


class Workshop:
    """A worker that owns a list of what happened to it, and helpers to wait for that."""

    def __init__(self, waiting: int = 2) -> None:
        self.log: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.failures: list[Exception] = []
        self.worker: Worker[list[str]] = Worker(self._open, waiting, "The workshop")
        self.pool = ThreadPoolExecutor(16)

    @contextmanager
    def _open(self) -> Iterator[list[str]]:
        if self.failures:
            raise self.failures.pop()
        self.log.append("opened")
        self.threads.add(threading.current_thread())
        try:
            yield self.log
        finally:
            self.log.append("closed")

    def ask(
        self, work: Work, cancel: threading.Event | None = None, asker: str = ""
    ) -> Future[list[str]]:
        """Return what will be said, without the places in line."""

        def listen() -> list[str]:
            said = self.worker.run(work, cancel, asker)
            return [item for item in said if not isinstance(item, Waiting)]

        return self.pool.submit(listen)

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.001)

    def waiting(self, count: int) -> None:
        self.until(lambda: len(self.worker._line) == count)


@pytest.fixture
def shop() -> Iterator[Workshop]:
    shop = Workshop()
    yield shop
    shop.worker.close()
    shop.pool.shutdown()


def saying(*words: str) -> Work:
    def work(log: list[str]) -> Generator[str, None, None]:
        for word in words:
            log.append(word)
            yield word

    return work


class Held:
    """Work that yields ``begun`` and then goes on only when let."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, log: list[str]) -> Generator[str, None, None]:
        log.append("begun")
        yield "begun"
        assert self.go.wait(SECONDS)
        log.append("went on")
        yield "went on"


def test_work_is_done_in_the_one_thread_that_opened(shop: Workshop) -> None:
    def where(log: list[str]) -> Generator[threading.Thread, None, None]:
        yield threading.current_thread()

    found = {next(shop.worker.run(where)) for _ in range(3)}  # type: ignore[arg-type]
    assert found == shop.threads
    assert threading.current_thread() not in found
    assert shop.log == ["opened"]


def test_first_come_first_served(shop: Workshop) -> None:
    held = Held()
    first = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    second = shop.ask(saying("second"))
    shop.waiting(1)
    third = shop.ask(saying("third"))
    shop.waiting(2)
    held.go.set()
    assert [f.result(SECONDS) for f in (first, second, third)] == [
        ["begun", "went on"],
        ["second"],
        ["third"],
    ]
    assert shop.log == ["opened", "begun", "went on", "second", "third"]


def test_who_asks_much_does_not_keep_the_others_waiting(shop: Workshop) -> None:
    held = Held()
    asked = [shop.ask(held, asker="wu")]
    shop.until(lambda: "begun" in shop.log)
    shop.worker._waiting = 6
    for count, (asker, word) in enumerate(
        [("wu", "wu2"), ("wu", "wu3"), ("lin", "lin1"), ("lin", "lin2"), ("chen", "chen1")], 1
    ):
        asked.append(shop.ask(saying(word), asker=asker))
        shop.waiting(count)
    held.go.set()
    for future in asked:
        future.result(SECONDS)
    assert shop.log[3:] == ["lin1", "chen1", "wu2", "lin2", "wu3"]


def test_the_place_in_line_is_told_when_it_changes(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    second = shop.ask(saying("second"))
    shop.waiting(1)
    third = shop.worker.run(saying("third"))
    assert next(third) == Waiting(2)
    held.go.set()
    assert list(third) == [Waiting(1), "third"]
    served.result(SECONDS)
    second.result(SECONDS)


def test_a_full_line_makes_room_for_who_has_nothing_in_it(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held, asker="wu")
    shop.until(lambda: "begun" in shop.log)
    flood = [shop.ask(saying("wu"), asker="wu")]
    shop.waiting(1)
    flood.append(shop.ask(saying("wu last"), asker="wu"))
    shop.waiting(2)
    lin = shop.ask(saying("lin"), asker="lin")
    with pytest.raises(EngineBusyError):
        flood[1].result(SECONDS)
    with pytest.raises(EngineBusyError):
        next(shop.worker.run(saying("lin again"), asker="lin"))
    held.go.set()
    assert lin.result(SECONDS) == ["lin"]
    assert flood[0].result(SECONDS) == ["wu"]
    served.result(SECONDS)


def test_who_gives_up_a_place_gets_the_turn_back(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held, asker="wu")
    shop.until(lambda: "begun" in shop.log)
    for _ in range(5):
        given_up = shop.worker.run(saying("never"), asker="lin")
        next(given_up)
        given_up.close()
    wu = shop.ask(saying("wu"), asker="wu")
    shop.waiting(1)
    lin = shop.ask(saying("lin"), asker="lin")
    shop.waiting(2)
    held.go.set()
    for future in (served, wu, lin):
        future.result(SECONDS)
    assert shop.log[3:] == ["lin", "wu"]


def test_a_question_cancelled_from_another_thread_is_no_whole_answer(shop: Workshop) -> None:
    cancel = threading.Event()
    held = Held()
    asked = shop.ask(held, cancel)
    shop.until(lambda: "begun" in shop.log)
    cancel.set()
    held.go.set()
    with pytest.raises(EngineError, match="cancelled"):
        asked.result(SECONDS)


def test_closing_interrupts_an_object_that_does_not_come_back() -> None:
    hanging, freed = threading.Event(), threading.Event()

    @contextmanager
    def opened() -> Iterator[list[str]]:
        hanging.set()
        assert freed.wait(SECONDS), "never interrupted"
        yield []

    worker: Worker[list[str]] = Worker(opened, 1, "The hanging one", freed.set)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(worker.start)
        assert hanging.wait(SECONDS)
        worker.close()
        with pytest.raises(EngineError, match="closed"):
            waiting.result(SECONDS)


def losing(log: list[str]) -> Generator[str, None, None]:
    log.append("losing")
    raise LostError("it crashed")
    yield


def test_a_lost_object_is_opened_anew_for_those_in_line(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    loses = shop.ask(losing)
    shop.waiting(1)
    waits = shop.ask(saying("waits"))
    shop.waiting(2)
    held.go.set()
    served.result(SECONDS)
    with pytest.raises(LostError, match="it crashed"):
        loses.result(SECONDS)
    assert waits.result(SECONDS) == ["waits"]
    assert shop.log == [
        "opened", "begun", "went on", "losing", "closed", "opened", "waits"
    ]  # fmt: skip


def test_losses_in_a_row_are_rested_from_and_nobody_waits_long(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.engines.worker._FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr("assistant.engines.worker._PATIENCE_S", 0.05)
    for _ in range(3):
        with pytest.raises(LostError):
            shop.ask(losing).result(SECONDS)
    shop.until(lambda: shop.worker._back_at)
    with pytest.raises(EngineError, match="started again in"):
        shop.worker.start()
    shop.until(lambda: not shop.worker._back_at)
    assert shop.ask(saying("back")).result(SECONDS) == ["back"]


def test_a_full_line_is_told_at_once_with_the_place(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    waiting = [shop.ask(saying("a")), shop.ask(saying("b"))]
    shop.waiting(2)
    with pytest.raises(EngineBusyError, match="2 questions are already waiting") as refused:
        next(shop.worker.run(saying("c")))
    assert refused.value.position == 3
    held.go.set()
    for future in (served, *waiting):
        future.result(SECONDS)
    assert list(shop.worker.run(saying("c"))) == ["c"]


def test_who_leaves_the_line_is_never_served_and_frees_the_place(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    cancel = threading.Event()
    leaves = shop.ask(saying("never"), cancel)
    stays = shop.ask(saying("stays"))
    shop.waiting(2)
    cancel.set()
    with pytest.raises(EngineError, match="cancelled"):
        leaves.result(SECONDS)
    shop.waiting(1)
    late = shop.ask(saying("late"))
    shop.waiting(2)
    held.go.set()
    assert stays.result(SECONDS) == ["stays"]
    assert late.result(SECONDS) == ["late"]
    served.result(SECONDS)
    assert "never" not in shop.log


@pytest.mark.parametrize("way", ["close", "cancel", "forget"])
def test_who_stops_listening_stops_the_work_at_its_next_item(shop: Workshop, way: str) -> None:
    done, ended = [], threading.Event()
    cancel = threading.Event()

    def endless(log: list[str]) -> Generator[str, None, None]:
        try:
            while True:
                time.sleep(0.001)
                done.append(1)
                yield "more"
        finally:
            ended.set()

    asker = shop.worker.run(endless, cancel)
    next(asker)
    if way == "close":
        asker.close()
    elif way == "cancel":
        cancel.set()
        with pytest.raises(EngineError, match="cancelled"):
            list(asker)
    else:
        del asker
        gc.collect()
    assert ended.wait(SECONDS)
    assert list(shop.worker.run(saying("next"))) == ["next"]


def test_an_error_reaches_the_asker_and_the_next_one_is_served(shop: Workshop) -> None:
    def broken(log: list[str]) -> Generator[str, None, None]:
        yield "fine"
        raise ZeroDivisionError("by nought")

    asker = shop.worker.run(broken)
    assert next(asker) == "fine"
    with pytest.raises(EngineError, match="by nought") as raised:
        next(asker)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert list(shop.worker.run(saying("next"))) == ["next"]


def test_our_own_errors_pass_unchanged(shop: Workshop) -> None:
    def refusing(log: list[str]) -> Generator[str, None, None]:
        raise ModelError("no such model")
        yield

    with pytest.raises(ModelError, match=r"^no such model$"):
        list(shop.worker.run(refusing))


def test_a_dying_thread_leaves_nobody_waiting_and_is_replaced(
    shop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()

    def deadly(log: list[str]) -> Generator[str, None, None]:
        log.append("begun")
        go.wait(SECONDS)
        raise SystemExit("out of memory")
        yield

    served = shop.ask(deadly)
    shop.until(lambda: "begun" in shop.log)
    waiting = shop.ask(saying("never"))
    shop.waiting(1)
    with caplog.at_level(logging.CRITICAL):
        go.set()
        for future in (served, waiting):
            with pytest.raises(EngineError, match="out of memory"):
                future.result(SECONDS)
    assert list(shop.worker.run(saying("again"))) == ["again"]
    assert shop.log == ["opened", "begun", "closed", "opened", "again"]


def test_a_thread_gone_without_a_word_leaves_nobody_waiting(shop: Workshop) -> None:
    """As after a fork: the child has the line, but not the thread."""
    held = Held()
    asker = shop.worker.run(held)
    next(asker)
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    frame = asker.gi_frame
    assert frame is not None
    with pytest.raises(EngineError, match="Ask again"):
        shop.worker._receive(frame.f_locals["job"], gone)
    held.go.set()


def test_opening_that_failed_is_tried_again(shop: Workshop) -> None:
    shop.failures.append(ModelError("disk full"))
    with pytest.raises(ModelError, match="disk full"):
        shop.worker.start()
    assert shop.worker.start() == ["opened"]


def test_closing_answers_everyone_and_ends_the_thread(shop: Workshop) -> None:
    held = Held()
    served = shop.ask(held)
    shop.until(lambda: "begun" in shop.log)
    waiting = shop.ask(saying("never"))
    shop.waiting(1)
    closing = shop.pool.submit(shop.worker.close)
    shop.until(lambda: shop.worker._closed)
    held.go.set()
    closing.result(SECONDS)
    for future in (served, waiting):
        with pytest.raises(EngineError, match="closed"):
            future.result(SECONDS)
    assert not any(thread.is_alive() for thread in shop.threads)
    assert shop.log[-1] == "closed"
    shop.worker.close()
    with pytest.raises(EngineError, match="closed"):
        shop.worker.start()


def test_a_worker_never_used_closes_without_opening() -> None:
    shop = Workshop()
    shop.worker.close()
    assert shop.log == []


def test_what_was_yielded_is_not_kept(shop: Workshop) -> None:
    class Big:
        pass

    def work(log: list[str]) -> Generator[Big, None, None]:
        yield Big()

    [item] = shop.worker.run(work)  # type: ignore[arg-type]
    kept = weakref.ref(item)
    del item
    list(shop.worker.run(saying("next")))
    gc.collect()
    assert kept() is None
