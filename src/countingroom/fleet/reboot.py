"""Restarts a node: softly, by ssh, or hard, by switching its power off and on. Only the node itself tells that it did.

The boot id of Linux is another one after each start. A restart is done when the node shows another one than before, and
has failed where it does not until a deadline: neither the status of the command nor the end of its connection tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock, timeout, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, DeviceError, LinkError
from countingroom.core.fleet.record import PowerCut
from countingroom.core.fleet.specs import WantedNode
from countingroom.core.fleet.states import NodeReboot
from countingroom.core.times import duration
from countingroom.fleet.engines.shell_text import words
from countingroom.fleet.engines.ssh_connection import SshConnection, in_block

OFF_S = 3.0
"""The power stays off for so long."""
ON_TRIES = 3
LATE_S = 600.0
"""So long after a node was switched off the keeper that takes over switches it on by itself. Later a person may work on
it."""
_ASK_S = 20.0
"""For the command that restarts the node: it may end with the connection, or not at all."""
_LOOK_S = 2.0
"""Nothing can tell that a computer starts: it is tried so often."""
_BOOT = "cat /proc/sys/kernel/random/boot_id /proc/uptime"
_RESTART = 'PATH=$PATH:/usr/sbin:/sbin; if [ "$(id -u)" = 0 ]; then reboot; else sudo -n reboot; fi'


class Machine(Protocol):
    """A node by ssh."""

    async def open(self) -> None:
        """Connect anew; LinkError, ConfigurationError."""
        ...

    async def run(self, script: str, what: str, seconds: float = ...) -> bytes:
        """The output of a script; LinkError."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


Switch = Callable[[bool], Awaitable[None]]
"""Switches the power on or off, and returns when that is confirmed; CountingRoomError where it is not."""
MakeMachine = Callable[[WantedNode], Machine]
MakeSwitch = Callable[[WantedNode, str], Switch]
"""From a node and the user who asks."""
Show = Callable[[NodeReboot], None]
Remember = Callable[[str, PowerCut | None], Awaitable[None]]
"""Keeps that a node is being switched off, or that this is over; LinkError, Conflict where it cannot be kept."""


def by_ssh(directory: Path) -> MakeMachine:
    """By ssh. `directory`: of the description, for the files of keys."""
    return lambda node: SshConnection(node.address, node.ssh, directory, f"fleet.nodes.{node.name}")


class Started(Struct, frozen=True):
    """What a node says of its start."""

    boot: str
    uptime_s: float


class Reboots:
    """Restarts nodes, one at a time each."""

    def __init__(self, clock: Clock, machine: MakeMachine, switch: MakeSwitch, remember: Remember) -> None:
        self._clock = clock
        self._remember = remember
        self._machine = machine
        self._switch = switch
        self._under_way: set[str] = set()

    def check(self, node: WantedNode, *, hard: bool) -> None:
        """Conflict where the node cannot be restarted so."""
        if node.name in self._under_way:
            raise _conflict(f"{node.name} is being restarted already", "is_restarting", "wait until that has ended")
        if hard and node.power is None:
            raise _conflict(
                f"{node.name} has no power that could be switched", "no_power", "describe power of the node"
            )
        if not hard and not node.has_ssh:
            raise _conflict(f"{node.name} is not reached by ssh", "no_ssh", "describe ssh of the node")

    async def restart(self, node: WantedNode, by: str, show: Show, *, hard: bool) -> str:
        """Restart a node; what was confirmed, as a sentence. CountingRoomError with what failed. `show`: takes each
        step."""
        self.check(node, hard=hard)
        began = NodeReboot(is_hard=hard, by=by, since_ns=self._clock.now_ns())

        def work(machine: Machine | None, say: Callable[[str], None]) -> Awaitable[str]:
            return self._hard(node, by, machine, say) if hard else self._soft(node, machine, say)

        return await self._shown(node, began, show, work)

    async def finish(self, node: WantedNode, cut: PowerCut, show: Show) -> str:
        """Switch a node on that a keeper has switched off before it was killed; as `restart`."""

        def work(machine: Machine | None, say: Callable[[str], None]) -> Awaitable[str]:
            return self._finish(node, cut, machine, say)

        return await self._shown(node, NodeReboot(is_hard=True, by=cut.by, since_ns=cut.since_ns), show, work)

    async def _shown(
        self,
        node: WantedNode,
        began: NodeReboot,
        show: Show,
        work: Callable[[Machine | None, Callable[[str], None]], Awaitable[str]],
    ) -> str:
        self._under_way.add(node.name)
        machine = self._machine(node) if node.has_ssh else None

        def say(step: str, cause: Cause | None = None) -> None:
            show(msgspec.structs.replace(began, step=step, cause=cause))

        try:
            done = await work(machine, say)
        except CountingRoomError as error:
            say("failed", error.cause)
            raise
        else:
            say("done")
            return done
        finally:
            self._under_way.discard(node.name)
            if machine:
                with suppress(CountingRoomError):
                    await machine.close()

    async def _soft(self, node: WantedNode, machine: Machine | None, say: Callable[[str], None]) -> str:
        if machine is None:
            raise LookupError(f"{node.name} has no ssh")
        say("asked")
        await machine.open()
        before = await _started(machine, node.name)
        asked_s = self._clock.monotonic()
        command = words(node.ssh.reboot) if node.ssh.reboot else _RESTART
        said = b""
        with suppress(LinkError):  # its connection ends with the node, so that this says nothing
            said = await machine.run(
                in_block(f"exec 2>&1\n({command}) </dev/null\necho status $?"),
                f"{node.name} was asked to restart",
                _ASK_S,
            )
        text, _, status = said.decode(errors="replace").strip().rpartition("status ")
        if status.isdigit() and status != "0":
            raise DeviceError(
                f"{node.name} refused to restart: {text.strip() or f'status {status}'}",
                source=f"fleet.nodes.{node.name}",
                code="refused_to_restart",
                suggestion="let its user restart it without a password, or say how with ssh.reboot",
            )
        say("waits")
        return await self._confirm(node, machine, before, asked_s)

    async def _hard(self, node: WantedNode, by: str, machine: Machine | None, say: Callable[[str], None]) -> str:
        before: Started | None = None
        if machine:
            with suppress(CountingRoomError):  # it may hang: that is why its power is switched
                await machine.open()
                before = await _started(machine, node.name)
                await machine.close()
        switch = self._switch(node, by)
        say("off")
        # Before anything is done: a keeper that is killed from here on is followed by one that switches on.
        await self._remember(node.name, PowerCut(by=by, since_ns=self._clock.now_ns()))
        try:
            await self._switch_off(node, switch)
            off_s = self._clock.monotonic()
            await self._clock.sleep(OFF_S)
        except asyncio.CancelledError:
            # This process ends: the node is not left without power.
            with suppress(CountingRoomError, TimeoutError):
                async with timeout(_ASK_S):
                    await switch(True)
                    await self._forget(node)
            raise
        say("on")
        await self._switch_on(node, switch, ON_TRIES)
        if machine is None:
            return f"the power of {node.name} was off for {OFF_S:g} s and is on; without ssh its start is not confirmed"
        say("waits")
        return await self._confirm(node, machine, before, off_s)

    async def _finish(
        self, node: WantedNode, cut: PowerCut, machine: Machine | None, say: Callable[[str], None]
    ) -> str:
        age_s = max(0.0, (self._clock.now_ns() - cut.since_ns) / 1e9)
        if node.power is None or age_s > LATE_S:
            await self._forget(node)
            raise _without_power(
                node, f"it was switched off by a restart by {cut.by}, whose keeper ended {duration(age_s)} ago", ()
            )
        await self._clock.sleep(OFF_S - age_s)
        say("on")
        # The devices may begin with this keeper: they get the time that is left.
        await self._switch_on(node, self._switch(node, cut.by), max(ON_TRIES, int((LATE_S - age_s) / OFF_S)))
        if machine is None:
            return f"the power of {node.name} is on again; without ssh its start is not confirmed"
        say("waits")
        return await self._confirm(node, machine, None, self._clock.monotonic() - max(age_s, OFF_S))

    async def _forget(self, node: WantedNode) -> None:
        with suppress(CountingRoomError):  # the next keeper then switches on once more, which does no harm
            await self._remember(node.name, None)

    async def _switch_off(self, node: WantedNode, switch: Switch) -> None:
        try:
            await switch(False)
        except CountingRoomError as error:
            await self._forget(node)
            raise DeviceError(
                f"the power of {node.name} could not be switched off; nothing more was done: {error.cause.message}",
                source=f"fleet.nodes.{node.name}",
                code="not_switched_off",
                suggestion="look at the device of its power, then at the node",
                causes=(error.cause,),
            ) from error

    async def _switch_on(self, node: WantedNode, switch: Switch, tries: int) -> None:
        for attempt in range(1, tries + 1):
            try:
                await switch(True)
            except CountingRoomError as error:
                if attempt == tries:
                    await self._forget(node)
                    raise _without_power(
                        node, f"it was switched off, and not on again: {error.cause.message}", (error.cause,)
                    ) from error
                await self._clock.sleep(OFF_S)
            else:
                await self._forget(node)
                return

    async def _confirm(self, node: WantedNode, machine: Machine, before: Started | None, asked_s: float) -> str:
        """Wait until the node shows that it has started after `asked_s`."""
        limit_s = node.ssh.boot_s
        seen, why = False, ""
        with suppress(TimeoutError):
            async with within(self._clock, limit_s):
                while True:
                    await self._clock.sleep(_LOOK_S)
                    try:
                        await machine.open()
                        now = await _started(machine, node.name)
                    except LinkError as error:
                        why = error.cause.message
                        continue
                    took_s = self._clock.monotonic() - asked_s
                    if now.boot != before.boot if before else now.uptime_s < took_s:
                        return f"{node.name} has started anew, {duration(took_s)} after it was asked to"
                    seen = True
        text = (
            f"{node.name} still has the boot id of before: it did not restart within {duration(limit_s)}"
            if seen
            else f"{node.name} did not come back within {duration(limit_s)}{f': {why}' if why else ''}"
        )
        raise DeviceError(
            text,
            source=f"fleet.nodes.{node.name}",
            code="not_restarted",
            suggestion="look at its console; where it hangs, switch its power off and on",
        )


async def _started(machine: Machine, name: str) -> Started:
    said = (await machine.run(in_block(_BOOT), f"the boot id of {name} could not be read")).decode().split()
    try:
        boot, uptime = said[:2]
        return Started(boot, float(uptime))
    except ValueError:
        raise LinkError(
            f"the boot id of {name} could not be read", source=f"fleet.nodes.{name}", code="no_boot_id"
        ) from None


def _without_power(node: WantedNode, why: str, causes: tuple[Cause, ...]) -> DeviceError:
    return DeviceError(
        f"{node.name} IS WITHOUT POWER: {why}",
        source=f"fleet.nodes.{node.name}",
        code="not_switched_on",
        suggestion="switch it on by hand, at its device or on the spot",
        causes=causes,
    )


def _conflict(text: str, code: str, suggestion: str) -> Conflict:
    return Conflict(text, source="fleet", code=code, suggestion=suggestion)
