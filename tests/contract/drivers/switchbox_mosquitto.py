"""The driver of the switchbox before a box on a real mosquitto."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiomqtt

from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.port import Driver
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.simulators.switchbox_box import Box
from tests.contract.drivers.mqtt import Mosquitto


class MosquittoSwitchboxHarness:
    needs = "mosquitto"
    point = "7.enabled"
    values: tuple[Scalar, Scalar] = (True, False)
    patience_s = 60.0

    async def start(self) -> None:
        self.resources = SharedResources()
        self.broker = Mosquitto()
        self.box = Box()
        await self.restore()
        keys = {"driver": "switchbox", "timeout": 3.0, "mqtt": {"host": "127.0.0.1", "port": self.broker.port}}
        self.section = DevicesSection.model_validate({"box": keys})["box"]

    def driver(self) -> Driver:
        return build("box", self.section, resources=self.resources).driver

    def written(self) -> int:
        return len(self.box.taken)

    async def drop(self) -> None:
        await self.broker.stop()
        with suppress(aiomqtt.MqttError):
            await self._life

    async def restore(self) -> None:
        await self.broker.start()
        subscribed = asyncio.Event()
        self._life = asyncio.create_task(self._live(subscribed))
        await subscribed.wait()

    async def stop(self) -> None:
        while not self._life.done():  # a publication of aiomqtt that ends at that moment loses the cancellation
            self._life.cancel()
            await asyncio.wait([self._life], timeout=0.1)
        if not self._life.cancelled():
            self._life.exception()
        await self.resources.close()
        await self.broker.end()

    async def _live(self, subscribed: asyncio.Event) -> None:
        """The box: it answers each request with its status."""
        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.subscribe("SB/cmd")
            subscribed.set()
            async for message in client.messages:
                if self.box.obey(bytes(message.payload).decode().strip()):
                    await client.publish("SB/status", self.box.status())


def harness() -> MosquittoSwitchboxHarness:
    return MosquittoSwitchboxHarness()
