"""Commands of a device: a command is done when the readback shows what was written, and not before.

Writes go over the one line in order; their readbacks are awaited side by side, so a long ramp delays no other command.
A newer command is judged as if the writes of those under way held already. It takes the place of an older one that
writes the same point or switches the same channel: the older has FAILED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec
from msgspec import Struct

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion
from countingroom.bus.command_words import describe
from countingroom.core import admission
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, DeviceError, Refused, RequestError
from countingroom.core.interlocks.hold import HeldCommand
from countingroom.core.messages import Command, CommandSpec
from countingroom.core.policy import Permission
from countingroom.core.times import duration
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import SET, Admitted, Situation, admit, find
from countingroom.devices.host.confirmation import holds, readback_of
from countingroom.devices.host.driver_fault import cause_of
from countingroom.devices.host.held import check_held
from countingroom.devices.host.legality import RECONNECT, REFRESH
from countingroom.devices.host.standing import standing

INTERLOCK = "interlock"
"""First letters of the principals of interlocks."""
OF_THE_HOST_ITSELF = "device host"
"""Origin of the commands that this process gives for interlocks."""


class CommandedDevice(Protocol):
    """What carrying out commands needs of the device."""

    @property
    def reads(self) -> int | None:
        """Counts the polls completed; None where the device reports changes by itself."""
        ...

    @property
    def connections(self) -> int:
        """Counts the times it was reached."""
        ...

    def situation(self) -> Situation:
        """Its readings now, and the states of the last `update_states`."""
        ...

    def update_states(self) -> None:
        """Derive the states from the readings now, and not a little later together with the next readings."""
        ...

    def reconnect(self) -> None: ...
    def publish_all(self) -> None: ...
    async def write(self, write: Write) -> None: ...
    async def news(self) -> None:
        """Wait until readings or states have changed."""
        ...

    async def settle(self) -> Mapping[str, int]:
        """Publish readings and states as they are now; the positions they have."""
        ...


class _UnderWay(Struct, eq=False):
    admitted: Admitted
    points: frozenset[str]
    """What it writes."""
    switches: frozenset[str]
    """Channels whose state it leads elsewhere; the empty name is the device."""
    ended: asyncio.Future[None]
    by: str = ""
    task: asyncio.Task[None] | None = None
    superseded_by: str = ""

    def is_joined_by(self, new: _UnderWay) -> bool:
        """Whether the new one, of an interlock, asks for the same and is to be done once: host and engine command the
        same, and the engine repeats what is slow. A command that the same giver gave for an earlier trip is of no use
        to the next one: it has written already, and what it wrote may have been undone since."""
        one, other = self.admitted.command, new.admitted.command
        if not new.by.startswith(INTERLOCK) or self.superseded_by:
            return False
        is_of_one_giver = self.by == new.by and other.origin == one.origin
        is_earlier = is_of_one_giver and (one.origin == OF_THE_HOST_ITSELF or one.trip != other.trip)
        same = (one.action, one.channel, one.arguments) == (other.action, other.channel, other.arguments)
        return same and not is_earlier

    def is_replaced_by(self, new: _UnderWay) -> bool:
        """Whether the two act on the same thing."""
        return bool(self.points & new.points or self.switches & new.switches)


class DeviceCommands:
    """Legality and handlers of the commands of one device."""

    def __init__(self, device: str, clock: Clock, owner: CommandedDevice) -> None:
        self._source = f"devices.{device}"
        self._device = device
        self._clock = clock
        self._owner = owner
        self._under_way: list[_UnderWay] = []

    def handler(self, command: Command) -> CommandHandler:
        self._owner.update_states()
        if command.action == admission.JUDGE:
            return CommandHandler(self._judge, takes=None, recorded=False)
        spec = find(command, self._owner.situation())
        return CommandHandler(partial(self._begin, spec), takes=None)

    def permission(self, command: Command) -> Permission:
        """The console decides by `command_permissions.of_device`; here it has no effect."""
        return Permission.OPERATE

    def present(self, command: Command) -> str:
        return self._owner.situation().states[command.channel].state

    def refusal(self, request: CommandRequest) -> Cause | None:
        """The handler refuses, because legality depends on the arguments."""
        return None

    async def settle(self) -> Mapping[str, int]:
        return await self._owner.settle()

    def hold(self, held: tuple[HeldCommand, ...]) -> None:
        """End the commands under way that would undo what an interlock keeps in force from now on."""
        behaviour = self._owner.situation().behaviour
        for one in self._under_way:
            command, admitted = one.admitted.command, one.admitted
            try:
                check_held(command.action, command.channel, admitted.spec.done_in, admitted.writes, behaviour, held)
            except Refused as refused:
                if not one.superseded_by:
                    one.superseded_by = f"the interlock {refused.cause.evidence['interlock']}"
                    if one.task:
                        one.task.cancel()

    async def _judge(self, request: CommandRequest) -> Completion:
        """Refused with the values that `set` would refuse in the present situation, each with its own cause."""
        situation = self.as_if_done(self._owner.situation())
        found: list[Cause] = []
        for point, value in request.command.arguments.items():
            arguments: dict[str, Scalar] = {"point": point, "value": value}
            one = msgspec.structs.replace(request.command, action=SET.name, channel="", arguments=arguments)
            try:
                admit(one, SET, situation)
            except RequestError as error:
                if error.cause.code != admission.NOTHING_TO_DO:
                    found.append(error.cause)
                    found[-1] = msgspec.structs.replace(found[-1], evidence={**found[-1].evidence, "point": point})
        if found:
            raise Refused(
                Cause(
                    code=admission.WOULD_REFUSE,
                    message=f"{len(found)} of {len(request.command.arguments)} values would be refused now",
                    suggestion="see the causes",
                    causes=tuple(found),
                )
            )

    async def _begin(self, spec: CommandSpec, request: CommandRequest) -> Completion:
        try:
            admitted = admit(request.command, spec, self.as_if_done(self._owner.situation()))
        except RequestError:
            # What an interlock asks for and is so already is reached, also in a state that takes no such command.
            if request.by.startswith(INTERLOCK) and standing(request.command, self._owner.situation()).in_force:
                return _nothing_to_do()
            raise
        except Exception as error:  # a fault of the driver
            raise Refused(cause_of(error, self._source)) from error
        points = self._owner.situation().points
        written = frozenset(write.point for write in admitted.writes)
        channels = frozenset(points[name].channel for name in written) if spec.event else frozenset[str]()
        new = _UnderWay(admitted, written, channels, asyncio.get_running_loop().create_future(), request.by)
        for old in self._under_way:
            if old.is_joined_by(new):
                return self._join(old)
            if old.is_replaced_by(new) and not old.superseded_by:
                old.superseded_by = describe(request.command)
                if old.task:
                    old.task.cancel()
        self._under_way.append(new)
        return self._see_through(new)

    async def _join(self, one: _UnderWay) -> None:
        # Several requesters wait for the end of one command: one that gives up must not end it for the others.
        await asyncio.shield(one.ended)

    def as_if_done(self, situation: Situation) -> Situation:
        """With what the commands under way write: its readback may come too late for what is judged next."""
        now_ns = situation.now_ns
        written = {
            write.point: Reading(value=write.value, quality=Quality.GOOD, device_ns=now_ns, received_ns=now_ns)
            for one in self._under_way
            for write in one.admitted.writes
        }
        readings = {**situation.readings, **written} if written else situation.readings
        return msgspec.structs.replace(situation, readings=readings)

    async def _see_through(self, one: _UnderWay) -> None:
        one.task = asyncio.current_task()
        try:
            await self._in_time(one)
        except CountingRoomError as error:
            one.ended.set_exception(error)
            one.ended.exception()  # there may be no other command that waits for it
            raise
        except asyncio.CancelledError:
            one.ended.cancel()
            raise
        finally:
            self._under_way.remove(one)
            if not one.ended.done():
                one.ended.set_result(None)

    async def _in_time(self, one: _UnderWay) -> None:
        try:
            async with within(self._clock, one.admitted.deadline_s):
                await self._carry_out(one)
        except TimeoutError:
            raise self._not_in_time(one.admitted) from None
        except CountingRoomError:
            raise
        except Exception as error:  # a fault of the driver
            raise Refused(cause_of(error, self._source)) from error
        except asyncio.CancelledError:
            if not one.superseded_by:
                raise
            raise self._superseded(one) from None

    def _superseded(self, one: _UnderWay) -> Conflict:
        return Conflict(
            f"{one.superseded_by} came after it", code="superseded", suggestion="look at the command that came after it"
        )

    async def _carry_out(self, one: _UnderWay) -> None:
        if one.superseded_by:  # before this task had its first turn
            raise self._superseded(one)
        admitted, owner = one.admitted, self._owner
        spec, command = admitted.spec, admitted.command
        admission.check_deadline(command, self._clock.now_ns())  # tasks may have waited for their first turn
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
        owner.update_states()  # the state that a command is DONE with must not be older than its readback

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
                source=self._source,
                causes=said_no.values(),
            )

    async def _until(self, true: Callable[[Situation], bool], *, after: int | None) -> None:
        """Wait until it is true; of a polled device, by a poll made after that many."""
        owner = self._owner
        while (after is not None and owner.reads == after) or not true(owner.situation()):
            await owner.news()

    def _not_in_time(self, admitted: Admitted) -> DeviceError:
        situation = self._owner.situation()
        for write in admitted.writes:
            if write.confirm and not _confirmed(write, situation):
                name = readback_of(situation.points[write.point])
                now = situation.readings[name]
                return DeviceError(
                    f"{write.point} was to be {write.value}, but {name} reads {now.value}"
                    f" ({now.quality.name.lower()}) after {duration(admitted.deadline_s)}",
                    code="not_confirmed",
                    evidence={"written": write.value, "readback": now.value},
                    suggestion="look whether the device is in remote control and what holds the value back",
                )
        state = situation.states[admitted.command.channel]
        wanted = " or ".join(admitted.spec.done_in) or "connected"
        return DeviceError(
            f"after {duration(admitted.deadline_s)} it is {state.state}, not {wanted}",
            code="not_in_time",
            evidence={"state": state.state},
            suggestion="look at the readings; the command may still take effect",
            causes=(state.cause,) if state.cause else (),
        )


def _confirmed(write: Write, situation: Situation) -> bool:
    point = situation.points[write.point]
    return holds(point, write.value, situation.readings[readback_of(point)])


async def _nothing_to_do() -> None:
    """The end of a command that finds its effect there already."""
