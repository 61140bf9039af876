"""Law: a change is published when it means something, measured against what was last published."""

from __future__ import annotations

from countingroom.core.values import Reading


def moved(deadband: float, published: Reading, now: Reading) -> bool:
    """Whether `now` must be published after `published`: another quality, text or switch; a number that moved by more
    than the deadband (a slow drift therefore comes through in steps)."""
    if now.quality != published.quality:
        return True
    before, after = published.value, now.value
    if isinstance(before, bool) or isinstance(after, bool):
        return before is not after
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return abs(after - before) > deadband
    return before != after
