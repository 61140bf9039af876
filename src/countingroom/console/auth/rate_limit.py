"""Law: guessing is slow: who tries too often waits, from where and for whom apart. Pure: the time is given.

Each key has a bucket of tries that fills again at an even rate. Only so many keys are remembered, the oldest forgotten
first; one that is forgotten has a full bucket.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """How often something may be tried."""

    burst: int
    """At once."""
    every_s: float
    """Then one more each so many seconds."""


LOGIN_FROM = Pace(burst=20, every_s=6.0)
"""Tries to log in from one address."""
LOGIN_AS = Pace(burst=10, every_s=30.0)
"""Tries to log in under one name, from anywhere."""
WRITTEN_FROM = Pace(burst=100, every_s=0.5)
"""Refusals of strangers written down for one address."""


class RateLimit:
    """The buckets of one pace."""

    def __init__(self, pace: Pace, *, most: int = 10_000) -> None:
        self._pace = pace
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """0 where it may be tried now, and that try is counted; else after how many seconds."""
        left, at_s = self._buckets.pop(key, (float(self._pace.burst), now_s))
        left = min(float(self._pace.burst), left + max(0.0, now_s - at_s) / self._pace.every_s)
        wait = 0.0 if left >= 1.0 else (1.0 - left) * self._pace.every_s
        self._buckets[key] = (left if wait else left - 1.0, now_s)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait
