"""Bytes in, text out: whole characters only, ending before a stop string; no model knowledge."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class StopFilter:
    """Turns a model's bytes into text, holding back what may still become a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [s for s in stop if s]
        # `ignore`: the character that a token limit cuts in half is no part of the answer.
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._held = ""
        self.stopped = False

    def add(self, raw: bytes) -> str:
        """Return the text that can be given out now; none comes after the first stop string."""
        text = self._held + self._decoder.decode(raw)
        ends = [at for s in self._stop if (at := text.find(s)) >= 0]
        if ends or self.stopped:
            self.stopped, self._held = True, ""
            return text[: min(ends, default=0)]
        begun = (n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n]))
        cut = len(text) - max(begun, default=0)
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> str:
        """Return what was held back, once no more bytes will come."""
        return self._held
