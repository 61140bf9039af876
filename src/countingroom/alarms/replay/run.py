"""Replays recorded data: merges readings, states and acts of people in the order of time.

Read `replay` first. `alarm_replay.py` has the alarm engine of a replay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.replay.alarm_replay import AlarmReplay
from countingroom.alarms.replay.interlock_replay import input_keys
from countingroom.alarms.replay.recorded import ActAt, Input, OtherAt, ServedAt, StateAt, WordAt
from countingroom.alarms.replay.rule_replay import condition_keys
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core import subjects
from countingroom.core.alarms import identity
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.values import Reading

SETTLES_S = 130.0
"""A replay reads data from this time before its begin, so that each point has at least two readings and its quality."""
NOT_REPLAYED = ("partition", "member", "role")
"""Kinds of alarms whose inputs are not recorded."""
OF_STATES = ("device", "channel")
"""Kinds of alarms that follow from states, which are recorded as events."""


def replay(subject: AlarmReplay, inputs: Sequence[Input], messages: Iterable[Readings], end_ns: int) -> None:
    """Give all inputs and messages to the replay in the order of time, up to `end_ns`."""
    waiting = iter(inputs)
    following = next(waiting, None)
    for message in messages:
        while following is not None and following.time_ns <= message.sent_ns:
            _give(subject, following)
            following = next(waiting, None)
        subject.read(message)
    while following is not None and following.time_ns < end_ns:
        _give(subject, following)
        following = next(waiting, None)
    subject.pass_time(end_ns - 1)


def first_messages(last: Mapping[str, Reading], begin_ns: int) -> Iterator[Readings]:
    """One message for each device with its last readings before the begin, as an engine gets them at its start."""
    devices: dict[str, list[tuple[str, Reading]]] = {}
    for address, reading in last.items():
        device, _, point = address.partition(".")
        devices.setdefault(device, []).append((point, reading))
    for device, rows in devices.items():
        yield Readings(
            device=device,
            boot="",
            sequence=0,
            full=True,
            sent_ns=begin_ns,
            points=[point for point, _ in rows],
            values=[one.value for _, one in rows],
            qualities=[int(one.quality) for _, one in rows],
            device_ns=[one.device_ns for _, one in rows],
            received_ns=[one.received_ns for _, one in rows],
            alarms={point: one.alarm for point, one in rows if one.alarm},
        )


def settling_s(
    section: AlarmsSection,
    definitions: Iterable[AlarmDefinition],
    rules: Collection[RuleSection] = (),
    interlocks: Collection[InterlockSection] = (),
) -> float:
    """The time, in s, before its begin at which a replay must start to read, so that delays and rates are right at the
    begin. `rules`, `interlocks`: those that are replayed."""
    longest = max((max(one.on_delay_s, one.off_delay_s) for one in definitions), default=0.0)
    for rule in rules:
        # The firing rate of a rule counts earlier firings too.
        longest = max(longest, rule.hold, rule.most.per)
    for interlock in interlocks:
        for cause in interlock.causes.values():
            longest = max(longest, cause.on_delay, cause.unknown_delay or 0.0)
    for keys in (*_conditions(section), *condition_keys(rules), *input_keys(interlocks)):
        if keys.rate is not None:
            longest = max(longest, keys.rate.per)
        if keys.silence is not None:
            longest = max(longest, keys.silence.longer_than)
    return longest + SETTLES_S


def needed_points(section: AlarmsSection, catalogues: Iterable[Catalogue], patterns: Collection[str]) -> list[str]:
    """The addresses of the points that these alarms depend on; without a pattern all points."""
    found: dict[str, None] = {}
    for catalogue in catalogues:
        device = catalogue.device
        for point in catalogue.points:
            ids = (identity.of_point(device, point.name), identity.of_value(device, point.name))
            if not patterns or any(is_chosen(id, patterns) for id in ids):
                found[f"{device}.{point.name}"] = None
    for name, custom in section.custom.items():
        if is_chosen(identity.of_custom(name), patterns):
            found |= dict.fromkeys(point for _, point in custom.points)
    return list(found | dict.fromkeys(points_of(one.when for one in section.suppress.values())))


def points_of(conditions: Iterable[ConditionKeys]) -> list[str]:
    """The addresses of the points of conditions."""
    return list(dict.fromkeys(point for keys in conditions for _, point in keys.points))


def is_chosen(id: str, patterns: Collection[str]) -> bool:
    """Whether an alarm fits one of the patterns; without a pattern all alarms do."""
    return not patterns or any(fnmatchcase(id, pattern) for pattern in patterns)


def is_replayed(id: str, *, states: bool, interlocks: Collection[str] = ()) -> bool:
    """Whether an alarm can be replayed. `states`: whether the states of devices are recorded. `interlocks`: the alarms
    of the replayed interlocks; the alarms of their effects cannot be replayed."""
    kind = id.partition(".")[0]
    if kind == "interlock":
        return id in interlocks
    return kind not in NOT_REPLAYED and (states or kind not in OF_STATES)


def _conditions(section: AlarmsSection) -> Iterator[ConditionKeys]:
    yield from section.custom.values()
    for one in section.suppress.values():
        yield one.when


def _give(subject: AlarmReplay, one: Input) -> None:
    match one:
        case StateAt(state=state):
            key = (
                subjects.channel_key(state.device, state.channel)
                if state.channel
                else subjects.device_key(state.device)
            )
            subject.device(key, state, one.time_ns)
        case WordAt():
            subject.word(one.subject, one.word, one.time_ns)
        case ServedAt():
            subject.served(one.device, one.is_alive, one.time_ns)
        case ActAt():
            subject.act(one.events, one.row.person, one.time_ns)
        case OtherAt(give=give):
            subject.happen(give, one.time_ns)
