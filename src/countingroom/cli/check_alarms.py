"""Checks the section `alarms` against the devices, systems and partitions that it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase

from countingroom.alarms.conditions import fitting_hysteresis
from countingroom.alarms.description import MEMBERS, AlarmsSection, area_place
from countingroom.alarms.patterns import is_pattern
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.cli.check_notify import notify_warnings
from countingroom.cli.check_rules import RuleCheck
from countingroom.cli.described_alarms import described_alarms
from countingroom.core.alarms import identity
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.expression_errors import ExpressionError
from countingroom.core.alarms.expression_units import check_condition
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.clock import SystemClock
from countingroom.core.points import Type
from countingroom.core.systems import COMMON_STATES
from countingroom.core.yaml.located import Path, Problem
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.departments import roles
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import Hosted
from countingroom.experiment import Loaded
from countingroom.fleet.description import FleetSection
from countingroom.runs.description import RunsSection

_SHOWN = 3
"""So many alarms without guidance are named for each area."""
_CHANGING = ("partition", "system", "member")
"""Created in operation: what the description does not name may come later."""
_OF_DEVICES = ("point", "value", "channel", "device")
_NUMBERS = ("limit", "rate", "deviation")


class AlarmCheck:
    """The check of one description, with the devices that could be built."""

    def __init__(self, loaded: Loaded, hosted: Mapping[str, Hosted]) -> None:
        self._loaded = loaded
        self._hosted = hosted
        self._section = loaded.experiment.section(AlarmsSection)
        self._runs = loaded.experiment.section(RunsSection)
        self._points = {f"{name}.{point.name}": point for name, device in hosted.items() for point in device.points}
        devices = list(loaded.experiment.section(DevicesSection).root)
        self._unbuilt = [name for name in devices if name not in hosted]
        channels = [f"{name}.{channel}" for name, one in hosted.items() for channel in one.behaviour.channels]
        notify = self._section.notify
        people = [*notify.channels, *notify.people, *notify.calendars]
        fleet = loaded.experiment.section(FleetSection)
        self._rules = RuleCheck(self._section.rules, hosted, self._points, devices, self._runs, people)
        self._names: dict[str, Collection[str]] = {
            "device": devices,
            "point": self._points,
            "channel": channels,
            "partition": list(self._runs.partitions),
            "system": list(self._runs.systems),
            "role": list(roles()),
            "node": list(fleet.nodes),
            "service": list(fleet.services),
        }

    def problems(self) -> Iterator[Problem]:
        """Names that do not exist, and units that do not fit together."""
        yield from self._unknown_names(may_come=False)
        for path, condition in self._conditions():
            yield from self._unknown_states(path, condition)
            yield from self._units(path, condition)
        for path, message in self._rules.problems():
            yield self._problem(path, message)

    def warnings(self) -> Iterator[Problem]:
        """Names that may come in operation, conditions without effect, and areas whose alarms have no guidance. None
        for a description without the section: it is that of an earlier version."""
        if ("alarms",) not in self._loaded.located.keys:
            return
        yield from self._unknown_names(may_come=True)
        for path, condition in self._conditions():
            for inner, name in condition.points:
                if condition.kind in _NUMBERS and name in self._points and self._points[name].type is Type.STRING:
                    yield self._problem((*path, *inner), f"{name} is a text, which is beyond no number")
        for path, message in self._rules.warnings():
            yield self._problem(path, message)
        yield from self._wide_hysteresis()
        yield from self._without_guidance()
        for path, message in notify_warnings(
            self._section, self._definitions(self._section), self._points, SystemClock()
        ):
            yield self._problem(path, message)

    def _unknown_names(self, *, may_come: bool) -> Iterator[Problem]:
        for path, kind, name in self._all_names():
            if (kind in _CHANGING) is may_come and (message := self._unknown(kind, name)):
                yield self._problem(path, message)
        known: dict[str, None] | None = None
        for path, name in self._alarm_names():
            if (name.partition(".")[0] in ("partition", "member")) is not may_come:
                continue
            if known is None:
                known = self._identities()
            if not self._is_known(name, known) and not self._may_be_unbuilt(name):
                yield self._problem(path, f"no alarm is named {name}{_near(name, known)}")

    def _all_names(self) -> Iterator[tuple[Path, str, str]]:
        """(place, kind of thing, name) of all that areas and conditions name."""
        for area_path, area in self._section.all_areas().items():
            for key in MEMBERS:
                for index, name in enumerate(getattr(area, key)):
                    yield (*area_place(area_path), key, index), key[:-1], name
        for path, condition in self._conditions():
            for inner, name in condition.points:
                yield (*path, *inner), "point", name
            if condition.state:
                kind, _, name = condition.state.of.partition(".")
                yield (*path, "state", "of"), kind, name

    def _alarm_names(self) -> Iterator[tuple[Path, str]]:
        """(place, identity or pattern) of the alarms that are named."""
        for name in self._section.overrides:
            yield ("overrides", name), name
        for key, one in self._section.suppress.items():
            for index, name in enumerate(one.alarms):
                yield ("suppress", key, "alarms", index), name

    def _conditions(self) -> Iterator[tuple[Path, ConditionKeys]]:
        for name, one in self._section.custom.items():
            yield ("custom", name), one
        for name, one in self._section.suppress.items():
            yield ("suppress", name, "when"), one.when
        for name, one in self._section.interlocks.items():
            for cause, row in one.causes.items():
                for number, condition in enumerate(row.inputs):
                    yield ("interlocks", name, "causes", cause, "inputs", number), condition
        for name, one in self._section.rules.items():
            yield ("rules", name, "when"), one.when
            if one.unless is not None:
                yield ("rules", name, "unless"), one.unless

    def _identities(self) -> dict[str, None]:
        """The identities of all alarms that there can be, also of those that are off."""
        found = [one.id for one in self._definitions(self._section.model_copy(update={"overrides": {}}))]
        for device, hosted in self._hosted.items():
            for point in hosted.points:
                found += [identity.of_point(device, point.name), identity.of_value(device, point.name)]
        return dict.fromkeys(found)

    def _definitions(self, section: AlarmsSection) -> list[AlarmDefinition]:
        return described_alarms(self._loaded.experiment, section, self._hosted)

    def _unknown(self, kind: str, name: str) -> str:
        """Why no such thing is known; empty: it is."""
        known = self._names[kind]
        if self._is_known(name, known) or (kind in _OF_DEVICES and self._may_be_unbuilt(f"{kind}.{name}")):
            return ""
        return f"no {kind} is named {name}{_near(name, known)}"

    def _is_known(self, name: str, known: Collection[str]) -> bool:
        return any(fnmatchcase(one, name) for one in known) if is_pattern(name) else name in known

    def _may_be_unbuilt(self, name: str) -> bool:
        """Whether it may be an alarm of a device with mistakes in its section, so that its points are not known:
        `point.caen.0.lv_vMon`."""
        _, _, inner = name.partition(".")
        device = inner.partition(".")[0]
        return any(fnmatchcase(one, device) for one in self._unbuilt)

    def _unknown_states(self, path: Path, condition: ConditionKeys) -> Iterator[Problem]:
        if condition.state is None:
            return
        kind, _, name = condition.state.of.partition(".")
        known = self._states_of(kind, name)
        for key, states in (("in", condition.state.is_in), ("not_in", condition.state.not_in)):
            for index, state in enumerate(states):
                if known and state not in known:
                    message = f"{condition.state.of} has no state {state}{did_you_mean(state, known)}"
                    yield self._problem((*path, "state", key, index), message)

    def _units(self, path: Path, condition: ConditionKeys) -> Iterator[Problem]:
        one = condition.expression
        if one is None or not one.points or not all(point in self._points for point in one.points):
            return
        try:
            check_condition(compile_expression(one.text, one.names), self._points)
        except ExpressionError as error:
            yield self._problem((*path, "expression", "text"), f"{error.cause.message}; {error.cause.suggestion}")

    def _states_of(self, kind: str, name: str) -> list[str]:
        """Its own and common states; empty: they are not known here."""
        device = name.partition(".")[0]
        if kind in ("device", "channel") and device in self._hosted:
            behaviour = self._hosted[device].behaviour
            chart = behaviour.chart if kind == "device" else behaviour.channel_chart
            return [*chart.states, *chart.common.values()] if chart else []
        if kind == "role":
            return ["ready", "not_ready", "gone"]
        if kind == "system" and name in self._runs.systems:
            return [*self._runs.systems[name].chart.states, *COMMON_STATES]
        partition = self._runs.partitions.get(name) if kind == "partition" else None
        template = self._runs.templates.get(partition.template) if partition else None
        return list(template.template(partition.template).chart().states) if template and partition else []

    def _wide_hysteresis(self) -> Iterator[Problem]:
        """A hysteresis that is wider than the range between the limits of a point: it is cut to that range."""
        for name, one in self._section.custom.items():
            if one.limit and one.hysteresis and (cut := fitting_hysteresis(one.hysteresis, one.limit)) < one.hysteresis:
                yield self._problem(("custom", name, "hysteresis"), _cut(one.hysteresis, cut, "it"))
        for pattern, one in self._section.overrides.items():
            for name, point in self._points.items() if one.hysteresis else ():
                cut = fitting_hysteresis(one.hysteresis or 0.0, point.limits)
                if one.hysteresis and cut < one.hysteresis and fnmatchcase(f"point.{name}", pattern):
                    yield self._problem(("overrides", pattern, "hysteresis"), _cut(one.hysteresis, cut, name))
                    break

    def _without_guidance(self) -> Iterator[Problem]:
        """One for each area, with the number of its alarms."""
        found: dict[str, list[str]] = {}
        for one in self._definitions(self._section):
            if not one.guidance.is_given:
                found.setdefault(one.area, []).append(one.id)
        for area, ids in found.items():
            count = f"{len(ids)} alarm{'s' if len(ids) > 1 else ''}"
            place = f"of area {area}" if area else "in no area"
            named = ", ".join(ids[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")
            verb = "have" if len(ids) > 1 else "has"
            path = area_place(area) if area else ()
            yield self._problem(path, f"{count} {place} {verb} no guidance ({named}); give meaning and do")

    def _problem(self, path: Path, message: str) -> Problem:
        return self._loaded.problem(("alarms", *path), message)


def _cut(given: float, cut: float, name: str) -> str:
    return f"{given:g} is wider than the range between the limits of {name}; {cut:g} is used"


def _near(name: str, known: Collection[str]) -> str:
    """A hint with a similar name. The list of all names is left out, because there may be thousands."""
    hint = "" if is_pattern(name) else did_you_mean(name, known)
    return hint if hint.startswith("; did you mean") or len(known) <= 12 else ""
