"""A dashboard that was made for the tracker DCS shows and commands the devices of a description.

A test is named after the line of the list of defects of that system, where it is about one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
import pytest_asyncio

from countingroom.core.messages import EventKind
from countingroom.core.values import Quality
from tests.patience import PATIENCE_S
from tests.system.tracker_stand import FASTER, Stand, tracker_stand
from tests.unit.test_tracker_outgoing import CHANNEL_FIELDS, CHILLER_FIELDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["mosquitto", "builtin"])
async def stand(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str]
) -> AsyncGenerator[Stand]:
    if request.param == "mosquitto":
        needs("mosquitto")
    async with tracker_stand(request.param, tmp_path_factory.mktemp("tracker")) as made:
        yield made


one_broker = pytest.mark.parametrize("stand", ["builtin"], indirect=True)
"""For what the devices decide, whatever the broker is."""


async def refused(stand: Stand, topic: str, payload: str, code: str) -> dict[str, str]:
    """Send it, and wait for its refusal: nothing is written to any device."""
    written = {name: list(line.written) for name, line in stand.lines.items()}
    since = len(stand.came)
    await stand.client.publish(topic, payload)
    error = await stand.said(f"{topic.split('/', maxsplit=1)[0]}/error", lambda one: one["topic"] == topic, since)
    assert error["code"] == code
    assert error["cause"] and error["suggestion"]
    assert {name: line.written for name, line in stand.lines.items()} == written
    return error


async def done(stand: Stand, topic: str, payload: str, *writes: tuple[str, object]) -> None:
    """Send it, and wait until the device got exactly these values."""
    line = {"dcs": "caen", "julabo": "julabo", "MARTA": "co2", "SB": "box"}[topic.split("/", maxsplit=1)[0]]
    written = stand.lines[line].written
    written.clear()
    await stand.client.publish(topic, payload)
    await stand.until(lambda: len(written) >= len(writes))
    assert written == list(writes)


async def test_defect_04_nothing_is_written_when_it_starts(stand: Stand) -> None:
    assert [line.written for line in stand.lines.values()] == [[]] * 5


async def test_defect_07_a_new_connection_is_told_everything(stand: Stand) -> None:
    told = await stand.said("dcs/channels", lambda one: one["id"] == "2")
    assert list(told) == CHANNEL_FIELDS
    assert (told["module"], told["hv_board"], told["fsm_state"]) == ("", 12, "LV_OFF")
    assert list(await stand.said("julabo/status", lambda one: one)) == CHILLER_FIELDS
    plant = await stand.said("MARTA/status", lambda one: "TT05_CO2" in one)
    assert (plant["fsm_state"], plant["status"], plant["set_start_co2"]) == ("CONNECTED", 1, 0)
    assert len(plant) == len(stand.lines["co2"].points) - 1 + 1  # without the text of all alarms, with the state
    await stand.until(lambda: ("MARTA/alarms", b"") in stand.came)


async def test_a_change_of_one_channel_is_a_message_of_this_channel(stand: Stand) -> None:
    since = len(stand.came)
    stand.lines["caen"].set({"0.lv_vMon": 11.5})
    await stand.said("dcs/channels", lambda one: one["lv_vMon"] == 11.5, since)
    assert [one["id"] for one in stand.of("dcs/channels", since)] == ["0"]


async def test_a_sensor_that_is_republished_has_its_bare_value(stand: Stand) -> None:
    stand.lines["boards"].set({"ESP01.DS_temp": 21.5})
    assert await stand.said("ESP01/sensors/DS/temp", lambda one: one == 21.5)


async def test_defect_09_a_device_that_is_unplugged_is_disconnected_shows_no_values_and_comes_back(
    stand: Stand,
) -> None:
    since, line = len(stand.came), stand.lines["julabo"]
    line.set({"ext_is_used": True})
    await stand.said("julabo/status", lambda one: one["ext_is_used"], since)
    line.is_there = False
    line.set(dict.fromkeys(line.values, None), Quality.STALE)
    told = await stand.said("julabo/status", lambda one: one["internal_temp"] is None, since)
    assert list(told) == CHILLER_FIELDS
    assert told["ext_is_used"] is True
    line.is_there = True
    line.set({**line.values, "status_code": 2, "internal_temp": 19.0, "ext_is_used": False})
    assert await stand.said("julabo/status", lambda one: one["internal_temp"] == 19.0, since)


async def test_a_link_that_is_there_is_not_let_go(stand: Stand) -> None:
    since = len(stand.came)
    for root in ("dcs", "julabo", "MARTA"):
        error = await refused(stand, f"{root}/cmd/reconnect", "an.id", "not_allowed")
        assert "DISCONNECTED" in error["suggestion"]
    assert not [one for one in stand.of("dcs/status", since) if one["fsm_state"] == "DISCONNECTED"]


async def test_the_buttons_of_the_supply_act_as_the_principal(stand: Stand) -> None:
    since = len(stand.came)
    await done(stand, "dcs/cmd/setv/lv/0", "11.5", ("0.lv_setV", 11.5))
    await done(stand, "dcs/cmd/switch/lv", "on", ("0.lv_pw", 1), ("1.lv_pw", 1))
    await stand.said("dcs/status", lambda one: one["fsm_state"] == "LV_ON", since)
    told = await stand.said("dcs/channels", lambda one: one["id"] == "0" and one["lv_status"] == 1, since)
    assert (told["lv_setV"], told["fsm_state"]) == (11.5, "LV_ON")
    event = next(one for one in reversed(await stand.events()) if one.action == "all_lv_on")
    assert (event.principal, event.data["origin"]) == ("tracker.dashboard", "mqtt")
    entry = next(one for one in reversed(stand.audit) if one.what == "all_lv_on")
    assert (entry.who, entry.target, entry.origin) == ("tracker.dashboard", "device.caen", "mqtt")


async def test_defect_02_a_topic_with_a_channel_switches_that_channel_alone(stand: Stand) -> None:
    since = len(stand.came)
    await done(stand, "dcs/cmd/switch/hv/1", "on", ("1.hv_pw", 1))
    await stand.said("dcs/channels", lambda one: one["id"] == "1" and one["fsm_state"] == "HV_ON", since)
    await refused(stand, "dcs/cmd/switch/hv/7", "on", "unknown_channel")
    await refused(stand, "dcs/cmd/switch/lv/2", "on", "inactive")
    await done(stand, "dcs/cmd/switch/hv/1", "off", ("1.hv_pw", 0))


@one_broker
async def test_defect_03_voltages_beyond_the_limits_are_refused_with_the_channel(stand: Stand) -> None:
    error = await refused(stand, "dcs/cmd/setv/hv/1", "801", "out_of_range")
    assert "1.hv_setV" in error["cause"]
    await refused(stand, "dcs/cmd/setv/hv/1", "-3", "out_of_range")
    await refused(stand, "dcs/cmd/setv/lv/1", "11", "lv_on")


@one_broker
async def test_defect_01_hv_without_lv_is_an_error_of_the_channel_and_of_the_supply(stand: Stand) -> None:
    since, line = len(stand.came), stand.lines["caen"]
    line.set({"0.hv_status": 1, "0.hv_pw": 1, "0.lv_status": 0, "0.lv_pw": 0})
    await stand.said("dcs/channels", lambda one: one["id"] == "0" and one["fsm_state"] == "ERROR", since)
    await stand.said("dcs/status", lambda one: one["fsm_state"] == "ERROR", since)
    await done(stand, "dcs/cmd/clear", "an id", ("clear_alarm", "Yes"))
    await done(stand, "dcs/cmd/switch/hv/0", "off", ("0.hv_pw", 0))
    line.set({"0.hv_status": 0, "1.lv_status": 0, "1.lv_pw": 0})
    await stand.said("dcs/status", lambda one: one["fsm_state"] == "LV_OFF", since)


@one_broker
async def test_defect_05_a_current_of_the_hv_within_its_deadband_makes_no_message(stand: Stand) -> None:
    line, before = stand.lines["caen"], len(stand.came)
    line.set({"0.hv_iMon": 0.1})
    await stand.said("dcs/channels", lambda one: one["hv_iMon"] == 0.1, before)
    await asyncio.sleep(1.1 / FASTER)  # what was put off by it
    since = len(stand.came)
    line.set({"0.hv_iMon": 0.1005})
    await asyncio.sleep(0.2)
    assert stand.of("dcs/channels", since) == []


async def test_the_buttons_of_the_chiller(stand: Stand) -> None:
    since = len(stand.came)
    await done(stand, "julabo/cmd/setWT", '{"setpoint":1,"temp":12}', ("setpoint_1", 12.0))
    await done(stand, "julabo/cmd/useSP", '{"setpoint":2}', ("used_setpoint", 2))
    await done(stand, "julabo/cmd/useExt", "{}", ("ext_is_used", True))
    await done(stand, "julabo/cmd/useInt", "{}", ("ext_is_used", False))
    await done(stand, "julabo/cmd/setPress", '{"press":2}', ("pressure_stage", 2))
    await done(stand, "julabo/cmd/start", "an id", ("running", True))
    told = await stand.said("julabo/status", lambda one: one["fsm_state"] == "ON", since)
    assert (told["setpoint_1"], told["used_setpoint"], told["ext_is_used"]) == (12.0, 2, False)
    await refused(stand, "julabo/cmd/setWT", '{"setpoint":1}', "untouched_field")
    await refused(stand, "julabo/cmd/setWT", '{"setpoint":4,"temp":12}', "out_of_range")
    await refused(stand, "julabo/cmd/setWT", '{"setpoint":1,"temp":50}', "out_of_range")
    await done(stand, "julabo/cmd/stop", "an id", ("running", False))


@one_broker
async def test_defect_08_commands_to_one_device_are_sent_one_after_the_other(stand: Stand) -> None:
    written = stand.lines["julabo"].written
    written.clear()
    for number in range(10):
        await stand.client.publish("julabo/cmd/setWT", f'{{"setpoint":1,"temp":{number}}}')
    await stand.until(lambda: ("setpoint_1", 9.0) in written)
    values = [float(value) for _, value in written if isinstance(value, float)]
    assert values == sorted(values)  # an older one may be superseded; none overtakes another


async def test_the_buttons_of_the_plant(stand: Stand) -> None:
    since = len(stand.came)
    await done(stand, "MARTA/cmd/set_temperature_setpoint", "-15.5", ("set_temperature_setpoint", -15.5))
    await done(stand, "MARTA/cmd/set_speed_setpoint", "3500", ("set_speed_setpoint", 3500.0))
    await done(stand, "MARTA/cmd/set_flow_active", "1", ("set_flow_active", True))
    await done(stand, "MARTA/cmd/start_chiller", "an id", ("set_start_chiller", True))
    await stand.said("MARTA/status", lambda one: one["fsm_state"] == "CHILLER_RUNNING", since)
    await refused(stand, "MARTA/cmd/set_speed_setpoint", "", "untouched_field")
    await done(stand, "MARTA/cmd/stop_chiller", "an id", ("set_start_chiller", False))
    await stand.said("MARTA/status", lambda one: one["fsm_state"] == "CONNECTED", len(stand.came))
    await refused(stand, "MARTA/cmd/start_co2", "an id", "not_allowed")


async def test_the_buttons_of_the_switchbox(stand: Stand) -> None:
    since = len(stand.came)
    await done(stand, "SB/cmd", "CH7|ON", ("7.enabled", True))
    await done(stand, "SB/cmd", "LV|ON", ("lv", True))
    await done(stand, "SB/cmd", "HV|ON", ("hv", True))
    await stand.said("SB/status", lambda one: one == {"lv": 1, "hv": 1, "channels": 64}, since)
    await refused(stand, "SB/cmd", "CH8|ON", "hv_on")
    await refused(stand, "SB/cmd", "LV|OFF", "hv_on")
    await refused(stand, "SB/cmd", "CH|ON", "untouched_field")
    await done(stand, "SB/cmd", "HV|OFF", ("hv", False))
    await done(stand, "SB/cmd", "CH*|OFF", ("channels_on", 0))
    since = len(stand.came)
    await stand.client.publish("SB/cmd", "STATUS?")
    await stand.said("SB/status", lambda one: one == {"lv": 1, "hv": 0, "channels": 0}, since)
    await done(stand, "SB/cmd", "LV|OFF", ("lv", False))


@one_broker
async def test_defect_10_co2_without_chiller_is_an_alarm_and_everything_goes_on(stand: Stand) -> None:
    since, line = len(stand.came), stand.lines["co2"]
    line.set({"set_start_co2": True})
    await stand.said("MARTA/status", lambda one: one["fsm_state"] == "ALARM", since)
    line.set({"set_start_co2": False})
    await stand.said("MARTA/status", lambda one: one["fsm_state"] == "CONNECTED", len(stand.came))


@one_broker
async def test_defect_11_an_alarm_without_a_text_is_shown(stand: Stand) -> None:
    since, line = len(stand.came), stand.lines["co2"]
    line.set({"CP_LP_FS": True, "EB_FS": True})
    await stand.until(lambda: any(b"(CP_LP_FS)\n" in text for name, text in stand.came[since:] if "alarms" in name))
    since = len(stand.came)
    line.set({"CP_LP_FS": False, "EB_FS": False})
    await stand.until(lambda: ("MARTA/alarms", b"") in stand.came[since:])


@one_broker
async def test_defect_12_the_limits_are_those_of_the_plant_whatever_the_dashboard_allows(stand: Stand) -> None:
    await refused(stand, "MARTA/cmd/set_flow_setpoint", "6", "out_of_range")
    await refused(stand, "MARTA/cmd/set_temperature_setpoint", "-35.1", "out_of_range")
    line = stand.lines["co2"]
    line.set({"PT01_CO2": 31.0, "PT04_CO2": 44.0})
    since = len(stand.came)
    await stand.client.publish("MARTA/cmd/refresh", "an id")
    told = await stand.said("MARTA/status", lambda one: "PT04_CO2" in one, since)
    assert (told["PT01_CO2"], told["PT04_CO2"]) == (31.0, 44.0)


@one_broker
async def test_defect_13_every_field_is_a_register_and_switches_are_numbers(stand: Stand) -> None:
    since = len(stand.came)
    await stand.client.publish("MARTA/cmd/refresh", "an id")
    told = await stand.said("MARTA/status", lambda one: "PT04_CO2" in one, since)
    assert "SC06_CO2_calc" not in told
    assert not [name for name, value in told.items() if isinstance(value, bool)]
    await stand.client.publish("julabo/cmd/refresh", "an id")
    assert (await stand.said("julabo/status", lambda one: one, since))["ext_is_used"] is False


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        ("dcs/cmd/setv/lv/0", "5", "untouched_field"),
        ("dcs/cmd/switch/hv", "maybe", "not_understood"),
        ("dcs/cmd/nonsense", "<b>on</b>", "unknown_topic"),
        ("MARTA/cmd/start_co2", "x" * 20_000, "too_long"),
    ],
)
async def test_nonsense_is_refused_and_told(stand: Stand, topic: str, payload: str, code: str) -> None:
    error = await refused(stand, topic, payload, code)
    assert "<" not in str(error)


async def test_a_refusal_is_an_event(stand: Stand) -> None:
    await refused(stand, "julabo/cmd/nonsense", "", "unknown_topic")
    await asyncio.sleep(0)

    async def told() -> bool:
        return any(
            (one.department, one.source, one.kind) == ("tracker", "chiller", EventKind.REFUSED)
            and one.principal == "tracker.dashboard"
            for one in await stand.events()
        )

    async with asyncio.timeout(PATIENCE_S):
        while not await told():
            await asyncio.sleep(0.01)
