"""The connection to the broker: publishes due messages, and passes on received ones. A lost connection is renewed.

Messages have QoS 0 in both directions. The session is clean, so while there is no connection the broker keeps only
retained messages.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from msgspec import Struct

from countingroom.core.clock import cancellation_kept
from countingroom.core.errors import LinkError
from countingroom.mqtt.messages import MOST_PAYLOAD, Incoming, Publication

WAITING = 1024
"""Messages that wait until `receive` begins; further ones are dropped."""
KEEPALIVE_S = 5
TIMEOUT_S = 3.0

_REFUSED = 0x80
_quiet = logging.getLogger("countingroom.mqtt.client")
_quiet.setLevel(logging.CRITICAL)


class BrokerPlace(Struct, frozen=True, kw_only=True):
    """The address of the broker, and the login."""

    host: str
    port: int
    tls: bool = False
    ca: str = ""
    user: str = ""
    password: Callable[[], str] = lambda: ""
    """Reads the password, at each connection."""

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


class _Inbox(asyncio.Queue[Message]):
    """The queue of the client. From `open_to` on it hands over each message at once: one that waited here while others
    are published would be dropped in a flood, without a message."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._take: Callable[[Incoming], None] | None = None

    def as_queue(self, maxsize: int) -> _Inbox:
        """It is made before the client, which makes a queue of this size."""
        return self

    def close(self) -> None:
        """Stop passing messages on."""
        self._take = None

    def open_to(self, take: Callable[[Incoming], None]) -> None:
        """Hand over what waits, and all that comes."""
        while not self.empty():
            take(_incoming(self.get_nowait()))
        self._take = take

    def put_nowait(self, item: Message) -> None:
        item.payload = bytes(item.payload[: MOST_PAYLOAD + 1])  # so much that a longer one is seen to be too long
        if self._take is None:
            super().put_nowait(item)
        else:
            self._take(_incoming(item))


def _incoming(message: Message) -> Incoming:
    return Incoming(topic=str(message.topic), payload=bytes(message.payload), retained=bool(message.retain))


class BrokerSession:
    """One connection."""

    def __init__(self, client: Client, inbox: _Inbox) -> None:
        self._client = client
        self._inbox = inbox

    async def publish(self, message: Publication) -> None:
        """Hand a message to the broker; LinkError where the connection has ended."""
        try:
            with cancellation_kept():
                await self._client.publish(message.topic, message.payload, qos=0, retain=message.retain)
        except MqttError as error:
            raise _lost(str(error)) from error

    async def receive(self, take: Callable[[Incoming], None]) -> None:
        """Hand over each message, which `take` must not refuse; LinkError when the connection ends."""
        self._inbox.open_to(take)
        try:
            async for message in self._client.messages:  # none comes any more, but the end does
                take(_incoming(message))
        except MqttError as error:
            raise _lost(str(error)) from error
        finally:
            self._inbox.close()
        raise _lost("the messages ended")


@asynccontextmanager
async def connected(
    place: BrokerPlace, topics: Sequence[str], will: Publication | None
) -> AsyncGenerator[BrokerSession]:
    """A connection that is subscribed to the topics. `will`: the message that the broker publishes when it is lost.
    LinkError if it fails, ConfigurationError if the password cannot be read."""
    password = place.password() if place.user else ""
    context = ssl.create_default_context(cafile=place.ca or None) if place.tls else None
    inbox = _Inbox(WAITING)
    client = Client(
        place.host,
        place.port,
        username=place.user or None,
        password=password or None,
        tls_context=context,
        protocol=ProtocolVersion.V311,
        clean_session=True,
        will=Will(will.topic, will.payload, qos=0, retain=will.retain) if will else None,
        timeout=TIMEOUT_S,
        keepalive=KEEPALIVE_S,
        queue_type=cast("type[asyncio.Queue[Message]]", inbox.as_queue),
        logger=_quiet,
    )
    try:
        await client.__aenter__()
    except (MqttError, OSError, ValueError) as error:
        raise _lost(str(error), str(place)) from error
    try:
        await _subscribe(client, topics, place)
        yield BrokerSession(client, inbox)
    finally:
        try:
            await client.__aexit__(None, None, None)
        except MqttError as error:
            _quiet.debug("the end was not orderly: %s", error)


async def _subscribe(client: Client, topics: Sequence[str], place: BrokerPlace) -> None:
    refused: list[str] = []
    try:
        for topic in topics:
            answer: Any = await client.subscribe(topic, qos=0)
            if any((code if isinstance(code, int) else code.value) >= _REFUSED for code in answer):
                refused.append(topic)
    except MqttError as error:
        raise _lost(str(error), str(place)) from error
    if refused:
        raise LinkError(
            f"the broker refuses {place.user or 'anonymous'} the topics {', '.join(refused)}",
            source=str(place),
            code="topics_refused",
            suggestion="allow this user to subscribe to them",
        )


def _lost(reason: str, source: str = "broker") -> LinkError:
    return LinkError(
        f"no connection to the broker: {reason}",
        source=source,
        suggestion="check that the broker runs at this address and accepts this user",
    )
