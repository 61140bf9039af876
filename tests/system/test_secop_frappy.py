"""The driver of SECoP nodes before a server of frappy-core that we did not write: from its description to commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from countingroom.cli import secop
from countingroom.core.errors import DeviceError, LinkError, OutOfRange
from countingroom.core.values import Quality, Reading
from countingroom.devices.description import DevicesSection
from countingroom.devices.drivers.secop.driver import SecopDriver
from countingroom.devices.port import Sample
from countingroom.devices.registry import Hosted, build
from tests.patience import PATIENCE_S
from tests.system.frappy_node import FrappyNode


class Watched:
    """A device, and the samples that it has given."""

    def __init__(self, hosted: Hosted) -> None:
        assert isinstance(hosted.driver, SecopDriver)
        self.driver = hosted.driver
        self.behaviour = hosted.behaviour
        self.said: dict[str, Sample] = {}
        self._news = asyncio.Event()
        self.driver.monitor(self._take)

    def _take(self, samples: Sequence[Sample]) -> None:
        self.said.update({sample.point: sample for sample in samples})
        self._news.set()

    async def until(self, true: Callable[[dict[str, Sample]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true(self.said):
                self._news.clear()
                await self._news.wait()

    def state(self, module: str) -> str:
        readings = {
            name: Reading(value=one.value, quality=one.quality, received_ns=1, device_ns=1)
            for name, one in self.said.items()
        }
        return self.behaviour.observe_channel(module, readings).state

    async def command(self, name: str, module: str) -> None:
        for write in self.behaviour.writes(name, module, {}, {}):
            await self.driver.write(write.point, write.value)


async def _described(node: FrappyNode, capsys: pytest.CaptureFixture[str]) -> Hosted:
    """The device of the section that the command writes."""
    await asyncio.to_thread(secop.describe, f"127.0.0.1:{node.port}", device="cryostat")
    written = yaml.safe_load(capsys.readouterr().out)["devices"]
    return build("cryostat", DevicesSection.model_validate(written)["cryostat"])


async def test_a_frappy_node_needs_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = FrappyNode(tmp_path)
    await node.start()
    try:
        device = Watched(await _described(node, capsys))
        driver = device.driver
        points = {point.name: point for point in driver.points}
        assert (points["cryo.target"].unit, points["cryo.target"].writable) == ("K", True)
        assert points["cryo.ramp"].write_high == 1000.0
        assert points["switch.target"].codes == {"0": "off", "1": "on"}
        assert points["cryo.status"].codes["400"] == "ERROR"
        await driver.connect()
        given = device.said["cryo.value"]
        assert given.quality is Quality.GOOD and given.device_ns is not None
        assert device.said["cryo._pid_1"].value == 10.0

        await driver.write("switch.target", points["switch.target"].check_write(1))
        await device.until(lambda said: said["switch.target"].value == 1 and device.state("switch") == "BUSY")
        await driver.write("cryo._pid_1", 12.0)  # a member of a tuple; the others stay
        await device.until(lambda said: [said[f"cryo._pid_{place}"].value for place in range(3)] == [40.0, 12.0, 2.0])
        await driver.write("cryo.target", 60.0)
        await device.until(lambda said: said["cryo.target"].value == 60.0)
        await device.command("stop", "cryo")
        await device.until(lambda said: said["cryo.target"].value != 60.0 and said["cryo.stop"].value is False)

        with pytest.raises(OutOfRange):
            points["cryo.ramp"].check_write(2000.0)
        with pytest.raises(DeviceError) as refused:
            await driver.write("cryo.ramp", 2000.0)
        assert refused.value.cause.evidence["error"] == "RangeError"
        assert set(await driver.prove()) >= {"cryo.value", "switch.value"}

        await node.kill()
        await device.until(lambda said: all(one.quality is Quality.STALE for one in said.values()))
        with pytest.raises(LinkError):
            await driver.read()
        await driver.close()
        with pytest.raises(LinkError):
            await driver.connect()
        await node.start()
        await driver.connect()
        assert device.said["cryo.value"].quality is Quality.GOOD
        await driver.close()
    finally:
        await node.kill()
