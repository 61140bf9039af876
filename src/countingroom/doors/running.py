"""A command of a client while it is carried out, and its replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import BROADCAST, ActorCommand, ActorReply, Keywords, MessageCode
from countingroom.core.errors import Cause
from countingroom.doors.connection import DoorConnection


def legacy_text(user: int, code: MessageCode, keywords: Keywords, number: int) -> str:
    """A line of the legacy protocol. `user` 0: for all."""
    if not keywords:
        return f"{user} {number} {code.value} \n"
    return legacy.format_reply(ActorReply(code=code, keywords=keywords, command_id=number, commander=str(user))) + "\n"


def json_text(
    actor: str, connection: DoorConnection, code: MessageCode, keywords: Keywords, number: int, *, internal: bool
) -> str:
    """A reply of the JSON protocol."""
    reply = ActorReply(
        code=code, keywords=keywords, command_id=number, commander=connection.id, sender=actor, is_internal=internal
    )
    return json_lines.format_reply(reply, multiline=connection.is_multiline) + "\n"


class RunningCommand:
    """One command. It ends once, by `done` or `fail`; what is written later is dropped."""

    def __init__(
        self,
        actor: str,
        connection: DoorConnection,
        command: ActorCommand,
        *,
        is_json: bool,
        is_for_all: bool = False,
    ) -> None:
        """`is_for_all`: no user has asked for it, and each gets the replies."""
        self._is_for_all = is_for_all
        self.connection = connection
        self.command = command
        self.name = ""
        """The command, once it is read."""
        self._actor = actor
        self._is_json = is_json
        self.is_done = False
        self.is_internal = False
        self.more_s: float | None = 0.0
        """So much longer than the deadline of the door it may take; None: it has none."""

    @property
    def actor(self) -> str:
        """The name of the door."""
        return self._actor

    @property
    def is_json(self) -> bool:
        """Whether its replies are JSON."""
        return self._is_json

    def reply(self, code: MessageCode, keywords: Keywords) -> None:
        """Send a reply."""
        if self.is_done:
            return
        self.is_done = code.is_final
        if self._is_json:
            # As CLU has it: the replies that tell its beginning are internal.
            internal = self.is_internal or code is MessageCode.STARTED
            text = json_text(self._actor, self.connection, code, keywords, self.command.id, internal=internal)
        else:
            user = BROADCAST if self._is_for_all else self.connection.user
            text = legacy_text(user, code, keywords, self.command.id)
        self.connection.send(text)

    def info(self, **keywords: Any) -> None:
        """Send a reply `i`."""
        self.reply(MessageCode.INFO, keywords)

    def debug(self, **keywords: Any) -> None:
        """Send a reply `d`."""
        self.reply(MessageCode.DEBUG, keywords)

    def warning(self, text: str) -> None:
        """Send a reply `w`."""
        self.reply(MessageCode.WARNING, {"text": text})

    def explain(self, lines: list[str] | tuple[str, ...]) -> None:
        """Send lines about a mistake: one reply in JSON, one for each line otherwise."""
        for help in [list(lines)] if self._is_json else lines:
            self.reply(MessageCode.WARNING, {"help": help})

    def help(self, lines: list[str]) -> None:
        """End it with lines of help."""
        if self._is_json:
            self.done(help=lines)
            return
        self.explain(lines)
        self.done()

    def done(self, **keywords: Any) -> None:
        """End it."""
        self.reply(MessageCode.DONE, keywords)

    def fail(self, error: str) -> None:
        """End it without success."""
        self.reply(MessageCode.FAILED, {"error": error})

    def refuse(self, cause: Cause) -> None:
        """End it without success, with the reason and what can be done."""
        if cause.suggestion:
            self.warning(cause.suggestion)
        self.fail(cause.message)

    def schema(self, schema: Mapping[str, Any]) -> None:
        """End it with the schema of the keywords."""
        self.done(schema=json.dumps(schema))

    def command_model(self, model: Mapping[str, Any]) -> None:
        """End it with the model of a command: an object, or in the legacy protocol its JSON."""
        self.is_internal = True
        self.done(command_model=model if self._is_json else json.dumps(model, indent=2))
