"""What is published for Home Assistant and when: never an old value as good, nothing of what is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.errors import Cause, RequestError
from countingroom.core.messages import Catalogue, DeviceState, Link, Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar
from countingroom.home_assistant.adapter import HomeAssistantAdapter
from countingroom.mqtt.device_view import SILENT_S
from countingroom.mqtt.messages import BURST, Incoming, Publication
from tests.unit.test_home_assistant_entities import CATALOGUE, COMMANDED, FACTS

STATE = "countingroom/lab/chiller/temp/state"
CONFIG = "homeassistant/sensor/countingroom_lab/chiller--temp/config"
STATUS = "countingroom/lab/status"


def readings(quality: Quality = Quality.GOOD, **values: Scalar) -> Readings:
    count = len(values)
    return Readings(
        device="chiller",
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


class Broker:
    """What is retained at a broker, of one adapter after the other."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.came: list[Publication] = []

    def take(self, adapter: HomeAssistantAdapter, now_s: float, *, beats: bool = True) -> list[str]:
        """Publish what is due; the topics. `beats`: the device host is alive."""
        if beats:
            adapter.beat(["chiller"], now_s)
        self.came = adapter.due(now_s)
        for one in self.came:
            assert one.retain
            self.retained[one.topic] = one.payload
        self.retained = {topic: payload for topic, payload in self.retained.items() if payload}
        return [one.topic for one in self.came]

    def greet(self, adapter: HomeAssistantAdapter) -> None:
        """A new connection: everything that is retained comes."""
        adapter.begin()
        for topic, payload in list(self.retained.items()):
            adapter.hear(Incoming(topic=topic, payload=payload, retained=True))

    def value(self, topic: str = STATE) -> Any:
        return json.loads(self.retained[topic])


def begun(broker: Broker, *, catalogue: Catalogue | None = CATALOGUE, commanded: bool = False) -> HomeAssistantAdapter:
    adapter = HomeAssistantAdapter(COMMANDED if commanded else FACTS, 0.0)
    if catalogue:
        adapter.catalogue("chiller", catalogue)
    broker.greet(adapter)
    return adapter


def test_a_value_comes_with_its_quality_and_is_unavailable_as_soon_as_it_is_not_the_present_one() -> None:
    broker = Broker()
    adapter = begun(broker)
    assert broker.take(adapter, 0.0)[-1] == STATUS  # after all values
    assert broker.value() == {"value": None, "quality": "STALE", "availability": "offline"}
    assert adapter.readings(readings(temp=21.5))
    assert broker.take(adapter, 1.0) == [STATE]
    assert broker.value() == {"value": 21.5, "quality": "GOOD", "availability": "online"}
    adapter.readings(readings(Quality.UNCERTAIN, temp=21.5))
    assert broker.take(adapter, 1.5) == []  # at most one in a second
    broker.take(adapter, 2.0)
    assert broker.value() == {"value": 21.5, "quality": "UNCERTAIN", "availability": "online"}
    for number, quality in enumerate((Quality.STALE, Quality.BAD)):
        adapter.readings(readings(quality, temp=21.5))
        broker.take(adapter, 3.0 + number)
        assert broker.value() == {"value": None, "quality": quality.name, "availability": "offline"}


def test_a_silent_device_host_and_a_bus_that_is_away_make_all_unavailable() -> None:
    broker = Broker()
    adapter = begun(broker)
    adapter.state(DeviceState(device="chiller", state="ON", link=Link.CONNECTED, since_ns=0))
    adapter.readings(readings(temp=21.5))
    broker.take(adapter, 0.0)
    assert broker.value("countingroom/lab/chiller/device") == {"value": "ON", "availability": "online"}
    adapter.beat(["chiller"], 2.0)
    assert adapter.next_s() <= 2.0 + SILENT_S
    broker.take(adapter, 2.0 + SILENT_S, beats=False)
    assert broker.value()["availability"] == "offline"
    assert broker.value("countingroom/lab/chiller/device")["availability"] == "offline"
    assert adapter.beat(["chiller"], 7.0)
    broker.take(adapter, 8.0)
    assert broker.value() == {"value": 21.5, "quality": "GOOD", "availability": "online"}
    assert adapter.bus(is_there=False, now_s=9.0)
    broker.take(adapter, 9.0)
    assert broker.value()["availability"] == "offline"


def test_the_status_is_told_again_when_the_will_of_an_earlier_process_comes_late() -> None:
    broker = Broker()
    adapter = begun(broker)
    broker.take(adapter, 0.0)
    will = adapter.will()
    assert will == Publication(topic=STATUS, payload=b"offline", retain=True)
    assert adapter.hear(Incoming(topic=STATUS, payload=b"offline", retained=False))
    assert adapter.next_s() < 0.0
    assert broker.take(adapter, 0.1) == [STATUS]
    assert broker.retained[STATUS] == b"online"
    assert adapter.farewell(1.0) == [will]


def test_everything_comes_again_when_home_assistant_starts() -> None:
    broker = Broker()
    adapter = begun(broker)
    everything = broker.take(adapter, 0.0)
    assert broker.take(adapter, 5.0) == []
    adapter.hear(Incoming(topic="homeassistant/status", payload=b"offline", retained=False))
    assert broker.take(adapter, 6.0) == []
    adapter.hear(Incoming(topic="homeassistant/status", payload=b"online", retained=False))
    assert sorted(broker.take(adapter, 7.0)) == sorted(everything)


def test_what_left_the_description_is_removed_also_after_a_restart() -> None:
    broker = Broker()
    adapter = begun(broker)
    broker.take(adapter, 0.0)
    less = replace(CATALOGUE, points=tuple(one for one in CATALOGUE.points if one.name != "temp"))
    assert adapter.catalogue("chiller", less)
    assert broker.take(adapter, 1.0) == [CONFIG, STATE]
    assert [one.payload for one in broker.came] == [b"", b""]

    others = broker.retained.keys() - {CONFIG, STATE}
    begun(broker)
    broker.take(begun(broker), 0.0)
    assert CONFIG in broker.retained
    again = begun(broker, catalogue=None)
    broker.take(again, 0.0)
    assert CONFIG in broker.retained  # its device host has not told yet
    again.catalogue("chiller", less)
    broker.take(again, 1.0)
    assert broker.retained.keys() == others
    again.catalogue("chiller", None)
    broker.take(again, 2.0)
    assert all("chiller" not in topic for topic in broker.retained)

    broker.take(begun(broker), 0.0)
    elsewhere = HomeAssistantAdapter(replace(FACTS, devices=frozenset(["other"])), 0.0)
    broker.greet(elsewhere)
    broker.take(elsewhere, 0.0)
    assert all("chiller" not in topic for topic in broker.retained)


def test_a_point_that_can_be_set_no_more_is_a_sensor_and_no_number() -> None:
    broker = Broker()
    adapter = begun(broker, commanded=True)
    broker.take(adapter, 0.0)
    number = "homeassistant/number/countingroom_lab/chiller--setpoint/config"
    assert number in broker.retained
    assert adapter.asked(Incoming(topic="countingroom/lab/chiller/setpoint/set", payload=b"5", retained=False))
    adapter = begun(broker)
    broker.take(adapter, 0.0)
    assert number not in broker.retained
    assert number.replace("number", "sensor") in broker.retained
    with pytest.raises(RequestError):
        adapter.asked(Incoming(topic="countingroom/lab/chiller/setpoint/set", payload=b"5", retained=False))


def test_entities_of_other_programs_are_left_alone() -> None:
    broker = Broker()
    topics = ("0x01/temp", "countingroom_lab2/a--b", "countingroom/lab/a--b")
    foreign = {f"homeassistant/sensor/{topic}/config": b"{}" for topic in topics}
    broker.retained |= foreign
    broker.take(begun(broker), 0.0)
    assert foreign.items() <= broker.retained.items()


def test_a_refusal_is_told_and_the_entity_gets_its_value_again() -> None:
    broker = Broker()
    adapter = begun(broker, commanded=True)
    adapter.readings(readings(setpoint=5.0))
    broker.take(adapter, 0.0)
    topic = "countingroom/lab/chiller/setpoint/set"
    told = adapter.error(
        Incoming(topic=topic, payload=b"99", retained=False), Cause(code="out_of_range", message="no", suggestion="x")
    )
    assert (told.topic, told.retain) == ("countingroom/lab/error", False)
    assert json.loads(told.payload)["device"] == "chiller"
    assert broker.take(adapter, 5.0) == ["countingroom/lab/chiller/setpoint/state"]
    assert adapter.kind_of(topic) == "number"


def test_many_values_are_published_in_parts_each_with_the_newest_and_the_status_comes_last() -> None:
    broker, count = Broker(), 3 * BURST
    points = tuple(Point(name=f"p{number}") for number in range(count))
    adapter = begun(broker, catalogue=replace(CATALOGUE, points=points, commands=()))
    adapter.readings(readings(Quality.GOOD, **{point.name: 1.0 for point in points}))
    assert len(broker.take(adapter, 0.0)) == BURST
    adapter.readings(readings(Quality.STALE, **{points[-1].name: 1.0}))
    while STATUS not in (topics := broker.take(adapter, 0.1)):
        assert len(topics) == BURST
        assert adapter.next_s() <= 0.1
    assert topics[-1] == STATUS
    assert broker.value(f"countingroom/lab/chiller/p{count - 2}/state")["value"] == 1.0
    assert broker.value(f"countingroom/lab/chiller/p{count - 1}/state")["value"] is None
    assert adapter.next_s() > 0.1


def test_with_expire_after_each_value_comes_again_in_time() -> None:
    broker = Broker()
    adapter = begun(broker)
    broker.take(adapter, 0.0)
    adapter.beat(["chiller"], 9.0)
    assert STATE not in broker.take(adapter, 9.0)
    assert STATE in broker.take(adapter, 10.0)


LESS = replace(CATALOGUE, points=tuple(one for one in CATALOGUE.points if one.name != "temp"))
STEP = st.one_of(
    st.tuples(st.just("reading"), st.sampled_from(Quality), st.sampled_from([1.0, 2.0])),
    st.tuples(st.sampled_from(["beat", "leave", "lost", "found", "more", "less", "none", "again", "birth"])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 2.0, 5.0])),
)


@given(st.lists(STEP, max_size=25))
def test_whatever_happens_the_broker_has_what_holds_and_nothing_else(steps: list[tuple[Any, ...]]) -> None:
    broker = Broker()
    adapter, now_s, beaten_s = begun(broker), 0.0, 0.0
    is_there, has_bus, catalogue, last = True, True, True, (Quality.STALE, 0.0)
    for step in steps:
        match step:
            case ("reading", quality, value):
                adapter.readings(readings(quality, temp=value))
                last = (quality, value)
            case ("beat",):
                adapter.beat(["chiller"], now_s)
                is_there, beaten_s = True, now_s
            case ("leave",):
                adapter.leave(["chiller"], now_s)
                is_there = False
            case ("lost",):
                adapter.bus(is_there=False, now_s=now_s)
                has_bus = False
            case ("found",):
                adapter.bus(is_there=True, now_s=now_s)
                is_there, beaten_s = (True, now_s) if not has_bus else (is_there, beaten_s)
                has_bus = True
            case ("more" | "less" | "none" as word,):
                adapter.catalogue("chiller", {"more": CATALOGUE, "less": LESS}.get(word))
                catalogue = word == "more"
            case ("again",):
                broker.greet(adapter)
            case ("birth",):
                adapter.hear(Incoming(topic="homeassistant/status", payload=b"online", retained=False))
            case (_, seconds):
                now_s += seconds
            case _:
                raise AssertionError(step)
        now_s += 1.0  # the interval
        broker.take(adapter, now_s, beats=False)
        assert adapter.next_s() > now_s  # it does not turn without an end
        assert broker.retained[STATUS] == b"online"
        assert (CONFIG in broker.retained, STATE in broker.retained) == (catalogue, catalogue)
        if catalogue:
            is_believed = is_there and has_bus and now_s - beaten_s < SILENT_S
            is_good = is_believed and last[0] <= Quality.UNCERTAIN
            state = broker.value()
            assert state["availability"] == ("online" if is_good else "offline")
            assert state["value"] == (last[1] if is_good else None)
