"""After the clock was set back, nothing waits for the old time to come again."""

from __future__ import annotations

import pytest

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject
from countingroom.alarms.engine.partition_alarms import LOST_NS, PROCESS_LOST_NS, PartitionAlarms
from countingroom.alarms.engine.point_conditions import PointCondition
from countingroom.alarms.engine.role_alarms import MISSING_S, RoleAlarms
from countingroom.alarms.engine.settled_findings import SettledFindings
from countingroom.core.alarms.conditions.rows import ConditionRows
from countingroom.core.alarms.conditions.settling import set_back
from countingroom.core.alarms.conditions.specs import (
    AT_REST,
    UNREAD,
    AlarmLimit,
    ConditionSpec,
    ConditionState,
    LimitSpec,
    RateSpec,
    UpdateSpec,
)
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Readings
from countingroom.core.systems import NO_CONNECTION
from countingroom.core.values import Quality
from tests.console.runs_stage import member, partition

S = 1_000_000_000
OLD = 1_790_000_000 * S
NEW = OLD - 86_400 * S
"""The clock is set back by a day."""
HIGH = (AlarmLimit(10.0, 1),)


def readings(value: float, now_ns: int = 0) -> Readings:
    return Readings(
        device="d",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=now_ns,
        points=["p"],
        values=[value],
        device_ns=[now_ns],
        received_ns=[now_ns],
        qualities=[int(Quality.GOOD)],
    )


class Evaluated:
    """One condition in rows, looked at when a reading comes and when it is due."""

    def __init__(self, spec: ConditionSpec) -> None:
        self.rows = ConditionRows()
        self.rows.add(spec, ("d.p",), now_ns=OLD)

    def read(self, value: float, now_ns: int) -> int:
        self.wait(now_ns)
        self.rows.take(readings(value, now_ns), now_ns)
        return self.rows.states[0].level

    def wait(self, now_ns: int) -> int:
        if self.rows.next_due_ns() <= now_ns:
            self.rows.pass_time(now_ns)
        return self.rows.states[0].level


def test_an_on_delay_begins_anew() -> None:
    one = Evaluated(LimitSpec(high=HIGH, on_delay_ns=5 * S))
    assert one.read(11.0, OLD) == 0
    assert one.read(11.0, NEW) == 0
    assert one.wait(NEW + 4 * S) == 0
    assert one.wait(NEW + 5 * S) == 1


def test_an_off_delay_begins_anew() -> None:
    one = Evaluated(LimitSpec(high=HIGH, off_delay_ns=5 * S))
    assert one.read(11.0, OLD) == 1
    assert one.read(9.0, OLD + S) == 1
    assert one.read(9.0, NEW) == 1
    assert one.wait(NEW + 5 * S) == 0


def test_a_rate_is_taken_over_windows_of_the_new_time() -> None:
    one = Evaluated(RateSpec(high=(AlarmLimit(1.0, 1),), over_ns=10 * S))
    one.read(0.0, OLD)
    for second in range(1, 9):
        one.read(second * 0.8, OLD + second * S)
    levels = [one.read(6.4 + second * 0.8, NEW + second * S) for second in range(30)]
    assert set(levels) == {0}, "it rises by 0.8 per s, also over the step"
    assert [one.read(30.0 + second * 2.0, NEW + (30 + second) * S) for second in range(12)][-1] == 1


def test_a_value_that_does_not_come_is_noticed() -> None:
    one = Evaluated(UpdateSpec(after_ns=10 * S, priority=1))
    assert one.read(1.0, OLD) == 0
    one.rows.pass_time(NEW)  # it is looked at again once a minute at the latest
    assert one.wait(NEW + 9 * S) == 0
    assert one.wait(NEW + 10 * S) == 1
    assert one.read(1.0, NEW + 11 * S) == 0


def test_a_value_that_came_just_before_is_awaited_from_the_new_time() -> None:
    one = Evaluated(UpdateSpec(after_ns=10 * S, priority=1))
    one.read(1.0, OLD)
    assert one.read(1.0, NEW) == 0
    assert one.wait(NEW + 10 * S) == 1


@pytest.mark.parametrize("state", [AT_REST, UNREAD, ConditionState(level=1, since_ns=NEW, raw=1)])
def test_what_has_no_time_ahead_is_the_same_object(state: ConditionState) -> None:
    assert set_back(state, NEW) is state


def test_a_point_with_a_delay() -> None:
    point = PointCondition(LimitSpec(high=HIGH, on_delay_ns=5 * S), OLD)
    assert point.take(11.0, 0, 0, OLD) == 0
    assert point.take(11.0, 0, 0, NEW) == 0
    assert point.state.due_ns == NEW + 5 * S
    assert point.pass_time(NEW + 5 * S) == 1


@pytest.mark.parametrize("hears", [True, False])
def test_a_finding_with_a_delay(hears: bool) -> None:
    definition = AlarmDefinition(id="device.d.link", title="D", on_delay_s=5.0)
    settled = SettledFindings(lambda _: definition, began_ns=OLD)
    found = (AlarmSubject(id="device.d.link", title="D"), AlarmFinding(level=2, since_ns=OLD, text="no link"))
    assert list(settled.take([found], OLD)) == []
    if hears:
        assert list(settled.take([found], NEW)) == []
    assert list(settled.pass_time(NEW)) == []
    due_ns = settled.next_due_ns()
    assert due_ns == NEW + 5 * S
    ((_, finding),) = settled.pass_time(due_ns)
    assert finding.level == 2


def test_a_member_and_a_process_that_are_lost() -> None:
    alarms = PartitionAlarms("p", lambda _: "role.agents")
    lost = partition("p", members=(member("STS", seen=NO_CONNECTION),))
    list(alarms.state(lost, OLD))
    assert alarms.lost_processes(NEW) == set()
    assert alarms.lost_processes(NEW + PROCESS_LOST_NS) == {"role.agents"}
    assert LOST_NS > PROCESS_LOST_NS
    roles = RoleAlarms(["history"])
    list(roles.look([], OLD))
    assert [finding.level for _, finding in roles.look([], NEW)] == []
    assert [finding.level for _, finding in roles.look([], NEW + round(MISSING_S * S))] == [2]
