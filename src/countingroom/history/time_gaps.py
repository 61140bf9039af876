"""Gaps in time: a device host sends every point at least once a minute, so a longer silence is shown as a gap. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countingroom.history.columns import Integers

GAP_NS = 125_000_000_000
"""Two missed full messages, and 5 s for their way."""


def ends_before_gap(first_ns: Integers, last_ns: Integers, end_ns: int) -> NDArray[np.bool_]:
    """For each stretch [first, last] of samples, in order: whether no sample follows it for longer than GAP_NS.

    What follows the last stretch is the end of what was asked.
    """
    following = np.append(first_ns[1:], np.int64(end_ns))
    return following - last_ns > GAP_NS
