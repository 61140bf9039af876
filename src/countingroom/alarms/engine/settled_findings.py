"""Delays of alarms about states: a finding is passed on when its on-delay or off-delay is over. Pure.

The conditions of points have their delays in themselves (`point_conditions.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct, structs

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core.alarms.conditions import settling
from countingroom.core.alarms.conditions.specs import AT_REST, NEVER, ConditionState, StateSpec
from countingroom.core.alarms.definition import AlarmDefinition


class _Held(Struct):
    """An alarm with delays."""

    subject: AlarmSubject
    spec: StateSpec
    finding: AlarmFinding
    state: ConditionState = AT_REST


class SettledFindings:
    """Passes findings on, those of alarms with delays later."""

    def __init__(self, find: Callable[[str], AlarmDefinition | None]) -> None:
        """`find`: the definition of an alarm by its identity."""
        self._find = find
        self._held: dict[str, _Held] = {}
        self._due: list[tuple[int, str]] = []

    def take(self, found: Iterable[Found], now_ns: int) -> Iterator[Found]:
        """What is to be passed on now."""
        for subject, finding in found:
            definition = self._find(subject.id)
            if subject.point or definition is None or finding.removed or not _has_delay(definition):
                self._held.pop(subject.id, None)
                yield subject, finding
                continue
            if finding.unknown:
                yield subject, finding
                continue
            held = self._held.get(subject.id)
            spec = _spec(definition)
            if held is None or held.spec != spec:
                held = self._held[subject.id] = _Held(subject, spec, finding)
            held.state = settling.take(held.spec, held.state, finding.level, 0, now_ns)
            if held.state.due_ns != NEVER:
                heapq.heappush(self._due, (held.state.due_ns, subject.id))
            if finding.level or held.state.level == finding.level:
                held.finding = finding  # of an alarm that waits for its off-delay the last text stays
            if held.state.level == finding.level:
                yield subject, finding
            elif held.state.level and finding.level:
                yield subject, structs.replace(finding, level=held.state.level)

    def pass_time(self, now_ns: int) -> Iterator[Found]:
        """What is to be passed on because a delay is over."""
        while self._due and self._due[0][0] <= now_ns:
            _, id = heapq.heappop(self._due)
            held = self._held.get(id)
            if held is None or held.state.due_ns > now_ns:
                continue
            before = held.state.level
            held.state = settling.pass_time(held.spec, held.state, now_ns)
            if held.state.due_ns != NEVER:
                heapq.heappush(self._due, (held.state.due_ns, id))
            if held.state.level == before:
                continue
            if held.state.level:
                yield held.subject, structs.replace(held.finding, level=held.state.level)
            else:
                yield held.subject, clear(held.state.since_ns)

    def next_due_ns(self) -> int | None:
        """When `pass_time` is to be called; None: nothing waits."""
        return self._due[0][0] if self._due else None


def _has_delay(definition: AlarmDefinition) -> bool:
    return bool(definition.on_delay_s or definition.off_delay_s)


def _spec(definition: AlarmDefinition) -> StateSpec:
    """The delays of an alarm, in the form that the rules of conditions take."""
    return StateSpec(
        states=(),
        priority=1,
        on_delay_ns=round(definition.on_delay_s * 1e9),
        off_delay_ns=round(definition.off_delay_s * 1e9),
    )
