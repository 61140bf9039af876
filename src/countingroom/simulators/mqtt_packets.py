"""The packets of MQTT 3.1.1 as bytes, as far as a small broker needs them. Pure.

`PacketReader` takes what a client sends; the functions make what the broker sends.
"""

from __future__ import annotations

import struct

from msgspec import Struct

MOST_BYTES = 65_536
"""Of one packet."""
LEVEL = 4
"""The protocol level of MQTT 3.1.1."""
PING_ANSWER = b"\xd0\x00"
ACCEPTED, WRONG_LEVEL, WRONG_PASSWORD = 0, 1, 4
_CONNECT, _PUBLISH, _RELEASE, _SUBSCRIBE, _UNSUBSCRIBE, _PING, _DISCONNECT = 1, 3, 6, 8, 10, 12, 14
_FLAGS = {_CONNECT: 0, _RELEASE: 2, _SUBSCRIBE: 2, _UNSUBSCRIBE: 2, _PING: 0, _DISCONNECT: 0}
_WILL, _WILL_RETAIN, _PASSWORD, _USER = 0x04, 0x20, 0x40, 0x80


class BrokenPacket(ValueError):
    """The client does not keep to the protocol."""


class PublishPacket(Struct, frozen=True, kw_only=True):
    """A message."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    number: int = 0
    """The packet identifier; 0 with QoS 0."""


class ConnectPacket(Struct, frozen=True, kw_only=True):
    """The first packet of a client."""

    level: int
    client_id: str = ""
    user: str = ""
    password: str = ""
    keep_alive_s: int = 0
    """0: the client may be silent."""
    will: PublishPacket | None = None


class SubscribePacket(Struct, frozen=True, kw_only=True):
    """Topic filters that the client wants."""

    number: int
    filters: tuple[str, ...]


class UnsubscribePacket(Struct, frozen=True, kw_only=True):
    """Topic filters that the client no longer wants."""

    number: int
    filters: tuple[str, ...]


class ReleasePacket(Struct, frozen=True, kw_only=True):
    """The second step of a message with QoS 2."""

    number: int


class PingPacket(Struct, frozen=True):
    """The client lives."""


class DisconnectPacket(Struct, frozen=True):
    """The client ends; its will is not published."""


Packet = (
    ConnectPacket | PublishPacket | SubscribePacket | UnsubscribePacket | ReleasePacket | PingPacket | DisconnectPacket
)


class PacketReader:
    """Cuts a stream of bytes into packets."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete now; BrokenPacket where the stream cannot be read any further."""
        self._waiting += data
        found: list[Packet] = []
        while True:
            length, begin = _length(self._waiting)
            if begin == 0 or len(self._waiting) < begin + length:
                return found
            head, body = self._waiting[0], self._waiting[begin : begin + length]
            self._waiting = self._waiting[begin + length :]
            try:
                found.append(_packet(head >> 4, head & 15, _Body(body)))
            except UnicodeDecodeError as error:
                raise BrokenPacket("a text is not UTF-8") from error


def connection_answer(code: int) -> bytes:
    """CONNACK, without a session of an earlier connection."""
    return bytes((0x20, 2, 0, code))


def message(topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """PUBLISH with QoS 0."""
    name = topic.encode()
    return _framed(0x30 | retain, struct.pack(">H", len(name)) + name + payload)


def subscription_answer(number: int, count: int) -> bytes:
    """SUBACK: all are granted, with QoS 0."""
    return _framed(0x90, struct.pack(">H", number) + bytes(count))


def unsubscription_answer(number: int) -> bytes:
    """UNSUBACK."""
    return b"\xb0\x02" + struct.pack(">H", number)


def publish_answer(number: int, qos: int) -> bytes:
    """PUBACK with QoS 1, PUBREC with QoS 2."""
    return bytes((0x40 if qos == 1 else 0x50, 2)) + struct.pack(">H", number)


def release_answer(number: int) -> bytes:
    """PUBCOMP."""
    return b"\x70\x02" + struct.pack(">H", number)


def matches(wanted: str, topic: str) -> bool:
    """Whether a topic filter covers a topic. A wildcard at the first level does not cover topics with `$`."""
    if topic.startswith("$") and wanted[:1] in ("#", "+"):
        return False
    levels, found = wanted.split("/"), topic.split("/")
    if levels[-1] == "#":
        levels = levels[:-1]
        found = found[: len(levels)] if len(found) >= len(levels) else found
    return len(levels) == len(found) and all(level in ("+", part) for level, part in zip(levels, found, strict=True))


def _length(data: bytes) -> tuple[int, int]:
    """(the length of the first packet's body, where it begins); (0, 0) where this is not known yet."""
    length = 0
    for place, one in enumerate(data[1:5]):
        length |= (one & 0x7F) << 7 * place
        if not one & 0x80:
            if length > MOST_BYTES:
                raise BrokenPacket(f"a packet of {length} bytes")
            return length, place + 2
    if len(data) > 4:
        raise BrokenPacket("the length of a packet has more than four bytes")
    return 0, 0


def _framed(head: int, body: bytes) -> bytes:
    length, coded = len(body), bytearray((head,))
    while length > 0x7F:
        coded.append(length & 0x7F | 0x80)
        length >>= 7
    coded.append(length)
    return bytes(coded) + body


class _Body:
    """The content of a packet, read from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise BrokenPacket("a packet is too short")
        self._at += count
        return found

    def number(self) -> int:
        return int.from_bytes(self.take(2))

    def data(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return self.data().decode()

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)


def _packet(kind: int, flags: int, body: _Body) -> Packet:
    if kind == _PUBLISH:
        return _publish(flags, body)
    if _FLAGS.get(kind) != flags:
        raise BrokenPacket(f"a packet of kind {kind} with flags {flags}")
    match kind:
        case 1:
            return _connect(body)
        case 6:
            return ReleasePacket(number=body.number())
        case 8:
            return SubscribePacket(number=body.number(), filters=_filters(body, options=1))
        case 10:
            return UnsubscribePacket(number=body.number(), filters=_filters(body, options=0))
        case 12:
            return PingPacket()
        case _:
            return DisconnectPacket()


def _publish(flags: int, body: _Body) -> PublishPacket:
    qos = flags >> 1 & 3
    topic = body.text()
    if qos > 2 or not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise BrokenPacket("a message whose topic or QoS cannot be")
    number = body.number() if qos else 0
    return PublishPacket(topic=topic, payload=body.rest(), retain=bool(flags & 1), qos=qos, number=number)


def _connect(body: _Body) -> ConnectPacket:
    name, level, flags, keep_alive_s = body.text(), body.take(1)[0], body.take(1)[0], body.number()
    if name != "MQTT" or level != LEVEL:
        return ConnectPacket(level=0)  # the rest has another form
    client_id = body.text()
    will: PublishPacket | None = None
    if flags & _WILL:
        will = PublishPacket(topic=body.text(), payload=body.data(), retain=bool(flags & _WILL_RETAIN))
    return ConnectPacket(
        level=level,
        client_id=client_id,
        user=body.text() if flags & _USER else "",
        password=body.text() if flags & _PASSWORD else "",
        keep_alive_s=keep_alive_s,
        will=will,
    )


def _filters(body: _Body, *, options: int) -> tuple[str, ...]:
    found: list[str] = []
    while not body.is_empty:
        one = body.text()
        levels = one.split("/")
        if any("#" in level and (level != "#" or place < len(levels) - 1) for place, level in enumerate(levels)):
            raise BrokenPacket(f"a topic filter {one!r}")
        if not one or any("+" in level and level != "+" for level in levels):
            raise BrokenPacket(f"a topic filter {one!r}")
        body.take(options)
        found.append(one)
    if not found:
        raise BrokenPacket("no topic filter")
    return tuple(found)
