"""The planner by examples, second by second: one example for each of its rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec import structs

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.notify.missed import missed
from countingroom.core.notify.plan import plan
from countingroom.core.notify.planned import NextMessages, Planned
from countingroom.core.notify.routes import Escalation, NotifyRoute, NotifySpec, Rate, Recipients
from countingroom.core.notify.tracks import PlanState

S = 1_000_000_000
K = HistoryKind
CHANNELS = frozenset({"mail", "pager"})


def spec_of(*, channels: Iterable[str] = CHANNELS, **route: Any) -> NotifySpec:
    given: dict[str, Any] = {"name": "r", "to": ("mail",), **route}
    return NotifySpec(
        routes={"r": NotifyRoute(**given)},
        directory=Recipients(channels=frozenset(channels)),
    )


class Desk:
    """Tells the planner what happens, as the notifier does: it says each time which alarms changed."""

    def __init__(self, spec: NotifySpec) -> None:
        self.spec = spec
        self.present: dict[str, AlarmState] = {}
        self.state = PlanState()
        self.last: NextMessages | None = None

    def at(self, second: int, *rows: AlarmEntry, changed: Iterable[str] = ()) -> list[Planned]:
        """What is sent at this time."""
        for row in rows:
            self._follow(row)
        touched = {*changed, *(row.alarm for row in rows)}
        found = plan(self.spec, self.state, rows, self.present, second * S, last=self.last, changed=touched)
        self.last, self.state = found, found.state
        return list(found.messages)

    def change(self, alarm: str, **changes: Any) -> None:
        """The state of the alarm, without a row of the history."""
        self.present[alarm] = structs.replace(self.present[alarm], **changes)

    def _follow(self, row: AlarmEntry) -> None:
        is_announced = row.kind in (K.ANNOUNCED, K.ANNOUNCED_AGAIN)
        if row.kind in (K.RETURNED, K.CLOSED):
            self.present.pop(row.alarm, None)
        elif is_announced:
            self.present[row.alarm] = AlarmState(
                id=row.alarm,
                title=row.alarm,
                base=BaseState.UNACKNOWLEDGED,
                priority=row.priority,
                text="",
                occurrence=row.occurrence,
                since_ns=row.time_ns,
                announced_ns=row.time_ns,
                changed_ns=row.time_ns,
            )
        elif row.kind is K.ACKNOWLEDGED:
            self.change(row.alarm, base=BaseState.ACKNOWLEDGED)
        else:
            self.change(row.alarm, suppressed="by a flag")


def row(
    second: int,
    kind: HistoryKind = K.ANNOUNCED,
    *,
    alarm: str = "a",
    occurrence: int = 1,
    priority: int = 3,
    person: str = "",
) -> AlarmEntry:
    return AlarmEntry(
        time_ns=second * S,
        alarm=alarm,
        title=alarm,
        kind=kind,
        occurrence=occurrence,
        base=BaseState.UNACKNOWLEDGED,
        priority=priority,
        person=person,
    )


def shown(messages: Iterable[Planned]) -> list[tuple[str, str, str]]:
    """(kind, channel, alarms) of each."""
    return [(one.kind.value, one.channel, " ".join(track.alarm for track in one.tracks)) for one in messages]


def test_a_rise_of_priority_does_not_delay_the_first_message() -> None:
    desk = Desk(spec_of(after_ns=30 * S))
    assert desk.at(0, row(0)) == []
    assert desk.at(20, row(20, K.ANNOUNCED_AGAIN, priority=1)) == []
    (message,) = desk.at(30)
    assert (message.tracks[0].priority, message.tracks[0].is_again) == (1, False), "it is told for the first time"


def test_an_alarm_that_was_told_and_rises_is_told_again_after_the_delay() -> None:
    desk = Desk(spec_of(after_ns=30 * S))
    desk.at(0, row(0))
    (first,) = desk.at(30)
    assert desk.at(100, row(100, K.ANNOUNCED_AGAIN, priority=1)) == []
    assert desk.at(129) == []
    (again,) = desk.at(130)
    assert again.tracks[0].is_again
    assert again.id != first.id
    assert again.thread == first.thread


@pytest.mark.parametrize("flag", [K.SHELVED, K.SUPPRESSED, K.OUT_OF_SERVICE])
def test_a_flag_ends_what_a_route_has_to_tell_of_an_alarm(flag: HistoryKind) -> None:
    desk = Desk(spec_of(remind_ns=60 * S))
    assert shown(desk.at(0, row(0))) == [("first", "mail", "a")]
    assert desk.at(10, row(10, flag)) == []
    assert dict(desk.state.tracks) == {}
    assert desk.at(60) == []
    assert desk.at(90, row(90, K.RETURNED)) == [], "its return is told to no one, as its state is not"


def test_an_urgent_alarm_takes_those_with_it_that_the_rate_holds_back() -> None:
    desk = Desk(spec_of(group_ns=60 * S, rate=Rate(most=1, per_ns=600 * S)))
    assert desk.at(0, row(0)) == []
    assert shown(desk.at(60)) == [("first", "mail", "a")]
    assert desk.at(70, row(70, alarm="b")) == []
    assert desk.at(130) == [], "the rate is used up"
    assert shown(desk.at(200, row(200, alarm="c", priority=1))) == [("group", "mail", "c b")]


def test_an_alarm_of_the_highest_priority_does_not_wait_for_the_rate() -> None:
    desk = Desk(spec_of(rate=Rate(most=1, per_ns=600 * S)))
    assert shown(desk.at(0, row(0))) == [("first", "mail", "a")]
    assert shown(desk.at(10, row(10, alarm="b", priority=1))) == [("first", "mail", "b")]
    assert desk.at(20, row(20, K.RETURNED, alarm="b", priority=1)) == [], "its return waits"
    assert shown(desk.at(610)) == [("follow_up", "mail", "b")]


def test_a_message_counts_for_the_rate_until_its_time_has_passed() -> None:
    desk = Desk(spec_of(rate=Rate(most=1, per_ns=600 * S)))
    desk.at(0, row(0))
    assert desk.at(599, row(599, alarm="b")) == []
    assert shown(desk.at(600)) == [("first", "mail", "b")]


def test_a_channel_that_was_told_of_the_last_occurrence_learns_of_the_return_of_the_next_one() -> None:
    desk = Desk(spec_of(after_ns=30 * S, group_ns=20 * S))
    desk.at(0, row(0))
    assert shown(desk.at(50)) == [("first", "mail", "a")]
    assert desk.at(60, row(60, K.RETURNED)) == []
    assert desk.at(70, row(70, occurrence=2)) == [], "in place of the return that was not told yet"
    assert desk.at(80, row(80, K.RETURNED, occurrence=2)) == []
    (follow_up,) = desk.at(100)
    assert shown([follow_up]) == [("follow_up", "mail", "a")]
    assert follow_up.tracks[0].occurrence == 2


def test_a_new_occurrence_begins_a_new_thread() -> None:
    desk = Desk(spec_of(group_ns=20 * S))
    desk.at(0, row(0))
    (first,) = desk.at(20)
    desk.at(30, row(30, K.RETURNED), row(35, occurrence=2))
    (second,) = desk.at(55)
    assert second.thread != first.thread


def test_a_row_of_the_last_occurrence_does_not_end_the_present_one() -> None:
    desk = Desk(spec_of(after_ns=30 * S))
    desk.at(0, row(0, occurrence=2))
    late = plan(desk.spec, desk.state, [row(1, K.RETURNED, occurrence=1)], desk.present, 1 * S, last=desk.last)
    desk.last, desk.state = late, late.state
    assert shown(desk.at(30)) == [("first", "mail", "a")]


def test_a_row_that_is_known_changes_nothing() -> None:
    desk = Desk(spec_of())
    assert len(desk.at(0, row(0))) == 1
    assert desk.at(5, row(0)) == []


def test_an_escalation_that_was_due_while_the_alarm_was_a_consequence_comes_at_once_afterwards() -> None:
    desk = Desk(spec_of(group_ns=60 * S, escalate=(Escalation(after_ns=600 * S, to=("pager",)),)))
    desk.at(0, row(0))
    assert shown(desk.at(60)) == [("first", "mail", "a")]
    desk.change("a", cause_id="b")
    assert desk.at(100, changed=["a"]) == []
    assert desk.at(660) == []
    desk.change("a", cause_id="")
    assert shown(desk.at(670, changed=["a"])) == [("escalation", "pager", "a")]


def test_a_reminder_alone_comes_at_once_after_the_alarm_was_a_consequence() -> None:
    desk = Desk(spec_of(remind_ns=300 * S))
    desk.at(0, row(0))
    desk.change("a", cause_id="b")
    assert desk.at(100, changed=["a"]) == []
    assert desk.at(300) == []
    desk.change("a", cause_id="")
    assert shown(desk.at(310, changed=["a"])) == [("reminder", "mail", "a")]


def test_the_second_escalation_is_timed_from_the_first_message() -> None:
    escalate = (Escalation(after_ns=100 * S, to=("pager",)), Escalation(after_ns=200 * S, to=("mail",)))
    desk = Desk(spec_of(escalate=escalate))
    desk.at(0, row(0))
    assert shown(desk.at(150)) == [("escalation", "pager", "a")], "no engine ran at its time"
    assert shown(desk.at(200)) == [("escalation", "mail", "a")]


def test_a_reminder_takes_those_with_it_that_are_due_within_the_grouping_window() -> None:
    desk = Desk(spec_of(group_ns=20 * S, remind_ns=300 * S))
    desk.at(0, row(0))
    assert shown(desk.at(20)) == [("first", "mail", "a")]
    desk.at(21, row(21, alarm="b", priority=1))
    assert shown(desk.at(41)) == [("first", "mail", "b")]
    assert shown(desk.at(325)) == [("reminder", "mail", "b a")], "b is due 16 s later"
    assert desk.at(341) == []


def test_the_end_of_an_alarm_says_how_it_ended() -> None:
    desk = Desk(spec_of(group_ns=10 * S))
    desk.at(0, row(0), row(0, alarm="b"))
    desk.at(10)
    desk.at(20, row(20, K.ACKNOWLEDGED, person="anna"))
    desk.at(30, row(30, K.RETURNED), row(31, K.CLOSED, alarm="b"))
    desk.at(33, row(33, K.CLOSED))
    (message,) = desk.at(41)
    found = {one.alarm: one for one in message.tracks}
    assert (found["a"].acknowledged_by, found["a"].returned_ns, found["a"].is_closed) == ("anna", 30 * S, False)
    assert (found["b"].acknowledged_by, found["b"].returned_ns, found["b"].is_closed) == ("", 31 * S, True)


def test_an_alarm_that_is_acknowledged_before_it_was_told_is_forgotten() -> None:
    desk = Desk(spec_of(after_ns=30 * S))
    desk.at(0, row(0))
    desk.at(10, row(10, K.ACKNOWLEDGED, person="anna"))
    assert dict(desk.state.tracks) == {}


def test_what_belongs_to_a_removed_route_or_channel_is_forgotten() -> None:
    desk = Desk(spec_of(to=("mail", "pager"), rate=Rate(most=5, per_ns=600 * S)))
    desk.at(0, row(0))
    without_pager = Desk(spec_of(channels=["mail"], rate=Rate(most=5, per_ns=600 * S)))
    without_pager.state, without_pager.present = desk.state, desk.present
    assert shown(without_pager.at(10, row(10, K.RETURNED))) == [("follow_up", "mail", "a")]
    none = plan(NotifySpec(), desk.state, (), desk.present, 10 * S)
    assert dict(none.state.tracks) == {}
    assert none.changed.tracks == {("r", "a"): None}
    assert none.changed.sent == {"r": ()}


def test_a_route_without_a_recipient_is_told() -> None:
    desk = Desk(spec_of(channels=[]))
    assert desk.at(0, row(0)) == []
    assert desk.last is not None
    assert desk.last.unreached == ("r",)


def test_an_announcement_whose_row_was_lost_is_found() -> None:
    desk = Desk(spec_of())
    desk.at(0, row(0))
    assert missed(desk.spec, desk.state, desk.present, 9 * S) == []
    desk.change("a", announced_ns=5 * S, priority=1)
    (found,) = missed(desk.spec, desk.state, desk.present, 9 * S)
    assert (found.time_ns, found.occurrence, found.priority) == (5 * S, 1, 1)
    desk.change("a", base=BaseState.ACKNOWLEDGED)
    assert missed(desk.spec, desk.state, desk.present, 9 * S) == []
