"""The fake driver: it passes the contract of the real ones."""

from __future__ import annotations

from countingroom.core.values import Scalar
from countingroom.testing.fake_device import FakeDriver, FakeSupply


class FakeHarness:
    needs = ""
    point = "a.v_set"
    values: tuple[Scalar, Scalar] = (1.5, 2.5)
    patience_s = 60.0

    async def start(self) -> None:
        self.supply = FakeSupply()

    def driver(self) -> FakeDriver:
        return FakeDriver(self.supply)

    def written(self) -> int:
        return len(self.supply.writes)

    async def drop(self) -> None:
        self.supply.present = False

    async def restore(self) -> None:
        self.supply.present = True

    async def stop(self) -> None:
        self.supply.present = False


def harness() -> FakeHarness:
    return FakeHarness()
