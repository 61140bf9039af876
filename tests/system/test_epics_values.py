"""What an IOC sends is shown as it is, with its reason where it cannot be, and no longer than it is proven."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aioca as _aioca
import pytest

from countingroom.core.errors import DeviceError, LinkError, OutOfRange
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.epics.access import ChannelAccess
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.drivers.epics.driver import EpicsDriver
from countingroom.devices.port import Sample
from countingroom.devices.resources import SharedResources
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from tests.patience import PATIENCE_S

aioca: Any = _aioca  # its types are partly unknown
DOUBLE = 6
"""DBR_DOUBLE: asked of a text, it makes the IOC refuse every update whose text is no number."""

RECORDS = [
    IocRecord(name="x:switch", kind="enum", value=0, choices=("Off", "", "On"), writable=True),
    IocRecord(name="x:text", kind="string", value="10", writable=True),
    IocRecord(name="x:big", kind="int64", value=5000000123),
    IocRecord(name="x:number", value=3.9),
    IocRecord(name="x:array", kind="array", value=1.5),
    IocRecord(name="x:motor", writable=True, put_takes_s=4.0),
    IocRecord(name="x:note", kind="text", value="", writable=True),
    IocRecord(name="x:set", unit="degC", writable=True, fields={"DRVL": -5.0, "DRVH": 30.0}),
    IocRecord(name="x:count", kind="int", value=0, writable=True, fields={"DRVL": 1, "DRVH": 8}),
    IocRecord(name="x:free", writable=True),
    IocRecord(name="x:mode", kind="enum", value=0, choices=("Off", "On", "Broken")),
]
TABLE: dict[str, Any] = {
    "kind": {"pv": "number.RTYP", "type": "string"},
    "on": {"pv": "mode", "type": "bool", "writable": True},
    "switch": {"pv": "switch", "type": "int", "words": {"Off": 0, "On": 5}, "writable": True},
    "text": {"pv": "text"},
    "big": {"pv": "big", "type": "int"},
    "number": {"pv": "number", "type": "int"},
    "array": {"pv": "array"},
    "mode": {"pv": "mode", "type": "int", "words": {"Off": 0, "On": 1}},
    "motor": {"pv": "motor", "writable": True, "write_low": 0, "write_high": 100, "confirm": 20},
    "long": {"pv": "text.VAL$", "type": "string", "writable": True},
    "note": {"pv": "note", "type": "string", "writable": True},
    "set": {"pv": "set", "writable": True},
    "narrow": {"pv": "set", "writable": True, "write_low": 0, "write_high": 50},
    "count": {"pv": "count", "type": "int", "writable": True},
    "unit": {"pv": "set.EGU", "type": "string"},
    "free": {"pv": "free", "writable": True},
}


@pytest.fixture
async def resources() -> AsyncIterator[SharedResources]:
    made = SharedResources()
    yield made
    await made.close()


@pytest.fixture
async def ioc() -> AsyncIterator[Ioc]:
    served = Ioc(RECORDS, lambda name, value: None)
    await served.start()
    yield served
    await served.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


class Watched:
    """A driver and the last sample of each point."""

    def __init__(self, ioc: Ioc, resources: SharedResources, *names: str, timeout_s: float = PATIENCE_S / 2) -> None:
        """`timeout_s`: of an answer; a short one where the IOC is to be found silent."""
        values = {name: TABLE[name] for name in names or TABLE}
        given = {
            "driver": "epics",
            "prefix": "x:",
            "values": values,
            "address_list": [ioc.address],
            "timeout": timeout_s,
        }
        driver = build("x", EpicsSection.model_validate(given), resources).driver
        assert isinstance(driver, EpicsDriver)
        self.driver = driver
        self.last: dict[str, Sample] = {}
        driver.monitor(lambda batch: self.last.update({sample.point: sample for sample in batch}))

    async def connect(self) -> None:
        await self.driver.connect()
        await until(lambda: len(self.last) == len(self.driver.points))


async def test_a_value_has_the_type_that_the_ioc_keeps_it_in(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources)
    await watched.connect()
    last = watched.last
    assert (last["big"].value, last["big"].quality) == (5000000123, Quality.GOOD)
    assert (last["text"].value, last["text"].quality) == (10.0, Quality.GOOD)
    assert (last["number"].value, last["number"].quality) == (None, Quality.BAD)
    assert "3.9 is no whole number" in last["number"].reason
    assert last["array"].quality is Quality.BAD
    assert "array of 10" in last["array"].reason
    assert (last["mode"].value, last["long"].value) == (0, "10")
    await watched.driver.close()


async def test_a_text_that_is_no_number_is_bad_until_it_is_one_again(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "text")
    await watched.connect()
    await watched.driver.prove()  # a change in the moment of the subscription is not sent
    ioc.set({"x:text": "n/a"})
    await until(lambda: watched.last["text"].quality is Quality.BAD)
    assert "'n/a'" in watched.last["text"].reason
    ioc.set({"x:text": "20"})
    await until(lambda: watched.last["text"].value == 20.0)
    assert watched.last["text"].quality is Quality.GOOD
    await ioc.stop()
    await until(lambda: watched.last["text"].quality is Quality.STALE)
    with pytest.raises(LinkError):
        await watched.driver.read()
    await watched.driver.close()


async def test_an_unknown_word_is_bad_and_named(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "mode")
    await watched.connect()
    await watched.driver.prove()  # a change in the moment of the subscription is not sent
    ioc.set({"x:mode": 2})
    await until(lambda: watched.last["mode"].quality is Quality.BAD)
    assert "'Broken'" in watched.last["mode"].reason
    await watched.driver.close()


async def test_a_long_string_is_written_whole(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "long")
    await watched.connect()
    for text in ("thirty-nine letters are the most of it", "short", ""):
        await watched.driver.write("long", text)
        await until(lambda text=text: watched.last["long"].value == text)
    await watched.driver.close()


async def test_a_text_longer_than_an_epics_string_is_written_whole(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "note", "long")
    await watched.connect()
    for text in ("the target was moved by 3 mm, the beam is back since ten o'clock; ask Zoë" * 2, "short", ""):
        await watched.driver.write("note", text)
        await until(lambda text=text: watched.last["note"].value == text)
    for name, most in (("note", 256), ("long", 40)):
        with pytest.raises(DeviceError, match="does not take"):
            await watched.driver.write(name, "x" * most)
    await watched.driver.close()


async def test_setpoints_keep_the_limits_of_the_ioc_and_follow_their_change(
    ioc: Ioc, resources: SharedResources
) -> None:
    watched = Watched(ioc, resources, "set", "narrow", "count", "free", "motor")
    await watched.connect()

    def points() -> dict[str, Point]:
        return {point.name: point for point in watched.driver.points}

    with pytest.raises(OutOfRange, match="neither the description nor the IOC has given its limits"):
        points()["set"].check_write(20.0)
    await watched.driver.prove()
    assert points()["set"].check_write(30.0) == 30.0
    with pytest.raises(OutOfRange) as refused:
        points()["set"].check_write(30.5)
    assert str(refused.value) == "set: 30.5 degC is outside -5 to 30 degC, beyond the limit of the IOC"
    # What the table gives narrows the limits of the IOC, and never widens them.
    narrow = points()["narrow"]
    assert (narrow.write_low, narrow.write_low_source, narrow.write_high, narrow.write_high_source) == (
        0,
        "",
        30,
        "IOC",
    )
    count = points()["count"]
    assert (count.write_low, count.write_high) == (1, 8)
    with pytest.raises(OutOfRange, match="the IOC has given its limits"):
        points()["free"].check_write(1.0)
    assert points()["motor"].check_write(100.0) == 100.0
    access = resources.get(ChannelAccess).monitors(2.0)
    await access.put("x:set.DRVH", 12.0)
    await watched.driver.prove()
    assert points()["set"].write_high == 12
    with pytest.raises(OutOfRange, match="beyond the limit of the IOC"):
        points()["narrow"].check_write(13.0)
    await watched.driver.close()


async def test_a_refused_subscription_is_bad_and_made_anew(
    ioc: Ioc, resources: SharedResources, capfd: pytest.CaptureFixture[str]
) -> None:
    access = resources.get(ChannelAccess)
    access.register([ioc.address], [])
    access.start()
    monitors = access.monitors(2.0)
    seen: list[Any] = []
    refused: list[str] = []
    monitors.add("x:text", seen.append, datatype=DOUBLE, refused=refused.append)
    await until(lambda: bool(seen))
    assert await monitors.answers("x:text")  # a change in the moment of the subscription is not sent
    ioc.set({"x:text": "n/a"})
    await until(lambda: bool(refused))
    assert "x:text" in refused[0]
    monitors.renew()
    await until(lambda: len(refused) == 2)
    ioc.set({"x:text": "20"})
    while float(seen[-1]) != 20.0:
        monitors.renew()
        await asyncio.sleep(0.05)
    await ioc.stop()
    await until(lambda: not seen[-1].ok)
    await monitors.close()
    assert "Traceback" not in capfd.readouterr().err


async def test_a_constant_value_is_proven_only_while_its_server_answers(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "big", "mode", timeout_s=2.0)
    await watched.connect()
    assert set(await watched.driver.prove()) == {"big", "mode"}
    ioc.freeze()
    assert set(await watched.driver.prove()) == set()
    ioc.thaw()
    assert set(await watched.driver.prove()) == {"big", "mode"}
    await watched.driver.close()


async def test_a_variable_that_is_not_served_is_told_by_its_name(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "big")
    other = EpicsSection.model_validate(
        {
            "driver": "epics",
            "values": {"big": {"pv": "x:big"}, "typo": {"pv": "x:bgi"}},
            "address_list": [ioc.address],
            "timeout": 2.0,
        }
    )
    driver = build("y", other, resources).driver
    assert isinstance(driver, EpicsDriver)
    last: dict[str, Sample] = {}
    driver.monitor(lambda batch: last.update({sample.point: sample for sample in batch}))
    await driver.connect()
    await until(lambda: "typo" in last)
    assert last["typo"].quality is Quality.STALE
    assert "x:bgi" in last["typo"].reason
    assert "typo" not in await driver.prove()
    with pytest.raises(DeviceError, match="x:bgi"):
        await driver.write("typo", 1.0)
    await driver.close()
    await watched.driver.close()


async def test_a_put_may_take_longer_than_an_answer_and_delays_no_other(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "motor", "long", timeout_s=1.5)
    await watched.connect()
    put = asyncio.create_task(watched.driver.write("motor", 50.0))
    await asyncio.sleep(0)
    await watched.driver.write("long", "meanwhile")
    assert not put.done()
    await put
    await until(lambda: watched.last["motor"].value == 50.0)
    put = asyncio.create_task(watched.driver.write("motor", 60.0))
    await asyncio.sleep(0)
    await watched.driver.write("long", "the motor runs")
    ioc.freeze()
    with pytest.raises(LinkError, match="no answer to a put"):
        await put
    ioc.thaw()
    await watched.driver.close()


async def test_a_field_that_is_no_value_is_read_as_a_text(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "kind")
    await watched.connect()
    assert (watched.last["kind"].value, watched.last["kind"].quality) == ("ai", Quality.GOOD)
    await watched.driver.close()


async def test_texts_that_are_no_utf_8_are_read_as_latin_1(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "set", "unit", "long", "note")
    await watched.connect()
    for pv in ("x:set.EGU", "x:text"):
        await aioca.caput(pv, b"\xb0C", wait=True, timeout=PATIENCE_S)
    await aioca.caput("x:note", list(b"\xb0C\0"), wait=True, timeout=PATIENCE_S)
    await watched.driver.prove()
    await until(lambda: all(watched.last[name].value == "°C" for name in ("unit", "long", "note")))
    assert {point.name: point.unit for point in watched.driver.points}["set"] == "°C"
    await watched.driver.close()


async def test_a_third_state_is_neither_on_nor_off(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "on")
    await watched.connect()
    assert watched.last["on"].value is False
    await watched.driver.prove()  # a change in the moment of the subscription is not sent
    ioc.set({"x:mode": 2})
    await until(lambda: watched.last["on"].value is not False)
    assert (watched.last["on"].value, watched.last["on"].quality) == (None, Quality.BAD)
    assert "2 is neither 0 nor 1" in watched.last["on"].reason
    await watched.driver.close()


async def test_a_word_is_written_where_its_enum_has_gaps(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "switch")
    await watched.connect()
    await watched.driver.write("switch", 5)
    await until(lambda: watched.last["switch"].value == 5)
    await watched.driver.write("switch", 0)
    await until(lambda: watched.last["switch"].value == 0)
    await watched.driver.close()


async def test_a_change_after_a_restart_of_the_ioc_arrives_once(ioc: Ioc, resources: SharedResources) -> None:
    watched = Watched(ioc, resources, "text")
    await watched.connect()
    arrived: list[Any] = []
    watched.driver.monitor(lambda batch: arrived.extend(sample.value for sample in batch))
    for text in ("11", "12"):
        await ioc.stop()
        await until(lambda: None in arrived)
        await ioc.start()
        await watched.driver.connect()
        await watched.driver.prove()  # a change in the moment of the subscription is not sent
        arrived.clear()
        ioc.set({"x:text": text})
        await until(lambda text=text: float(text) in arrived)
        ioc.set({"x:text": "20"})
        await until(lambda: 20.0 in arrived)
        assert arrived[-2:] == [float(text), 20.0] and len(arrived) <= 3
    await watched.driver.close()
