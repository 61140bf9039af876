"""A small MQTT 3.1.1 broker on loopback, in the process of the simulated boards. It has one user.

Messages are delivered with QoS 0; those that come with QoS 1 or 2 are confirmed. It keeps retained messages and no
sessions.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from countingroom.core.errors import LinkError
from countingroom.simulators import mqtt_packets as mqtt

CLIENTS = 64
RETAINED = 1024
"""Topics with a retained message; further ones are not kept."""
UNSENT_BYTES = 1 << 20
"""A client that reads so slowly is disconnected."""
_PATIENCE_S = 10.0
"""Time for the first packet of a client."""

Receive = Callable[[str, bytes], None]


class SimulatedBroker:
    """The broker. It stays at its port when it is closed and opened again."""

    def __init__(self, *, user: str, password: str, receive: Receive) -> None:
        """`receive` gets each message that a client publishes: topic and payload."""
        self.port = 0
        self.user = user
        self._password = password
        self._receive = receive
        self._server: asyncio.Server | None = None
        self.clients: set[_Client] = set()
        """The present connections."""
        self._retained: dict[str, bytes] = {}

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self, port: int = 0) -> None:
        """Listen on loopback, at the former port or this one; LinkError where that is in use."""
        if self._server:
            return
        port = self.port or port
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Client(self), "127.0.0.1", port, start_serving=True
            )
        except OSError as error:
            raise LinkError(f"cannot listen on port {port}: {error.strerror}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End all connections and listen no longer. Retained messages are forgotten."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for client in tuple(self.clients):
            client.abort()
        self._retained.clear()
        await server.wait_closed()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message to the clients that want it."""
        if retain and payload and (len(self._retained) < RETAINED or topic in self._retained):
            self._retained[topic] = payload
        elif retain:
            self._retained.pop(topic, None)
        for client in tuple(self.clients):
            client.deliver(topic, payload)

    # For the connections.

    def join(self, client: _Client) -> bool:
        """Add a connection; False where there are too many."""
        if len(self.clients) >= CLIENTS:
            return False
        self.clients.add(client)
        return True

    def leave(self, client: _Client) -> None:
        """Remove a connection, and publish its will unless it has said goodbye."""
        self.clients.discard(client)
        if client.will:
            self.take(client.will)

    def admits(self, asked: mqtt.ConnectPacket) -> bool:
        """Whether user and password are right."""
        given = f"{asked.user}\0{asked.password}".encode()
        return hmac.compare_digest(given, f"{self.user}\0{self._password}".encode())

    def take_over(self, client: _Client) -> None:
        """End an earlier connection with the same client id."""
        for other in tuple(self.clients):
            if other is not client and other.client_id == client.client_id:
                other.abort()

    def take(self, message: mqtt.PublishPacket) -> None:
        """A message of a client."""
        self.publish(message.topic, message.payload, retain=message.retain)
        self._receive(message.topic, message.payload)

    def retained(self, wanted: str) -> list[tuple[str, bytes]]:
        """The retained messages that a topic filter covers."""
        return [(topic, payload) for topic, payload in self._retained.items() if mqtt.matches(wanted, topic)]


class _Client(asyncio.Protocol):
    """A connection."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self.client_id = ""
        self.will: mqtt.PublishPacket | None = None
        self._broker = broker
        self._reader = mqtt.PacketReader()
        self._transport: asyncio.Transport | None = None
        self._filters: set[str] = set()
        self._is_admitted = False
        self._unreleased: set[int] = set()
        """Messages with QoS 2 that are delivered: a second copy is not."""
        self._unsent: list[bytes] = []
        self._silence: asyncio.TimerHandle | None = None
        self._silence_s = _PATIENCE_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (that of a TCP server)
        self._transport = transport
        if not self._broker.join(self):
            self.abort()
        self._heard()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._silence:
            self._silence.cancel()
        self._broker.leave(self)

    def data_received(self, data: bytes) -> None:
        self._heard()
        try:
            for packet in self._reader.feed(data):
                self._take(packet)
        except mqtt.BrokenPacket:
            self.abort()

    def deliver(self, topic: str, payload: bytes) -> None:
        """Send a message if a subscription covers it."""
        if any(mqtt.matches(wanted, topic) for wanted in self._filters):
            self._send(mqtt.message(topic, payload))

    def abort(self) -> None:
        """End the connection now."""
        if self._transport:
            self._transport.abort()

    def _heard(self) -> None:
        if self._silence:
            self._silence.cancel()
        if self._silence_s:
            self._silence = asyncio.get_running_loop().call_later(self._silence_s, self.abort)

    def _take(self, packet: mqtt.Packet) -> None:
        if isinstance(packet, mqtt.ConnectPacket) == self._is_admitted:
            raise mqtt.BrokenPacket("the first packet, and no other, opens the connection")
        match packet:
            case mqtt.ConnectPacket():
                self._connect(packet)
            case mqtt.PublishPacket():
                self._publish(packet)
            case mqtt.ReleasePacket(number=number):
                self._unreleased.discard(number)
                self._send(mqtt.release_answer(number))
            case mqtt.SubscribePacket(number=number, filters=filters):
                self._filters.update(filters)
                self._send(mqtt.subscription_answer(number, len(filters)))
                for topic, payload in [one for wanted in filters for one in self._broker.retained(wanted)]:
                    self._send(mqtt.message(topic, payload, retain=True))
            case mqtt.UnsubscribePacket(number=number, filters=filters):
                self._filters.difference_update(filters)
                self._send(mqtt.unsubscription_answer(number))
            case mqtt.PingPacket():
                self._send(mqtt.PING_ANSWER)
            case mqtt.DisconnectPacket():
                self.will = None
                self.abort()

    def _connect(self, asked: mqtt.ConnectPacket) -> None:
        refusal = mqtt.ACCEPTED if self._broker.admits(asked) else mqtt.WRONG_PASSWORD
        refusal = refusal if asked.level == mqtt.LEVEL else mqtt.WRONG_LEVEL
        self._send(mqtt.connection_answer(refusal))
        if refusal:
            self._flush()
            if self._transport:
                self._transport.close()
            return
        self._is_admitted = True
        self._silence_s = 1.5 * asked.keep_alive_s
        self._heard()
        self.will = asked.will
        self.client_id = asked.client_id
        if self.client_id:
            self._broker.take_over(self)

    def _publish(self, message: mqtt.PublishPacket) -> None:
        if message.qos < 2 or message.number not in self._unreleased:
            self._broker.take(message)
        if message.qos == 2:
            self._unreleased.add(message.number)
        if message.qos:
            self._send(mqtt.publish_answer(message.number, message.qos))

    def _send(self, data: bytes) -> None:
        # Together at the end of this round of the loop: a board publishes its values at once, and each packet of the
        # connection would wake the reader.
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(data)

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport and data:
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > UNSENT_BYTES:
                self.abort()
