"""Alarms are listed with the cause first, and what follows from it below."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.present.abnormal import AbnormalList, Alarm
from countingroom.console.present.alarm_order import causes_first
from countingroom.console.present.partition_alarms import everything
from countingroom.core.errors import Cause
from countingroom.core.messages import DeviceState, Link
from countingroom.core.values import Quality, Reading
from tests.console.runs_stage import member, partition
from tests.console.stage import caen

S = 1_000_000_000


def alarm(device: str, since_s: float, level: int = 1, **more: Any) -> Alarm:
    return Alarm(level=level, since_ns=int(since_s * S), device=device, what="x", **more)


def named(alarms: list[Alarm]) -> list[str]:
    return [f"{one.partition}/{one.device}.{one.channel}.{one.point}" for one in alarms]


def test_the_state_of_a_device_and_of_its_system_stand_below_the_channel_that_tripped() -> None:
    device = alarm("caen", 100.4, channel="")
    trip = alarm("caen", 100, channel="1")
    system = alarm("DCS", 100.8, partition="mCBM", blames="caen")
    other = alarm("DCS", 100.9, level=2, partition="lab", blames="caen")
    found = causes_first([other, system, device, trip])
    assert named(found) == ["/caen.1.", "/caen..", "mCBM/DCS..", "lab/DCS.."]
    assert [one.after_ns for one in found] == [None, int(0.4 * S), int(0.8 * S), int(0.9 * S)]
    assert [one.consequences for one in found] == [3, 0, 0, 0]


def test_another_channel_and_another_device_are_causes_of_their_own() -> None:
    found = causes_first([alarm("caen", 5, channel="1"), alarm("caen", 6, channel="2"), alarm("co2", 4)])
    assert [one.after_ns for one in found] == [None, None, None]
    assert named(found) == ["/caen.2.", "/caen.1.", "/co2.."]


def test_what_began_long_after_is_no_cause() -> None:
    found = causes_first([alarm("co2", 100), alarm("co2", 500, point="flag")])
    assert [one.after_ns for one in found] == [None, None]


def test_a_warning_beside_a_fault_is_not_its_reason() -> None:
    found = causes_first([alarm("co2", 100), alarm("co2", 90, level=3, point="PT04")])
    assert [one.after_ns for one in found] == [None, None]


def test_the_cause_of_an_urgent_alarm_of_a_partition_is_listed_with_it() -> None:
    lost = alarm("coldbox", 50, level=2)
    newer = alarm("cleanroom", 60, level=2)
    system = alarm("DCS", 51, level=1, partition="mCBM", blames="coldbox")
    assert named(causes_first([newer, system, lost])) == ["/coldbox..", "mCBM/DCS..", "/cleanroom.."]


@given(
    st.lists(
        st.builds(
            alarm,
            st.sampled_from(["a", "b"]),
            st.integers(0, 30),
            st.integers(1, 3),
            partition=st.sampled_from(["", "p"]),
            channel=st.sampled_from(["", "1"]),
            point=st.sampled_from(["", "v"]),
            blames=st.sampled_from(["", "a", "b"]),
        ),
        max_size=9,
    )
)
def test_none_is_lost_and_none_stands_without_its_cause_above(given_: list[Alarm]) -> None:
    found = causes_first(given_)
    assert sorted(map(str, named(found))) == sorted(named(given_))
    assert not found or found[0].after_ns is None
    below = 0
    for one in found:
        if one.after_ns is None:
            assert below == 0
            below = one.consequences
        else:
            below -= 1
    assert below == 0


def test_the_list_of_every_page_has_this_order() -> None:
    board = AbnormalList()
    board.learn(caen())
    for channel, state, since in (("1", "ERROR", 100), ("", "ERROR", 101)):
        cause = Cause(code="trip", message=f"trip {channel}", suggestion="clear the alarm")
        board.state(
            DeviceState(
                device="caen",
                channel=channel,
                state=state,
                common="error",
                link=Link.CONNECTED,
                since_ns=since * S,
                cause=cause,
            )
        )
    blamed = Cause(
        code="device_state", message="the device caen is ERROR", evidence={"device": "caen"}, since_ns=101 * S
    )
    hot = Reading(value=11.0, quality=Quality.GOOD, device_ns=S, received_ns=S)
    board.show("caen", [("0.hv_iMon", hot)])
    state = partition("mCBM", members=(member("DCS", seen="Error", own="Error", cause=blamed),))
    found = everything(board, {"partition.mCBM": state})
    assert named(found) == ["/caen.1.", "/caen..", "mCBM/DCS..", "/caen.0.0.hv_iMon"]
    assert found[0].advice == "clear the alarm"
