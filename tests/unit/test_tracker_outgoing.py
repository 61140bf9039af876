"""Topics of the tracker DCS: their fields and types, how often, and what is seen of values that are not good."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.messages import DeviceState, Link, Readings
from countingroom.core.values import Quality, Scalar
from countingroom.mqtt.device_view import SILENT_S
from countingroom.mqtt.messages import Publication
from countingroom.tracker.facts import CaenFacts, CaenRow, MartaFacts, TrackerFacts
from countingroom.tracker.outgoing import TrackerMessages

_OF_CHANNEL = """
id module lv_board lv_channel lv_status lv_setV lv_vMon lv_iMon lv_maxI lv_tripTime lv_tripInt lv_tripExt lv_unVthr
lv_ovVthr lv_rampUpTime lv_rampDwnTime lv_temp hv_board hv_channel hv_status hv_setV hv_vMon hv_iMon hv_maxI hv_tripTime
hv_tripInt hv_tripExt hv_rampUpSpeed hv_rampDwnSpeed hv_imRange hv_tripMode fsm_state
"""
_OF_CHILLER = """
status_code internal_temp setpoint_1 setpoint_2 setpoint_3 used_setpoint power ext_is_used external_temp fsm_state
"""
CHANNEL_FIELDS, CHILLER_FIELDS = _OF_CHANNEL.split(), _OF_CHILLER.split()

FACTS = TrackerFacts(
    caen=CaenFacts(
        device="caen",
        rows=(
            CaenRow(id="0", channel="0", module="module_0", lv_board=0, lv_channel=1, hv_board=12, hv_channel=2),
            CaenRow(id="2", channel="spare", lv_board=0, lv_channel=2, hv_board=12, hv_channel=3),
        ),
    ),
    chiller="julabo",
    marta=MartaFacts(
        device="co2",
        fields={"TT05_CO2": 0.2, "set_start_co2": 0.0, "status": 0.0},
        alarms={"EB_FS": "Full stop: <button> & more", "CP_LP_FS": "Full stop: compressor low pressure"},
    ),
    switchbox="box",
    sensors={"boards.ESP01.DS_temp": "ESP01/sensors/DS/temp"},
)


def message(device: str, values: dict[str, Scalar], quality: Quality = Quality.GOOD) -> Readings:
    count = len(values)
    return Readings(
        device=device,
        boot="b",
        sequence=1,
        full=False,
        sent_ns=0,
        points=list(values),
        values=list(values.values()),
        qualities=[int(quality)] * count,
        device_ns=[0] * count,
        received_ns=[0] * count,
    )


def state(device: str, name: str, channel: str = "") -> DeviceState:
    return DeviceState(device=device, channel=channel, state=name, link=Link.CONNECTED, since_ns=0)


class Stand:
    """The outgoing side, whose hosts beat unless they are silent."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.out = TrackerMessages(FACTS, self.now_s)
        self.silent = False

    def at(self, now_s: float) -> list[Publication]:
        self.now_s = now_s
        if not self.silent:
            self.out.beat(FACTS.devices, now_s)
        return self.out.due(now_s)

    def told(self, now_s: float, topic: str) -> list[Any]:
        return [json.loads(one.payload) for one in self.at(now_s) if one.topic == topic]

    def everything_known(self) -> None:
        for device, name in (("caen", "LV_OFF"), ("julabo", "OFF"), ("co2", "CONNECTED"), ("boards", "CONNECTED")):
            self.out.state(state(device, name))
        for channel in ("0", "spare"):
            self.out.state(state("caen", "LV_OFF", channel))
        self.out.readings(message("caen", {"0.lv_vMon": 0.0, "0.lv_status": 0, "spare.lv_vMon": 0.0, "0.lv_pw": 0}))
        self.out.readings(message("julabo", {"status_code": 2, "internal_temp": 20.5, "ext_is_used": True}))
        self.out.readings(message("co2", {"TT05_CO2": 5.0, "set_start_co2": False, "status": 1}))
        self.out.readings(message("co2", {"EB_FS": False, "CP_LP_FS": False}))


@pytest.fixture
def stand() -> Stand:
    made = Stand()
    made.everything_known()
    made.at(100.0)
    return made


def test_nothing_is_published_of_a_device_of_which_nothing_is_known() -> None:
    made = Stand()
    made.out.refresh()
    assert made.at(100.0) == []


def test_a_channel_has_its_32_fields_in_order_and_its_module_is_never_null(stand: Stand) -> None:
    stand.out.refresh("caen")
    first, second = stand.told(101.0, "dcs/channels")
    assert list(first) == CHANNEL_FIELDS == list(second)
    assert (first["id"], first["module"], first["lv_channel"], first["hv_board"]) == ("0", "module_0", 1, 12)
    assert (second["id"], second["module"], second["fsm_state"]) == ("2", "", "LV_OFF")


def test_the_first_change_after_a_quiet_second_goes_out_at_once_and_the_next_ones_together_a_second_later(
    stand: Stand,
) -> None:
    stand.at(110.0)
    assert stand.out.readings(message("caen", {"0.lv_vMon": 1.0}))
    assert [one["lv_vMon"] for one in stand.told(110.01, "dcs/channels")] == [1.0]
    stand.out.readings(message("caen", {"0.lv_vMon": 2.0}))
    assert not stand.out.readings(message("caen", {"0.lv_vMon": 3.0}))  # it waits already
    assert stand.told(110.5, "dcs/channels") == []
    assert stand.out.next_s() <= 111.01
    assert [one["lv_vMon"] for one in stand.told(111.01, "dcs/channels")] == [3.0]
    assert stand.told(113.0, "dcs/channels") == []


def test_a_value_that_is_no_field_makes_no_message(stand: Stand) -> None:
    assert not stand.out.readings(message("caen", {"0.lv_pw": 1}))
    assert stand.told(105.0, "dcs/channels") == []


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD])
def test_a_value_that_is_not_good_is_null(stand: Stand, quality: Quality) -> None:
    stand.out.readings(message("caen", {"0.lv_vMon": 7.0}, quality))
    (told,) = stand.told(105.0, "dcs/channels")
    assert told["lv_vMon"] is None
    assert list(told) == CHANNEL_FIELDS


def test_an_uncertain_value_is_shown(stand: Stand) -> None:
    stand.out.readings(message("caen", {"0.lv_vMon": 7.0}, Quality.UNCERTAIN))
    assert stand.told(105.0, "dcs/channels")[0]["lv_vMon"] == 7.0


def test_a_disconnected_channel_is_published_as_such(stand: Stand) -> None:
    stand.out.state(state("caen", "DISCONNECTED", "0"))
    (told,) = stand.told(105.0, "dcs/channels")
    assert told["fsm_state"] == "DISCONNECTED"


def test_the_chiller_has_all_ten_fields_every_5_s_and_on_change(stand: Stand) -> None:
    (told,) = stand.told(105.0, "julabo/status")
    assert list(told) == CHILLER_FIELDS
    assert (told["ext_is_used"], told["external_temp"], told["fsm_state"]) == (True, 0, "OFF")
    assert stand.told(106.5, "julabo/status") == []
    stand.out.readings(message("julabo", {"internal_temp": 21.0}))
    assert [one["internal_temp"] for one in stand.told(107.0, "julabo/status")] == [21.0]
    assert stand.told(111.0, "julabo/status") == []
    assert len(stand.told(112.0, "julabo/status")) == 1


def test_the_switch_of_the_external_sensor_stays_while_the_chiller_is_away(stand: Stand) -> None:
    stand.out.readings(message("julabo", {"internal_temp": 20.5, "ext_is_used": True}, Quality.STALE))
    stand.out.state(state("julabo", "DISCONNECTED"))
    (told,) = stand.told(105.0, "julabo/status")
    assert (told["internal_temp"], told["external_temp"], told["ext_is_used"]) == (None, None, True)
    assert told["fsm_state"] == "DISCONNECTED"


def test_the_plant_tells_what_moved_each_second_and_its_state_always(stand: Stand) -> None:
    assert stand.told(101.0, "MARTA/status") == [{"fsm_state": "CONNECTED"}]
    stand.out.readings(message("co2", {"TT05_CO2": 5.15, "set_start_co2": True}))
    assert stand.told(102.0, "MARTA/status") == [{"set_start_co2": 1, "fsm_state": "CONNECTED"}]
    stand.out.readings(message("co2", {"TT05_CO2": 5.3}))
    assert stand.told(103.0, "MARTA/status") == [{"TT05_CO2": 5.3, "fsm_state": "CONNECTED"}]


def test_the_plant_tells_everything_after_ten_minutes_and_on_refresh(stand: Stand) -> None:
    full = {"TT05_CO2": 5.0, "set_start_co2": 0, "status": 1, "fsm_state": "CONNECTED"}
    assert stand.told(101.0, "MARTA/status") == [{"fsm_state": "CONNECTED"}]
    stand.out.refresh("marta")
    assert stand.told(101.3, "MARTA/status") == [full]
    assert stand.told(102.3, "MARTA/status") == [{"fsm_state": "CONNECTED"}]
    assert stand.told(701.3, "MARTA/status") == [full]


def test_alarms_are_lines_of_escaped_text_and_an_empty_message_clears_them(stand: Stand) -> None:
    def text(now_s: float) -> str:
        (found,) = [one.payload.decode() for one in stand.at(now_s) if one.topic == "MARTA/alarms"]
        return found

    assert text(101.0) == ""
    stand.out.readings(message("co2", {"EB_FS": True}))
    assert text(102.0) == "Full stop: &lt;button&gt; &amp; more (EB_FS)\n"
    stand.out.readings(message("co2", {"EB_FS": False}))
    assert text(103.0) == ""


def test_alarms_of_a_plant_that_is_not_reached_are_not_shown_as_none(stand: Stand) -> None:
    stand.out.state(state("co2", "DISCONNECTED"))
    (text,) = [one.payload for one in stand.at(105.0) if one.topic == "MARTA/alarms"]
    assert b"not known" in text


def test_a_sensor_is_a_bare_number_and_silent_while_it_is_not_good(stand: Stand) -> None:
    stand.out.readings(message("boards", {"ESP01.DS_temp": 21.5}))
    assert stand.told(105.0, "ESP01/sensors/DS/temp") == [21.5]
    stand.out.readings(message("boards", {"ESP01.DS_temp": 21.5}, Quality.STALE))
    assert stand.told(170.0, "ESP01/sensors/DS/temp") == []


def test_the_switchbox_is_two_bits_and_a_mask_and_answers_each_question(stand: Stand) -> None:
    channels: dict[str, Scalar] = {f"{number}.enabled": number in (1, 7, 48) for number in range(1, 49)}
    stand.out.readings(message("box", {"lv": True, "hv": False, **channels}))
    stand.out.state(state("box", "LV_ON"))
    expected = {"lv": 1, "hv": 0, "channels": (1 << 0) | (1 << 6) | (1 << 47)}
    assert stand.told(105.0, "SB/status") == [expected]
    assert stand.told(106.0, "SB/status") == []
    stand.out.refresh("switchbox")
    assert stand.told(106.3, "SB/status") == [expected]
    stand.out.readings(message("box", {"hv": True, "7.enabled": True}, Quality.STALE))
    assert stand.told(108.0, "SB/status") == [{"lv": 1, "hv": None, "channels": None}]


def test_a_silent_host_and_a_lost_bus_disconnect_everything_and_both_come_back(stand: Stand) -> None:
    stand.silent = True
    assert stand.out.next_s() <= stand.now_s + SILENT_S
    told = stand.told(100.0 + SILENT_S, "dcs/channels")
    assert [(one["fsm_state"], one["lv_vMon"]) for one in told] == [("DISCONNECTED", None)] * 2
    stand.silent = False
    assert [one["fsm_state"] for one in stand.told(106.0, "dcs/channels")] == ["LV_OFF"] * 2
    stand.out.bus(is_there=False, now_s=110.0)
    assert [one["fsm_state"] for one in stand.told(110.0, "dcs/status")] == ["DISCONNECTED"]
    stand.out.bus(is_there=True, now_s=112.0)
    assert [one["fsm_state"] for one in stand.told(112.0, "dcs/status")] == ["LV_OFF"]


def test_refreshes_that_come_fast_are_answered_together(stand: Stand) -> None:
    count: Counter[str] = Counter()
    for step in range(100):
        stand.out.refresh("caen")
        count.update(one.topic for one in stand.at(105.0 + step / 100))
    assert count["dcs/channels"] <= 2 * 6
    assert count["dcs/status"] <= 6
    stand.out.state(state("caen", "LV_ON"))
    assert [one["fsm_state"] for one in stand.told(107.0, "dcs/status")] == ["LV_ON"]


def test_a_chiller_whose_values_are_not_known_has_no_external_temperature_of_0(stand: Stand) -> None:
    stand.out.readings(message("julabo", {"internal_temp": 20.5, "external_temp": 20.1}, Quality.STALE))
    (told,) = stand.told(105.0, "julabo/status")
    assert (told["internal_temp"], told["external_temp"], told["fsm_state"]) == (None, None, "OFF")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0.lv_vMon", "spare.hv_iMon", "0.lv_status"]),
            st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5)),
            st.sampled_from(list(Quality)),
            st.floats(0.0, 0.4),
        ),
        max_size=40,
    )
)
def test_no_reading_breaks_a_message_and_no_channel_is_told_more_than_once_in_a_second(
    steps: list[tuple[str, Scalar, Quality, float]],
) -> None:
    made = Stand()
    made.everything_known()
    last: dict[str, float] = {}
    wanted: Scalar = 0.0
    shown: Any = None
    for point, value, quality, pause_s in [*steps, ("0.lv_pw", None, Quality.BAD, 1.0)]:
        made.out.readings(message("caen", {point: value}, quality))
        if point == "0.lv_vMon":
            believed = quality <= Quality.UNCERTAIN and not (isinstance(value, float) and not math.isfinite(value))
            wanted = value if believed else None
        now_s = made.now_s + pause_s
        for one in made.told(now_s, "dcs/channels"):
            assert list(one) == CHANNEL_FIELDS
            assert now_s - last.get(one["id"], -math.inf) >= 1.0 - 1e-9
            last[one["id"]] = now_s
            shown = one["lv_vMon"] if one["id"] == "0" else shown
    assert shown == wanted and type(shown) is type(wanted)
