"""Checks `alarms.interlocks`: every combination of causes has one outcome, and names, effects and periods are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.interlocks.described import interlock_spec
from countingroom.cli.interlock_commands import InterlockCommands
from countingroom.cli.interlock_test_faults import wrong_tests
from countingroom.core.errors import CountingRoomError
from countingroom.core.interlocks.consequences import EffectOnDevice, Place, fights, loops, made_true
from countingroom.core.interlocks.local_part import local_part
from countingroom.core.interlocks.outcomes import MOST_ENUMERATED, combinations_of, expected, outcomes
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.times import duration
from countingroom.core.yaml.located import Path, Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.runs.description import RunsSection

TAKEOVER_S = 8.0
"""An engine that hangs is followed by another after this (lease 5 s, and 3 s in which it may still run)."""


class InterlockFacts(Struct, frozen=True, kw_only=True):
    """One cause of one interlock, for the table of `check`."""

    interlock: str
    cause: str
    vote: str
    effects: str
    """`hv_off, lv_off after 300 s`."""
    combinations: int
    outcomes: int
    """Different sets of effects that act."""
    evaluated_in: str


class InterlockCheck:
    """The check of one description, with the devices that could be built."""

    def __init__(self, loaded: Loaded, hosted: Mapping[str, Hosted]) -> None:
        self._loaded = loaded
        self._hosted = hosted
        self._sections = loaded.experiment.section(AlarmsSection).interlocks
        self._devices = list(loaded.experiment.section(DevicesSection).root)
        self._partitions = loaded.experiment.section(RunsSection).partitions
        self._commands = InterlockCommands(hosted)
        self._specs: dict[str, InterlockSpec] = {}
        for name, section in self._sections.items():
            with suppress(ValueError, CountingRoomError):  # told with the section, or with the condition
                self._specs[name] = interlock_spec(name, section)

    def problems(self) -> Iterator[Problem]:
        """Commands that no device takes, outcomes that are not those of the matrix, effects that fight each other."""
        for name, section in self._sections.items():
            for key, effect in section.effects.items():
                for number, command in enumerate(effect.commands):
                    if command.device not in self._devices:
                        message = f"there is no device {command.device}{did_you_mean(command.device, self._devices)}"
                        yield self._problem((name, "effects", key, "commands", number, "device"), message)
                    elif wrong := self._commands.wrong(
                        command.device, command.channel, command.command, command.arguments
                    ):
                        yield self._problem((name, "effects", key, "commands", number, *wrong[0]), wrong[1])
        for name, section in self._sections.items():
            for path, message in wrong_tests(section, self._loaded.experiment.section(DevicesSection).root):
                yield self._problem((name, *path), message)
        for name, spec in self._specs.items():
            for one in outcomes(spec):
                if one.effects != expected(spec, one.causes):
                    said = f"{' and '.join(one.causes)} lead to {', '.join(one.effects) or 'nothing'}"
                    yield self._problem((name, "matrix"), f"{said}, which is not what the matrix says")
        for old, new in fights(self._on_devices()):
            other = f"{old.asked.command} of {old.effect}" + (
                f" in {old.interlock}" if old.interlock != new.interlock else ""
            )
            where = f"{new.device}.{new.asked.channel}" if new.asked.channel else new.device
            message = f"{new.asked.command} and {other} fight each other at {where}: each undoes the other"
            yield self._problem((new.interlock, "effects", new.effect, "commands", new.number), message)

    def warnings(self) -> Iterator[Problem]:
        """Causes without effects, effects without causes, loops, and periods that do not fit."""
        for name, spec in self._specs.items():
            yield from self._without_effect(name, spec)
            yield from self._periods(name, spec)
            yield from self._readback(name, spec)
            yield from self._starts(name, spec)
            for key, effect in self._sections[name].effects.items():
                for kind in ("stop", "forbid"):
                    partition = getattr(effect, kind)
                    if partition and partition not in self._partitions:
                        hint = did_you_mean(partition, self._partitions)
                        yield self._problem((name, "effects", key, kind), f"no partition is named {partition}{hint}")
        for loop in loops(self._leads_to()):
            name, cause = loop[0]
            through = " by ".join(f"{other}.{one}" for other, one in loop[1:])
            message = (
                f"its effects make {cause} true again{f' through {through}' if through else ''}: it cannot be reset"
            )
            yield self._problem((name, "causes", cause), message)

    def facts(self) -> list[InterlockFacts]:
        """A row for each cause."""
        rows: list[InterlockFacts] = []
        for name, spec in self._specs.items():
            part = local_part(spec, self._devices)
            where = "engine" if part is None else "device host" if part.is_whole else "device host in part"
            different = len({one.effects for one in outcomes(spec)})
            for cause in spec.causes:
                cells = [cell for cell in spec.matrix if cell.cause == cause.name]
                led = [
                    f"{cell.effect} after {duration(cell.delay_ns / 1e9)}" if cell.delay_ns else cell.effect
                    for cell in cells
                ]
                rows.append(
                    InterlockFacts(
                        interlock=name,
                        cause=cause.name,
                        vote=f"{cause.vote} of {len(cause.inputs)}",
                        effects=", ".join(led),
                        combinations=combinations_of(spec),
                        outcomes=different,
                        evaluated_in=where,
                    )
                )
        return rows

    def _without_effect(self, name: str, spec: InterlockSpec) -> Iterator[Problem]:
        led = {cell.cause for cell in spec.matrix}
        for cause in spec.causes:
            if cause.name not in led:
                guards = ", ".join(cause.points)
                yield self._problem((name, "causes", cause.name), f"it leads to no effect, so {guards} guard nothing")
            seen: dict[str, int] = {}
            for number, one in enumerate(cause.inputs):
                if (first := seen.setdefault(one.text, number)) != number:
                    message = f"it is the same as input {first + 1}: {one.text}"
                    yield self._problem((name, "causes", cause.name, "inputs", number), message)
        reached = {cell.effect for cell in spec.matrix}
        silent = set(spec.engine_silent.effects) if spec.engine_silent else set[str]()
        for effect in spec.effects:
            if effect.name not in reached | silent:
                yield self._problem((name, "effects", effect.name), "no cause leads to it")

    def _periods(self, name: str, spec: InterlockSpec) -> Iterator[Problem]:
        if spec.proof_test_ns and spec.bypass.longest_ns > spec.proof_test_ns:
            longest = duration(spec.bypass.longest_ns / 1e9)
            message = f"a bypass may be longer ({longest}) than the time between two proof tests"
            yield self._problem((name, "bypass", "longest"), message)
        part = local_part(spec, self._devices)
        is_commanding = any(effect.commands for effect in spec.effects)
        if spec.engine_silent and spec.engine_silent.after_ns < TAKEOVER_S * 1e9:
            takeover = duration(TAKEOVER_S)
            message = f"a standby engine needs up to {takeover} to take over from one that hangs; give a longer time"
            yield self._problem((name, "engine_silent", "after"), message)
        if is_commanding and spec.engine_silent is None and not (part and part.is_whole):
            message = "no device host evaluates all of it; without engine_silent nothing acts while the engine is away"
            yield self._problem((name,), message)

    def _readback(self, name: str, spec: InterlockSpec) -> Iterator[Problem]:
        for effect in spec.effects:
            for number, command in enumerate(effect.commands):
                if self._commands.has_no_readback(command):
                    message = (
                        f"no readback tells whether {command.shown} is in force: it is given once and not repeated"
                    )
                    yield self._problem((name, "effects", effect.name, "commands", number), message)
        for cause in spec.causes:
            for number, one in enumerate(cause.inputs):
                for address in one.inputs:
                    if self._commands.is_never_stale(address):
                        message = f"{address} has no stale_after: when its updates end, this is not noticed by itself"
                        yield self._problem((name, "causes", cause.name, "inputs", number), message)

    def _starts(self, name: str, spec: InterlockSpec) -> Iterator[Problem]:
        """A cause that ends a run and does not keep the next one from being started."""
        effects = {effect.name: effect for effect in spec.effects}
        leads = {(cell.cause, effects[cell.effect].forbid) for cell in spec.matrix}
        told: set[str] = set()
        for cell in spec.matrix:
            stopped = effects[cell.effect].stop
            if stopped and (cell.cause, stopped) not in leads and cell.effect not in told:
                told.add(cell.effect)
                message = (
                    f"{cell.cause} stops the run of {stopped}, and the next run can be started while it has tripped: "
                    f"let it lead to an effect with forbid: {stopped} too"
                )
                yield self._problem((name, "effects", cell.effect, "stop"), message)

    def _on_devices(self) -> list[EffectOnDevice]:
        """The commands of all effects that can act."""
        found: list[EffectOnDevice] = []
        for name, spec in self._specs.items():
            can_act = {cell.effect for cell in spec.matrix}
            can_act |= set(spec.engine_silent.effects) if spec.engine_silent else set()
            for effect in spec.effects:
                for number, command in enumerate(effect.commands if effect.name in can_act else ()):
                    if command.device in self._hosted:
                        found.append(self._commands.on_device(name, effect.name, number, command))
        return found

    def _leads_to(self) -> dict[Place, list[Place]]:
        """Cause -> causes that one of its effects makes true."""
        commands: dict[Place, list[EffectOnDevice]] = {}
        for one in self._on_devices():
            commands.setdefault((one.interlock, one.effect), []).append(one)
        causes = {(name, cause.name): cause for name, spec in self._specs.items() for cause in spec.causes}
        return {
            (name, cause): [
                place
                for place, other in causes.items()
                if any(
                    made_true(other, commands.get((name, cell.effect), []))
                    for cell in self._specs[name].matrix
                    if cell.cause == cause
                )
            ]
            for name, cause in causes
        }

    def _problem(self, path: Path, message: str) -> Problem:
        return self._loaded.problem(("alarms", "interlocks", *path), message)


def summary(rows: Sequence[InterlockFacts]) -> str:
    """One line about the enumeration."""
    count = len({row.interlock for row in rows})
    most = max(row.combinations for row in rows)
    how = "each tried" if most <= 1 << MOST_ENUMERATED else "single causes, pairs and all together tried"
    return f"{count} interlock{'s' if count > 1 else ''}: every combination of causes has one outcome ({how})"
