"""Law: a command is answered at once and ends in exactly one event, DONE by readback or FAILED with the reason.

Writes go over the one line in order; what they lead to is awaited side by side, so a long ramp holds up nobody.
A newer command is judged by what those under way have written as if it held already. It takes the place of an older one
that writes the same point or switches the same channel: the older has FAILED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Protocol

import msgspec
from msgspec import Struct

from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, DeviceError, Refused, RequestError
from countingroom.core.messages import Command, EventKind, Reply, decode, encode
from countingroom.core.values import Quality, Reading
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import SET, Admitted, Situation, admit
from countingroom.devices.host.confirmation import holds, readback_of
from countingroom.devices.host.driver_fault import cause_of
from countingroom.devices.host.legality import RECONNECT, REFRESH

UNDER_WAY = 512
"""Commands under way in one device; more are refused."""

REMEMBERED = 8192
"""Ids of commands that are known to have come before."""


class CommandedDevice(Protocol):
    """What carrying out commands needs of the device."""

    @property
    def reads(self) -> int | None:
        """Counts the polls completed; None where the device tells of changes by itself."""
        ...

    @property
    def connections(self) -> int:
        """Counts the times it was reached."""
        ...

    def situation(self, seen: Container[str] = ()) -> Situation: ...
    def reconnect(self) -> None: ...
    def publish_all(self) -> None: ...
    def record(self, kind: EventKind, message: str, **more: object) -> None: ...
    async def write(self, write: Write) -> None: ...
    async def news(self) -> None:
        """Wait until readings or states have changed."""
        ...


class _UnderWay(Struct, eq=False):
    admitted: Admitted
    user: str
    points: frozenset[str]
    """What it writes."""
    switches: frozenset[str]
    """Channels whose state it leads elsewhere; the empty name is the device."""
    task: asyncio.Task[None] | None = None
    superseded_by: str = ""

    def is_replaced_by(self, new: _UnderWay) -> bool:
        """Whether the two act on the same thing."""
        return bool(self.points & new.points or self.switches & new.switches)


class DeviceCommands:
    """The commands of one device."""

    def __init__(self, device: str, bus: Bus, clock: Clock, owner: CommandedDevice) -> None:
        self._device = device
        self._bus = bus
        self._clock = clock
        self._owner = owner
        self._seen: dict[str, None] = {}
        self._under_way: list[_UnderWay] = []

    async def run(self) -> None:
        """Answer until cancelled."""
        subject = subjects.commands_to("devices", self._device)
        async with asyncio.TaskGroup() as self._group, self._bus.respond(subject, self._answer):
            await asyncio.Event().wait()

    async def _answer(self, message: Message) -> bytes:
        user = subjects.command_user(message.subject)
        try:
            command = decode(message.data, Command)
        except msgspec.DecodeError as error:
            cause = Cause(code="malformed", message=f"this is no command: {error}", suggestion="send a Command")
            self._owner.record(EventKind.REFUSED, "a command was refused: malformed", principal=user, cause=cause)
            return encode(Reply(id="", accepted=False, cause=cause))
        try:
            admitted = self._admit(command)
        except RequestError as error:
            cause = _sourced(error.cause, self._device)
            self._tell(EventKind.REFUSED, command, user, f"{_named(command)} refused: {cause.message}", cause=cause)
            return encode(Reply(id=command.id, accepted=False, cause=cause))
        self._tell(EventKind.COMMAND, command, user, _named(command))
        self._begin(admitted, user)
        return encode(Reply(id=command.id, accepted=True))

    def _admit(self, command: Command) -> Admitted:
        try:
            self._check_room()
            return admit(command, self._as_if_done(self._owner.situation(self._seen)))
        except RequestError:
            raise
        except Exception as error:  # must not be answered by silence
            raise Refused(cause_of(error, f"devices.{self._device}")) from error
        finally:
            self._seen[command.id] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]

    def _check_room(self) -> None:
        if len(self._under_way) >= UNDER_WAY:
            raise Conflict(f"{UNDER_WAY} commands are under way", code="busy", suggestion="wait until they ended")

    def _as_if_done(self, situation: Situation) -> Situation:
        """With what the commands under way have written: its readback may come too late for the next of them."""
        now_ns = situation.now_ns
        written = {
            write.point: Reading(value=write.value, quality=Quality.GOOD, device_ns=now_ns, received_ns=now_ns)
            for one in self._under_way
            for write in one.admitted.writes
        }
        readings = {**situation.readings, **written} if written else situation.readings
        return msgspec.structs.replace(situation, readings=readings)

    def _begin(self, admitted: Admitted, user: str) -> None:
        points = self._owner.situation().points
        written = frozenset(write.point for write in admitted.writes)
        channels = frozenset(points[name].channel for name in written) if admitted.spec.event else frozenset[str]()
        new = _UnderWay(admitted, user, written, channels)
        for old in self._under_way:
            if old.is_replaced_by(new) and old.task and not old.superseded_by:
                old.superseded_by = _named(admitted.command)
                old.task.cancel()
        self._under_way.append(new)
        new.task = self._group.create_task(self._see_through(new))

    async def _see_through(self, one: _UnderWay) -> None:
        command, began = one.admitted.command, self._clock.monotonic()
        name, cause = _named(command), None
        try:
            async with within(self._clock, one.admitted.deadline_s):
                await self._carry_out(one.admitted)
        except TimeoutError:
            cause = self._not_in_time(one.admitted)
        except CountingRoomError as error:
            cause = _sourced(error.cause, self._device)
        except Exception as error:  # must not take the host down with all other devices
            cause = cause_of(error, f"devices.{self._device}")
        except asyncio.CancelledError:
            if not one.superseded_by:
                stopped = Cause(
                    code="host_stopped",
                    message="the device host stopped; the outcome is not known",
                    suggestion="look at the state, then decide again",
                )
                self._tell(EventKind.FAILED, command, one.user, f"{name}: outcome not known", cause=stopped)
                raise
            cause = Cause(
                code="superseded",
                message=f"{one.superseded_by} came after it",
                source=f"devices.{self._device}",
                suggestion="look at what came after it",
            )
        finally:
            self._under_way.remove(one)
        took = round(self._clock.monotonic() - began, 3)
        if cause:
            self._tell(EventKind.FAILED, command, one.user, f"{name} failed: {cause.message}", cause=cause, took=took)
        else:
            self._tell(EventKind.DONE, command, one.user, f"{name} done", took=took)

    async def _carry_out(self, admitted: Admitted) -> None:
        spec, command, owner = admitted.spec, admitted.command, self._owner
        if self._clock.now_ns() > command.deadline_ns:
            raise Conflict("its deadline passed before it was begun", code="too_late")
        if spec is REFRESH:
            owner.publish_all()
        if spec is RECONNECT:
            before = owner.connections
            owner.reconnect()
            await self._until(lambda _: owner.connections > before, after=None)
        await self._send(admitted)
        if spec.done_in:
            await self._until(
                lambda situation: situation.states[command.channel].state in spec.done_in, after=owner.reads
            )

    async def _send(self, admitted: Admitted) -> None:
        """Every write in order. A channel that says no is left at that; the others are not kept waiting by it."""
        owner = self._owner
        points = owner.situation().points
        said_no: dict[str, Cause] = {}
        for write in admitted.writes:
            channel = points[write.point].channel
            if channel in said_no:
                continue
            reads = owner.reads
            try:
                await owner.write(write)
            except DeviceError as error:
                said_no[channel] = error.cause
                continue
            if write.confirm:
                await self._until(lambda situation, write=write: _confirmed(write, situation), after=reads)
        if said_no:
            raise DeviceError(
                f"refused by {', '.join(channel or self._device for channel in said_no)}: "
                + next(iter(said_no.values())).message,
                source=f"devices.{self._device}",
                causes=said_no.values(),
            )

    async def _until(self, true: Callable[[Situation], bool], *, after: int | None) -> None:
        """Wait until it is true; of a polled device, by a poll made after that many."""
        owner = self._owner
        while (after is not None and owner.reads == after) or not true(owner.situation()):
            await owner.news()

    def _not_in_time(self, admitted: Admitted) -> Cause:
        situation = self._owner.situation()
        for write in admitted.writes:
            if write.confirm and not _confirmed(write, situation):
                name = readback_of(situation.points[write.point])
                now = situation.readings[name]
                return Cause(
                    code="not_confirmed",
                    message=f"{write.point} was to be {write.value}, but {name} reads {now.value}"
                    f" ({now.quality.name.lower()}) after {admitted.deadline_s:g} s",
                    source=f"devices.{self._device}",
                    evidence={"written": write.value, "readback": now.value},
                    suggestion="look whether the device is in remote control and what holds the value back",
                )
        state = situation.states[admitted.command.channel]
        wanted = " or ".join(admitted.spec.done_in) or "connected"
        return Cause(
            code="not_in_time",
            message=f"after {admitted.deadline_s:g} s it is {state.state}, not {wanted}",
            source=f"devices.{self._device}",
            evidence={"state": state.state},
            suggestion="look at the readings; the command may still take effect",
            causes=(state.cause,) if state.cause else (),
        )

    def _tell(
        self,
        kind: EventKind,
        command: Command,
        user: str,
        message: str,
        *,
        cause: Cause | None = None,
        took: float | None = None,
    ) -> None:
        data = {**command.arguments, "origin": command.origin}
        self._owner.record(
            kind,
            message,
            channel=command.channel,
            principal=user,
            command_id=command.id,
            action=command.action,
            cause=cause,
            severity=3 if kind is EventKind.FAILED else 0,
            data=data if took is None else {**data, "took_s": took},
        )


def _confirmed(write: Write, situation: Situation) -> bool:
    point = situation.points[write.point]
    return holds(point, write.value, situation.readings[readback_of(point)])


def _named(command: Command) -> str:
    if command.action == SET.name and "point" in command.arguments:
        return f"set {command.arguments['point']} to {command.arguments.get('value')}"
    given = ", ".join(f"{name} {value}" for name, value in command.arguments.items())
    return " ".join(filter(None, (command.action, command.channel, f"({given})" if given else "")))


def _sourced(cause: Cause, device: str) -> Cause:
    return cause if cause.source else msgspec.structs.replace(cause, source=f"devices.{device}")
