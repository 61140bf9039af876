"""How often derived points are computed, and calibrations applied; the raw limit is the arithmetic alone, in Python.

`evaluation` is the pure core: 1,000 values, each a dew point of two of 1,000 inputs. `host` is a device host on a bus
in memory: from the sample of an input to the sample of what is derived from it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from bench.row import Row
from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.alarms.expression_functions import dew_point
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.clock import SystemClock
from countingroom.core.derived.evaluation import Derived, DerivedSpec
from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading
from countingroom.devices.calibration_section import CalibrationSection
from countingroom.devices.calibrations import Calibrations
from countingroom.devices.drivers.derived.description import DerivedSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.input_feed import InputFeed
from countingroom.devices.port import Sample
from countingroom.devices.registry import Hosted, build
from countingroom.devices.resources import SharedResources
from countingroom.testing.fake_device import FakeBehaviour, FakeMonitoringDriver, FakeSupply

VALUES = 1000
SECONDS = 2.0


def _rate(once: Callable[[int], int]) -> float:
    """Computations per second; `once(number)` says how many it did."""
    began_s, done, number = time.perf_counter(), 0, 0
    while (passed_s := time.perf_counter() - began_s) < SECONDS:
        done += once(number)
        number += 1
    return done / passed_s


def _evaluation() -> Row:
    made = Derived(
        DerivedSpec(address=f"d.v{n}", expression=compile_expression(f"dew_point(r.t{n}, r.h{n})"))
        for n in range(VALUES)
    )

    def once(number: int) -> int:
        one = Reading(value=20.0 + number % 10, quality=Quality.GOOD, device_ns=number, received_ns=number)
        return len(made.take({f"r.{kind}{n}": one for kind in "th" for n in range(VALUES)}))

    def raw(number: int) -> int:
        for _ in range(VALUES):
            dew_point(20.0 + number % 10, 20.0 + number % 10)
        return VALUES

    found, limit = _rate(once), _rate(raw)
    return Row(name="derived values computed", value=found, unit="1/s", raw_limit=limit, ratio=found / limit)


def _calibration() -> Row:
    points = tuple(Point(name=f"p{n}", column=f"p{n}") for n in range(VALUES))
    section = CalibrationSection.model_validate(
        {"table": [[x, x * 1.01] for x in range(100)], "filter": {"kind": "median", "count": 5}}
    )
    made = Calibrations({point.name: section for point in points}, points)
    samples = [Sample(point=point.name, value=50.5) for point in points]
    return Row(
        name="samples through a table and a median of 5",
        value=_rate(lambda number: len(made.samples(samples, number)) // 2),
        unit="1/s",
    )


async def _host() -> Row:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    resources, supply = SharedResources(), FakeSupply()
    section = DerivedSection.model_validate(
        {"driver": "derived", "values": {"kelvin": {"value": "supply.temperature + 273.15", "unit": "K"}}}
    )
    plant = Hosted(
        name="supply",
        title="Supply",
        group="",
        driver=FakeMonitoringDriver(supply),
        behaviour=FakeBehaviour(),
        section=section.model_copy(update={"values": {}}),
    )
    derived = build("sums", section, resources=resources)
    host = asyncio.create_task(DeviceHost(bus, clock, [plant, derived], resources=resources).run())
    told: list[int] = []
    await asyncio.sleep(1.0)
    feed = resources.made(InputFeed)
    assert feed
    feed.follow({"sums.kelvin", "supply.temperature"}, lambda readings: told.append(len(readings)))
    number, began_s = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - began_s) < SECONDS:
        for _ in range(100):
            number += 1
            supply.put("temperature", float(number))
        await asyncio.sleep(0)
    assert len(told) == number, f"{len(told)} of {number}"
    host.cancel()
    with suppress(asyncio.CancelledError):
        await host
    return Row(name="samples to a derived point, in the host", value=number / passed_s, unit="1/s")


def run() -> list[Row]:
    """The rows."""
    return [_evaluation(), _calibration(), asyncio.run(_host())]
