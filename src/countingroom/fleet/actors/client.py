"""The client of one actor: one connection, made when it is needed and again after it was lost.

Replies belong to a command by its number. Every command ends: with the last reply of the actor, with the end of the
connection, or at its deadline.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import (
    BROADCAST,
    ActorCommand,
    ActorReply,
    ActorSyntaxError,
    MessageCode,
    shown_line,
)
from countingroom.core.actor.words import check_body
from countingroom.core.clock import Clock, within
from countingroom.core.errors import DeviceError, LinkError
from countingroom.fleet.actors.link import ActorLink, Dial

_log = logging.getLogger(__name__)

Told = Callable[[ActorReply], None]
_LARGEST = 2**31 - 1


class ActorAddress(Struct, frozen=True):
    """Where an actor is, and which form of the protocol it speaks."""

    host: str
    port: int
    form: str = "json"
    """`json` or `legacy`."""


class _Open(Struct, eq=False):
    """A command without its last reply."""

    told: Told
    end: asyncio.Future[ActorReply]
    error: str = ""
    """The last error that it told."""


class ActorClient:
    """Commands to one actor; any number at the same time."""

    def __init__(self, clock: Clock, dial: Dial, address: ActorAddress) -> None:
        self.address = address
        self._clock = clock
        self._dial = dial
        self._link: ActorLink | None = None
        self._reading: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """Held while it connects."""
        self._open: dict[int, _Open] = {}
        # An actor may tell all connections what it replies to one. With numbers from 1 on, two would have the same.
        self._number = secrets.randbelow(_LARGEST // 2)
        self._heard = 0
        """Lines so far."""

    @property
    def open(self) -> int:
        """Commands without their last reply."""
        return len(self._open)

    async def command(self, body: str, limit_s: float, told: Told | None = None) -> ActorReply:
        """Send a command and wait for its last reply, which is returned. `told`: gets each reply, the last too.

        ActorSyntaxError: the body is no command, and was not sent. DeviceError: the actor says that it failed.
        LinkError: it was not reached, the connection ended (`connection_lost`) or `limit_s` passed (`timeout`). After
        the last two the outcome is not known.
        """
        # What an actor would not answer is not sent: one of CLU ends the connection at a quote without its end.
        check_body(body)
        number, heard = 0, self._heard
        one = _Open(told or _untold, asyncio.get_running_loop().create_future())
        try:
            async with within(self._clock, limit_s):
                link = await self._connected()
                number, heard = self._next(), self._heard
                self._open[number] = one
                link.send(self._line(ActorCommand(body=body, id=number)))
                final = await one.end
        except TimeoutError:
            self._open.pop(number, None)
            if number and heard == self._heard and not self._open:
                # Not a word since: it hangs, or the connection is dead. The next command makes a new one.
                self._drop()
            raise LinkError(
                f"{shown_line(body)} has not ended within {limit_s:g} s",
                source="fleet.actor",
                code="timeout",
                suggestion="look at the state of the actor: what became of the command is not known",
            ) from None
        finally:
            self._open.pop(number, None)
            if not one.end.cancel() and not one.end.cancelled():
                one.end.exception()  # it came together with the deadline, and is not told
        if final.code.is_failure:
            raise DeviceError(
                one.error or f"{shown_line(body)} failed, and no error was told",
                source="fleet.actor",
                code="actor_failed",
                suggestion="see the replies of the actor",
            )
        return final

    async def close(self) -> None:
        """Close the connection. What is open fails."""
        reading = self._reading
        self._drop()
        if reading:
            await asyncio.wait([reading])

    async def _connected(self) -> ActorLink:
        async with self._turn:
            if self._link is None:
                self._link = link = await self._dial(self.address.host, self.address.port)
                self._reading = asyncio.create_task(self._read(link))
            return self._link

    def _drop(self) -> None:
        if self._reading:
            self._reading.cancel()
        self._reading = None
        self._link = None

    async def _read(self, link: ActorLink) -> None:
        error = LinkError("the connection was closed", source="fleet.actor", code="connection_lost")
        try:
            while True:
                self._heard_line(await link.receive())
        except LinkError as lost:
            error = lost
        finally:
            if self._link in (link, None):
                self._link = None
                for one in self._open.values():
                    if not one.end.done():
                        one.end.set_exception(error)
            await link.close()

    def _heard_line(self, line: str) -> None:
        self._heard += 1
        try:
            reply = self._parsed(line)
        except ActorSyntaxError as error:
            _log.debug("fleet: a line of %s is left out: %s", self.address, error.cause.message)
            return
        one = self._open.get(reply.command_id)
        if one is None or one.end.done():
            return
        if said := error_text(reply):
            one.error = said
        one.told(reply)
        if reply.code.is_final:
            one.end.set_result(reply)

    def _parsed(self, line: str) -> ActorReply:
        if self.address.form == "json":
            return json_lines.parse_reply(line)
        reply = legacy.parse_reply(line)
        # What goes to all users is of no command of ours, whatever number it has.
        return ActorReply(code=reply.code, keywords=reply.keywords) if reply.commander == str(BROADCAST) else reply

    def _line(self, command: ActorCommand) -> str:
        return (json_lines if self.address.form == "json" else legacy).format_command(command)

    def _next(self) -> int:
        self._number = self._number % _LARGEST + 1
        while self._number in self._open:
            self._number = self._number % _LARGEST + 1
        return self._number


def error_text(reply: ActorReply) -> str:
    """What a reply says is wrong; empty: nothing."""
    if reply.code not in (MessageCode.FAILED, MessageCode.ERROR, MessageCode.CRITICAL):
        return ""
    for name in ("error", "exception", "text"):
        value: Any = reply.keywords.get(name)
        if isinstance(value, Mapping):  # an exception, with its place in the code
            value = value.get("message") or value.get("exception_message")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if value:
            return str(value)  # pyright: ignore[reportUnknownArgumentType]
    return ""


def _untold(reply: ActorReply) -> None:
    """Replies that are not shown."""
