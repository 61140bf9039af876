"""What is sent to an upstream for an action: arguments are checked against the table, then become one request. Pure.

An upstream of the DQM^2 kind may hand an argument to a shell, so a form allows nothing but what the argument needs, and
computers are those of the description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import quote, urlencode

from msgspec import Struct

from countingroom.core.commands.row import Argument
from countingroom.core.commands.upstreams import PLAN, UPSTREAMS
from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.plain_text import readable
from countingroom.core.points import Type
from countingroom.core.values import Scalar

MOST_BYTES = 262_144
"""Of an answer that is kept; what is longer is cut."""
_FORMS = {
    "kind": (re.compile(r"[a-z][a-z0-9_]{0,39}"), "small letters, digits and _"),
    "client": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"), "letters, digits, `_`, `.` and `-`"),
    "id": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}"), "letters, digits, `_`, `.` and `-`"),
    "socket": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"), "letters, digits, `_` and `-`"),
    "run_key": (re.compile(r"[a-z][a-z0-9_]{0,39}"), "small letters, digits and _"),
}
_INTEGER = re.compile(r"[0-9]{1,10}")
_PATHS = {
    "info": "/info",
    "show_log": "/utils/show_log/{id}",
    "kill_proc": "/utils/kill_proc/{id}",
    "control_status": "/utils/control_command/{socket}/status",
    "control_command": "/utils/control_command/{socket}/{command}",
}
"""Path of those that have one of their own; the others are `GET /cr/exe?what=NAME`."""


class ActionRequest(Struct, frozen=True):
    """One request to an upstream."""

    target: str
    """Path and query, below the address of the upstream."""
    method: str = "GET"
    """The protocol has no other for actions."""


def checked(action: str, arguments: Mapping[str, Scalar | None], hosts: Collection[str]) -> dict[str, str]:
    """The arguments as they are sent. NotFound for an unknown action, OutOfRange for an argument that is missing, not
    known, or not of its form. `hosts`: computers that may be named."""
    row = UPSTREAMS.get(action)
    if row is None:
        raise NotFound(
            f"there is no action {action!r} at an upstream", suggestion=f"choose one of {', '.join(UPSTREAMS)}"
        )
    given = {name: value for name, value in arguments.items() if name != PLAN and value not in (None, "")}
    for name in given:
        if name not in row.takes:
            takes = ", ".join(row.takes) or "no arguments"
            raise OutOfRange(f"{action} takes no {name}", code="unknown_argument", suggestion=f"it takes {takes}")
    found: dict[str, str] = {}
    for one in row.arguments:
        if one.name in given:
            found[one.name] = _value(one, given[one.name], hosts)
        elif not one.optional:
            raise OutOfRange(f"{action} needs {one.name}", code="missing_argument", suggestion=f"give {one.name}")
    return found


def _value(argument: Argument, value: Scalar | None, hosts: Collection[str]) -> str:
    name = argument.name
    text = str(value)
    if name == "host":
        if text not in hosts:
            known = ", ".join(hosts) or "none: list it in `control.hosts` of the upstream"
            raise _wrong(name, value, "is not among the computers of the description", f"choose one of: {known}")
    elif argument.choices:
        if text not in argument.choices:
            raise _wrong(name, value, "is no choice", f"choose one of {', '.join(map(str, argument.choices))}")
    elif argument.type is Type.INT:
        low, high = argument.low or 0, argument.high or 0
        if isinstance(value, bool) or not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise _wrong(name, value, f"is no whole number from {low} to {high}", "give such a number")
        text = str(int(text))
    else:
        form, words = _FORMS[name]
        if not form.fullmatch(text):
            raise _wrong(name, value, f"has another form than {words}", f"write {name} with {words}")
    return text


def _wrong(name: str, value: object, said: str, suggestion: str) -> OutOfRange:
    return OutOfRange(f"{name} {str(value)[:100]!r} {said}", code="wrong_argument", suggestion=suggestion)


def request_of(action: str, checked_arguments: Mapping[str, str]) -> ActionRequest:
    """What is sent for these arguments."""
    if action in _PATHS:
        safe = {name: quote(value, safe="") for name, value in checked_arguments.items()}
        return ActionRequest(_PATHS[action].format_map(safe))
    return ActionRequest(f"/cr/exe?{urlencode({'what': action, **checked_arguments})}")


def answer_text(body: bytes, secret: str) -> tuple[str, bool]:
    """An answer as text to be shown, and whether it was cut: JSON is written out, characters that a terminal would act
    on are escaped, the secret of the upstream is taken out."""
    is_cut = len(body) > MOST_BYTES
    text = body.decode(errors="backslashreplace")
    for known in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]} - {""}:
        text = text.replace(known, "[secret]")
    if is_cut and secret:
        text = text[: -3 * len(secret)]  # the secret may begin where the answer was cut
    if not is_cut:
        with suppress(ValueError, RecursionError):
            text = _written(json.loads(text))
    shown = str(readable(text.replace("\r\n", "\n")))
    most = shown.encode(errors="replace")[:MOST_BYTES].decode(errors="ignore")
    return most, is_cut or len(most) < len(shown)


def _written(content: Any) -> str:
    """JSON as people read it: texts as they are, lists of texts line by line, a table of texts with headings."""
    match content:
        case str():
            return content
        case list() if content and all(isinstance(one, str) for one in cast("list[Any]", content)):
            return "\n".join(cast("list[str]", content))
        case dict() if content and all(isinstance(one, str) for one in cast("dict[str, Any]", content).values()):
            named = cast("dict[str, str]", content)
            is_short = all("\n" not in text and len(text) <= 200 for text in named.values())
            return "\n".join(f"{name}: {text}" if is_short else f"== {name} ==\n{text}" for name, text in named.items())
        case _:
            return json.dumps(content, indent=2, ensure_ascii=False)
