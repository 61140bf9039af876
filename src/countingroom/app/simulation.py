"""Simulators in place of hardware: one for each device, which implements the device's real protocol.

The drivers are the same as for hardware. A simulator that has started gives the keys of the device's section that
replace the address of the hardware. All run in one process. After a restart of this process each simulator receives
its keys as the parameter `again` and listens at the same address, because the device host still connects there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, ConfigurationError
from countingroom.core.messages import Command, Event, EventKind, Malformed, Reply, decode, encode
from countingroom.devices.description import kind_of
from countingroom.devices.section import DeviceSection
from countingroom.simulators.port import Simulator
from countingroom.simulators.run import KINDS, provoke

ROLE = "simulators"
KIND_OF_DRIVER = {
    "caen": "caen",
    "epics": "epics",
    "julabo": "julabo",
    "marta": "marta",
    "modbus": "modbus",
    "mqtt": "sensors",
    "secop": "secop",
    "snmp": "snmp",
    "switchbox": "switchbox",
    "text": "text",
}
"""Name of the driver -> its simulator."""

Overrides = dict[str, dict[str, Any]]
"""Device -> keys of its section, with the address of its simulator."""


def pointed_at(section: DeviceSection, overrides: Mapping[str, Any]) -> DeviceSection:
    """The section with its address replaced by the simulator's."""
    fields = type(section).model_fields
    try:
        known = {key: _validated(fields[key], value) for key, value in overrides.items()}
    except (KeyError, ValidationError) as error:
        raise ConfigurationError(
            f"a simulator answered with an address its driver cannot use: {error}", source=ROLE
        ) from error
    return section.model_copy(update=known)


def _validated(field: FieldInfo, value: Any) -> Any:
    """The value, validated as this key of the section. The other keys were validated before."""
    annotated: Any = Annotated[field.annotation, field]
    return TypeAdapter[Any](annotated).validate_python(value)


class Simulators:
    """Runs the simulators of an experiment's devices, and serves commands that inject faults."""

    def __init__(self, bus: Bus, clock: Clock, devices: Mapping[str, DeviceSection], *, again: Overrides) -> None:
        self._bus = bus
        self._clock = clock
        self._publisher = Publisher(bus, clock, ROLE)
        self._overrides: Overrides = {name: dict(keys) for name, keys in again.items() if name in devices}
        self._simulators: dict[str, Simulator] = {
            name: KINDS[_kind(name, section)](self._parameters(name, section)) for name, section in devices.items()
        }

    async def run(self, on_ready: Callable[[Overrides], None]) -> None:
        """Start all in parallel, report their addresses, and serve fault commands until cancelled."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop_all)
            async with asyncio.TaskGroup() as group:
                for name, simulator in self._simulators.items():
                    group.create_task(self._start(name, simulator))
            await stack.enter_async_context(self._bus.respond(subjects.commands_to(ROLE), self._fault))
            on_ready(self._overrides)
            await self._publisher.run()

    async def start_others(self, devices: Mapping[str, DeviceSection]) -> tuple[dict[str, Simulator], Overrides]:
        """Simulators of other devices, or for those that run already, which go on beside them: started, with the keys
        that point at them. ConfigurationError, with none left running, where one cannot be."""
        made: dict[str, Simulator] = {}
        found: Overrides = {}
        try:
            for name, section in devices.items():
                made[name] = simulator = KINDS[_kind(name, section)](section.model_dump(mode="json"))
                found[name] = _as_json(await simulator.start())
        except BaseException:
            await _stop(made.values())
            raise
        return made, found

    async def replace(self, made: Mapping[str, Simulator], found: Overrides, removed: Collection[str]) -> None:
        """Simulate these devices by these simulators from now on, and the removed ones no more."""
        ended = [self._simulators.pop(name) for name in {*made, *removed} & self._simulators.keys()]
        for name in removed:
            self._overrides.pop(name, None)
        self._simulators |= made
        self._overrides |= found
        await _stop(ended)

    async def _stop_all(self) -> None:
        await _stop(self._simulators.values())

    async def _start(self, name: str, simulator: Simulator) -> None:
        self._overrides[name] = _as_json(await simulator.start())

    def _parameters(self, name: str, section: DeviceSection) -> dict[str, Any]:
        parameters = section.model_dump(mode="json")
        if where := self._overrides.get(name):
            parameters["again"] = where
        return parameters

    async def _fault(self, message: Message) -> bytes:
        """Inject the fault that a command requests into the device's simulator."""
        device = message.subject.rpartition(".")[2]
        try:
            command = decode(message.data, Command)
        except Malformed as error:
            return encode(Reply(id="", accepted=False, cause=malformed("a fault", error, f"simulator-{device}")))
        if device not in self._simulators:
            absent = Cause(
                code="not_found",
                message=f"no simulator of {device} runs",
                source=ROLE,
                suggestion="choose a device of the description",
            )
            return encode(Reply(id=command.id, accepted=False, cause=absent))
        refusal = await provoke(self._simulators[device], command.action, command.arguments)
        if refusal:
            cause = refusal if refusal.source else msgspec.structs.replace(refusal, source=f"simulator-{device}")
            return encode(Reply(id=command.id, accepted=False, cause=cause))
        event = Event(
            id=uuid.uuid4().hex,
            kind=EventKind.NOTE,
            time_ns=self._clock.now_ns(),
            department=ROLE,
            source=device,
            message=f"{device}: the simulator was made to {command.action}",
            principal=subjects.command_user(message.subject),
            command_id=command.id,
            action=command.action,
            data=command.arguments,
        )
        self._publisher.event(event)
        return encode(Reply(id=command.id, accepted=True))


def _as_json(keys: Mapping[str, Any]) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(keys))


async def _stop(simulators: Iterable[Simulator]) -> None:
    for simulator in simulators:
        await simulator.stop()


def _kind(name: str, section: DeviceSection) -> str:
    driver = kind_of(type(section))
    try:
        return KIND_OF_DRIVER[driver]
    except KeyError:
        raise ConfigurationError(
            f"there is no simulator for the driver {driver}",
            source=f"devices.{name}",
            suggestion="run without --simulate, or leave this device out of the simulated description",
        ) from None
