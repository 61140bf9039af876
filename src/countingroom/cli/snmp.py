"""The command `snmp`: asks an agent what it has, and writes the section of the description for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Annotated, Any

import typer

from countingroom.cli.output import Json, print_json
from countingroom.core.errors import ConfigurationError, NotFound

app = typer.Typer(no_args_is_help=True, help="Ask an SNMP agent what it has, and write its section.")

_SHOWN = 40
_BY_REFERENCE = "as env:NAME or file:PATH"


@app.callback()
def root() -> None:
    """Ask an SNMP agent what it has, and write its section."""


@app.command()
def walk(
    host: Annotated[str, typer.Argument(help="Host of the agent, or HOST:PORT.", show_default=False)],
    below: Annotated[str, typer.Option("--from", help="Only what is below this OID.")] = "1.3.6.1",
    device: Annotated[str, typer.Option("--device", help="The name of the device.")] = "agent",
    version: Annotated[str, typer.Option("--version", help="1, 2c or 3.")] = "2c",
    community: Annotated[
        str, typer.Option("--community", help=f"Versions 1 and 2c: {_BY_REFERENCE}; else public.")
    ] = "",
    user: Annotated[str, typer.Option("--user", help="Version 3.")] = "",
    authentication: Annotated[
        str, typer.Option("--authentication", help="Version 3: SHA, SHA-224, SHA-256, SHA-384 or SHA-512.")
    ] = "",
    password: Annotated[str, typer.Option("--password", help=f"Version 3: {_BY_REFERENCE}.")] = "",
    privacy: Annotated[str, typer.Option("--privacy", help="Version 3: AES.")] = "",
    privacy_password: Annotated[str, typer.Option("--privacy-password", help=f"Version 3: {_BY_REFERENCE}.")] = "",
    known: Annotated[bool, typer.Option("--known", help="Only values that have a name here (UPS, crates).")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="Values at most.")] = 500,
    timeout: Annotated[float, typer.Option("--timeout", help="For one answer of the agent, in seconds.")] = 2.0,
    json: Json = False,
) -> None:
    """Print the section `devices` with every value that the agent has; nothing is written to the agent."""
    from countingroom.devices.drivers.snmp.codec import text_of
    from countingroom.devices.drivers.snmp.description import DEFAULT_PORT
    from countingroom.devices.drivers.snmp.known import row_of

    name, port = _split(host, DEFAULT_PORT)
    secrets = {"community": community, "password": password, "privacy_password": privacy_password}
    given = {
        "port": port if port != DEFAULT_PORT else 0,
        "version": version if version != "2c" else "",
        "user": user,
        "authentication": authentication,
        "privacy": privacy,
        **{key: _reference(key, text) for key, text in secrets.items()},
    }
    head = {"driver": "snmp", "host": name, **{key: value for key, value in given.items() if value}}
    answers, is_all = asyncio.run(_asked(head, below, most, timeout, known=known))
    if not answers:
        raise NotFound(
            f"the agent at {host} has no value below {below}" + (" with a name here" if known else ""),
            source=host,
            suggestion="check --from, and which values the agent shows to this community or user",
        )
    rows: dict[str, dict[str, Any]] = {}
    shown: dict[str, str] = {}
    for one in answers:
        row, keys = row_of(one)
        rows[row] = keys
        shown[row] = text_of(one)
    if json:
        print_json({"devices": {device: {**head, "values": rows}}})
    else:
        typer.echo("\n".join(_lines(device, head, rows, shown)))
    if not is_all:
        typer.echo(f"There are more than {most} values; ask for a part with --from, or for more with --most", err=True)


async def _asked(
    head: Mapping[str, Any], below: str, most: int, timeout_s: float, *, known: bool
) -> tuple[list[Any], bool]:
    """The answers, and whether these are all."""
    from countingroom.core.snmp import ber
    from countingroom.devices.drivers.snmp.description import SnmpSection
    from countingroom.devices.drivers.snmp.known import is_known
    from countingroom.devices.drivers.snmp.walk import walk as walked

    try:
        begin = ber.oid(below)
        values = {"uptime": {"oid": "1.3.6.1.2.1.1.3.0"}}
        section = SnmpSection.model_validate({**head, "timeout": timeout_s, "values": values})
    except ValueError as error:
        raise ConfigurationError(_first_line(error), suggestion="see countingroom snmp walk --help") from error
    for path, problem in section.problems():
        raise ConfigurationError(
            problem, source=".".join(map(str, path)), suggestion="see countingroom snmp walk --help"
        )
    found: list[Any] = []
    async with aclosing(walked(section, begin)) as answers:
        async for one in answers:
            if known and not is_known(one.oid):
                continue
            if len(found) == most:
                return found, False
            found.append(one)
    return found, True


def _lines(device: str, head: Mapping[str, Any], rows: Mapping[str, Any], shown: Mapping[str, str]) -> list[str]:
    """The section as YAML, with the present value behind each row."""
    lines = ["devices:", f"  {device}:"]
    lines += [f"    {key}: {_flow(value)}" for key, value in head.items()]
    lines.append("    values:")
    for name, keys in rows.items():
        value = " ".join(shown[name].split())
        lines.append(f"      {name}: {_flow(keys)}  # {value[:_SHOWN]}".rstrip())
    return lines


def _flow(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _split(address: str, usual: int) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon:
        return address, usual
    if not host or not port.isdigit():
        raise ConfigurationError(f"{address!r} is no HOST:PORT", suggestion="write it as ups.lab:161")
    return host, int(port)


def _reference(key: str, text: str) -> dict[str, str] | None:
    """Where a secret is. It is not given in the command itself, which other users of the computer can see."""
    if not text:
        return None
    kind, _, place = text.partition(":")
    if kind not in ("env", "file") or not place:
        option = f"--{key.replace('_', '-')}"
        raise ConfigurationError(
            f"{option} is a secret, which is not given in a command", suggestion=f"write {option} {_BY_REFERENCE[3:]}"
        )
    return {kind: place}


def _first_line(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
