"""The JSON form of the actor protocol: a command is a text line, a reply is an object on one line. Pure.

Command: `[number] body`. Reply: `{"header": …, "data": …}`, where the header has `command_id`, `commander_id`,
`message_code`, `internal` and `sender`, and data has the keywords.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from countingroom.core.actor.messages import (
    BROADCAST,
    ActorCommand,
    ActorReply,
    ActorSyntaxError,
    MessageCode,
    shown_line,
)

_COMMAND = re.compile(r"(\d{0,18})\s*(.+)", re.DOTALL)


def parse_command(line: str) -> ActorCommand | None:
    """The command of a line; None for an empty line."""
    found = _COMMAND.fullmatch(line.strip())
    if not found:
        return None
    return ActorCommand(body=found[2].strip(), id=int(found[1] or BROADCAST))


def format_command(command: ActorCommand) -> str:
    """The line of a command. ActorSyntaxError if its body is more than one line, or begins with a digit."""
    body = command.body
    if "\n" in body or "\r" in body:
        raise ActorSyntaxError(f"{shown_line(body)} is more than one line", suggestion="send one command a line")
    if not body.strip() or body.strip()[0].isdigit():
        raise ActorSyntaxError(f"{shown_line(body)} is no command", suggestion="begin with the name of a command")
    return f"{command.id} {body}"


def format_reply(reply: ActorReply, *, multiline: bool = False) -> str:
    """The text of a reply, as CLU writes it: one line, or indented for people."""
    header = {
        "command_id": reply.command_id or (None if not reply.commander else BROADCAST),
        "commander_id": reply.commander or None,
        "message_code": reply.code.value,
        "internal": reply.is_internal,
        "sender": reply.sender,
    }
    return json.dumps({"header": header, "data": dict(reply.keywords)}, indent=4 if multiline else None)


def parse_reply(line: str) -> ActorReply:
    """The reply of a line of an actor."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ActorSyntaxError(f"{shown_line(line)} is no JSON") from None
    header, data = _object(found, "header", line), _object(found, "data", line)
    code, number, commander = header.get("message_code"), header.get("command_id"), header.get("commander_id")
    if code not in tuple(MessageCode) or isinstance(number, bool) or not isinstance(number, int | None):
        raise ActorSyntaxError(f"{shown_line(line)} is no reply of an actor")
    return ActorReply(
        code=MessageCode(code),
        keywords=data,
        command_id=number or BROADCAST,
        commander="" if commander is None else str(commander),
        sender=str(header.get("sender") or ""),
        is_internal=bool(header.get("internal")),
    )


def parse_body(body: str) -> tuple[str, dict[str, Any]]:
    """(command, its arguments) of a body that is JSON: `{"command": "expose", "seconds": 2}`."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ActorSyntaxError(f"cannot deserialise command string {shown_line(body)}: {error}") from None
    arguments = dict(cast(dict[str, Any], found)) if isinstance(found, dict) else {}
    verb = arguments.pop("command", None)
    if not isinstance(verb, str) or not verb:
        raise ActorSyntaxError(f"command {shown_line(body)} does not contain a 'command' parameter")
    return verb, arguments


def _object(found: Any, key: str, line: str) -> dict[str, Any]:
    part: Any = cast(dict[str, Any], found).get(key) if isinstance(found, dict) else None
    if not isinstance(part, dict):
        raise ActorSyntaxError(f"{shown_line(line)} is no reply of an actor")
    return cast(dict[str, Any], part)
