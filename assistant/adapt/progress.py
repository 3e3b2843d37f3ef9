"""How far a training is, what is due in it, and the line that tells.

It keeps time and figures; it knows no model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import harmonic_mean, mean

_TELL_EVERY_MINUTES = 0.25

Tell = Callable[[str], None]


@dataclass
class Position:
    """How far a training is; what a checkpoint holds beside the weights.

    ``seconds`` are those spent so far, over all runs; ``best`` is the best score yet, and
    ``misses`` the evaluations since.
    """

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    misses: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Clock:
    """Tells what is due, and of the progress every few seconds."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._last: dict[str, float] = {}
        self._losses: list[float] = []
        self._speeds: list[float] = []

    def due(self, what: str, minutes: float) -> bool:
        """Tell whether so many minutes are over since this was last due, or since the start."""
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < minutes * 60:
            return False
        self._last[what] = now
        return True

    def report(self, position: Position, loss: float, progress: float, speed: float) -> None:
        """Tell speed, loss and time left, as often as a reader can follow.

        Args:
            position: how far it is.
            loss: of the last step.
            progress: 0 to 1.
            speed: of the last step, in tokens a second.
        """
        self._losses.append(loss)
        self._speeds.append(speed)
        if not self.due("report", _TELL_EVERY_MINUTES):
            return
        left = position.seconds * (1 - progress) / max(progress, 1e-6) / 60
        self._tell(
            f"train: epoch {position.epoch + 1}, {progress:.0%}, loss {mean(self._losses):.3f}, "
            f"{harmonic_mean(self._speeds):.0f} tokens/s, {left:.0f} min left"
        )
        self._losses.clear()
        self._speeds.clear()
