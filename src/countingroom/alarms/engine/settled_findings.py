"""Delays of alarms about states: passes a finding on when its on-delay or off-delay is over. Pure.

The conditions of points have their own delays (`point_conditions.py`).
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
    """An alarm with delays, and its last finding."""

    subject: AlarmSubject
    spec: StateSpec
    finding: AlarmFinding
    state: ConditionState = AT_REST


class SettledFindings:
    """Passes findings on; findings of alarms with delays are passed on later."""

    def __init__(
        self,
        find: Callable[[str], AlarmDefinition | None],
        before: Callable[[str], tuple[int, int]] = lambda _: (0, 0),
        began_ns: int = 0,
    ) -> None:
        """`find`: identity -> definition of an alarm. `before`: identity -> level and begin (ns) that the alarm had
        before a restart; level 0: none. `began_ns`: when this engine began. A delay that began earlier continues."""
        self._find = find
        self._before = before
        self._began_ns = began_ns
        self._held: dict[str, _Held] = {}
        self._due: list[tuple[int, str]] = []
        self._now_ns = began_ns
        """The time of the last call."""

    def take(self, found: Iterable[Found], now_ns: int) -> Iterator[Found]:
        """Take in findings. Returns those that count at once."""
        self._at(now_ns)
        for subject, finding in found:
            definition = self._find(subject.id)
            # The conditions of points have delays of their own; without a definition the delays are not known.
            if subject.point or definition is None or finding.removed:
                self._held.pop(subject.id, None)
                yield subject, finding
                continue
            held = self._held.get(subject.id)
            spec = _spec(definition, finding)
            if finding.unknown or (held is None and not (spec.on_delay_ns or spec.off_delay_ns)):
                yield subject, finding
                continue
            if held is None:
                held = self._held[subject.id] = self._begin(subject, spec, finding, now_ns)
            elif held.spec != spec:
                held.spec = spec
                # Delays that have begun end by the new spec, also if the level stays the same.
                held.state = settling.pass_time(spec, structs.replace(held.state, due_ns=now_ns), now_ns)
            held.state = settling.take(spec, held.state, finding.level, 0, now_ns)
            if held.state.due_ns != NEVER:
                heapq.heappush(self._due, (held.state.due_ns, subject.id))
            if finding.level or held.state.level == finding.level:
                held.finding = finding  # not in an off-delay: there the alarm keeps the text of its last active finding
            if held.state.level == finding.level:
                yield subject, finding
            elif held.state.level and finding.level:
                yield subject, structs.replace(finding, level=held.state.level)

    def _begin(self, subject: AlarmSubject, spec: StateSpec, finding: AlarmFinding, now_ns: int) -> _Held:
        level, since_ns = self._before(subject.id)
        state = AT_REST
        if level:
            state = ConditionState(
                level=level, since_ns=since_ns, raw=level, turned_ns=(since_ns, since_ns, since_ns, since_ns)
            )
        # A condition from before this engine keeps its begin, so a restart does not start its delay again.
        if finding.since_ns < self._began_ns and not finding.lasting_ns:
            state = settling.take(spec, state, finding.level, 0, finding.since_ns)
        return _Held(subject, spec, finding, state)

    def pass_time(self, now_ns: int) -> Iterator[Found]:
        """The findings of delays that are over at `now_ns`."""
        self._at(now_ns)
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

    def _at(self, now_ns: int) -> None:
        if now_ns < self._now_ns:  # the clock was set back
            for id, held in self._held.items():
                held.state = settling.pass_time(held.spec, settling.set_back(held.state, now_ns), now_ns)
                if held.state.due_ns != NEVER:
                    heapq.heappush(self._due, (held.state.due_ns, id))
        self._now_ns = now_ns

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no delay runs."""
        return self._due[0][0] if self._due else None


def _spec(definition: AlarmDefinition, finding: AlarmFinding) -> StateSpec:
    """The delays of an alarm as a condition spec."""
    return StateSpec(
        states=(),
        priority=1,
        on_delay_ns=0 if finding.at_once else max(round(definition.on_delay_s * 1e9), finding.lasting_ns),
        off_delay_ns=round(definition.off_delay_s * 1e9),
    )
