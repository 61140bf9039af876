"""Law: in a pattern `*` stands for exactly one token and a closing `>` for one or more."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65536)
def matches(pattern: str, subject: str) -> bool:
    """Whether a subject (or key) is one that the pattern means."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


def any_matches(patterns: list[str], subject: str) -> bool:
    """Whether one of the patterns means the subject."""
    return any(matches(pattern, subject) for pattern in patterns)
