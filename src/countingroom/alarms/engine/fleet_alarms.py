"""Evaluates the alarms of the fleet from the states of nodes and services that the fleet keeper publishes. Pure.

A service has one alarm of each kind, for all its instances together; the text names the instances. The alarm is more
urgent if no instance works any more.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from msgspec.structs import replace

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear, removed, unknown
from countingroom.alarms.fleet_kinds import CHANGING, CORDONED, DISABLED, KEEPER, NODES, SERVICES
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.record import Phase, SetAside
from countingroom.core.fleet.specs import CRASHES_OF_A_LOOP
from countingroom.core.fleet.states import FLEET_KEY, FleetState, InstanceState, NodeState, ServiceState

NO_KEEPER = "no process keeps the fleet: the role fleet is gone or sends no heartbeat"
PAST_NS = 60_000_000_000
"""The keeper ends a cordon or a disabling at its time. If it is not ended this long after, that is an alarm."""
_MOST_NAMED = 5
"""The most instances that a text names."""


class FleetAlarms:
    """The alarms of the fleet. Its methods return findings."""

    def __init__(self) -> None:
        self._main: FleetState | None = None
        self._nodes: dict[str, NodeState] = {}
        self._services: dict[str, ServiceState] = {}
        self._gone_ns: int | None = None
        self._process = ""
        self._urged: set[str] = set()
        """Lost nodes whose alarm was given without its on-delay."""

    def take(self, state: FleetState | NodeState | ServiceState, now_ns: int) -> Iterator[Found]:
        """Take in the state of the fleet, of a node or of a service."""
        match state:
            case FleetState():
                self._main = state
                yield from self._keeper(now_ns)
            case NodeState():
                self._nodes[state.node] = state
                if state.is_reachable:
                    self._urged.discard(state.node)
                yield from self._node(state, now_ns)
            case ServiceState():
                self._services[state.service] = state
                yield from self._service(state, now_ns)

    def gone(self, key: str, now_ns: int) -> Iterator[Found]:
        """Take in that a node or service was removed from the fleet."""
        kind, _, name = key.partition(".")
        if key == FLEET_KEY:
            self._main = None
            yield _keeper_subject(), removed(now_ns)
        elif kind == "node":
            self._nodes.pop(name, None)
            self._urged.discard(name)
            for what in NODES:
                yield _node_subject(name, what), removed(now_ns)
        else:
            self._services.pop(name, None)
            for what in SERVICES:
                yield _service_subject(name, what), removed(now_ns)

    def served(self, is_served: bool, now_ns: int, process: str = "") -> Iterator[Found]:
        """Take in whether the fleet keeper is alive. `process`: the alarm of its process; empty: unknown."""
        if is_served == (self._gone_ns is None):
            return
        self._gone_ns = None if is_served else now_ns
        self._process = process
        yield from self._keeper(now_ns)
        for node in self._nodes.values():
            yield from self._node(node, now_ns)
        for service in self._services.values():
            yield from self._service(service, now_ns)

    def node_of(self, system: str) -> str:
        """The link alarm of the node that runs the agent of a system; empty if no service runs it."""
        services = (one for one in self._services.values() if one.runs == f"system.{system}" and one.instances)
        return next((identity.of_node(one.instances[0].node, "link") for one in services), "")

    def look(self, now_ns: int, lost: Container[str] = ()) -> Iterator[Found]:
        """Cordons and disablings that are over their time. Called regularly, because no message reports it. `lost`:
        alarms of nodes whose loss run control has seen as well, so their on-delay is skipped."""
        for node in self._nodes.values():
            is_missed = identity.of_node(node.node, "link") in lost and not node.is_reachable
            if is_missed and node.node not in self._urged:
                self._urged.add(node.node)
                yield from ((subject, replace(found, at_once=True)) for subject, found in self._node(node, now_ns))
            yield _node_subject(node.node, "set_aside"), _past(node.cordon, now_ns)
        for service in self._services.values():
            yield _service_subject(service.service, "disabled"), _past(service.disabled, now_ns)

    def suppressing(self) -> Iterator[str]:
        """The names of the suppressions that are true now. Without an abnormal instance a suppression is not reported,
        so a change that goes well adds no rows to the history of the alarms."""
        for service in self._services.values():
            if not any(_is_in_loop(one) or _is_bad(one) or one.drift for one in service.instances if one.is_known):
                continue
            if service.phase in (Phase.ROLLING, Phase.ROLLING_BACK):
                yield f"{CHANGING}/{service.service}"
            if service.disabled:
                yield f"{DISABLED}/{service.service}"
        for node in self._nodes.values():
            if node.cordon and not node.is_reachable:
                yield f"{CORDONED}/{node.node}"

    def _keeper(self, now_ns: int) -> Iterator[Found]:
        subject = _keeper_subject()
        cause = self._main.cause if self._main else None
        if self._gone_ns is not None:
            text, since_ns, blames = NO_KEEPER, self._gone_ns, self._process
        elif cause:
            text, since_ns, blames = f"nothing is done: {cause.message}", cause.since_ns or now_ns, ""
        else:
            yield subject, clear(now_ns)
            return
        yield (
            subject,
            AlarmFinding(
                level=severity.MEDIUM,
                since_ns=since_ns,
                text=text,
                advice=cause.suggestion if cause else "",
                blames=blames,
            ),
        )

    def _node(self, state: NodeState, now_ns: int) -> Iterator[Found]:
        subject = _node_subject(state.node, "link")
        if self._gone_ns is not None:
            yield subject, unknown(now_ns)
        elif state.is_reachable:
            yield subject, clear(state.since_ns)
        else:
            why = f": {state.cause.message}" if state.cause else ""
            on_it = f"; {_count(state.instances, 'instance')} there cannot be seen" if state.instances else ""
            yield (
                subject,
                AlarmFinding(
                    level=severity.MEDIUM,
                    since_ns=state.since_ns,
                    text=f"does not answer{why}{on_it}",
                    advice=state.cause.suggestion if state.cause else "",
                ),
            )

    def _service(self, state: ServiceState, now_ns: int) -> Iterator[Found]:
        name = state.service
        if self._gone_ns is not None:
            for what in SERVICES:
                yield _service_subject(name, what), unknown(now_ns)
            return
        known = [one for one in state.instances if one.is_known]
        looping = [one for one in known if _is_in_loop(one)]
        bad = [one for one in known if one not in looping and _is_bad(one)]
        level = severity.MEDIUM if state.healthy else severity.HIGH
        yield _service_subject(name, "crash_loop"), _of_instances(state, looping, level, now_ns)
        yield _service_subject(name, "unhealthy"), _of_instances(state, bad, level, now_ns)
        changed = [] if state.phase in (Phase.ROLLING, Phase.ROLLING_BACK) else [one for one in known if one.drift]
        yield _service_subject(name, "drift"), _of_instances(state, changed, severity.LOW, now_ns)
        yield _service_subject(name, "change"), _of_change(state)


def _of_change(state: ServiceState) -> AlarmFinding:
    said = {
        Phase.ROLLING_BACK: (severity.MEDIUM, f"r{state.target} failed; it goes back to r{state.revision}"),
        Phase.FAILED: (severity.MEDIUM, f"r{state.target} failed, and nothing more is changed"),
        Phase.ROLLED_BACK: (severity.LOW, f"r{state.target} failed; it is back at r{state.revision}"),
    }.get(state.phase)
    if said is None:
        return clear(state.since_ns)
    level, text = said
    cause = state.cause
    return AlarmFinding(
        level=level,
        since_ns=state.since_ns,
        text=f"{text}: {cause.message}" if cause else text,
        advice=cause.suggestion if cause else "",
    )


def _of_instances(state: ServiceState, found: Sequence[InstanceState], level: int, now_ns: int) -> AlarmFinding:
    if not found:
        return clear(now_ns)
    sentences = [f"{_name(state, one)} {_what(one)}" for one in found[:_MOST_NAMED]]
    if more := len(found) - _MOST_NAMED:
        sentences += [f"and {_count(more, 'further instance')}"] if more > 0 else []
    return AlarmFinding(
        level=level,
        since_ns=min(one.since_ns or now_ns for one in found),
        text="; ".join(sentences),
        advice=f"countingroom fleet logs {_name(state, found[0])}",
    )


def _name(state: ServiceState, one: InstanceState) -> str:
    return f"{state.service}@{one.node}" + (f"#{one.index}" if one.index else "")


def _what(one: InstanceState) -> str:
    why = f": {one.reason}" if one.reason else ""
    status = "" if one.exit_status is None else f" with status {one.exit_status}"
    if one.drift and not (_is_in_loop(one) or _is_bad(one)):
        return f"was changed by hand: {', '.join(one.drift)}"
    if _is_in_loop(one):
        return f"ended {one.crashes} times in a row, last{status or ' without a status'}{why}"
    if one.health is None:
        return "is not there"
    return f"ended{status}{why}" if one.health is Health.EXITED else f"fails its health check{why}"


def _is_in_loop(one: InstanceState) -> bool:
    return one.crashes >= CRASHES_OF_A_LOOP and one.health in (Health.EXITED, Health.STARTING, Health.UNHEALTHY)


def _is_bad(one: InstanceState) -> bool:
    if one.is_over:
        return False
    return one.health in (Health.UNHEALTHY, Health.EXITED) or (one.health is None and not one.doing)


def _past(aside: SetAside | None, now_ns: int) -> AlarmFinding:
    if aside is None or aside.until_ns is None or now_ns < aside.until_ns + PAST_NS:
        return clear(now_ns)
    return AlarmFinding(
        level=severity.LOW, since_ns=aside.until_ns, text=f"by {aside.by} past its time: {aside.reason}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _keeper_subject() -> AlarmSubject:
    return AlarmSubject(id=identity.FLEET_KEEPER, title=f"fleet / {KEEPER.title}")


def _node_subject(node: str, what: str) -> AlarmSubject:
    return AlarmSubject(id=identity.of_node(node, what), title=f"node {node} / {NODES[what].title}")


def _service_subject(service: str, what: str) -> AlarmSubject:
    return AlarmSubject(id=identity.of_service(service, what), title=f"service {service} / {SERVICES[what].title}")
