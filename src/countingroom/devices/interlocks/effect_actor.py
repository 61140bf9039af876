"""Brings the commands of one effect into force, in their order, and keeps them so until cancelled.

A command is given through the command path of its device, so its legality, its deadline and its record are those of any
other. It is given again until the readback shows it, and when the readback does not show it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import uuid4

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause
from countingroom.core.interlocks.specs import DeviceCommand
from countingroom.core.messages import Command
from countingroom.devices.host.commands import OF_THE_HOST_ITSELF
from countingroom.devices.host.device import HostedDevice
from countingroom.devices.host.standing import standing

_log = logging.getLogger(__name__)

AGAIN_S, AGAIN_MOST_S = 0.2, 2.0
"""Pause before a command that failed is given again; it doubles."""
LOOK_S = 0.1
"""Shortest time between two looks at the readback of a device whose values change all the time."""
LOOK_MOST_S = 1.0
WITHIN_S = 10.0


class EffectActor:
    """Carries out one effect of an interlock on the devices of this host."""

    def __init__(
        self,
        by: str,
        commands: Sequence[DeviceCommand],
        devices: Mapping[str, HostedDevice],
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        """`by`: the principal. `told` is called when `confirmed` or `cause` has changed."""
        self._by = by
        self._commands = tuple(commands)
        self._devices = devices
        self._clock = clock
        self._told = told
        self._given: set[int] = set()
        """Commands without a readback that were given."""
        self.confirmed = False
        """Whether the readback shows all of it."""
        self.cause: Cause | None = None
        """Why the last attempt failed."""

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = AGAIN_S
        while True:
            cause = await self._give_all()
            if cause is None and self.is_in_force():
                self._tell(confirmed=True, cause=None)
                pause_s = AGAIN_S
                await self._news()
            else:
                self._tell(confirmed=False, cause=cause)
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, AGAIN_MOST_S)

    def is_in_force(self) -> bool:
        """Whether the readback shows every command, or it was given and has no readback."""
        return all(self._stands(index, command) for index, command in enumerate(self._commands))

    def _stands(self, index: int, command: DeviceCommand) -> bool:
        device = self._devices.get(command.device)
        if device is None:
            return True  # it is for another host
        seen = standing(message(command, self._clock), device.situation()).in_force
        return index in self._given if seen is None else seen

    async def _give_all(self) -> Cause | None:
        """Give the commands that are not in force, in their order; why the first that failed did. One that fails does
        not keep the next ones from being given."""
        failed: Cause | None = None
        for index, command in enumerate(self._commands):
            if self._stands(index, command):
                continue
            device = self._devices[command.device]
            cause = await device.carry_out(message(command, self._clock), self._by)
            if cause is None:
                self._given.add(index)
            elif not self._stands(index, command):  # else another command has done the same
                failed = failed or cause
        return failed

    async def _news(self) -> None:
        """Wait until something may have changed at one of its devices."""
        await self._clock.sleep(LOOK_S)
        waiting = [
            asyncio.ensure_future(device.news())
            for name in dict.fromkeys(command.device for command in self._commands)
            if (device := self._devices.get(name)) is not None
        ]
        if not waiting:
            await self._clock.sleep(LOOK_MOST_S)
            return
        try:
            with suppress(TimeoutError):
                async with within(self._clock, LOOK_MOST_S):
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    def _tell(self, *, confirmed: bool, cause: Cause | None) -> None:
        if (confirmed, cause and cause.code) == (self.confirmed, self.cause and self.cause.code):
            return
        self.confirmed = confirmed
        self.cause = cause
        if cause:
            _log.warning("%s: an effect is not in force and is tried again: %s", self._by, cause)
        self._told()


def message(command: DeviceCommand, clock: Clock) -> Command:
    """The command as a message to its device, by this clock."""
    now_ns = clock.now_ns()
    return Command(
        id=uuid4().hex,
        action=command.command,
        channel=command.channel,
        arguments=dict(command.arguments),
        issued_ns=now_ns,
        deadline_ns=now_ns + round(WITHIN_S * 1e9),
        origin=OF_THE_HOST_ITSELF,
    )
