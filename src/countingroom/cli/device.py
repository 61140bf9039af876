"""The command `device`: list devices, read points, set points, give commands and watch changes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli import completing
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.feed import messages
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.cli.values import QUALITIES, arguments, catalogue, clock, number, point, scalar, shown

app = typer.Typer(no_args_is_help=True, help="See and command devices.")


@app.command("list")
def list_devices(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every device with its state and what is abnormal."""
    found = fetch(url, "/api/v1/devices", json)
    columns = ("device", "title", "driver", "state", "alarms", "stale", "where")
    print_table(columns, map(_row, found["devices"]), numbers=("alarms", "stale"))


def _row(one: Any) -> tuple[Any, ...]:
    state = one["state"]["state"] if one["state"] else "unknown"
    shown_state = state if one["alive"] else f"{state} (no device host)"
    alarms = sum(one["abnormal"].values())
    where = f"{one['location']}{' (simulated)' if one['simulated'] else ''}"
    return one["device"], one["title"], one["driver"], shown_state, alarms or "", one["stale"] or "", where


@app.command()
def get(
    what: Annotated[
        str,
        typer.Argument(
            help="DEVICE, or DEVICE.POINT.", show_default=False, autocompletion=completing.devices_and_points
        ),
    ],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The values of a device, or of one point."""
    device, dot, name = what.partition(".")
    if not device or (dot and not name):
        raise typer.BadParameter(
            f"{what!r} is not an address; write DEVICE or DEVICE.POINT, such as chiller.setpoint_1"
        )
    if name:
        found = fetch(url, f"/api/v1/devices/{device}/points/{name}", json)
        reading: Any = found["reading"] or {"value": None, "quality": 3}
        return typer.echo(shown(reading["value"], reading["quality"], found["point"]))
    found = fetch(url, f"/api/v1/devices/{device}", json)
    told = found["catalogue"]
    state = found["state"]["state"] if found["state"] else "unknown"
    channels = "".join(f"  {channel}: {one['state']}" for channel, one in found["channels"].items())
    typer.echo(f"{told['title']} ({told['driver']}): {state}{channels}")
    rows: list[tuple[object, ...]] = []
    for one in told["points"]:
        reading: Any = found["readings"].get(one["name"], (None, 3))
        quality: int = reading[1]
        words = one["description"] or one["label"]
        rows.append((one["name"], number(reading[0], one), one["unit"], QUALITIES[quality], words))
    return print_table(("point", "value", "unit", "quality", "description"), rows, numbers=("value",))


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_point(
    what: Annotated[str, typer.Argument(help="DEVICE.POINT", show_default=False, autocompletion=completing.points)],
    value: Annotated[str, typer.Argument(help="What to set it to.", show_default=False)],
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Set a point and wait until its readback agrees. The value may have the unit of the point: 12.5degC."""
    device, _, name = what.partition(".")
    if not device or not name:
        raise typer.BadParameter(
            f"{what!r} is not the address of a point; write DEVICE.POINT, such as chiller.setpoint_1"
        )
    with Client(url) as api:
        known = point(api.get(f"/api/v1/devices/{device}/points/{name}")["point"])
        body = {"arguments": {"point": name, "value": scalar(value, known)}}
        tell(give(api, f"devices/{device}", "set", body, wait), json=json)


@app.command()
def do(
    device: Annotated[str, typer.Argument(help="DEVICE", show_default=False, autocompletion=completing.devices)],
    command: Annotated[
        str, typer.Argument(help="One of its commands.", show_default=False, autocompletion=completing.commands)
    ],
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its arguments.", show_default=False)
    ] = None,
    channel: Annotated[str, typer.Option("--channel", "-c", help="The channel it acts on.")] = "",
    wait: Wait = 30.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Give a command and wait for its outcome."""
    with Client(url) as api:
        known = catalogue(api.get(f"/api/v1/devices/{device}")["catalogue"])
        body: dict[str, Any] = {"arguments": arguments(device, known.commands, command, given or [])}
        if channel:
            body["channel"] = channel
        tell(give(api, f"devices/{device}", command, body, wait), json=json)


@app.command()
def watch(
    devices: Annotated[
        list[str] | None,
        typer.Argument(help="DEVICE …; all when none.", show_default=False, autocompletion=completing.devices),
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Stop after so many; 0: never.")] = 0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Print every change as it happens, until Ctrl-C."""
    import msgspec

    with Client(url) as api:
        for device in devices or ():
            api.get(f"/api/v1/devices/{device}")
    left = lines or -1
    for said in messages(url, json, devices=devices or ["*"], points=True, states=False, events=False):
        for address, (value, quality, device_ns, *_) in said.get("points", {}).items():
            if json:
                row = {"point": address, "value": value, "quality": quality, "device_ns": device_ns}
                typer.echo(msgspec.json.encode(row))
            else:
                mark = f"  {QUALITIES[quality]}" if quality else ""
                typer.echo(f"{clock(device_ns)}  {address:<32} {number(value, {}):>12}{mark}")
            left -= 1
            if not left:
                return
