"""Pauses between attempts to connect: they double up to a longest pause. Pure."""

from __future__ import annotations


def pause_s(failures: int, *, first_s: float, most_s: float) -> float:
    """The pause after that many failures in a row (1, 2, 3 …)."""
    # 2.0 ** 1024 overflows; after 60 doublings every pause is at its limit. There is no random part: a host serves few
    # devices, and an operator can foresee the next attempt.
    return min(most_s, first_s * 2.0 ** min(max(failures, 1) - 1, 60))
