"""Matching of subjects as in NATS: `*` stands for exactly one token, `>` at the end for one or more."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65536)
def matches(pattern: str, subject: str) -> bool:
    """Whether a subject (or key) matches the pattern."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


def any_matches(patterns: list[str], subject: str) -> bool:
    """Whether the subject matches one of the patterns."""
    return any(matches(pattern, subject) for pattern in patterns)
