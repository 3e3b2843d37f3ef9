"""One question on its way to the screen: what its events amount to, and how they get there.

It renders nothing and asks nobody; see `chat_render` and `chat`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from assistant.types import Answer, AnswerEvent, Hit

State = Literal["searching", "waiting", "writing", "done", "error"]


@dataclass
class Turn:
    """A question and what is known of its answer so far.

    ``problem`` is the kind of error that ended it, ``explanation`` what to tell the asker.
    """

    question: str
    hits: tuple[Hit, ...] = ()
    text: str = ""
    ahead: int = 0
    restarted: bool = False
    answer: Answer | None = None
    problem: str = ""
    explanation: str = ""
    state: State = field(default="searching")

    @property
    def documents(self) -> list[Hit]:
        """The best passage of each document that was found."""
        best: dict[str, Hit] = {}
        for hit in self.hits:
            best.setdefault(hit.document.id, hit)
        return list(best.values())

    def apply(self, event: AnswerEvent) -> None:
        """Take in one event of the stream."""
        if event.kind == "sources":
            self.hits = event.hits
            self.state = "writing"
        elif event.kind == "waiting":
            self.state, self.ahead = "waiting", event.ahead
        elif event.kind == "token":
            self.state, self.ahead = "writing", 0
            self.text += event.text
        elif event.kind == "restart":
            self.state, self.ahead, self.text, self.restarted = "writing", 0, "", True
        else:
            self.state, self.answer = "done", event.answer

    def fail(self, problem: str, explanation: str) -> None:
        """Note that it ends without an answer."""
        self.state, self.problem, self.explanation = "error", problem, explanation


async def relayed(begin: Callable[[], Iterator[AnswerEvent]]) -> AsyncIterator[AnswerEvent]:
    """Yield the events of a stream that runs in a thread of its own.

    Whoever stops listening closes the stream at its next event, without waiting for it: an
    engine that does not answer holds up nobody else.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[AnswerEvent | Exception | None] = asyncio.Queue()
    abandoned = threading.Event()

    def hand_over(item: AnswerEvent | Exception | None) -> None:
        if not abandoned.is_set():
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def pump() -> None:
        try:
            events = begin()
            for event in events:
                hand_over(event)
                if abandoned.is_set():
                    close = getattr(events, "close", None)
                    if close:
                        close()
                    return
        except Exception as error:  # it is raised to the listener
            hand_over(error)
        else:
            hand_over(None)

    threading.Thread(target=pump, name="answer", daemon=True).start()
    try:
        while (item := await arrived.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        abandoned.set()
