"""Derived points before the feed of readings of their host, which is their peer."""

from __future__ import annotations

from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.drivers.derived.description import DerivedSection
from countingroom.devices.drivers.derived.driver import DerivedDriver
from countingroom.devices.input_feed import InputFeed


class DerivedHarness:
    needs = ""
    point = ""
    values: tuple[Scalar, Scalar] = (0, 1)
    patience_s = 60.0

    async def start(self) -> None:
        self.feed = InputFeed()
        self.feed.open()

    def driver(self) -> DerivedDriver:
        section = DerivedSection.model_validate(
            {"driver": "derived", "values": {"sum": {"value": "a.x + a.y"}, "mean.sum": {"value": "mean(d.sum, a.x)"}}}
        )
        made = DerivedDriver("d", section, self.feed)
        reading = Reading(value=1.0, quality=Quality.GOOD, device_ns=1, received_ns=1)
        self.feed.deliver({"a.x": reading, "a.y": reading})
        return made

    def written(self) -> int:
        return 0

    async def drop(self) -> None:
        await self.feed.close()

    async def restore(self) -> None:
        self.feed.open()

    async def stop(self) -> None:
        await self.feed.close()


def harness() -> DerivedHarness:
    return DerivedHarness()
