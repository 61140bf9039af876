"""The part of the embedded bus's folder that a backup copies unchanged: states that are no orders."""

from __future__ import annotations

from pathlib import Path

from countingroom.backup.contents import NOT_RESTORED
from countingroom.bus.nats.control_buckets import STATE_FILE, SavedBucket
from countingroom.bus.server.process import REMEMBERED_FILE, remembered
from countingroom.core.messages import Malformed, decode, encode


def kept_state(data: Path) -> bytes:
    """The file of the bucket `state` without what tells something to do; empty where there is none."""
    try:
        kept = decode((data / "bus" / STATE_FILE).read_bytes(), SavedBucket)
    except (OSError, Malformed):
        return b""
    state = {key: value for key, value in kept.state.items() if key.partition(".")[0] not in NOT_RESTORED}
    return encode(SavedBucket(state=state))


def first_sequence(data: Path) -> int:
    """First sequence of the newest bucket in memory; 0: there is no embedded server."""
    file = data / "bus" / REMEMBERED_FILE
    return remembered(file).first_sequence if file.exists() else 0
