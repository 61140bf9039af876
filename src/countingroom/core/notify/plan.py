"""The planner: from announced, acknowledged and returned alarms to messages. Pure.

It reads the rows of the alarm history, and checks the present state of an alarm when a message about it is due. The
messages, the changed state and the read position are saved in one transaction. The id of a message follows from its
content, so no message is made twice.

A step of a route is due for several alarms at once, or within its grouping window: they come in one message to each
recipient, the most urgent first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec.structs import replace

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import HIGHEST_PRIORITY, AlarmState, BaseState
from countingroom.core.notify.messages import NotificationKind, notification_id
from countingroom.core.notify.planned import NextMessages, Planned
from countingroom.core.notify.routes import NotifyRoute, NotifySpec, Recipient
from countingroom.core.notify.tracks import Draft, PlanState, Track

_ANNOUNCED = frozenset({HistoryKind.ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN})
_FLAGGED = frozenset({HistoryKind.SHELVED, HistoryKind.SUPPRESSED, HistoryKind.OUT_OF_SERVICE})
_NEVER_NS = 1 << 63
_OVER = frozenset({HistoryKind.RETURNED, HistoryKind.CLOSED})

Present = Mapping[str, AlarmState]
"""Alarm -> its state; an alarm at rest is not in it."""


def plan(
    spec: NotifySpec,
    before: PlanState,
    rows: Iterable[AlarmEntry],
    present: Present,
    now_ns: int,
    *,
    last: NextMessages | None = None,
    changed: Iterable[str] = (),
) -> NextMessages:
    """Take in the rows of the history in their order, and make the messages that are due.

    `last`: the result of the last call. `changed`: the alarms whose present state changed since. With them all alarms
    are checked only when a message can be due: a check of ten thousand alarms takes 0.1 s.
    """
    planning = _Planning(spec, before, present, now_ns)
    touched = set(changed)
    for row in rows:
        touched.add(row.alarm)
        planning.take(row)
    planning.forget_routes()
    if last is not None and (next_ns := planning.earliest_ns(last.next_ns, touched)) > now_ns:
        planning.wait_until(next_ns)
        return planning.outcome()
    for route in spec.routes.values():
        planning.tell(route)
    return planning.outcome()


class _Planning:
    """One run of the planner."""

    def __init__(self, spec: NotifySpec, before: PlanState, present: Present, now_ns: int) -> None:
        self._spec = spec
        self._present = present
        self._now_ns = now_ns
        self._draft = Draft(before)
        self._messages: list[Planned] = []
        self._unreached: list[str] = []
        self._next: list[int] = []

    def outcome(self) -> NextMessages:
        """The result of the run."""
        return NextMessages(
            messages=tuple(self._messages),
            state=self._draft.state(),
            changed=self._draft.changed(),
            next_ns=min(self._next, default=None),
            unreached=tuple(dict.fromkeys(self._unreached)),
        )

    def take(self, row: AlarmEntry) -> None:
        """Take in one row of the history."""
        if row.kind in _ANNOUNCED:
            for name, route in self._spec.routes.items():
                if route.matches(row.area, row.priority):
                    self._announce(route, row, self._draft.tracks.get((name, row.alarm)))
            return
        for track in list(self._draft.of_alarm(row.alarm, self._spec.routes)):
            if row.occurrence < track.occurrence:
                continue  # a late row about an earlier occurrence
            if row.kind in _FLAGGED:
                self._draft.drop(track.key)
            elif row.kind is HistoryKind.ACKNOWLEDGED:
                changes = replace(track, due_ns=None, remind_ns=None, acknowledged_by=row.person)
                self._keep_if_told(changes)
            elif row.kind in _OVER:
                self._return(track, row)

    def forget_routes(self) -> None:
        """Drop tracks and times of routes that the description no longer has."""
        for key in [key for key in self._draft.tracks if key[0] not in self._spec.routes]:
            self._draft.drop(key)
        for route in [route for route in self._draft.sent if route not in self._spec.routes]:
            self._draft.count(route, ())

    def earliest_ns(self, next_ns: int | None, alarms: Iterable[str]) -> int:
        """The earliest time at which a message can be due. `next_ns`: the earliest one for all other alarms."""
        found = [_NEVER_NS if next_ns is None else next_ns]
        for alarm in alarms:
            for track in self._draft.of_alarm(alarm, self._spec.routes):
                route = self._spec.routes[track.route]
                # An alarm of the highest priority ends the wait of those that the rate holds back.
                is_urgent = route.rate is not None and track.priority == HIGHEST_PRIORITY
                group_ns = 0 if track.step > 0 or is_urgent else route.group_ns
                if track.due_ns is not None:
                    found.append(track.due_ns + group_ns)
                if track.remind_ns is not None:
                    found.append(track.remind_ns)
                if track.returned_ns is not None:
                    found.append(track.returned_ns + route.group_ns)
        return min(found)

    def wait_until(self, next_ns: int) -> None:
        """Run again at this time."""
        if next_ns < _NEVER_NS:
            self._next.append(next_ns)

    def tell(self, route: NotifyRoute) -> None:
        """Make the messages of one route that are due."""
        tracks = [track for (name, _), track in self._draft.tracks.items() if name == route.name]
        waiting = [track for track in tracks if self._is_wanted(route, track)]
        self._first(route, [track for track in waiting if track.step == 0])
        self._escalate(route, [track for track in waiting if track.step > 0])
        self._remind(route, waiting)
        self._follow_up(route, [track for track in tracks if track.returned_ns is not None])

    def _announce(self, route: NotifyRoute, row: AlarmEntry, former: Track | None) -> None:
        told = former.told if former else ()
        thread = former.thread if former else ""
        due_ns = min(row.time_ns, self._now_ns) + route.after_ns  # the wall clock may have been set back since
        is_again = row.kind is HistoryKind.ANNOUNCED_AGAIN
        if former and former.occurrence == row.occurrence:
            if row.time_ns <= former.announced_ns and not self._is_present(row, former):
                return  # the same row, or an older one
            if former.step == 0 and former.due_ns is not None:
                due_ns = min(due_ns, former.due_ns)  # a rise of priority does not delay it
                is_again = former.is_again
        else:
            thread = ""  # mail programs show each occurrence as a conversation of its own
        self._draft.put(
            Track(
                route=route.name,
                alarm=row.alarm,
                occurrence=row.occurrence,
                announced_ns=row.time_ns,
                priority=row.priority,
                area=row.area,
                title=row.title,
                text=row.text,
                is_again=is_again,
                due_ns=due_ns,
                told=told,
                thread=thread,
            )
        )

    def _is_present(self, row: AlarmEntry, former: Track) -> bool:
        """Whether it is the present announcement although its time is earlier: the wall clock was set back."""
        state = self._present.get(row.alarm)
        return row.time_ns != former.announced_ns and state is not None and state.announced_ns == row.time_ns

    def _return(self, track: Track, row: AlarmEntry) -> None:
        follows = track.told and self._spec.routes[track.route].follow_up
        if not follows:
            self._draft.drop(track.key)
        elif track.returned_ns is None:
            is_closed = row.kind is HistoryKind.CLOSED
            over = replace(track, due_ns=None, remind_ns=None, returned_ns=row.time_ns, is_closed=is_closed)
            self._draft.put(over)

    def _keep_if_told(self, track: Track) -> None:
        """Keep a track only if it needs a follow-up."""
        if track.told and self._spec.routes[track.route].follow_up:
            self._draft.put(track)
        else:
            self._draft.drop(track.key)

    def _is_wanted(self, route: NotifyRoute, track: Track) -> bool:
        """Whether a message about the alarm is still wanted."""
        state = self._present.get(track.alarm)
        return (
            track.returned_ns is None
            and state is not None
            and state.occurrence == track.occurrence
            and is_waiting(state)
            and route.matches(state.area, state.priority)
        )

    def _first(self, route: NotifyRoute, tracks: Sequence[Track]) -> None:
        due = self._due(route, [(track, track.due_ns) for track in tracks if track.due_ns is not None])
        members = self._window(route, due)
        if not members:
            return
        recipients = self._recipients(route, route.to)
        base = notification_id("first", route.name, *_named(members))
        kind = NotificationKind.FIRST if len(members) == 1 else NotificationKind.GROUP
        for one in recipients:
            self._message(kind, route, one, members, step=0, base=base)
        told = [one.channel for one in recipients]
        escalate = route.escalate[0].after_ns if route.escalate else None
        for track in members:
            self._draft.put(
                replace(
                    track,
                    step=1,
                    first_ns=self._now_ns,
                    due_ns=None if escalate is None else self._now_ns + escalate,
                    remind_ns=None if route.remind_ns is None else self._now_ns + route.remind_ns,
                    told=_with(track.told, told),
                    thread=track.thread or base,
                )
            )
            self._look_again(route, self._draft.tracks[track.key])

    def _escalate(self, route: NotifyRoute, tracks: Sequence[Track]) -> None:
        for step in range(1, len(route.escalate) + 1):
            at_step = [(track, track.due_ns) for track in tracks if track.step == step and track.due_ns is not None]
            due = self._due(route, at_step)
            members = self._allowed(route, [track for track, due_ns in due if due_ns <= self._now_ns])
            self._next += [due_ns for _, due_ns in due if due_ns > self._now_ns]
            if not members:
                continue
            recipients = self._recipients(route, route.escalate[step - 1].to)
            base = notification_id("escalation", route.name, step, *_named(members))
            for one in recipients:
                self._message(NotificationKind.ESCALATION, route, one, members, step=step, base=base)
            told = [one.channel for one in recipients]
            for track in members:
                due_ns = None
                if step < len(route.escalate):
                    due_ns = track.first_ns + route.escalate[step].after_ns
                    self._next.append(max(due_ns, self._now_ns))
                self._draft.put(replace(track, step=step + 1, due_ns=due_ns, told=_with(track.told, told)))

    def _remind(self, route: NotifyRoute, tracks: Iterable[Track]) -> None:
        every_ns = route.remind_ns
        if every_ns is None:
            return
        present = [self._draft.tracks[track.key] for track in tracks if track.key in self._draft.tracks]
        due = self._due(route, [(track, track.remind_ns) for track in present if track.remind_ns is not None])
        self._next += [due_ns for _, due_ns in due if due_ns > self._now_ns]
        if not self._allowed(route, [track for track, due_ns in due if due_ns <= self._now_ns]):
            return
        # Those that would be due a moment later come with them.
        soon_ns = self._now_ns + route.group_ns
        members = sorted((track for track, due_ns in due if due_ns <= soon_ns), key=_urgency)
        self._to_told(NotificationKind.REMINDER, route, members, str(self._now_ns))
        for track in members:
            self._draft.put(replace(track, remind_ns=self._now_ns + every_ns))
        self._next.append(self._now_ns + every_ns)

    def _follow_up(self, route: NotifyRoute, tracks: Sequence[Track]) -> None:
        due = self._due(route, [(track, track.returned_ns) for track in tracks if track.returned_ns is not None])
        members = self._window(route, due)
        if not members:
            return
        self._to_told(NotificationKind.FOLLOW_UP, route, members, "")
        for track in members:
            self._draft.drop(track.key)

    def _due(self, route: NotifyRoute, given: Iterable[tuple[Track, int]]) -> list[tuple[Track, int]]:
        """Tracks with the time at which they may be sent: their due time, or the end of the quiet hours."""
        return [(track, route.allowed_ns(track.priority, due_ns, self._now_ns)) for track, due_ns in given]

    def _window(self, route: NotifyRoute, due: Sequence[tuple[Track, int]]) -> list[Track]:
        """The tracks that go into a message now: all due ones, if the grouping time since the first of them is over."""
        if not due:
            return []
        begin_ns = min(due_ns for _, due_ns in due)
        if begin_ns + route.group_ns > self._now_ns:
            # The grouping time counts from the due time, so alarms that waited for the end of quiet hours wait no more.
            self._next.append(begin_ns if begin_ns > self._now_ns else begin_ns + route.group_ns)
            return []
        members = self._allowed(route, [track for track, due_ns in due if due_ns <= self._now_ns])
        self._next += [due_ns for _, due_ns in due if due_ns > self._now_ns]
        return members

    def _allowed(self, route: NotifyRoute, members: list[Track]) -> list[Track]:
        """These tracks, the most urgent first, and count one message; empty if the rate of the route is used up. A
        message with an alarm of the highest priority never waits."""
        if not members or route.rate is None:
            return sorted(members, key=_urgency)
        since_ns = self._now_ns - route.rate.per_ns
        times = tuple(time_ns for time_ns in self._draft.sent.get(route.name, ()) if time_ns > since_ns)
        is_urgent = any(track.priority == HIGHEST_PRIORITY and track.returned_ns is None for track in members)
        if len(times) >= route.rate.most and not is_urgent:
            self._next.append(times[len(times) - route.rate.most] + route.rate.per_ns)
            return []
        self._draft.count(route.name, (*times, self._now_ns))
        return sorted(members, key=_urgency)

    def _recipients(self, route: NotifyRoute, to: Iterable[str]) -> tuple[Recipient, ...]:
        found = self._spec.directory.recipients(to, self._now_ns)
        if not found:
            self._unreached.append(route.name)
        return found

    def _to_told(self, kind: NotificationKind, route: NotifyRoute, members: Sequence[Track], turn: str) -> None:
        """One message to each channel, about the alarms of which it got a message before."""
        for channel in dict.fromkeys(channel for track in members for channel in track.told):
            if channel not in self._spec.directory.channels:
                continue  # the description has it no more
            told = [track for track in members if channel in track.told]
            base = notification_id(kind.value, route.name, turn, *_named(told))
            owner = Recipient(channel=channel, person=self._spec.directory.owner(channel))
            self._message(kind, route, owner, told, step=told[0].step, base=base)

    def _message(
        self,
        kind: NotificationKind,
        route: NotifyRoute,
        to: Recipient,
        members: Sequence[Track],
        *,
        step: int,
        base: str,
    ) -> None:
        thread = members[0].thread or base
        self._messages.append(
            Planned(
                id=notification_id(base, to.channel),
                kind=kind,
                route=route.name,
                channel=to.channel,
                person=to.person,
                tracks=tuple(members),
                step=step,
                thread=notification_id(thread, to.channel),
                created_ns=self._now_ns,
            )
        )

    def _look_again(self, route: NotifyRoute, track: Track) -> None:
        self._next += [time_ns for time_ns in (track.due_ns, track.remind_ns) if time_ns is not None]


def is_waiting(state: AlarmState) -> bool:
    """Whether people must be informed of it: active, not acknowledged, without a flag, and no consequence."""
    return is_unanswered(state) and not state.cause_id


def is_unanswered(state: AlarmState) -> bool:
    """Whether it is active, not acknowledged and without a flag."""
    return state.base is BaseState.UNACKNOWLEDGED and not state.has_flag


def _urgency(track: Track) -> tuple[int, int, str]:
    """For sorting: the most urgent first, then the one that came first."""
    return track.priority, track.announced_ns, track.alarm


def _named(members: Iterable[Track]) -> list[str]:
    """Alarm, occurrence and announcement of each."""
    return [f"{one.alarm}@{one.occurrence}@{one.announced_ns}" for one in sorted(members, key=attrgetter("alarm"))]


def _with(told: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*told, *more)))
