"""Points as process variables, seen by the clients of EPICS: aioca (libca) and p4p (PVXS)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from p4p.client import thread

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Catalogue, Presence, Readings, encode
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.pvs.description import PvsSection
from countingroom.pvs.service import PvService
from countingroom.simulators.ioc import _free_port  # pyright: ignore[reportPrivateUsage]
from tests.patience import PATIENCE_S

_thread: Any = thread
CAGET = """
import asyncio, json, aioca
async def ask():
    t = await aioca.caget("lab:psu:t", format=aioca.FORMAT_CTRL, timeout=20)
    mode = await aioca.caget("lab:psu:mode", datatype=aioca.DBR_STRING, timeout=20)
    put = await aioca.caput("lab:psu:t", 5.0, wait=True, timeout=20, throw=False)
    enabled = await aioca.caput("lab:psu:t.DISP", 0, wait=True, timeout=20, throw=False)
    print(json.dumps([float(t), t.units, t.upper_alarm_limit, t.severity, str(mode), bool(put), bool(enabled)]))
asyncio.run(ask())
"""


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.05)


def _readings(sequence: int, **points: Scalar) -> Readings:
    count, now = len(points), time.time_ns()
    return Readings(
        device="psu",
        boot="b",
        sequence=sequence,
        full=True,
        sent_ns=now,
        points=list(points),
        values=list(points.values()),
        qualities=[int(Quality.GOOD)] * count,
        device_ns=[1_700_000_000_250_000_000] * count,
        received_ns=[now] * count,
    )


def _beat(*, leaving: bool = False) -> bytes:
    beat = Presence(
        role="devices",
        instance="main",
        boot="b",
        host="here",
        pid=1,
        interval_s=1.0,
        sent_ns=time.time_ns(),
        leaving=leaving,
        targets=("psu",),
    )
    return encode(beat)


async def test_points_are_seen_by_the_clients_of_epics_and_cannot_be_written() -> None:
    bus = MemoryBus()
    await prepare(bus)
    points = (
        Point(
            name="t", unit="degC", label="Kühler " * 9, precision=1, limits=Limits(warning_high=50.0, alarm_high=60.0)
        ),
        Point(name="mode", type=Type.INT, codes={"0": "off", "1": "on"}),
    )
    catalogue = Catalogue(device="psu", title="", driver="fake", group="", points=points)
    await bus.put(subjects.STATE_BUCKET, subjects.catalogue_key("psu"), encode(catalogue))
    ports = {"port": _free_port(), "pva_port": _free_port(), "pva_search_port": _free_port()}
    section = PvsSection.model_validate({"points": ["*"], **ports})
    service = asyncio.create_task(PvService(bus, SystemClock(), section, "lab").run())
    said: dict[str, Any] = {}
    conf = {"EPICS_PVA_ADDR_LIST": f"127.0.0.1:{section.pva_search_port}", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
    client = _thread.Context("pva", conf=conf, nt=False)

    def watch(name: str) -> Any:
        def take(value: Any) -> None:
            said[name] = value

        return client.monitor(f"lab:psu:{name}", take)

    subscriptions = [watch(name) for name in ("t", "mode")]  # p4p ends one that is let go
    try:
        await bus.append(subjects.readings("psu", full=True), encode(_readings(1, t=55.0, mode=1)))
        await _until(lambda: "mode" in said and "t" in said and said["t"].value == 55.0)
        await bus.publish(subjects.presence("devices", "main"), _beat())
        await _until(lambda: said["t"].alarm.severity == 1)
        t = said["t"]
        assert (t.alarm.severity, t.display.units, t.valueAlarm.highAlarmLimit) == (1, "degC", 60.0)
        stamp_s = t.timeStamp.secondsPastEpoch + t.timeStamp.nanoseconds / 1e9
        assert abs(stamp_s - 1_700_000_000.25) < 1e-5
        await _until(lambda: said["mode"].value.index == 1)
        assert list(said["mode"].value.choices) == ["off", "on"]

        asked = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CAGET,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "EPICS_CA_ADDR_LIST": f"127.0.0.1:{section.port}",
                "EPICS_CA_AUTO_ADDR_LIST": "NO",
            },
        )
        answer, _ = await asked.communicate()
        assert json.loads(answer) == [55.0, "degC", 60.0, 1, "on", False, False]
        with pytest.raises(_thread.RemoteError):
            await asyncio.to_thread(client.put, "lab:psu:t", 5.0)

        await bus.append(subjects.readings("psu", full=True), encode(_readings(2, t=20.0, mode=0)))
        await bus.publish(subjects.presence("devices", "main"), _beat())
        await _until(lambda: said["t"].value == 20.0 and said["t"].alarm.severity == 0)
        await bus.publish(subjects.presence("devices", "main"), _beat(leaving=True))
        await _until(lambda: said["t"].alarm.severity == 3 and said["mode"].alarm.severity == 3)
        assert said["t"].value == 20.0
    finally:
        for subscription in subscriptions:
            subscription.close()
        client.close()
        service.cancel()
        await asyncio.wait([service])
