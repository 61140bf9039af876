"""Messages of the coordinator to the owner of a partition, and the time-out of an answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from countingroom.core.values import Int64

ANSWER_S = 2.0
"""Time-out of an answer. Owners and agents answer at once, so a longer wait would not help."""


class Hold(Struct, frozen=True, kw_only=True, tag=True):
    """The owner refuses commands until the release, or until its time is over."""

    id: str
    until_ns: Int64 = 0
    """By the clock of the sender, for owners of earlier versions."""
    for_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """Longest time of the hold from its receipt, in s; 0: from an earlier version, see `until_ns`."""
    force: bool = False
    """Also while it is configuring or recording. Never while it is locked by a user."""


class Release(Struct, frozen=True, kw_only=True, tag=True):
    """The owner reloads the members and accepts commands again."""

    id: str
    left: tuple[str, ...] = ()
    """Detectors that left the partition; out of an open run this is an exclusion, with its note."""
    by: str = ""
    to: str = ""
    """Their new partition; empty: none."""


Notice = Hold | Release
