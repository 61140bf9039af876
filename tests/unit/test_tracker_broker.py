"""The connection of the tracker topics to a broker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from countingroom.mqtt.broker import BrokerSession
from countingroom.mqtt.messages import Publication


class SwallowingClient:
    """As `asyncio.wait_for` of Python 3.11 in the client: a cancellation in the moment of the answer is lost."""

    async def publish(self, *_: Any, **__: Any) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_cancellation_that_the_client_loses_ends_the_publishing() -> None:
    client: Any = SwallowingClient()
    inbox: Any = None
    task = asyncio.create_task(BrokerSession(client, inbox).publish(Publication(topic="dcs/status", payload=b"")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
