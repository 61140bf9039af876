"""Applies the settings of the description when a device connects, with `apply_on_connect`.

A setting is written only while `may_apply` and `may_write` of the behaviour allow it, and only where the readback
differs. Both judge as if the commands under way were done: a command that switches a channel on counts before its
readback has come.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from typing import Protocol

from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError, Refused
from countingroom.core.messages import EventKind
from countingroom.core.values import Quality
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import Situation, checked_write
from countingroom.devices.host.confirmation import holds
from countingroom.devices.host.held import check_held

KNOWN_S = 10.0
"""Longest wait for the values of a channel; then the settings are checked against those that arrived."""


class ConfiguredDevice(Protocol):
    """What applying settings needs of the device."""

    name: str

    @property
    def reads(self) -> int | None:
        """Completed polls; None for a monitored device."""
        ...

    def situation(self) -> Situation: ...
    async def write(self, write: Write) -> None: ...
    async def news(self) -> None: ...
    def record(self, kind: EventKind, message: str, **more: object) -> None: ...


async def apply_settings(owner: ConfiguredDevice, clock: Clock, as_if_done: Callable[[Situation], Situation]) -> None:
    """Write the settings channel by channel; each channel gets one note in the events. `as_if_done`: the situation with
    what the commands under way write."""
    situation = owner.situation()
    points, behaviour = situation.points, situation.behaviour
    wanted = [write for write in behaviour.settings() if write.point in points]
    for channel, writes in groupby(wanted, key=lambda write: points[write.point].channel):
        if channel in behaviour.inactive:
            continue
        where = f"{owner.name} {channel}".strip()
        if owner.reads is None:  # the first poll of a polled device has read every point
            await _until_known(owner, clock, channel)
        try:
            count = await _apply(owner, channel, list(writes), as_if_done)
        except CountingRoomError as error:
            cause = error.cause
            owner.record(
                EventKind.NOTE,
                f"settings of {where} were not all written: {cause.message}",
                channel=channel,
                cause=cause,
                severity=3,
            )
        else:
            owner.record(EventKind.NOTE, f"settings of {where}: {count} values written", channel=channel)


async def _apply(
    owner: ConfiguredDevice, channel: str, writes: list[Write], as_if_done: Callable[[Situation], Situation]
) -> int:
    count = 0
    for write in writes:
        now = as_if_done(owner.situation())
        checked = checked_write(write, now.points)
        point = now.points[checked.point]
        if point.name in now.readings and holds(point, checked.value, now.readings[point.name]):
            continue
        cause = now.behaviour.may_apply(channel, now.readings) or now.behaviour.may_write(
            checked.point, checked.value, now.readings
        )
        if cause:
            raise Refused(cause)
        check_held("settings", channel, (), (checked,), now.behaviour, now.held)
        await owner.write(checked)
        count += 1
    return count


async def _until_known(owner: ConfiguredDevice, clock: Clock, channel: str) -> None:
    with suppress(TimeoutError):
        async with within(clock, KNOWN_S):
            while not _known(owner.situation(), channel):
                await owner.news()


def _known(situation: Situation, channel: str) -> bool:
    return all(
        situation.readings[name].quality <= Quality.UNCERTAIN
        for name, point in situation.points.items()
        if point.channel == channel
    )
