"""The contract of drivers: each one behaves the same, so that the device host has no case for a single driver."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.values import Quality, Scalar
from countingroom.devices.port import Driver, MonitoringDriver, ProvingDriver, Sample
from tests.contract.drivers.harness import Harness
from tests.patience import PATIENCE_S

HARNESSES = sorted(
    path.stem
    for path in Path(__file__).parent.joinpath("drivers").glob("*.py")
    if path.stem not in ("__init__", "harness")
)


FAKES = ("derived", "fake", "tiny")
"""Those that speak to no simulator or server."""


@pytest.fixture(scope="session")
def peers() -> Iterator[Callable[[ModuleType], Any]]:
    """A function that gives what a module of drivers/ shares among its tests."""
    with ExitStack() as stack:
        made: dict[str, Any] = {}

        def peer(module: ModuleType) -> Any:
            if module.__name__ not in made:
                made[module.__name__] = stack.enter_context(module.peer())
            return made[module.__name__]

        yield peer


@pytest.fixture(params=[pytest.param(one, marks=() if one in FAKES else pytest.mark.server) for one in HARNESSES])
async def harness(request: pytest.FixtureRequest, peers: Callable[[ModuleType], Any]) -> AsyncIterator[Harness]:
    module = importlib.import_module(f"tests.contract.drivers.{request.param}")
    made: Harness = module.harness(peers(module)) if hasattr(module, "peer") else module.harness()
    if made.needs and not shutil.which(made.needs):
        request.getfixturevalue("needs")(made.needs)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


class Watched:
    """A driver and what it has said, however it says it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.said: dict[str, Sample] = {}
        self._news = asyncio.Event()
        if isinstance(driver, MonitoringDriver):
            driver.monitor(self._take)

    def _take(self, samples: Sequence[Sample]) -> None:
        self.said.update({sample.point: sample for sample in samples})
        self._news.set()

    async def read(self) -> dict[str, Sample]:
        self._take(await self.driver.read())
        return self.said

    async def until(self, point: str, value: Scalar) -> None:
        """Wait until the point says this."""
        async with asyncio.timeout(PATIENCE_S):
            while (sample := (await self.read()).get(point)) is None or not _same(sample.value, value):
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.05)
                if isinstance(self.driver, ProvingDriver):
                    await self.driver.prove()  # as the host: a change in the moment of the subscription is not sent

    async def until_lost(self, within_s: float) -> None:
        """Wait until it is known that the peer is gone: a LinkError, or every point STALE."""
        async with asyncio.timeout(within_s):
            with suppress(LinkError):
                while not self.said or any(sample.quality != Quality.STALE for sample in self.said.values()):
                    await self.read()
                    await asyncio.sleep(0.02)


def _same(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) < 1e-3 * max(1.0, abs(other))
    return one == other


async def _connected(driver: Driver) -> None:
    """Connected, and read once. On a busy machine the first search may find nothing in its time."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await driver.connect()
                await driver.read()
                break
            except LinkError:
                await driver.close()
                await asyncio.sleep(0.05)


async def test_points_are_known_before_connecting_and_make_sense(harness: Harness) -> None:
    points = harness.driver().points
    names = [point.name for point in points]
    assert names
    assert len(set(names)) == len(names)
    for point in points:
        assert point.name == (f"{point.channel}.{point.column}" if point.channel else point.name)
        assert not point.readback or point.readback in names
        assert not point.rate or point.rate in names


async def test_connecting_and_reading_write_nothing(harness: Harness) -> None:
    watched = Watched(harness.driver())
    before = harness.written()
    await watched.driver.connect()
    await watched.read()
    await watched.driver.close()
    assert harness.written() == before


async def test_a_read_gives_only_declared_points_each_once(harness: Harness) -> None:
    watched = Watched(harness.driver())
    await watched.driver.connect()
    samples = await watched.driver.read()
    given = [sample.point for sample in samples]
    declared = {point.name for point in watched.driver.points}
    assert len(set(given)) == len(given)
    if isinstance(watched.driver, MonitoringDriver):
        assert set(given) <= declared
    else:
        assert set(given) == declared
    await watched.driver.close()


async def test_a_written_value_is_read_back(harness: Harness) -> None:
    if not harness.point:
        pytest.skip("it takes no values")
    watched = Watched(harness.driver())
    await watched.driver.connect()
    point = next(point for point in watched.driver.points if point.name == harness.point)
    for value in harness.values:
        taken = point.check_write(value)
        await watched.driver.write(point.name, taken)
        await watched.until(point.readback or point.name, value)
    await watched.driver.close()


async def test_a_driver_that_cannot_reach_its_device_says_link_error(harness: Harness) -> None:
    await harness.drop()
    driver = harness.driver()
    async with asyncio.timeout(harness.patience_s):
        with pytest.raises(LinkError) as caught:
            await driver.connect()
    assert caught.value.cause.message
    await driver.close()


async def test_a_peer_that_goes_away_is_noticed_in_time(harness: Harness) -> None:
    watched = Watched(harness.driver())
    await watched.driver.connect()
    await watched.read()
    await harness.drop()
    await watched.until_lost(harness.patience_s)
    await watched.driver.close()


async def test_a_write_to_a_peer_that_is_gone_fails_loudly(harness: Harness) -> None:
    if not harness.point:
        pytest.skip("it takes no values")
    watched = Watched(harness.driver())
    await watched.driver.connect()
    await harness.drop()
    await watched.until_lost(harness.patience_s)
    taken = harness.values[0]
    assert taken is not None
    async with asyncio.timeout(harness.patience_s):
        with pytest.raises(CountingRoomError):
            await watched.driver.write(harness.point, taken)
    await watched.driver.close()


async def test_it_connects_again_after_its_peer_came_back(harness: Harness) -> None:
    watched = Watched(harness.driver())
    await watched.driver.connect()
    await harness.drop()
    await watched.until_lost(harness.patience_s)
    await watched.driver.close()
    await harness.restore()
    await _connected(watched.driver)
    await watched.driver.close()


async def test_close_may_come_first_and_twice(harness: Harness) -> None:
    driver = harness.driver()
    await driver.close()
    await driver.connect()
    await driver.close()
    await driver.close()
    with pytest.raises(LinkError):
        await driver.read()


@pytest.mark.parametrize("turns", [0, 1, 3, 10])
async def test_cancelled_at_any_time_it_can_be_closed_and_used_again(harness: Harness, turns: int) -> None:
    driver = harness.driver()

    async def use() -> None:
        await driver.connect()
        while True:
            await driver.read()
            await asyncio.sleep(0)

    task = asyncio.create_task(use())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await driver.close()
    await _connected(driver)
    await driver.close()
