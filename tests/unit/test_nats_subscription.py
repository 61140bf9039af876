"""A subscription keeps the newest messages, within a number and within a size."""

from __future__ import annotations

from nats.aio.client import Client
from nats.aio.msg import Msg

from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.views import MOST_BYTES, NatsSubscription


async def received(limit: int, sizes: list[int]) -> NatsSubscription:
    subscription = NatsSubscription(NatsConnection(), limit)
    client = Client()
    for number, size in enumerate(sizes):
        subscription.receive(Msg(client, subject=f"s.{number}", data=bytes(size)))
    return subscription


async def test_the_oldest_are_dropped_above_the_number() -> None:
    subscription = await received(2, [1, 1, 1, 1])
    assert subscription.dropped == 2
    assert [(await anext(subscription)).subject for _ in range(2)] == ["s.2", "s.3"]


async def test_the_oldest_are_dropped_above_the_size() -> None:
    subscription = await received(65536, [8 << 20] * 12)
    assert subscription.dropped == 12 - MOST_BYTES // (8 << 20)
    assert (await anext(subscription)).subject == "s.4"


async def test_one_message_is_kept_however_large() -> None:
    subscription = await received(10, [1, MOST_BYTES + 1])
    assert (subscription.dropped, (await anext(subscription)).subject) == (1, "s.1")
