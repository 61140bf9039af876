"""The published state of an alarm: the word that is shown, and its key."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.bus.streams import STATE_BYTES
from countingroom.core import subjects
from countingroom.core.alarms import identity
from countingroom.core.alarms.states import AlarmState, BaseState, OutOfService, Shelf, ShownState
from countingroom.core.messages import decode, encode
from countingroom.core.points import Limits, Point

ALARM = AlarmState(
    id=identity.of_point("chiller", "bath"),
    title="Julabo chiller / Bath",
    base=BaseState.UNACKNOWLEDGED,
    priority=2,
    text="Bath 37.5 degC is above its alarm limit 35.0 degC",
    occurrence=3,
    since_ns=10,
    changed_ns=10,
)
SHELF = Shelf(by="anna", reason="cable work", since_ns=20, until_ns=30)
SERVICE = OutOfService(by="ben", owner="carla", reason="sensor broken", since_ns=20, due_ns=99)


@pytest.mark.parametrize("base", list(BaseState))
def test_without_a_flag_the_base_state_is_shown(base: BaseState) -> None:
    alarm = structs.replace(ALARM, base=base)
    assert alarm.shown.value == base.value
    assert alarm.is_at_rest is (base is BaseState.NORMAL)


def test_out_of_service_is_shown_before_suppressed_before_shelved() -> None:
    shelved = structs.replace(ALARM, shelf=SHELF)
    suppressed = structs.replace(shelved, suppressed="the plant is off")
    out = structs.replace(suppressed, service=SERVICE)
    assert [alarm.shown for alarm in (shelved, suppressed, out)] == [
        ShownState.SHELVED,
        ShownState.SUPPRESSED,
        ShownState.OUT_OF_SERVICE,
    ]
    assert not structs.replace(shelved, base=BaseState.NORMAL).is_at_rest


@pytest.mark.parametrize(
    ("base", "active", "asks"),
    [
        (BaseState.NORMAL, False, False),
        (BaseState.UNACKNOWLEDGED, True, True),
        (BaseState.ACKNOWLEDGED, True, False),
        (BaseState.RETURNED, False, True),
        (BaseState.LATCHED_UNACKNOWLEDGED, False, True),
        (BaseState.LATCHED, False, False),
    ],
)
def test_what_is_active_and_what_is_to_be_acknowledged(base: BaseState, active: bool, asks: bool) -> None:
    assert (base.is_active, base.needs_acknowledgement) == (active, asks)


def test_it_comes_back_from_its_message() -> None:
    whole = structs.replace(ALARM, shelf=SHELF, service=SERVICE, value=37.5)
    assert decode(encode(whole), AlarmState) == whole


def test_the_bucket_of_states_holds_100_000_alarms_with_the_catalogues_of_their_points() -> None:
    limits = Limits(warning_high=8.0, alarm_high=10.0)
    point = Point(name="10.hv_iMon", channel="10", column="hv_iMon", label="HV I mon", unit="uA", limits=limits)
    alarm = structs.replace(
        ALARM, area="power/caen", advice="Look at the trend, then lower HV.", device="caen", channel="10", value=11.82
    )
    overhead = 100  # of the server, for each message: subject, sequence, time
    assert 100_000 * (len(encode(point)) + len(encode(alarm)) + overhead) < STATE_BYTES / 2


def test_keys_are_made_of_tokens_only() -> None:
    assert subjects.alarm_key(identity.of_point("caen", "0.lv_vMon")) == "alarm.point.caen.0.lv_vMon"
    with pytest.raises(ValueError, match="not a name"):
        subjects.alarm_key("point.caen.a b")
    with pytest.raises(ValueError, match="not a name"):
        identity.of_member("mCBM", "T.RD")


@pytest.mark.parametrize(
    ("alarm", "target"),
    [
        (identity.of_point("caen", "0.lv_vMon"), "device.caen"),
        (identity.of_value("caen", "0.lv_vMon"), "device.caen"),
        (identity.of_link("caen"), "device.caen"),
        (identity.of_channel("caen", "0"), "device.caen"),
        (identity.of_goal("mCBM"), "partition.mCBM"),
        (identity.of_member("mCBM", "TRD"), "partition.mCBM"),
        (identity.of_role("history"), subjects.EXPERIMENT),
        (identity.of_custom("caen"), subjects.EXPERIMENT),
        ("no alarm", subjects.EXPERIMENT),
    ],
)
def test_a_role_on_what_an_alarm_is_about_is_enough(alarm: str, target: str) -> None:
    assert identity.target(alarm) == target
