"""Token bucket rate limit, by address and by user name. Pure: the time is given.

Each key has a bucket that fills again at an even rate. The number of keys is bounded: the oldest is forgotten
first, and a forgotten key has a full bucket.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """The size of a bucket and how fast it fills."""

    burst: int
    """Attempts at once."""
    every_s: float
    """Then one more attempt every so many seconds."""


LOGIN_FROM = Pace(burst=20, every_s=6.0)
"""Login attempts from one network address, or of one user from known devices."""
LOGIN_AS = Pace(burst=100, every_s=36.0)
"""Login attempts for one user name from all addresses together, except from known devices. The lock-out keeps one
address far below it; it bounds an attacker with many addresses to a hundred guesses an hour (OWASP ASVS)."""


class RateLimit:
    """The buckets of one rate."""

    def __init__(self, pace: Pace, *, most: int = 10_000) -> None:
        self._pace = pace
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """0 where an attempt is allowed now, and then it is counted; else the seconds until it is."""
        left, at_s = self._buckets.pop(key, (float(self._pace.burst), now_s))
        left = min(float(self._pace.burst), left + max(0.0, now_s - at_s) / self._pace.every_s)
        wait = 0.0 if left >= 1.0 else (1.0 - left) * self._pace.every_s
        self._buckets[key] = (left if wait else left - 1.0, now_s)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait


def network_of(address: str) -> str:
    """The key under which a client is limited: its IPv4 address, or the /64 network of an IPv6 host."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
