"""Actors in memory, with the connections to them. They do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import ActorCommand, ActorReply, MessageCode
from countingroom.core.errors import LinkError


class FakeActor:
    """One actor. It answers `ping`; all else is handed to `does`."""

    def __init__(self, name: str = "camera", form: str = "json") -> None:
        self.name = name
        self.form = form
        self.does: Callable[[ActorCommand, FakeActor], None] = lambda command, actor: None
        """Gets each other command. It answers with `reply`, also later."""
        self.is_dead = False
        """No connection is made."""
        self.hangs = False
        """Nothing is answered, `ping` neither."""
        self.received: list[ActorCommand] = []
        self.dialled = 0
        self._links: list[_FakeLink] = []

    async def dial(self, host: str, port: int) -> _FakeLink:
        """A connection to it, whatever the address."""
        self.dialled += 1
        if self.is_dead:
            raise LinkError(f"{host}:{port} is not reached: Connection refused", source="fake", code="not_reached")
        link = _FakeLink(self)
        self._links.append(link)
        return link

    def take(self, line: str) -> None:
        """A line that a client has sent."""
        form = json_lines if self.form == "json" else legacy
        command = form.parse_command(line)
        if command is None or self.hangs:
            return
        self.received.append(command)
        if command.body == "ping":
            self.reply(command, MessageCode.DONE, text="Pong.")
        else:
            self.does(command, self)

    def reply(self, command: ActorCommand, code: MessageCode, **keywords: Any) -> None:
        """Answer a command."""
        self.say(ActorReply(code=code, keywords=keywords, command_id=command.id, commander="1", sender=self.name))

    def say(self, reply: ActorReply) -> None:
        """Send a reply on every connection."""
        self.write((json_lines if self.form == "json" else legacy).format_reply(reply))

    def write(self, line: str) -> None:
        """Send a line as it is."""
        for link in self._links:
            link.lines.put_nowait(line)

    def die(self) -> None:
        """Every connection ends, and none is made."""
        self.is_dead = True
        for link in self._links:
            link.lines.put_nowait(None)

    def forget(self, link: _FakeLink) -> None:
        """A client has closed a connection."""
        self._links.remove(link)


class _FakeLink:
    def __init__(self, actor: FakeActor) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._actor = actor

    async def receive(self) -> str:
        line = await self.lines.get()
        if line is None:
            raise LinkError(f"{self._actor.name}: it closed the connection", source="fake", code="connection_lost")
        return line

    def send(self, line: str) -> None:
        if not self._actor.is_dead:
            self._actor.take(line)

    async def close(self) -> None:
        self._actor.forget(self)
