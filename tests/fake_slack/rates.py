"""How often a method may be called: https://docs.slack.dev/apis/web-api/rate-limits.

Slack documents a floor ("20+ per minute") and tolerates bursts without saying how long. A bucket
here holds one minute's worth of the floor and refills at that pace. Posting is "1 per second"
a channel, "short bursts >1 allowed": five at once, then one a second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .rules import Ledger, Refusal
from .workspace import Clock

TIERS = {1: 1, 2: 20, 3: 50, 4: 100}  # calls a minute
METHOD_TIERS = {
    "apps.connections.open": 1,
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "reactions.remove": 2,
    "chat.update": 3,
    "chat.delete": 3,
    "conversations.info": 3,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.open": 3,
    "users.lookupByEmail": 3,
    "reactions.add": 3,
    "bots.info": 3,
    "team.info": 3,
    "chat.appendStream": 4,
    "chat.postEphemeral": 4,
    "conversations.members": 4,
    "users.info": 4,
    "views.open": 4,
    "views.publish": 4,
    "views.update": 4,
    "assistant.threads.setSuggestedPrompts": 4,
    "assistant.threads.setTitle": 4,
}  # auth.test and assistant.threads.setStatus have special limits that no page puts in numbers
BURST = {1: 10, 2: 20, 3: 50, 4: 100}
POSTS_AT_ONCE = 5
IN_FLIGHT_S = 0.25  # a call may have left before its neighbour's 429 arrived
EARLY_S = 0.05


@dataclass
class _Bucket:
    capacity: float
    per_second: float
    level: float = 0.0
    at: float = 0.0

    def take(self, now: float) -> float:
        """Take one, or return the seconds until there is one."""
        self.level = max(0.0, self.level - (now - self.at) * self.per_second)
        self.at = now
        if self.level + 1 <= self.capacity:
            self.level += 1
            return 0.0
        return (self.level + 1 - self.capacity) / self.per_second


@dataclass
class _Wait:
    since: float
    until: float


@dataclass
class Storm:
    """Refusals that a test asked for."""

    times: int
    retry_after: int
    method: str | None


@dataclass
class Rates:
    """The buckets, the waits that are running, and the storms."""

    clock: Clock
    ledger: Ledger
    enforced: bool = True
    storms: list[Storm] = field(default_factory=list)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _waits: dict[str, _Wait] = field(default_factory=dict)

    def check(self, method: str, channel: str) -> None:
        """Count a call.

        Raises:
            Refusal: It is one too many; a 429 with Retry-After.
        """
        key = f"{method} in {channel}" if method == "chat.postMessage" else method
        now = self.clock.now()
        self._still_waiting(key, now)
        for storm in self.storms:
            if storm.times > 0 and storm.method in (None, method):
                storm.times -= 1
                raise self._refuse(key, now, storm.retry_after)
        if not self.enforced:
            return
        bucket = self._buckets.get(key) or self._buckets.setdefault(key, self._bucket(method))
        wait = bucket.take(now)
        if wait > 0:
            self.ledger.record("rate_limit", f"{key}: too many calls")
            raise self._refuse(key, now, math.ceil(wait))

    def _bucket(self, method: str) -> _Bucket:
        if method == "chat.postMessage":
            return _Bucket(POSTS_AT_ONCE, 1.0)
        if method not in METHOD_TIERS:
            return _Bucket(math.inf, 1.0)
        tier = METHOD_TIERS[method]
        return _Bucket(BURST[tier], TIERS[tier] / 60)

    def _still_waiting(self, key: str, now: float) -> None:
        wait = self._waits.get(key)
        if wait is None or now >= wait.until - EARLY_S:
            return
        if now - wait.since > IN_FLIGHT_S:
            left = wait.until - now
            self.ledger.record("retry_after", f"{key}: called {left:.1f} s before the wait ended")
        raise Refusal("ratelimited", retry_after=math.ceil(wait.until - now))

    def _refuse(self, key: str, now: float, seconds: int) -> Refusal:
        self._waits[key] = _Wait(now, now + seconds)
        return Refusal("ratelimited", retry_after=seconds)
