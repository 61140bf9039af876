"""The lock-out after wrong passwords: some attempts are free, then the wait doubles, and failures are forgotten.

It is counted for each pair of user name and place (a known device or an address), so that an attacker slows down
only itself. It ends by itself.
"""

from __future__ import annotations

from msgspec import Struct

FREE = 5
"""The wrong password of this number is the first that locks."""
FIRST_S = 10.0
LONGEST_S = 900.0
FORGET_S = 900.0
"""One failure is forgotten after so many seconds without a further one."""


class LoginFailures(Struct, frozen=True, kw_only=True):
    """Wrong passwords of one name from one place."""

    count: int
    last_s: float
    """Monotonic time of the last one."""

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next attempt is allowed; 0: now."""
        if self.count < FREE:
            return 0.0
        lock_s = min(LONGEST_S, FIRST_S * 2.0 ** min(self.count - FREE, 30))
        return max(0.0, self.last_s + lock_s - now_s)

    def remembered(self, now_s: float) -> int:
        """How many still count."""
        return max(0, self.count - int((now_s - self.last_s) / FORGET_S))


def add_failure(known: LoginFailures | None, now_s: float) -> LoginFailures:
    """The failures after one more wrong password."""
    return LoginFailures(count=(known.remembered(now_s) if known else 0) + 1, last_s=now_s)
