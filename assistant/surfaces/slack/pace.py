"""How fast Slack may be called: its documented limits, kept before it has to refuse.

https://docs.slack.dev/apis/web-api/rate-limits gives each method a number of calls a minute for
the whole workspace, and each channel about one new message a second. Streams start 20 times a
minute and edits go 50 times, so busy minutes have to do with fewer of them: `promise` tells
whether there is room for one that will be needed later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_PER_MINUTE = {
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.update": 50,
    "chat.delete": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    "chat.appendStream": 100,
    "chat.postEphemeral": 100,
    "users.info": 100,
    "views.open": 100,
    "views.update": 100,
    "assistant.threads.setSuggestedPrompts": 100,
    "assistant.threads.setTitle": 100,
    "assistant.threads.setStatus": 500,
}
_NEW_MESSAGE = frozenset({"chat.postMessage", "chat.startStream"})
# A little slower than allowed: calls do not arrive as evenly as they leave.
_CHANNEL_SPACING_S = 1.1
_SHARE = 0.95
_LONGEST_NAP_S = 5.0


@dataclass
class _Bucket:
    """``level`` calls were made lately and drain with time; ``promised`` ones are still to come."""

    capacity: float
    per_second: float
    level: float = 0.0
    promised: int = 0
    at: float = 0.0

    def room_in(self, now: float) -> float:
        """Return the seconds until one more call fits."""
        self.level = max(0.0, self.level - (now - self.at) * self.per_second)
        self.at = now
        return max(0.0, (self.level + self.promised + 1 - self.capacity) / self.per_second)


class Pace:
    """Says when a call may leave; shared by all threads of the bot."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._change = threading.Condition()
        self._buckets = {
            method: _Bucket(calls * _SHARE, calls * _SHARE / 60)
            for method, calls in _PER_MINUTE.items()
        }
        self._blocked: dict[str, float] = {}
        self._channels: dict[str, float] = {}

    def wait(self, method: str, channel: str, deadline: float, *, promised: bool = False) -> bool:
        """Wait until a call may leave and count it; False when that is after the deadline."""
        with self._change:
            while True:
                now = self._clock()
                seconds = self._seconds(method, channel, now, promised)
                if seconds <= 0:
                    self._count(method, channel, now, promised)
                    return True
                if now + seconds > deadline:
                    return False
                self._change.wait(min(seconds, _LONGEST_NAP_S))

    def promise(self, *methods: str) -> bool:
        """Keep room for a later call of each method; all of them or none."""
        with self._change:
            now = self._clock()
            if any(self._method_seconds(method, now, False) > 0 for method in methods):
                return False
            for method in methods:
                self._buckets[method].promised += 1
            return True

    def release(self, *methods: str) -> None:
        """Give back room that was promised and not used."""
        with self._change:
            for method in methods:
                self._buckets[method].promised -= 1
            self._change.notify_all()

    def block(self, method: str, channel: str, seconds: float) -> None:
        """Heed a refusal: no such call before its ``Retry-After`` is over."""
        with self._change:
            key = _key(method, channel)
            self._blocked[key] = max(self._blocked.get(key, 0.0), self._clock() + seconds)

    def _seconds(self, method: str, channel: str, now: float, promised: bool) -> float:
        blocked = self._blocked.get(_key(method, channel), 0.0) - now
        spacing = self._channels.get(channel, 0.0) - now if method in _NEW_MESSAGE else 0.0
        return max(self._method_seconds(method, now, promised), blocked, spacing)

    def _method_seconds(self, method: str, now: float, promised: bool) -> float:
        bucket = self._buckets.get(method)
        blocked = self._blocked.get(method, 0.0) - now
        return max(blocked, 0.0 if bucket is None or promised else bucket.room_in(now))

    def _count(self, method: str, channel: str, now: float, promised: bool) -> None:
        if bucket := self._buckets.get(method):
            bucket.room_in(now)
            bucket.level += 1
            bucket.promised -= promised
        if method in _NEW_MESSAGE:
            self._channels[channel] = now + _CHANNEL_SPACING_S
            if len(self._channels) > 10_000:
                self._channels = {c: at for c, at in self._channels.items() if at > now}


def _key(method: str, channel: str) -> str:
    """Return what a refusal speaks of: posting is limited by channel, the rest by method."""
    return f"{method} {channel}" if method == "chat.postMessage" else method
