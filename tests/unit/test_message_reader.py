"""The reader of messages finds in what comes what nats-py finds, however it comes in pieces."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from countingroom.bus.nats.message_reader import MessageReader
from tests.patience import PATIENCE_S

Got = tuple[int, bytes, bytes, bytes, bytes]
names = st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & set(b" \t\r\n\x0b\x0c"))
bodies = st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"MSG a 1 3\r\nabc\r\n", b"\r\n", b"x" * 70_000]))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    subject, reply, data = draw(names), draw(st.one_of(st.just(b""), names)), draw(bodies)
    numbers = [b"%d" % draw(st.integers(1, 3))]
    head = b""
    if draw(st.booleans()):
        head = b"NATS/1.0\r\nname: value\r\n\r\n"
        sizes = [b"%d" % len(head), b"%d" % (len(head) + len(data))]
    else:
        sizes = [b"%d" % len(data)]
    words = [b"HMSG" if head else b"MSG", subject, *numbers, *([reply] if reply else []), *sizes]
    return b" ".join(words) + b"\r\n" + head + data + b"\r\n"


lines = st.one_of(messages(), messages(), messages(), st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n"]))


class Reading:
    """A parser of nats-py behind a reader, as in a client: it gets what the reader leaves to it."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.others: list[str] = []
        self.parser = Parser(self)

    def take(self, sid: int, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> bool:
        if sid == 3:  # a subscription that nats-py serves
            return False
        self.got.append((sid, subject, reply, headers, data))
        return True

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.got.append((sid, subject, reply, headers or b"", data))

    async def _process_ping(self) -> None:
        self.others.append("ping")

    async def _process_pong(self) -> None:
        self.others.append("pong")


async def read(pieces: Sequence[bytes], *, late: bool, directly: bool) -> tuple[list[Got], list[str]]:
    """`late`: nats-py reads only after all pieces have come."""
    reading, reader = Reading(), MessageReader(limit=1 << 20, loop=asyncio.get_running_loop())
    if directly:
        reader.receive = reading.take
        reader.is_free = lambda: not reading.parser.buf and reading.parser.state == 1
    for piece in pieces:
        reader.feed_data(piece)
        if not late and reader._buffer:  # pyright: ignore[reportPrivateUsage]
            await reading.parser.parse(await reader.read(1 << 20))
    reader.feed_eof()
    await reading.parser.parse(await reader.read())
    return reading.got, reading.others


@given(st.lists(lines, max_size=8), st.lists(st.integers(0, 400), max_size=12), st.booleans())
async def test_every_message_is_found_once_and_in_order(whole: list[bytes], cuts: list[int], late: bool) -> None:
    data = b"".join(whole)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[begin:end] for begin, end in itertools.pairwise(places)]
    assert await read(pieces, late=late, directly=True) == await read(pieces, late=False, directly=False)


async def test_a_message_in_one_piece_is_not_left_to_nats_py() -> None:
    reader, reading = MessageReader(limit=1 << 20, loop=asyncio.get_running_loop()), Reading()
    reader.receive = reading.take
    reader.feed_data(b"MSG a 1 r 3\r\nabc\r\nHMSG b 2 12 14\r\nNATS/1.0\r\n\r\nde\r\nMSG c 1 ")
    assert reading.got == [(1, b"a", b"r", b"", b"abc"), (2, b"b", b"", b"NATS/1.0\r\n\r\n", b"de")]
    assert not reader._buffer  # pyright: ignore[reportPrivateUsage]
    reader.feed_data(b"1\r\nx\r\n")
    assert reading.got[2:] == [(1, b"c", b"", b"", b"x")]


def test_the_parser_of_nats_py_is_the_one_that_is_known() -> None:
    parser = Client()._ps  # pyright: ignore[reportPrivateUsage]
    assert (parser.buf, parser.state) == (bytearray(), 1)


async def test_a_message_that_is_not_taken_waits_for_nothing_that_comes_later() -> None:
    """As one that was on its way when its subscription ended. It held up all that followed, and the link was lost."""

    def leave(_sid: int, _subject: bytes, _reply: bytes, _headers: bytes, _data: bytes) -> bool:
        return False

    reader = MessageReader()
    reader.receive = leave
    message = b"MSG a 3 2\r\nab\r\n"
    reader.feed_data(message)
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read(100) == message
