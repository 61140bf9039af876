"""What is published on the bus, as records before any rule is applied: kind, key, time and fields. Pure.

A record is of one sort: a state takes the place of the one with its kind and key, an entry stands beside the others. A
text that people write (the message of an event, the title of an alarm) is a field of its own, so that a policy can
leave it out. The name of a node is only in the field `node`, where a rule can replace it by its alias.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from countingroom.core.alarms import identity
from countingroom.core.alarms.states import AlarmState
from countingroom.core.fleet.states import NodeState, ServiceState
from countingroom.core.messages import Catalogue, DeviceState, Event, EventKind, Presence
from countingroom.core.partitions import PartitionState
from countingroom.core.points import Point
from countingroom.core.times import format_time
from countingroom.core.values import Quality, Reading

RUN_BEGAN, RUN_OVER = "run_began", "run_over"
"""Actions of the events of run control about a run."""
_MS_NS = 1_000_000
_OWN = frozenset({"console", "mirror", "dead_letters"})
"""Departments whose events stay inside: they tell of users, and of the mirror itself."""


class Sort(StrEnum):
    """What a record does to those before it."""

    STATE = "state"
    """Takes the place of the record with its kind and key."""
    ENTRY = "entry"
    """Stands beside the others: it tells what happened at its time."""
    GONE = "gone"
    """The record with its kind and key is no more."""


class RawRecord(Struct, frozen=True, kw_only=True):
    """A record as it is inside."""

    kind: str
    key: tuple[str, ...]
    """The fields whose values make up its key."""
    at_ns: int
    sort: Sort = Sort.STATE
    fields: Mapping[str, Any] = {}
    known: tuple[str, ...] = ()
    """Names that are published anyway, so that its texts may hold them."""


def of_partition(state: PartitionState) -> RawRecord:
    """A partition with its members."""
    members = [
        {
            "system": one.system,
            "kind": str(one.kind),
            "state": one.seen,
            "tag": one.tag,
            "included": one.included,
            "critical": one.critical,
        }
        for one in state.members
    ]
    fields = {
        "partition": state.partition,
        "state": state.state,
        "goal": state.goal.state if state.goal else None,
        "tag": state.tag,
        "run": state.run or None,
        "locked": state.locked,
        "trouble": state.cause.code if state.cause else None,
        "trouble_text": state.cause.message if state.cause else None,
        "members": members,
        "requested_by": state.goal.requested_by if state.goal else None,
    }
    return _record("partition", ("partition",), state.since_ns, fields | _time("since", state.since_ns))


def of_run(event: Event) -> RawRecord | None:
    """The run that an event of run control is about; None where it is about none."""
    run = event.data.get("run")
    if event.department != "runs" or event.action not in (RUN_BEGAN, RUN_OVER) or not isinstance(run, int):
        return None
    fields: dict[str, Any] = {"run": run, "partition": event.source, "state": "running"}
    if event.action == RUN_BEGAN:
        fields |= _time("started", event.time_ns)
    else:
        fields |= {"state": "ended", "end": event.data.get("end"), "ended_by": event.principal or None}
        fields |= _time("ended", event.time_ns)
        seconds = event.data.get("duration_s")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            fields |= {"seconds": seconds, **_time("started", event.time_ns - round(seconds * 1e9))}
    return _record("run", ("run",), event.time_ns, fields)


def of_device(state: DeviceState, catalogue: Catalogue | None) -> RawRecord:
    """A device, with what its catalogue tells of it."""
    fields: dict[str, Any] = {
        "device": state.device,
        "state": state.state,
        "common": state.common,
        "link": str(state.link),
        "trouble": state.cause.code if state.cause else None,
        "trouble_text": state.cause.message if state.cause else None,
    }
    if catalogue:
        fields |= {
            "title": catalogue.title,
            "driver": catalogue.driver,
            "group": catalogue.group,
            "location": catalogue.location,
            "simulated": catalogue.simulated,
        }
    return _record("device", ("device",), state.since_ns, fields | _time("since", state.since_ns))


def of_point(device: str, point: Point, reading: Reading) -> RawRecord:
    """The present value of a point. A number is in `value`, a switch in `is_on`, a text in `text`."""
    value = reading.value
    fields: dict[str, Any] = {
        "device": device,
        "point": point.name,
        "label": point.label,
        "unit": point.unit,
        "quality": Quality(reading.quality).name.lower(),
    }
    if isinstance(value, bool):
        fields["is_on"] = value
    elif isinstance(value, int | float):
        fields["value"] = value
        fields["text"] = point.codes.get(str(value)) if isinstance(value, int) else None
    else:
        fields["text"] = value
    at_ns = reading.device_ns or reading.received_ns
    return _record("point", ("device", "point"), at_ns, fields | _time("at", at_ns))


def of_alarm(state: AlarmState) -> RawRecord:
    """An alarm that is not at rest."""
    fields: dict[str, Any] = {
        "state": str(state.shown),
        "priority": state.priority,
        "area": state.area,
        "title": state.title,
        "text": state.text,
        "device": state.device or None,
        "channel": state.channel or None,
        "point": state.point or None,
        "partition": state.partition or None,
        "system": state.system or None,
        "value": state.value,
        "occurrence": state.occurrence,
        "acknowledged_by": state.acknowledged_by or None,
        "first_out": state.first_out,
        **_time("since", state.since_ns),
        **_time("announced", state.announced_ns),
        **_time("returned", state.returned_ns),
        **_time("acknowledged", state.acknowledged_ns),
    }
    key = _alarm_key(state.id)
    return _record("alarm", tuple(key), state.changed_ns, key | fields)


def _alarm_key(id: str) -> dict[str, Any]:
    """The fields of the identity: that of a node stands without its name, which is a field."""
    about = identity.overdue(id) or id
    first, _, rest = about.partition(".")
    if first != "node":
        return {"alarm": id}
    node, _, what = rest.rpartition(".")
    return {"alarm": f"{'overdue.' if about != id else ''}node.{what}", "node": node}


def of_node(state: NodeState) -> RawRecord:
    """A node of the fleet."""
    fields = {
        "node": state.node,
        "address": state.address,
        "engine": state.engine,
        "category": state.category,
        "reachable": state.is_reachable,
        "set_aside": state.cordon is not None,
        "instances": state.instances,
        "healthy": state.healthy,
        "trouble": state.cause.code if state.cause else None,
        "trouble_text": state.cause.message if state.cause else None,
    }
    return _record("node", ("node",), state.since_ns, fields | _time("since", state.since_ns))


def of_service(state: ServiceState) -> RawRecord:
    """A service of the fleet."""
    fields = {
        "service": state.service,
        "title": state.title,
        "category": state.category,
        "version": state.version,
        "wanted": state.is_wanted,
        "phase": str(state.phase),
        "healthy": state.healthy,
        "instances": len(state.instances),
        "disabled": state.disabled is not None,
        "nodes": sorted({one.node for one in state.instances}),
        "trouble": state.cause.code if state.cause else None,
        "trouble_text": state.cause.message if state.cause else None,
    }
    return _record("service", ("service",), state.since_ns, fields | _time("since", state.since_ns))


def of_role(presence: Presence, since_ns: int) -> RawRecord:
    """A process of the control system, from its heartbeat. `since_ns`: since when it is so."""
    fields = {
        "role": presence.role,
        "instance": presence.instance,
        "state": "not ready" if presence.troubles else "ready",
        "host": presence.host,
        "troubles": list(presence.troubles),
    }
    return _record("role", ("role", "instance"), since_ns, fields | _time("since", since_ns))


def of_event(number: int, event: Event, nodes: Collection[str] = ()) -> RawRecord | None:
    """An event, with its number in the stream; None for one that is about the users of the console or the mirror
    itself. `nodes`: names of nodes, which stand in the field `node`."""
    if event.department in _OWN:
        return None
    is_node = event.source in nodes
    fields: dict[str, Any] = {
        "number": number,
        "kind": str(event.kind),
        "department": event.department,
        "node" if is_node else "source": event.source,
        "channel": event.channel or None,
        "severity": event.severity,
        "action": event.action or None,
        "message": event.message,
        "principal": event.principal or None,
        **_time("time", event.time_ns),
    }
    if event.kind in (EventKind.STATE, EventKind.LINK):
        fields |= {"before": event.before or None, "after": event.after or None}
    run = event.data.get("run")
    if isinstance(run, int):
        fields["run"] = run
    return _record("event", ("number",), event.time_ns, fields, Sort.ENTRY)


def _record(
    kind: str, key: tuple[str, ...], at_ns: int, fields: Mapping[str, Any], sort: Sort = Sort.STATE
) -> RawRecord:
    return RawRecord(kind=kind, key=key, at_ns=at_ns, sort=sort, fields=fields)


def _time(name: str, time_ns: int | None) -> dict[str, str]:
    """A field with a time, in ms: finer ones are nothing for people. None where there is none."""
    return {name: format_time(time_ns // _MS_NS * _MS_NS)} if time_ns else {}
