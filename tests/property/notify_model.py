"""A slow, plain model of notification: it looks at every second, and keeps nothing but the messages that it sent.

At each second it asks of each alarm what the whole history and the messages so far say: which announcement counts, when
it was told, to whom, was it acknowledged since. It shares with the planner only the values that both take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.notify.routes import NotifyRoute, NotifySpec

S = 1_000_000_000


class Sent(NamedTuple):
    """A message to one channel."""

    second: int
    route: str
    kind: str
    step: int
    channel: str
    alarms: tuple[tuple[str, int], ...]


class Log(NamedTuple):
    """One act of a route: messages of one kind to some channels."""

    second: int
    rows_seen: int
    kind: str
    step: int
    channels: dict[str, tuple[str, ...]]
    alarms: tuple[str, ...]


class Model:
    """Messages of one route after another, second by second."""

    def __init__(
        self, spec: NotifySpec, rows: Sequence[AlarmEntry], states: Sequence[Mapping[str, AlarmState]]
    ) -> None:
        """`states`: of each second, after its rows."""
        self.spec = spec
        self.rows = rows
        self.states = states
        self.log: dict[str, list[Log]] = {name: [] for name in spec.routes}
        self.sent: list[Sent] = []
        self.second = 0

    def run(self) -> list[Sent]:
        for second in range(len(self.states)):
            self.second = second
            for _ in range(30):
                if not sum(self.look(route) for route in self.spec.routes.values()):
                    break
            else:
                raise AssertionError("it sends without end")
        return self.sent

    def look(self, route: NotifyRoute) -> bool:
        """Whether something was sent."""
        before = len(self.log[route.name])
        # What an earlier kind told in this look is no candidate of a later one.
        alarms = sorted({row.alarm for row in self.seen()})
        steps = {alarm: self.step(route, alarm) for alarm in alarms}
        waiting = [alarm for alarm in alarms if self.waits(route, alarm)]
        self.first(route, [alarm for alarm in waiting if steps[alarm] == 0])
        for step in range(1, len(route.escalate) + 1):
            self.escalate(route, step, [alarm for alarm in waiting if steps[alarm] == step])
        self.remind(route, waiting)
        self.follow_up(route, alarms)
        return len(self.log[route.name]) > before

    # The history.

    def seen(self) -> list[AlarmEntry]:
        return [row for row in self.rows if row.time_ns <= self.second * S]

    def of(self, alarm: str) -> Iterator[tuple[int, AlarmEntry]]:
        for index, row in enumerate(self.seen()):
            if row.alarm == alarm:
                yield index, row

    def announcements(self, route: NotifyRoute, alarm: str) -> list[tuple[int, AlarmEntry]]:
        """Those that count, the newest last: after the last flag."""
        found: list[tuple[int, AlarmEntry]] = []
        for index, row in self.of(alarm):
            if row.kind in (HistoryKind.SHELVED, HistoryKind.SUPPRESSED, HistoryKind.OUT_OF_SERVICE):
                found = []
            elif row.kind in (HistoryKind.ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN) and route.matches(
                row.area, row.priority
            ):
                found.append((index, row))
        return found

    def after(self, alarm: str, index: int, *kinds: HistoryKind) -> AlarmEntry | None:
        """The first such row of the alarm after this one."""
        return next((row for at, row in self.of(alarm) if at > index and row.kind in kinds), None)

    def acts(self, route: NotifyRoute, alarm: str, index: int, *kinds: str) -> list[Log]:
        """What was sent of the alarm after this row."""
        return [
            one for one in self.log[route.name] if alarm in one.alarms and one.rows_seen > index and one.kind in kinds
        ]

    # An alarm now.

    def step(self, route: NotifyRoute, alarm: str) -> int:
        found = self.announcements(route, alarm)
        return len(self.acts(route, alarm, found[-1][0], "first", "escalation")) if found else 0

    def over(self, alarm: str, index: int) -> AlarmEntry | None:
        return self.after(alarm, index, HistoryKind.RETURNED, HistoryKind.CLOSED)

    def waits(self, route: NotifyRoute, alarm: str) -> bool:
        found = self.announcements(route, alarm)
        state = self.states[self.second].get(alarm)
        if not found or state is None:
            return False
        index, row = found[-1]
        if self.over(alarm, index) or self.after(alarm, index, HistoryKind.ACKNOWLEDGED):
            return False
        return (
            state.base is BaseState.UNACKNOWLEDGED
            and not state.has_flag
            and not state.cause_id
            and state.occurrence == row.occurrence
            and route.matches(state.area, state.priority)
        )

    def due(self, route: NotifyRoute, alarm: str) -> int:
        """Second of the first message: of the earliest announcement of the occurrence that was not told yet."""
        found = self.announcements(route, alarm)
        index, row = found[-1]
        earliest = row.time_ns
        for before_index, before in reversed(found[:-1]):
            told = [one for one in self.acts(route, alarm, before_index, "first") if one.rows_seen <= index]
            silenced = self.after(alarm, before_index, HistoryKind.ACKNOWLEDGED)
            if before.occurrence != row.occurrence or told or (silenced and silenced.time_ns <= row.time_ns):
                break
            earliest, index = before.time_ns, before_index
        return (earliest + route.after_ns) // S

    def told(self, route: NotifyRoute, alarm: str) -> list[str]:
        """Channels whose last message said that it is active, in the order in which they were told."""
        found: list[str] = []
        events: list[tuple[int, int, str, Sequence[str]]] = []
        for index, row in self.of(alarm):
            events.append((index, 0, row.kind.value, ()))
        for one in self.log[route.name]:
            if alarm in one.alarms:
                events.append((one.rows_seen - 1, 1, one.kind, tuple(one.channels)))
        flags = [kind.value for kind in (HistoryKind.SHELVED, HistoryKind.SUPPRESSED, HistoryKind.OUT_OF_SERVICE)]
        ends = [HistoryKind.RETURNED.value, HistoryKind.CLOSED.value, HistoryKind.ACKNOWLEDGED.value]
        for _, is_act, kind, channels in sorted(events, key=lambda event: event[:2]):
            if is_act and kind in ("first", "escalation"):
                found += [channel for channel in channels if channel not in found]
            elif kind == "follow_up" if is_act else kind in flags or (kind in ends and not route.follow_up):
                found = []
        return found

    def allowed(self, route: NotifyRoute, alarm: str, due: int) -> int:
        """The second from which on it may be sent."""
        quiet = route.quiet
        row = self.announcements(route, alarm)[-1][1]
        if quiet is None or row.priority not in quiet.priorities:
            return due
        while quiet.end_ns(due * S) is not None:
            due += 1
        late = self.second
        if due <= late and quiet.end_ns(late * S) is not None:
            while quiet.end_ns(late * S) is not None:
                late += 1
            return late
        return due

    # What is sent.

    def window(self, route: NotifyRoute, due: Mapping[str, int]) -> list[str]:
        if not due or min(due.values()) + route.group_ns // S > self.second:
            return []
        return self.passed(route, [alarm for alarm, second in due.items() if second <= self.second], over=False)

    def passed(self, route: NotifyRoute, alarms: list[str], *, over: bool) -> list[str]:
        """All or none, by the rate."""
        rate = route.rate
        if rate and alarms:
            recent = [one for one in self.log[route.name] if one.second > self.second - rate.per_ns // S]
            urgent = any(self.announcements(route, one)[-1][1].priority == 1 for one in alarms) and not over
            if len(recent) >= rate.most and not urgent:
                return []
        return alarms

    def first(self, route: NotifyRoute, alarms: list[str]) -> None:
        due = {alarm: self.allowed(route, alarm, self.due(route, alarm)) for alarm in alarms}
        self.send(route, "first", 0, self.window(route, due), route.to)

    def escalate(self, route: NotifyRoute, step: int, alarms: list[str]) -> None:
        members: list[str] = []
        for alarm in alarms:
            index = self.announcements(route, alarm)[-1][0]
            told = self.acts(route, alarm, index, "first")[0].second
            due = told + route.escalate[step - 1].after_ns // S
            if self.allowed(route, alarm, due) <= self.second:
                members.append(alarm)
        self.send(route, "escalation", step, self.passed(route, members, over=False), route.escalate[step - 1].to)

    def remind(self, route: NotifyRoute, alarms: list[str]) -> None:
        if route.remind_ns is None:
            return
        due: dict[str, int] = {}
        for alarm in alarms:
            index = self.announcements(route, alarm)[-1][0]
            acts = self.acts(route, alarm, index, "first", "reminder")
            if acts:
                due[alarm] = self.allowed(route, alarm, acts[-1].second + route.remind_ns // S)
        if not due or min(due.values()) > self.second:
            return
        if self.passed(route, [alarm for alarm, second in due.items() if second <= self.second], over=False):
            soon = self.second + route.group_ns // S
            self.send_to_told(route, "reminder", [alarm for alarm, second in due.items() if second <= soon])

    def follow_up(self, route: NotifyRoute, alarms: list[str]) -> None:
        if not route.follow_up:
            return
        due: dict[str, int] = {}
        for alarm in alarms:
            found = self.announcements(route, alarm)
            if not found or not self.told(route, alarm):
                continue
            if (row := self.over(alarm, found[-1][0])) is not None:
                due[alarm] = self.allowed(route, alarm, row.time_ns // S)
        if not due or min(due.values()) + route.group_ns // S > self.second:
            return
        members = [alarm for alarm, second in due.items() if second <= self.second]
        self.send_to_told(route, "follow_up", self.passed(route, members, over=True))

    def send(self, route: NotifyRoute, kind: str, step: int, alarms: list[str], to: Sequence[str]) -> None:
        if not alarms:
            return
        channels = [one.channel for one in self.spec.directory.recipients(to, self.second * S)]
        self.note(route, kind, step, alarms, {channel: tuple(alarms) for channel in channels})

    def send_to_told(self, route: NotifyRoute, kind: str, alarms: list[str]) -> None:
        if not alarms:
            return
        of: dict[str, tuple[str, ...]] = {}
        for alarm in self.ordered(route, alarms):
            for channel in self.told(route, alarm):
                of[channel] = (*of.get(channel, ()), alarm)
        self.note(route, kind, -1, alarms, of)

    def note(
        self, route: NotifyRoute, kind: str, step: int, alarms: list[str], channels: dict[str, tuple[str, ...]]
    ) -> None:
        for channel, told in channels.items():
            named = tuple((one, self.announcements(route, one)[-1][1].occurrence) for one in self.ordered(route, told))
            self.sent.append(Sent(self.second, route.name, kind, step, channel, named))
        self.log[route.name].append(Log(self.second, len(self.seen()), kind, step, channels, tuple(alarms)))

    def ordered(self, route: NotifyRoute, alarms: Sequence[str]) -> list[str]:
        def urgency(alarm: str) -> tuple[int, int, str]:
            row = self.announcements(route, alarm)[-1][1]
            return row.priority, row.time_ns, alarm

        return sorted(alarms, key=urgency)
