"""Copies that are ordered together become one array of jobs, however long the controller takes to answer each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from countingroom.core.fleet.specs import InstanceId, ServiceSpec, digest
from countingroom.fleet.engines.port import MakeOrder
from countingroom.fleet.engines.slurm_gathering import OrderGathering
from countingroom.fleet.engines.slurm_records import MadeJob
from countingroom.testing.clock import FakeClock

SPEC = ServiceSpec(command=("sleep", "600"))


class Orders:
    """What was submitted together, by the index of the copies."""

    def __init__(self) -> None:
        self.submitted: list[list[int]] = []

    async def submit(self, orders: Sequence[MakeOrder]) -> list[MadeJob]:
        self.submitted.append([order.id.index for order in orders])
        return [
            MadeJob(
                id=order.id,
                digest=order.digest,
                revision=order.revision,
                change=order.change,
                spec=order.spec,
                token="t",
                job=f"7_{order.id.index}",
            )
            for order in orders
        ]


def order(index: int, change: str = "r1-0") -> MakeOrder:
    return MakeOrder(id=InstanceId("daq", "farm", index), spec=SPEC, digest=digest(SPEC), revision=1, change=change)


async def test_an_array_waits_for_copies_whose_answer_of_the_controller_is_late() -> None:
    clock, orders = FakeClock(), Orders()
    gathering = OrderGathering(clock, orders.submit)
    with gathering.coming(order(1)):
        first = asyncio.create_task(gathering.submitted(order(0)))
        await clock.advance(5.0)
        assert not orders.submitted
        second = asyncio.create_task(gathering.submitted(order(1)))
    await clock.advance(1.0)
    assert [(await one).job for one in (first, second)] == ["7_0", "7_1"]
    assert orders.submitted == [[0, 1]]


async def test_an_array_waits_neither_for_an_order_that_failed_nor_for_another_change() -> None:
    clock, orders = FakeClock(), Orders()
    gathering = OrderGathering(clock, orders.submit)
    with gathering.coming(order(1, "r2-0")):
        with gathering.coming(order(2)):
            first = asyncio.create_task(gathering.submitted(order(0)))
            await clock.advance(1.0)
            assert not orders.submitted
        await clock.advance(1.0)  # the order that was coming found its job present, or failed
        assert (await first).job == "7_0"
    assert orders.submitted == [[0]]
