"""The legacy form of the actor protocol, used by the hub tron and the actors of SDSS: one text line each. Pure.

Command: `[commander.id] [number] body`. Reply: `user number code keyword=value,value; keyword`. Towards tron, a command
is `commander number actor body`, and a reply is `commander number actor code keywords`.

Values are written as CLU writes them (texts bare, T and F, lists with commas, dicts as their values), with one
difference: CLU quotes a text only where it has a blank; here a text with a comma, semicolon, equals sign, quote,
backslash or control character is quoted too. Unquoted it would be read as something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from countingroom.core.actor.messages import (
    BROADCAST,
    ActorCommand,
    ActorReply,
    ActorSyntaxError,
    Keywords,
    KeywordValue,
    MessageCode,
    Verbatim,
    shown_line,
)

_COMMAND = re.compile(
    r"(?:([a-z0-9]*\.[a-z0-9_.]+)\s+)?(?:(\d{1,18})(?:\s+\d+)?\s+)?([a-z_].*|--help)", re.IGNORECASE | re.DOTALL
)
_REPLY = re.compile(r"(\d+)[ \t]+(\d{1,18})[ \t]+([>:fe!iwd])(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)
_TRON = re.compile(
    r"([\w.]*\.[\w.]+)[ \t]+(\d{1,18})[ \t]+(\w+)[ \t]+([>:fe!iwd])(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL
)
_TOKEN = re.compile(r"""\s*(?:([=,;])|("(?:[^\\"]|\\.)*"|'(?:[^\\']|\\.)*')|([^"'\s=,;]+))""", re.DOTALL)
_NEEDS_QUOTES = re.compile(r"""[\s,;="'\\]""")
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\(.)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def parse_command(line: str) -> ActorCommand | None:
    """The command of a line; None for an empty line."""
    line = line.strip()
    if not line:
        return None
    found = _COMMAND.fullmatch(line)
    if not found:
        raise ActorSyntaxError(f"could not parse command {shown_line(line)}")
    commander, number, body = found.groups()
    return ActorCommand(body=body.strip(), id=int(number or BROADCAST), commander=commander or "")


def format_command(command: ActorCommand) -> str:
    """The line of a command. ActorSyntaxError if its body is more than one line."""
    words = (command.commander, str(command.id) if command.id else "", _one_line(command.body))
    return " ".join(word for word in words if word)


def format_tron_command(commander: str, number: int, actor: str, body: str) -> str:
    """The line of a command that tron passes on to an actor. `commander`: `program.user`."""
    return f"{commander} {number} {actor} {_one_line(body)}".rstrip()


def format_reply(reply: ActorReply) -> str:
    """The line of a reply. A code without keywords is followed by a blank, as CLU writes it."""
    return f"{reply.commander or BROADCAST} {reply.command_id} {reply.code.value} {format_keywords(reply.keywords)}"


def parse_reply(line: str) -> ActorReply:
    """The reply of a line of an actor."""
    found = _REPLY.fullmatch(line.strip())
    if not found:
        raise ActorSyntaxError(f"{shown_line(line)} is no reply of an actor")
    user, number, code, rest = found.groups()
    return ActorReply(
        code=MessageCode(code.lower()), keywords=parse_keywords(rest or ""), command_id=int(number), commander=user
    )


def parse_tron_reply(line: str) -> ActorReply:
    """The reply of a line of tron, with the actor as its sender."""
    found = _TRON.fullmatch(line.strip())
    if not found:
        raise ActorSyntaxError(f"{shown_line(line)} is no reply of tron")
    commander, number, actor, code, rest = found.groups()
    return ActorReply(
        code=MessageCode(code.lower()),
        keywords=parse_keywords(rest or ""),
        command_id=int(number),
        commander=commander,
        sender=actor,
    )


def format_keywords(keywords: Keywords) -> str:
    """The text of keywords: `temperature=-20.5; filename=a.fits,b.fits; ready`. A keyword with an empty value has no
    `=`. A letter that is not allowed in a name becomes `_`."""
    return "; ".join(
        f"{_name(name)}={text}" if (text := format_value(value)).strip() else _name(name)
        for name, value in keywords.items()
    )


def format_value(value: KeywordValue) -> str:
    """The text of a value: `T`, `None`, `2.5`, `"two words"`, `a,b`."""
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, str):
        if _NEEDS_QUOTES.search(value) or not value.isprintable():
            return json.dumps(value)
        return value
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, Mapping | Sequence):
        flat: list[KeywordValue] = list(_flat(value))  # pyright: ignore[reportUnknownArgumentType]
        if len(flat) == 1:
            return format_value(flat[0])
        return ",".join(format_value(one) or '""' for one in flat)
    return str(value)


def parse_keywords(text: str) -> dict[str, tuple[str, ...]]:
    """The keywords of a reply, each with its values as texts. If a keyword occurs twice, the last values count.
    ActorSyntaxError where the text is no list of keywords."""
    found: dict[str, tuple[str, ...]] = {}
    tokens = list(_tokens(text))
    place = 0
    while place < len(tokens):
        kind, name = tokens[place]
        if kind != "word":
            raise _unexpected(name, text)
        place += 1
        values: list[str] = []
        if place < len(tokens) and tokens[place] == ("mark", "="):
            while place < len(tokens) and tokens[place] in (("mark", "="), ("mark", ",")):
                if place + 1 == len(tokens):
                    raise ActorSyntaxError(f"{shown_line(text)} ends where a value is expected")
                kind, value = tokens[place + 1]
                if kind == "mark":
                    raise _unexpected(value, text)
                values.append(value)
                place += 2
        found[name] = tuple(values)
        if place < len(tokens):
            if tokens[place] != ("mark", ";"):
                raise _unexpected(tokens[place][1], text)
            place += 1
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if not found:
            raise ActorSyntaxError(
                f"{shown_line(text)} has a quote without its end",
                code="unterminated_quote",
                suggestion="end the quote, then send it again",
            )
        mark, quoted, word = found.groups()
        if mark:
            yield "mark", mark
        elif quoted:
            yield "quoted", _ESCAPE.sub(_unescaped, quoted[1:-1])
        else:
            yield "word", word
        place = found.end()


def _unescaped(found: re.Match[str]) -> str:
    mark: str | None = found[1]
    # A letter beyond the first 65536 stands as two of these, so they are read together.
    return str(json.loads(f'"{found[0]}"')) if mark is None else _LETTERS.get(mark, mark)


def _unexpected(token: str, text: str) -> ActorSyntaxError:
    return ActorSyntaxError(f"{token!r} is not expected in {shown_line(text)}")


def _name(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    clean = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    return clean if _NAME.fullmatch(clean) else f"_{clean}"


def _flat(value: KeywordValue) -> Iterator[KeywordValue]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _flat(one)
    elif isinstance(value, Sequence):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _flat(one)
    else:
        yield value


def _one_line(body: str) -> str:
    if "\n" in body or "\r" in body:
        raise ActorSyntaxError(f"{shown_line(body)} is more than one line", suggestion="send one command a line")
    return body
