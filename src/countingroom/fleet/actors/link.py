"""A connection to an actor: lines in both directions, over TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from countingroom.core.actor.messages import LONGEST_LINE
from countingroom.core.clock import timeout
from countingroom.core.errors import LinkError
from countingroom.fleet.os_words import os_words

_CONNECT_S = 5.0
_CLOSE_S = 1.0
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
)
"""A computer that lost its power closes nothing. It is noticed within 11 s, also in an exposure without any reply."""


class ActorLink(Protocol):
    """One connection. After a LinkError it is of no use any more."""

    async def receive(self) -> str:
        """The next line, without its end. LinkError where the other side has closed, or the line has no end."""
        ...

    def send(self, line: str) -> None:
        """Send a line. It does not wait; a failure is told by `receive`."""
        ...

    async def close(self) -> None:
        """Close it. `receive` must not be under way."""
        ...


Dial = Callable[[str, int], Awaitable[ActorLink]]
"""Connects to a host and port; LinkError where that fails, within some seconds."""


class TcpLink:
    """A connection over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: str) -> None:
        self._reader = reader
        self._writer = writer
        self._place = place

    async def receive(self) -> str:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise self._lost("it closed the connection") from None
        except asyncio.LimitOverrunError:
            raise self._lost(f"it sent a line of more than {LONGEST_LINE} bytes") from None
        except OSError as error:
            raise self._lost(os_words(error)) from None
        return line.decode(errors="replace").rstrip("\r\n")

    def send(self, line: str) -> None:
        self._writer.write(f"{line}\n".encode(errors="replace"))

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with timeout(_CLOSE_S):
                await self._writer.wait_closed()

    def _lost(self, why: str) -> LinkError:
        return LinkError(f"{self._place}: {why}", source="fleet.actor", code="connection_lost")


async def dial(host: str, port: int) -> TcpLink:
    """Connect to an actor. LinkError."""
    place = f"{host}:{port}"
    try:
        async with timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_LINE)
    except TimeoutError:
        raise _unreached(place, f"no answer within {_CONNECT_S:g} s") from None
    except OSError as error:
        raise _unreached(place, os_words(error)) from None
    wire = writer.get_extra_info("socket")
    for level, option, value in _KEEPALIVE:
        with suppress(OSError):
            wire.setsockopt(level, option, value)
    return TcpLink(reader, writer, place)


def _unreached(place: str, why: str) -> LinkError:
    return LinkError(
        f"{place} is not reached: {why}",
        source="fleet.actor",
        code="not_reached",
        suggestion="look at the log of the service, and whether it listens on this port",
    )
