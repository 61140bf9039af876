"""Messages of dashboards made for the tracker DCS: each row that they send, and nothing that is not meant."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import RequestError
from countingroom.core.values import Scalar
from countingroom.mqtt.orders import DeviceOrder, Refresh
from countingroom.mqtt.refusal_reports import ERRORS_PER_S, EVENT_S, RefusalReports
from countingroom.tracker.orders import UNTOUCHED, asked, error_topic, subscriptions
from tests.unit.test_tracker_outgoing import FACTS

ID = b"66df8d7d.9aa464"
"""What a button sends."""

ORDERS: list[tuple[str, bytes, str, str, dict[str, Scalar]]] = [
    ("dcs/cmd/clear", ID, "clear_alarms", "", {}),
    ("dcs/cmd/reconnect", ID, "reconnect", "", {}),
    ("dcs/cmd/switch/lv", b"on", "all_lv_on", "", {}),
    ("dcs/cmd/switch/lv", b"off", "all_lv_off", "", {}),
    ("dcs/cmd/switch/hv", b"on", "all_hv_on", "", {}),
    ("dcs/cmd/switch/hv", b"off", "all_hv_off", "", {}),
    ("dcs/cmd/switch/hv/2", b"on", "hv_on", "spare", {}),
    ("dcs/cmd/switch/lv/0", b"off", "lv_off", "0", {}),
    ("dcs/cmd/setv/lv/0", b"11.5", "set", "0", {"point": "0.lv_setV", "value": 11.5}),
    ("dcs/cmd/setv/hv/2", b"120", "set", "spare", {"point": "spare.hv_setV", "value": 120.0}),
    ("julabo/cmd/start", ID, "start", "", {}),
    ("julabo/cmd/stop", ID, "stop", "", {}),
    ("julabo/cmd/reconnect", ID, "reconnect", "", {}),
    ("julabo/cmd/useSP", b'{"setpoint":2}', "use_setpoint", "", {"setpoint": 2}),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":12.5}', "set_working_temperature", "", {"setpoint": 1, "temp": 12.5}),
    ("julabo/cmd/setWT", b'{"setpoint":3,"temp":-7}', "set_working_temperature", "", {"setpoint": 3, "temp": -7.0}),
    ("julabo/cmd/setPress", b'{"press":2}', "set_pressure", "", {"press": 2}),
    ("julabo/cmd/useExt", b"{}", "use_external", "", {}),
    ("julabo/cmd/useInt", b"{}", "use_internal", "", {}),
    ("MARTA/cmd/reconnect", ID, "reconnect", "", {}),
    ("MARTA/cmd/clear_alarms", ID, "clear_alarms", "", {}),
    ("MARTA/cmd/start_chiller", ID, "start_chiller", "", {}),
    ("MARTA/cmd/start_co2", ID, "start_co2", "", {}),
    ("MARTA/cmd/stop_co2", ID, "stop_co2", "", {}),
    ("MARTA/cmd/stop_chiller", ID, "stop_chiller", "", {}),
    ("MARTA/cmd/set_flow_active", b"1", "set_flow_active", "", {"active": True}),
    ("MARTA/cmd/set_flow_active", b"0", "set_flow_active", "", {"active": False}),
    ("MARTA/cmd/set_temperature_setpoint", b"-15.5", "set_temperature_setpoint", "", {"temperature": -15.5}),
    ("MARTA/cmd/set_speed_setpoint", b"3500", "set_speed_setpoint", "", {"speed": 3500.0}),
    ("MARTA/cmd/set_flow_setpoint", b"2.5", "set_flow_setpoint", "", {"flow": 2.5}),
    ("SB/cmd", b"LV|ON", "lv_on", "", {}),
    ("SB/cmd", b"LV|OFF", "lv_off", "", {}),
    ("SB/cmd", b"HV|ON", "hv_on", "", {}),
    ("SB/cmd", b"HV|OFF", "hv_off", "", {}),
    ("SB/cmd", b"CH7|ON", "enable", "7", {}),
    ("SB/cmd", b"CH48|OFF", "disable", "48", {}),
    ("SB/cmd", b"CH*|OFF", "disable_all", "", {}),
]


@pytest.mark.parametrize(
    ("topic", "payload", "action", "channel", "arguments"),
    ORDERS,
    ids=[f"{one[0]} {one[1].decode()}" for one in ORDERS],
)
def test_what_a_dashboard_sends_is_a_command(
    topic: str, payload: bytes, action: str, channel: str, arguments: dict[str, Scalar]
) -> None:
    order = asked(FACTS, topic, payload)
    assert isinstance(order, DeviceOrder)
    assert (order.action, order.channel, order.arguments) == (action, channel, arguments)
    assert {name: type(value) for name, value in order.arguments.items()} == {
        name: type(value) for name, value in arguments.items()
    }


@pytest.mark.parametrize(
    ("topic", "kind"),
    [("dcs/cmd/refresh", "caen"), ("julabo/cmd/refresh", "chiller"), ("MARTA/cmd/refresh", "marta")],
)
def test_a_refresh_commands_no_device(topic: str, kind: str) -> None:
    assert asked(FACTS, topic, ID) == Refresh(kind=kind)


def test_the_question_for_the_status_of_the_switchbox_commands_nothing() -> None:
    assert asked(FACTS, "SB/cmd", b"STATUS?") == Refresh(kind="switchbox")


REFUSED: list[tuple[str, bytes, str]] = [
    ("dcs/cmd/setv/lv/0", b"5", UNTOUCHED),
    ("dcs/cmd/setv/hv/0", b"5.0", UNTOUCHED),
    ("dcs/cmd/setv/lv/0", b"", UNTOUCHED),
    ("dcs/cmd/setv/lv/0", b"nan", "not_understood"),
    ("dcs/cmd/setv/lv/0", b"inf", "not_understood"),
    ("dcs/cmd/setv/lv/0", b"1e999", "not_understood"),
    ("dcs/cmd/setv/lv/0", b"1_0", "not_understood"),
    ("dcs/cmd/setv/lv/0", "١٢".encode(), "not_understood"),
    ("dcs/cmd/setv/lv/0", b"\xff", "not_understood"),
    ("dcs/cmd/setv/lv/0", b"11" + b" " * 2000, "too_long"),
    ("dcs/cmd/setv/lv/9", b"11", "unknown_channel"),
    ("dcs/cmd/setv/lv", b"11", "unknown_topic"),
    ("dcs/cmd/setv/lv/0/0", b"11", "unknown_topic"),
    ("dcs/cmd/switch/hv/9", b"on", "unknown_channel"),
    ("dcs/cmd/switch/hv/", b"on", "unknown_channel"),
    ("dcs/cmd/switch/hv/0/all", b"on", "unknown_topic"),
    ("dcs/cmd/switch/HV", b"on", "unknown_topic"),
    ("dcs/cmd/switch/hv", b"ON", "not_understood"),
    ("dcs/cmd/switch/hv", b"1", "not_understood"),
    ("dcs/cmd/switch", b"on", "unknown_topic"),
    ("dcs/cmd", b"on", "unknown_topic"),
    ("dcs/cmd/refresh/0", b"", "unknown_topic"),
    ("julabo/cmd/setWT", b'{"setpoint":1}', UNTOUCHED),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":null}', UNTOUCHED),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":""}', UNTOUCHED),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":"12"}', "not_understood"),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":true}', "not_understood"),
    ("julabo/cmd/setWT", b'{"setpoint":1.5,"temp":12}', "not_understood"),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":NaN}', "not_understood"),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp":' + b"9" * 500 + b"}", "not_understood"),
    ("julabo/cmd/setWT", b'{"setpoint":1,"temp"', "not_understood"),
    ("julabo/cmd/setWT", b"[" * 1000, "not_understood"),
    ("julabo/cmd/useSP", b"2", "not_understood"),
    ("julabo/cmd/useSP", b"", UNTOUCHED),
    ("julabo/cmd/stop/now", ID, "unknown_topic"),
    ("MARTA/cmd/set_temperature_setpoint", b"", UNTOUCHED),
    ("MARTA/cmd/set_flow_active", b"true", "not_understood"),
    ("MARTA/cmd/start", ID, "unknown_topic"),
    ("ESP01/cmd/start", ID, "unknown_topic"),
    ("SB/cmd", b"CH|ON", UNTOUCHED),
    ("SB/cmd", b"", UNTOUCHED),
    ("SB/cmd", b"CH*|ON", "not_understood"),
    ("SB/cmd", b"CH0|ON", "not_understood"),
    ("SB/cmd", b"CH07|ON", "not_understood"),
    ("SB/cmd", b"CH49|ON", "unknown_channel"),
    ("SB/cmd", b"CH7|TOGGLE", "not_understood"),
    ("SB/cmd", b"LV|ON\nHV|ON", "not_understood"),
    ("SB/cmd", b"STATUS", "not_understood"),
    ("SB/cmd/lv", b"LV|ON", "unknown_topic"),
]


@pytest.mark.parametrize(
    ("topic", "payload", "code"), REFUSED, ids=[f"{number}-{one[0]}" for number, one in enumerate(REFUSED)]
)
def test_what_is_not_meant_or_not_understood_is_refused(topic: str, payload: bytes, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        asked(FACTS, topic, payload)
    cause = refused.value.cause
    assert cause.code == code
    assert cause.suggestion


def test_five_volts_are_taken_where_the_description_says_so() -> None:
    caen = FACTS.caen
    assert caen
    facts = msgspec.structs.replace(FACTS, caen=msgspec.structs.replace(caen, untouched=None))
    order = asked(facts, "dcs/cmd/setv/hv/0", b"5")
    assert isinstance(order, DeviceOrder) and order.arguments["value"] == 5.0


_SAID = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"on", b"off", b"5", b"11.5", b"1", b'{"setpoint":1,"temp":12.5}', b"{}", b""]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(["setpoint", "temp", "press", "x"]), inner, max_size=3),
        max_leaves=5,
    ).map(lambda value: repr(value).replace("'", '"').encode()),
)
_TOPIC = st.one_of(
    st.sampled_from([one[0] for one in (*ORDERS, *REFUSED)]),
    st.lists(st.sampled_from(["dcs", "julabo", "MARTA", "cmd", "switch", "hv", "lv", "setv", "0", "", "start"])).map(
        "/".join
    ),
)


@given(_TOPIC, _SAID)
def test_any_message_is_a_known_command_of_a_known_channel_or_refused(topic: str, payload: bytes) -> None:
    try:
        found = asked(FACTS, topic, payload)
    except RequestError as error:
        assert error.cause.code in {UNTOUCHED, "not_understood", "too_long", "unknown_topic", "unknown_channel"}
        return
    if isinstance(found, Refresh):
        assert topic.endswith("/cmd/refresh") or topic == "SB/cmd"
        return
    if found.kind == "switchbox":
        assert topic == "SB/cmd"
        return
    # One level names one channel, and only a topic without it is for all.
    assert found.channel in ("", "0", "spare")
    assert bool(found.channel) is (topic.startswith("dcs/cmd/s") and topic.count("/") == 4)
    assert found.action.startswith("all_") is (topic in ("dcs/cmd/switch/lv", "dcs/cmd/switch/hv"))
    values: list[Any] = [value for value in found.arguments.values() if isinstance(value, float)]
    assert all(math.isfinite(value) for value in values)


def test_it_subscribes_to_commands_of_the_devices_that_there_are() -> None:
    assert subscriptions(FACTS) == ["dcs/cmd/#", "julabo/cmd/#", "MARTA/cmd/#", "SB/cmd"]
    assert error_topic("dcs/cmd/setv/lv/0") == "dcs/error"


def test_refusals_that_repeat_are_told_as_few_events_and_messages() -> None:
    reports = RefusalReports()
    told = [reports.event("caen", "not_understood", now_s / 10) for now_s in range(1000)]
    assert [one for one in told if one is not None] == [0, *[round(EVENT_S * 10) - 1] * 9]
    assert reports.event("caen", "unknown_topic", 0.0) == 0
    assert sum(reports.message(5.0 + step / 1000) for step in range(999)) == ERRORS_PER_S
    assert reports.message(6.0)
