"""One door: its listening socket, its users, and each command from its line to its last reply.

Every command ends with `:` or `f`, also if its connection is lost: it has a deadline, and an unexpected error ends it
with `f`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import BROADCAST, ActorCommand, ActorSyntaxError, Keywords, MessageCode, Verbatim
from countingroom.core.clock import Clock, within
from countingroom.core.errors import ConfigurationError, CountingRoomError
from countingroom.doors.connection import DoorConnection
from countingroom.doors.description import DoorSection
from countingroom.doors.grammar import Grammar, GrammarError
from countingroom.doors.running import RunningCommand, json_text, legacy_text

_log = logging.getLogger(__name__)

MOST_USERS = 256
"""Connections of one door."""
MOST_OF_HOST = 64
"""Connections of one address to a door, so that it leaves room for others."""
MOST_TOLD = 16
"""Up to so many users all are told of each new one, as CLU does. That takes time with the square of their number: 256
connections of a neighbour took the process of the doors for 6 s, and filled the connections of all others."""
MOST_OPEN = 128
"""Commands of one connection that have not ended."""

Outcome = Awaitable[None] | None


class Commands(Protocol):
    """Carries out the commands of a door."""

    def run(self, command: RunningCommand, values: Mapping[str, Any]) -> Outcome:
        """Carry out `command.name`: at once, or by the returned coroutine. Raises if it is refused."""
        ...


class Door:
    """An address at which the fleet answers as an actor."""

    def __init__(
        self, clock: Clock, name: str, section: DoorSection, grammar: Grammar, commands: Commands, version: str
    ) -> None:
        """`name`: the name of the actor; replies have it as their sender."""
        self.name = name
        self._clock = clock
        self._section = section
        self._is_json = section.protocol == "json"
        self._networks = section.networks
        self._grammar = grammar
        self._commands = commands
        self._version = version
        self._users: dict[int, DoorConnection] = {}
        self._refused: set[DoorConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = section.place[1]

    @property
    def open_commands(self) -> int:
        """Commands that have not ended."""
        return len(self._tasks)

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled. ConfigurationError if the address cannot be used."""
        host, port = self._section.place
        try:
            server = await asyncio.get_running_loop().create_server(lambda: DoorConnection(self), host, port)
        except OSError as error:
            raise ConfigurationError(
                f"the door {self.name} cannot listen on {self._section.listen}: {error.strerror or error}",
                source=f"doors.{self.name}",
                code="port_in_use",
                suggestion="stop what uses that port, or give the door another one",
            ) from error
        self.port = server.sockets[0].getsockname()[1]
        ready()
        try:
            await self._tell_status()
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for connection in (*self._users.values(), *self._refused):
                connection.abort()

    async def _tell_status(self) -> None:
        """Send `status` to all connections at intervals, as replies without a command number, until cancelled."""
        every_s = self._section.status_every
        if every_s is None:
            await asyncio.Event().wait()
            return
        while True:
            await self._clock.sleep(every_s)
            for one in tuple(self._users.values()):
                command = ActorCommand(body="status", id=BROADCAST)
                self._begin(RunningCommand(self.name, one, command, is_json=self._is_json, is_for_all=True))

    # What connections call.

    def joined(self, connection: DoorConnection) -> None:
        host = ipaddress.ip_address(connection.host.partition("%")[0] or "0.0.0.0")
        host = getattr(host, "ipv4_mapped", None) or host
        why = ""
        if not any(host in network for network in self._networks):
            why = f"{connection.host} may not connect here"
        elif len(self._users) >= MOST_USERS:
            why = f"{MOST_USERS} clients are connected already"
        elif sum(one.host == connection.host for one in self._users.values()) >= MOST_OF_HOST:
            why = f"{MOST_OF_HOST} clients of {connection.host} are connected already"
        if why:
            _log.warning("door %s: a connection of %s is refused: %s", self.name, connection.host, why)
            self._refused.add(connection)
            self._tell(connection, MessageCode.FAILED, {"error": why})
            connection.close()
            return
        connection.user = max(self._users, default=0) + 1
        connection.id = str(uuid4())
        self._users[connection.user] = connection
        if not self._is_json:
            self._greet(connection)

    def left(self, connection: DoorConnection) -> None:
        self._refused.discard(connection)
        self._users.pop(connection.user, None)

    def line(self, connection: DoorConnection, line: str) -> None:
        if connection.user not in self._users:
            return
        try:
            command = json_lines.parse_command(line) if self._is_json else legacy.parse_command(line)
        except ActorSyntaxError:
            self.wrong_line(connection, f"Could not parse command {_cut(line.strip())!r}")
            return
        if command is not None:
            self._begin(RunningCommand(self.name, connection, command, is_json=self._is_json))

    def wrong_line(self, connection: DoorConnection, why: str) -> None:
        self._tell(connection, MessageCode.FAILED, {"error": why})

    # A command.

    def _begin(self, command: RunningCommand) -> None:
        command.reply(MessageCode.STARTED, {})
        body = command.command.body
        try:
            parsed = self._grammar.parse(body)
            command.name = parsed.name
            if command.connection.open_commands >= MOST_OPEN:
                command.fail(f"{MOST_OPEN} commands of this connection have not ended yet.")
                return
            outcome = self._commands.run(command, parsed.values)
        except GrammarError as error:
            command.explain(error.help)
            command.fail(error.cause.message)
        except CountingRoomError as error:
            command.refuse(error.cause)
        except Exception as error:  # a fault in one command must not end the connection
            self._fault(command, error)
        else:
            if outcome is not None:
                self._go_on(command, outcome)

    def _go_on(self, command: RunningCommand, outcome: Awaitable[None]) -> None:
        command.connection.began()
        task = asyncio.get_running_loop().create_task(self._finish(command, outcome))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, command: RunningCommand, outcome: Awaitable[None]) -> None:
        try:
            if command.more_s is None:
                await outcome
            else:
                async with within(self._clock, self._section.deadline + command.more_s):
                    await outcome
        except TimeoutError:
            command.fail(f"Command timed out after {self._section.deadline:g} seconds.")
        except CountingRoomError as error:
            command.refuse(error.cause)
        except asyncio.CancelledError:
            command.fail("This command has been cancelled.")
            raise
        except Exception as error:
            self._fault(command, error)
        finally:
            if not command.is_done:  # the protocol requires exactly one final reply
                command.done()
            command.connection.ended()

    def _fault(self, command: RunningCommand, error: Exception) -> None:
        _log.exception("door %s: %s failed", self.name, command.command.body[:100])
        command.fail(f"Command {command.command.body!r} failed because of an uncaught error '{type(error).__name__}'.")

    # Replies without a command.

    def _greet(self, connection: DoorConnection) -> None:
        user = connection.user
        greeting = [
            legacy_text(user, MessageCode.INFO, {"yourUserID": user, "num_users": len(self._users)}, BROADCAST),
            *(
                legacy_text(BROADCAST, MessageCode.INFO, {"UserInfo": [number, one.host]}, BROADCAST)
                for number, one in sorted(self._users.items())
            ),
            legacy_text(user, MessageCode.INFO, {"version": Verbatim(repr(self._version))}, BROADCAST),
        ]
        # As CLU has it: also what is about one user goes to all.
        for one in self._users.values() if len(self._users) <= MOST_TOLD else (connection,):
            one.send("".join(greeting))

    def _tell(self, connection: DoorConnection, code: MessageCode, keywords: Keywords) -> None:
        if self._is_json:
            connection.send(json_text(self.name, connection, code, keywords, BROADCAST, internal=False))
        else:
            connection.send(legacy_text(BROADCAST, code, keywords, BROADCAST))


def _cut(line: str) -> str:
    return line if len(line) <= 200 else f"{line[:200]}..."
