"""The lock-out of an account after wrong passwords.

It slows down an attacker who guesses the password of one user. It ends by itself, so that an attacker cannot lock a
user out for good.
"""

from __future__ import annotations

import msgspec

from countingroom.core.accounts import User


def count_wrong_password(user: User, *, allowed: int, lock_s: float, now_ns: int) -> User:
    """The user after one more wrong password. From `allowed` of them on, each locks the account for `lock_s`."""
    failures = user.failures + 1
    until_ns = now_ns + round(lock_s * 1e9) if failures >= allowed else user.locked_until_ns
    return msgspec.structs.replace(user, failures=failures, locked_until_ns=until_ns)
