"""What a stop or a crash left: each unfinished question is answered or apologised for, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from assistant.surfaces.slack.answering import Answering
from assistant.surfaces.slack.store import Question

# A question that stopped the bot twice would do so again.
_MOST_ATTEMPTS = 2
# After that long nobody waits for an answer any more.
_FRESH_S = 15 * 60.0


def recover(
    unfinished: Sequence[Question],
    answering: Answering,
    put: Callable[[Question], object],
    clock: Callable[[], float] = time.time,
) -> None:
    """Put the questions worth answering back into line, and apologise for the others.

    An answer that only its asker sees cannot be looked for; where it may have been handed
    over already, it is not given again.
    """
    for question in unfinished:
        stale = clock() - question.at > _FRESH_S
        if stale or question.state == "delivering" or question.attempts >= _MOST_ATTEMPTS:
            answering.apologise(question)
        else:
            put(question)
