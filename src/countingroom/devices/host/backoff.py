"""Law: pauses between attempts double up to a cap, the same every time."""

from __future__ import annotations


def pause_s(failures: int, *, first_s: float, most_s: float) -> float:
    """How long to wait after that many failures in a row (1, 2, 3 …)."""
    return min(most_s, first_s * 2.0 ** min(max(failures, 1) - 1, 60))
