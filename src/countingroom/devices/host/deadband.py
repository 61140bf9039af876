"""The deadband: a change is published when it differs enough from what was last published. Pure."""

from __future__ import annotations

from countingroom.core.values import Reading


def moved(deadband: float, published: Reading, now: Reading) -> bool:
    """Whether `now` must be published: another quality, reason, text or boolean, or a number beyond the deadband.

    The comparison is with the published value, not with the previous reading, so a slow drift is published in steps.
    """
    if (now.quality, now.reason, now.alarm) != (published.quality, published.reason, published.alarm):
        return True
    before, after = published.value, now.value
    if isinstance(before, bool) or isinstance(after, bool):
        return before is not after
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return abs(after - before) > deadband
    return before != after
