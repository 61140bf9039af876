"""PVAccess before an IOC of EPICS base (QSRV): values, words, alarms, limits, puts, and a server that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.epics.build import build
from countingroom.devices.drivers.epics.description import EpicsSection
from countingroom.devices.port import ProvingDriver, Sample
from countingroom.devices.resources import SharedResources
from countingroom.simulators.ioc import Ioc
from countingroom.simulators.ioc_server import IocRecord
from tests.patience import PATIENCE_S

ALARMS: dict[str, float | int | str] = {"HIHI": 90.0, "HHSV": "MAJOR", "HIGH": 50.0, "HSV": "MINOR", "PREC": 3}
RECORDS = [
    IocRecord(name="x:t", value=20.5, unit="degC", writable=True, fields={**ALARMS, "DRVL": -5.0, "DRVH": 99.0}),
    IocRecord(name="x:big", kind="int64", value=(1 << 60) + 1),
    IocRecord(name="x:mode", kind="enum", value=1, choices=("Off", "On"), writable=True),
    IocRecord(name="x:text", kind="string", value="abc", writable=True),
    IocRecord(name="x:note", kind="text", value="long", writable=True),
    IocRecord(name="x:array", kind="array", value=1.5),
]
TABLE: dict[str, Any] = {
    "t": {"pv": "t", "writable": True},
    "big": {"pv": "big", "type": "int"},
    "mode": {"pv": "mode", "type": "int", "words": {"Off": 0, "On": 5}, "writable": True},
    "on": {"pv": "mode", "type": "bool"},
    "text": {"pv": "text", "type": "string", "writable": True},
    "note": {"pv": "note", "type": "string", "writable": True},
    "array": {"pv": "array"},
    "nowhere": {"pv": "nowhere"},
}


async def test_an_ioc_is_read_and_written_over_pvaccess() -> None:
    ioc = Ioc(RECORDS, lambda name, value: None, protocol="pva")
    await ioc.start()
    keys = {"driver": "epics", "protocol": "pva", "prefix": "x:", "values": TABLE, "timeout": 2}
    section = EpicsSection.model_validate({**keys, "address_list": [ioc.address]})
    hosted = build("lab", section, SharedResources())
    driver = hosted.driver
    assert isinstance(driver, ProvingDriver) and hosted.location == f"pva://{ioc.address}"
    said: dict[str, Sample] = {}
    news = asyncio.Event()

    def take(samples: Sequence[Sample]) -> None:
        said.update({one.point: one for one in samples})
        news.set()

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                news.clear()
                await news.wait()

    driver.monitor(take)
    try:
        await driver.connect()  # waits its timeout for `nowhere`
        await until(lambda: "nowhere" in said)
        values: dict[str, Scalar] = {
            "t": 20.5,
            "big": (1 << 60) + 1,
            "mode": 5,
            "on": True,
            "text": "abc",
            "note": "long",
        }
        assert {name: said[name].value for name in values} == values
        assert said["array"].reason == "it is an array of 10 values; a point holds one"
        assert (
            said["nowhere"].quality is Quality.STALE and hosted.behaviour.observe_device({}, {}).state == "INCOMPLETE"
        )

        assert set(await driver.prove()) == {*values, "array"}
        point = {point.name: point for point in driver.points}["t"]
        assert (point.unit, point.precision, point.write_low, point.write_high) == ("degC", 3, -5.0, 99.0)
        assert (point.limits.warning_high, point.limits.alarm_high) == (50.0, 90.0)

        await driver.write("t", 60.0)
        await until(lambda: said["t"].value == 60.0)
        assert (said["t"].quality, said["t"].alarm) == (Quality.UNCERTAIN, 3)
        assert said["t"].reason == "HIGH alarm of the IOC (minor)" and said["t"].device_ns is not None
        for name, value in (("mode", 0), ("text", "xyz"), ("note", "n" * 100)):
            await driver.write(name, value)
            await until(lambda name=name, value=value: said[name].value == value)
        with pytest.raises(DeviceError):
            await driver.write("big", 5)  # an input record is read only here, and takes no put from clients

        await ioc.stop()
        await until(lambda: all(one.quality is Quality.STALE for one in said.values()))
        assert said["t"].reason == "the link to x:t is lost"
        with pytest.raises(LinkError):
            await driver.read()
    finally:
        await driver.close()
        await ioc.stop()
