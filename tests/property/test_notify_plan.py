"""The planner against a slow, plain model, over random histories of alarms; and its promises over restarts."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import AlarmState, BaseState, Shelf
from countingroom.core.notify.duty import Calendar
from countingroom.core.notify.missed import missed
from countingroom.core.notify.plan import plan
from countingroom.core.notify.planned import NextMessages, Planned
from countingroom.core.notify.routes import Escalation, NotifyRoute, NotifySpec, QuietHours, Rate, Recipients
from countingroom.core.notify.tracks import PlanState, restored, saved
from tests.examples import examples
from tests.property.notify_model import Model, S, Sent

ALARMS = ("a.1", "b.2", "c.3")
AREAS = {"a.1": "cooling/chiller", "b.2": "cooling", "c.3": "hv"}
KINDS = {"first": "first", "group": "first"}
END = 400

Step = tuple[int, str, str]
"""(seconds later, alarm, what happens)."""


class World:
    """Alarms whose states change by events, with the rows that the engine would write."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.rows: list[AlarmEntry] = []
        self.states: list[dict[str, AlarmState]] = []
        self._now: dict[str, AlarmState] = {
            alarm: AlarmState(
                id=alarm,
                area=AREAS[alarm],
                title=alarm,
                base=BaseState.NORMAL,
                priority=3,
                text="",
                occurrence=0,
                since_ns=0,
                changed_ns=0,
            )
            for alarm in ALARMS
        }
        second = 0
        for wait, alarm, what in steps:
            for _ in range(min(wait, END - second)):
                self._note()
                second += 1
            self._happens(alarm, what, second * S + len(self.rows) % 1000)
        while len(self.states) < END:
            self._note()

    def _note(self) -> None:
        self.states.append({id: state for id, state in self._now.items() if not state.is_at_rest})

    def _row(self, kind: HistoryKind, state: AlarmState, time_ns: int) -> None:
        # All of one second is seen at once.
        row = AlarmEntry(
            sequence=len(self.rows) + 1,
            time_ns=time_ns // S * S,
            alarm=state.id,
            area=state.area,
            kind=kind,
            occurrence=state.occurrence,
            base=state.base,
            priority=state.priority,
            person="anna" if kind is HistoryKind.ACKNOWLEDGED else "",
        )
        self.rows.append(row)
        self._now[state.id] = state

    def _announce(self, kind: HistoryKind, state: AlarmState, time_ns: int) -> None:
        time_ns = time_ns // S * S
        if state.announced_ns == time_ns:
            return  # the engine does not announce one occurrence twice at one time
        self._row(kind, replace(state, base=BaseState.UNACKNOWLEDGED, announced_ns=time_ns), time_ns)

    def _happens(self, alarm: str, what: str, time_ns: int) -> None:
        state = self._now[alarm]
        match what:
            case "1" | "2" | "3" | "4" if not state.base.is_active:
                new = replace(state, occurrence=state.occurrence + 1, priority=int(what), announced_ns=None)
                if state.has_flag or state.cause_id:
                    base = BaseState.ACKNOWLEDGED if state.has_flag else BaseState.UNACKNOWLEDGED
                    self._row(HistoryKind.ACTIVATED, replace(new, base=base), time_ns)
                else:
                    self._announce(HistoryKind.ANNOUNCED, new, time_ns)
            case "1" | "2" | "3" | "4" if int(what) != state.priority:
                new = replace(state, priority=int(what))
                raised = new.priority < state.priority
                self._row(HistoryKind.RAISED if raised else HistoryKind.LOWERED, new, time_ns)
                if raised and not state.has_flag and not state.cause_id:
                    self._announce(HistoryKind.ANNOUNCED_AGAIN, new, time_ns)
            case "clear" if state.base.is_active:
                acked = state.base is BaseState.ACKNOWLEDGED
                base = BaseState.NORMAL if acked else BaseState.RETURNED
                self._row(HistoryKind.RETURNED, replace(state, base=base), time_ns)
            case "ack" if state.base.needs_acknowledgement:
                base = BaseState.ACKNOWLEDGED if state.base.is_active else BaseState.NORMAL
                self._row(HistoryKind.ACKNOWLEDGED, replace(state, base=base), time_ns)
            case "shelve" if not state.has_flag:
                shelf = Shelf(by="anna", reason="", since_ns=time_ns, until_ns=2**62)
                self._row(HistoryKind.SHELVED, replace(state, shelf=shelf), time_ns)
            case "unshelve" if state.has_flag:
                self._row(HistoryKind.UNSHELVED, replace(state, shelf=None), time_ns)
                if state.base.is_active:
                    self._announce(HistoryKind.ANNOUNCED_AGAIN, self._now[alarm], time_ns)
            case "fold" if state.base.is_active:
                self._now[alarm] = replace(state, cause_id="x")
            case "unfold":
                self._now[alarm] = replace(state, cause_id="")
            case _:
                pass


class Engine:
    """Runs the planner when something happened and when it asked for it, and saves what it gives."""

    def __init__(self, spec: NotifySpec, world: World) -> None:
        self.spec = spec
        self.world = world
        self.rows: dict[str, str] = {}
        self.cursor = 0
        self.state = PlanState()
        self.messages: list[tuple[int, Planned]] = []
        self.last: NextMessages | None = None
        self.seen: dict[str, AlarmState] = {}

    def run(self, kills: Mapping[int, bool]) -> None:
        """`kills`: seconds at which the process dies; True: after it saved, False: just before."""
        changes = {0, *(row.time_ns // S for row in self.world.rows)}
        changes |= {n for n in range(1, END) if self.world.states[n] != self.world.states[n - 1]}
        due = sorted({*changes, *kills})
        looks: Counter[int] = Counter()
        while due:
            second = heapq.heappop(due)
            looks[second] += 1
            assert looks[second] < 30, "it asks to be called again and does nothing"
            if second >= END:
                return
            next_ns = self._look(second, lost=kills.get(second) is False)
            if second in kills:
                self.state = restored(self.rows.items())
                self.last = None
                next_ns = self._look(second)
            if next_ns is not None and (not due or next_ns <= due[0] * S):
                assert next_ns % S == 0
                heapq.heappush(due, max(next_ns // S, second))

    def _look(self, second: int, *, lost: bool = False) -> int | None:
        rows = [row for row in self.world.rows if row.sequence > self.cursor and row.time_ns <= second * S]
        rows += missed(self.spec, self.state, self.world.states[second], second * S) if second and lost else []
        present = self.world.states[second]
        changed = {id for id in (*present, *self.seen) if present.get(id) != self.seen.get(id)}
        found = plan(self.spec, self.state, rows, present, second * S, last=self.last, changed=changed)
        if lost:
            return None
        self.last = found
        self.seen = present
        self.cursor = max([self.cursor, *(row.sequence for row in rows)])
        self.state = found.state
        for key, text in saved(found.changed).items():
            if text is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = text
        assert restored(self.rows.items()) == found.state
        self.messages += [(second, one) for one in found.messages]
        return found.next_ns

    def sent(self) -> list[Sent]:
        return [
            Sent(
                second,
                one.route,
                KINDS.get(one.kind.value, one.kind.value),
                one.step if one.kind.value in (*KINDS, "escalation") else -1,
                one.channel,
                tuple((track.alarm, track.occurrence) for track in one.tracks),
            )
            for second, one in self.messages
        ]


def seconds(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high).map(lambda n: n * S)


@st.composite
def routes(draw: st.DrawFn) -> dict[str, NotifyRoute]:
    found: dict[str, NotifyRoute] = {}
    for name in draw(st.sampled_from([("r",), ("r", "s")])):
        times = draw(st.lists(st.integers(1, 90), unique=True, max_size=2).map(sorted))
        begin = draw(st.integers(0, 5))
        found[name] = NotifyRoute(
            name=name,
            areas=draw(st.sampled_from([(), ("cooling",), ("cooling/chiller", "hv")])),
            priorities=frozenset(draw(st.sets(st.integers(1, 4), min_size=1))),
            to=draw(st.sampled_from([("duty",), ("mail", "ben"), ("chat",), ("anna", "ben")])),
            after_ns=draw(seconds(0, 20)),
            group_ns=draw(seconds(0, 20)),
            escalate=tuple(
                Escalation(after_ns=after * S, to=draw(st.sampled_from([("ben",), ("chat", "duty")])))
                for after in times
            ),
            follow_up=draw(st.booleans()),
            remind_ns=draw(st.none() | seconds(5, 80)),
            rate=draw(st.none() | st.builds(Rate, most=st.integers(1, 3), per_ns=seconds(10, 150))),
            quiet=draw(
                st.none()
                | st.just(
                    QuietHours(
                        begin=time(0, begin),
                        end=time(0, begin + draw(st.integers(1, 3))),
                        priorities=frozenset({3, 4}),
                        zone=UTC,
                    )
                )
            ),
        )
    return found


def directory(*, covered: bool) -> Recipients:
    calendar = Calendar(
        name="duty",
        rota=("anna", "ben"),
        begins=datetime(1970, 1, 1) if covered else datetime(1970, 1, 1, 0, 2),  # noqa: DTZ001
        every_s=100,
        zone=UTC,
    )
    return Recipients(
        channels=frozenset({"mail", "phone", "ben_mail", "chat"}),
        people={"anna": ("mail", "phone"), "ben": ("ben_mail",)},
        calendars={"duty": calendar},
    )


EVENTS = ("1", "2", "3", "4", "clear", "ack", "shelve", "unshelve", "fold", "unfold")
WEIGHTED = (*EVENTS, "1", "3", "3", "2", "clear", "clear", "ack")
STEPS = st.lists(
    st.tuples(st.integers(0, 40) | st.just(0), st.sampled_from(ALARMS), st.sampled_from(WEIGHTED)), max_size=25
)


@settings(max_examples=examples(150), deadline=None)
@given(given_routes=routes(), covered=st.booleans(), steps=STEPS)
def test_the_planner_sends_what_the_plain_model_says(
    given_routes: dict[str, NotifyRoute], covered: bool, steps: list[Step]
) -> None:
    spec = NotifySpec(routes=given_routes, directory=directory(covered=covered))
    world = World(steps)
    engine = Engine(spec, world)
    engine.run({})
    expected = Model(spec, world.rows, world.states).run()
    assert sorted(engine.sent()) == sorted(expected)
    ids = [one.id for _, one in engine.messages]
    assert len(ids) == len(set(ids))


@settings(max_examples=examples(100), deadline=None)
@given(
    given_routes=routes(),
    steps=STEPS,
    kills=st.dictionaries(st.integers(1, END - 1), st.booleans(), max_size=6),
)
def test_a_kill_at_any_point_loses_no_message_and_makes_none_twice(
    given_routes: dict[str, NotifyRoute], steps: list[Step], kills: dict[int, bool]
) -> None:
    spec = NotifySpec(routes=given_routes, directory=directory(covered=True))
    world = World(steps)
    undisturbed, killed = Engine(spec, world), Engine(spec, world)
    undisturbed.run({})
    killed.run(kills)
    assert sorted(killed.sent()) == sorted(undisturbed.sent())
    ids = [one.id for _, one in killed.messages]
    assert len(ids) == len(set(ids))
