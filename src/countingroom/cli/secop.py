"""The command `secop`: asks a SECoP node what it is, and writes the section of the description for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer

from countingroom.cli.output import Json, print_json
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.subjects import is_token
from countingroom.core.units import is_unit

app = typer.Typer(no_args_is_help=True, help="Ask a SECoP node what it is, and write its section.")


@app.callback()
def root() -> None:
    """Ask a SECoP node what it is, and write its section."""


@app.command()
def describe(
    host: Annotated[str, typer.Argument(help="Host of the node, or HOST:PORT.", show_default=False)],
    device: Annotated[str, typer.Option("--device", help="The name of the device; that of the node if empty.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", help="For one answer of the node, in seconds.")] = 5.0,
    json: Json = False,
) -> None:
    """Print the section `devices` for a node, as it describes itself; nothing is written to the node."""
    report = asyncio.run(_asked(host, timeout))
    name = device or _name(str(report.get("equipment_id", "")))
    section = {"devices": {name: section_of(report, host)}}
    if json:
        return print_json(section)
    import yaml

    text = yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=116, default_flow_style=None)
    return typer.echo(text, nl=False)


def section_of(report: Mapping[str, Any], address: str) -> dict[str, Any]:
    """The section of the node that gives this report of its structure.

    Accessibles that cannot be a point or a command are left out, and so are unknown units.
    """
    from countingroom.devices.drivers.secop.description import SecopAccessible, SecopModule, problem_of

    host, port = _split(address)
    modules: dict[str, Any] = {}
    try:
        for module, described in report["modules"].items():
            found = {name: _accessible(accessible) for name, accessible in described["accessibles"].items()}
            accessibles = {
                name: accessible
                for name, accessible in found.items()
                if not problem_of(module, name, SecopAccessible.model_validate(accessible))
            }
            if is_token(module) and accessibles:
                modules[module] = {"description": _line(described), "accessibles": accessibles}
                SecopModule.model_validate(modules[module])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LinkError(
            f"the node at {address} does not describe itself in SECoP: {error!r}", source=address
        ) from error
    if not modules:
        raise LinkError(f"the node at {address} describes no module", source=address)
    return {
        "driver": "secop",
        "host": host,
        "port": port,
        "equipment_id": str(report.get("equipment_id", "")),
        "modules": modules,
    }


async def _asked(address: str, timeout_s: float) -> Mapping[str, Any]:
    from countingroom.devices.drivers.secop.connection import SecopConnection

    connection = SecopConnection(address, lambda update: None, lambda: None)
    try:
        await connection.open(*_split(address), timeout_s)
        report = await connection.request("describe", timeout_s=timeout_s)
    finally:
        await connection.close()
    found: Mapping[str, Any] = cast("dict[str, Any]", report) if isinstance(report, dict) else {}
    if not isinstance(found.get("modules"), dict):
        raise LinkError(f"the node at {address} does not describe itself in SECoP", source=address)
    return found


def _split(address: str) -> tuple[str, int]:
    from countingroom.devices.drivers.secop.description import DEFAULT_PORT

    host, colon, port = address.rpartition(":")
    if not colon:
        return address, DEFAULT_PORT
    if not host or not port.isdigit():
        raise ConfigurationError(f"{address!r} is no HOST:PORT", suggestion="write it as cryostat.lab:10767")
    return host, int(port)


def _name(equipment_id: str) -> str:
    return "".join(letter if is_token(letter) else "_" for letter in equipment_id.partition(".")[0]) or "node"


def _accessible(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _line(given), "datainfo": _with_units(given["datainfo"])}
    if not found["description"]:
        del found["description"]
    if given.get("readonly") is False:
        found["readonly"] = False
    return found


def _with_units(info: Any) -> Any:
    """The type with the units that this system knows."""
    if isinstance(info, list):
        return [_with_units(one) for one in cast("list[Any]", info)]
    if not isinstance(info, dict):
        return info
    return {
        key: _with_units(value)
        for key, value in cast("dict[str, Any]", info).items()
        if key != "unit" or not isinstance(value, str) or is_unit(value)
    }


def _line(described: Mapping[str, Any]) -> str:
    return str(described.get("description", "")).strip().partition("\n")[0]
