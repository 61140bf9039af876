"""Alarms of partitions, from what their owners report of their members, and the list of all alarms. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from countingroom.console.present.abnormal import AbnormalList, Alarm
from countingroom.console.present.alarm_order import causes_first
from countingroom.core import severity, subjects
from countingroom.core.partitions import MemberState, PartitionState
from countingroom.core.policy import Control
from countingroom.core.systems import ACTIVE, ERROR, NO_CONNECTION, RECORDING, SystemState

ALARM_PLACE = ".alarms"
"""Where the live feed has the states of alarms. No partition has this name."""


def everything(abnormal: AbnormalList, words: Mapping[str, Struct]) -> list[Alarm]:
    """What is abnormal now, of devices and of partitions; consequences stand below their cause."""
    found = abnormal.alarms()
    for name, state in partitions(words).items():
        found += of_partition(state, gone_since(abnormal, name))
    return causes_first(found)


def partitions(words: Mapping[str, Struct]) -> dict[str, PartitionState]:
    """The states of all partitions, by name."""
    found = {word.partition: word for word in words.values() if isinstance(word, PartitionState)}
    return dict(sorted(found.items()))


def control_of(words: Mapping[str, Struct], partition: str) -> Control | None:
    """The control lease of a partition, as last reported."""
    word = words.get(subjects.control_key(partition))
    return word if isinstance(word, Control) else None


def gone_since(abnormal: AbnormalList, partition: str) -> int | None:
    """Since when it has no owner; what is known of it is then its last state. None: it has one."""
    return abnormal.gone_since(subjects.partition_key(partition))


def of_partition(state: PartitionState, gone_ns: int | None = None) -> Iterator[Alarm]:
    """What is abnormal in a partition: that it has no owner, else its members, else why it does not proceed."""
    if gone_ns is not None:
        what = "it has no owner: its run control is gone or sends no heartbeat"
        yield Alarm(
            level=severity.MEDIUM, since_ns=gone_ns, device=state.partition, partition=state.partition, what=what
        )
        return
    quiet = True
    for member in state.members:
        level, what = _of_member(member, at_rest=state.state == state.chart.initial)
        if level:
            quiet = False
            cause = member.cause
            yield Alarm(
                level=level,
                since_ns=(cause.since_ns if cause else None) or member.reported_ns,
                device=member.system,
                partition=state.partition,
                what=what,
                advice=cause.suggestion if cause else "",
                blames=str(cause.evidence.get("device") or "") if cause else "",
            )
    if quiet and state.cause:
        what = state.cause.message
        yield Alarm(
            level=severity.MEDIUM, since_ns=state.since_ns, device=state.partition, partition=state.partition, what=what
        )


def priorities(state: PartitionState, gone_ns: int | None = None) -> tuple[int, int, int]:
    """The number of alarms of each priority."""
    levels = [alarm.level for alarm in of_partition(state, gone_ns)]
    return levels.count(1), levels.count(2), levels.count(3)


def worst(state: PartitionState, gone_ns: int | None = None) -> int:
    """The most urgent level in it."""
    return max((alarm.level for alarm in of_partition(state, gone_ns)), key=severity.urgency, default=severity.NORMAL)


def _of_member(member: MemberState, *, at_rest: bool) -> tuple[int, str]:
    if not member.included:
        return severity.NORMAL, ""
    if ERROR in (member.seen, member.own):
        what = member.cause.message if member.cause else member.comment or "is in Error"
        return severity.HIGH if member.critical else severity.MEDIUM, what
    if member.seen == NO_CONNECTION:
        urgent = member.critical and not at_rest
        what = member.cause.message if member.cause else "is not connected"
        return severity.HIGH if urgent else severity.MEDIUM, what
    if member.seen in (ACTIVE, RECORDING) and member.wanted_tag and member.tag != member.wanted_tag:
        return severity.LOW, f"has configuration {member.tag or 'none'}; selected is {member.wanted_tag}"
    return severity.NORMAL, ""


def place_of(key: str, word: Struct | None) -> str:
    """The partition that a key of run control is about; empty: the experiment as a whole. ALARM_PLACE for an alarm."""
    if key.startswith("alarm."):
        return ALARM_PLACE
    if isinstance(word, SystemState):
        return word.partition
    kind, _, name = key.partition(".")
    if kind == "system":
        return name.partition(".")[2]
    return name if kind in ("partition", "control") else ""
