"""Checks the section `alarms.rules`: names and arguments of actions, rights, rules that never act, circles."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from countingroom.alarms.rules.described_rules import action_of
from countingroom.alarms.sections.rules import RuleSection
from countingroom.cli.rule_circles import circles
from countingroom.core import command_permissions, policy, subjects
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.partition import PARTITION
from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.core.messages import CommandSpec
from countingroom.core.points import Point
from countingroom.core.policy import Permission, Principal, Role
from countingroom.core.rules import cron
from countingroom.core.rules.actions import (
    Action,
    CommandAction,
    LogAction,
    NotifyAction,
    RampAction,
    target_of,
)
from countingroom.core.rules.specs import NEVER, CronTrigger, principal_of
from countingroom.core.yaml.located import Path
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.departments import DEPARTMENTS
from countingroom.devices.registry import Hosted
from countingroom.runs.description import RunsSection

Found = tuple[Path, str]
"""Where in the section `alarms`, and what is wrong there."""


class RuleCheck:
    """The check of the rules of one description."""

    def __init__(
        self,
        rules: Mapping[str, RuleSection],
        hosted: Mapping[str, Hosted],
        points: Mapping[str, Point],
        devices: list[str],
        runs: RunsSection,
        people: Collection[str],
    ) -> None:
        """`hosted`: the devices that could be built, of all `devices`. `points`: address -> point. `people`: names of
        channels, persons and calendars that messages can go to."""
        self._people = people
        self._rules = rules
        self._hosted = hosted
        self._points = points
        self._devices = devices
        self._runs = runs

    def problems(self) -> Iterator[Found]:
        """What cannot work."""
        for name, rule in self._rules.items():
            place = ("rules", name)
            yield from self._never(place, rule)
            if (event := rule.when.event) is not None:
                known = [one.name for one in DEPARTMENTS]
                if event.department not in known:
                    hint = did_you_mean(event.department, known)
                    yield (*place, "when", "event", "department"), f"no department is named {event.department}{hint}"
            for number, keys in enumerate(rule.do):
                action = action_of(keys)
                where = (*place, "do", number, keys.kind)
                wrong = list(self._action(where, action))
                yield from wrong or self._rights(where, name, rule, action)
        yield from self._circles(certain=True)

    def warnings(self) -> Iterator[Found]:
        """What may not be meant, and partitions that may come in operation."""
        for name, rule in self._rules.items():
            for number, keys in enumerate(rule.do):
                partition = _partition(action_of(keys))
                if partition and partition not in self._runs.partitions:
                    hint = did_you_mean(partition, self._runs.partitions)
                    yield ("rules", name, "do", number, keys.kind), f"no partition is named {partition}{hint}"
        yield from self._circles(certain=False)

    def _circles(self, *, certain: bool) -> Iterator[Found]:
        for one in circles(self._rules, self._points):
            if one.is_certain is not certain:
                continue
            last = one.rules[-1]
            first, verb = one.rules[0], "runs" if certain else "may run"
            others = f" by way of {', '.join(one.rules[1:])}" if len(one.rules) > 1 else ""
            who = first if others else "it"
            text = f"{who} {verb} in a circle{others}: {one.why}, which triggers {first}"
            yield ("rules", last, "do"), text

    def _never(self, place: Path, rule: RuleSection) -> Iterator[Found]:
        when = rule.when
        if when.cron:
            trigger = CronTrigger(expression=when.cron, zone=when.zone)
            try:
                if cron.next_ns(trigger, 1_700_000_000_000_000_000) == NEVER:
                    yield (*place, "when", "cron"), f"it never acts: there is no time {when.cron}"
            except ConfigurationError:
                return  # told with the section
        if rule.unless is not None and when.is_condition:
            kind = when.kind
            if kind == rule.unless.kind and getattr(when, kind) == getattr(rule.unless, kind):
                yield (*place, "unless"), "it never acts: unless is the same condition as when"

    def _action(self, place: Path, action: Action) -> Iterator[Found]:
        match action:
            case CommandAction(department="devices"):
                yield from self._device_command(place, action)
            case CommandAction():
                table = EXPERIMENT if action.target == subjects.EXPERIMENT else PARTITION
                what = "the experiment" if table is EXPERIMENT else "a partition"
                if action.command not in table:
                    hint = did_you_mean(action.command, table)
                    yield (*place, "command"), f"{what} has no command {action.command}{hint}"
                    return
                takes = table[action.command].takes
                for name in action.arguments:
                    if name not in takes:
                        yield (
                            (*place, "arguments", name),
                            f"{action.command} takes no {name}{did_you_mean(name, takes)}",
                        )
                for one in table[action.command].arguments:
                    if not one.optional and one.name not in action.arguments:
                        yield (*place, "command"), f"{action.command} needs {one.name}"
            case RampAction():
                yield from self._write((*place, "point"), action.device, action.point, action.to)
            case NotifyAction():
                for number, name in enumerate(action.to):
                    if name not in self._people:
                        hint = did_you_mean(name, self._people)
                        yield (*place, "to", number), f"no channel, person or calendar is named {name}{hint}"
            case LogAction():
                pass

    def _device_command(self, place: Path, action: CommandAction) -> Iterator[Found]:
        if action.target not in self._devices:
            hint = did_you_mean(action.target, self._devices)
            yield (*place, "device"), f"no device is named {action.target}{hint}"
            return
        if (device := self._hosted.get(action.target)) is None:
            return  # it has mistakes, which are told
        if action.channel and action.channel not in device.behaviour.channels:
            hint = did_you_mean(action.channel, device.behaviour.channels)
            yield (*place, "channel"), f"{action.target} has no channel {action.channel}{hint}"
            return
        if action.command == "set":
            point, value = action.arguments.get("point"), action.arguments.get("value")
            if set(action.arguments) != {"point", "value"}:
                yield (*place, "arguments"), "set takes a point and its value"
            else:
                yield from self._write((*place, "arguments"), action.target, str(point), value)
            return
        if (spec := self._spec(action)) is None:
            known = list(dict.fromkeys(one.name for one in device.behaviour.commands))
            of = "a channel" if action.channel else "the device itself"
            hint = did_you_mean(action.command, known)
            yield (*place, "command"), f"{action.target} has no command {action.command} of {of}{hint}"
            return
        takes = {one.name: one for one in spec.parameters}
        for name in action.arguments:
            if name not in takes:
                yield (*place, "arguments", name), f"{action.command} takes no {name}{did_you_mean(name, takes)}"
        for name, one in takes.items():
            if not one.optional and name not in action.arguments:
                yield (*place, "command"), f"{action.command} needs {name}"

    def _write(self, place: Path, device: str, name: str, value: object) -> Iterator[Found]:
        if device not in self._hosted:
            if device not in self._devices:
                yield place, f"no device is named {device}{did_you_mean(device, self._devices)}"
            return
        if (point := self._points.get(f"{device}.{name}")) is None:
            yield place, f"no point is named {device}.{name}{did_you_mean(f'{device}.{name}', self._points)}"
            return
        try:
            point.check_write(value)  # pyright: ignore[reportArgumentType]
        except RequestError as error:
            if error.cause.code != "no_limits":  # its limits come from elsewhere, in operation
                yield place, error.cause.message

    def _spec(self, action: CommandAction) -> CommandSpec | None:
        scope = "channel" if action.channel else "device"
        commands = self._hosted[action.target].behaviour.commands if action.target in self._hosted else ()
        return next((one for one in commands if (one.name, one.scope) == (action.command, scope)), None)

    def _rights(self, place: Path, name: str, rule: RuleSection, action: Action) -> Iterator[Found]:
        """The role that is missing."""
        if (target := target_of(action)) == "":
            return
        principal = Principal(name=principal_of(name), role=Role.VIEWER, roles=dict(rule.principal_roles))
        if policy.decide(principal, (permission := self._permission(action)), target, now_ns=0) is not None:
            needed = policy.NEEDS[permission].name.lower()
            yield place, f"it may not do this; add to roles of {name}: {target}: {needed}"

    def _permission(self, action: Action) -> Permission:
        match action:
            case CommandAction(department="devices", command="set"):
                return command_permissions.of_point(
                    self._points.get(f"{action.target}.{action.arguments.get('point')}")
                )
            case CommandAction(department="devices"):
                return command_permissions.of_device(self._spec(action))
            case CommandAction():
                is_whole = action.target == subjects.EXPERIMENT
                of = command_permissions.of_experiment if is_whole else command_permissions.of_partition
                return of(action.command)
            case RampAction():
                return command_permissions.of_point(self._points.get(f"{action.device}.{action.point}"))
            case LogAction() | NotifyAction():
                return command_permissions.of_partition("comment")


def _partition(action: Action) -> str:
    target = target_of(action)
    return target.removeprefix("partition.") if target.startswith("partition.") else ""
