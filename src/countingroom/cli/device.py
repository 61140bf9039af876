"""Law: a person at a terminal sees and commands devices through the same API as the pages, and is told the outcome."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url
from countingroom.cli.output import Json, print_json, print_table, table, text
from countingroom.cli.values import QUALITIES, arguments, catalogue, clock, number, point, scalar, shown
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError

app = typer.Typer(no_args_is_help=True, help="See and command devices.")

Wait = Annotated[float, typer.Option("--wait", min=0, max=600, help="Seconds to wait for the outcome; 0: do not.")]
CONNECT_S = 5.0


@app.command("list")
def list_devices(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every device with its state and what is abnormal."""
    with Client(url) as api:
        found = api.get("/api/v1/devices")
    if json:
        return print_json(found)
    made = table("", ("device", "title", "driver", "state", "alarms", "stale", "where"), numbers=("alarms", "stale"))
    for one in found["devices"]:
        state = one["state"]["state"] if one["state"] else "unknown"
        alarms = sum(one["abnormal"].values())
        made.add_row(
            text(one["device"]),
            text(one["title"]),
            text(one["driver"]),
            text(state if one["alive"] else f"{state} (no device host)"),
            text(alarms or ""),
            text(one["stale"] or ""),
            text(f"{one['location']}{' (simulated)' if one['simulated'] else ''}"),
        )
    return print_table(made)


@app.command()
def get(
    what: Annotated[str, typer.Argument(help="DEVICE, or DEVICE.POINT.", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The values of a device, or of one point."""
    device, _, name = what.partition(".")
    with Client(url) as api:
        if name:
            found = api.get(f"/api/v1/devices/{device}/points/{name}")
            if json:
                return print_json(found)
            reading: Any = found["reading"] or {"value": None, "quality": 3}
            return typer.echo(shown(reading["value"], reading["quality"], found["point"]))
        found = api.get(f"/api/v1/devices/{device}")
    if json:
        return print_json(found)
    told = found["catalogue"]
    state = found["state"]["state"] if found["state"] else "unknown"
    channels = "".join(f"  {channel}: {one['state']}" for channel, one in found["channels"].items())
    typer.echo(f"{told['title']} ({told['driver']}): {state}{channels}")
    made = table("", ("point", "value", "unit", "quality", "description"), numbers=("value",))
    for one in told["points"]:
        value, quality = _reading(found, one["name"])
        made.add_row(
            text(one["name"]),
            text(number(value, one)),
            text(one["unit"]),
            text(QUALITIES[quality]),
            text(one["description"] or one["label"]),
        )
    return print_table(made)


@app.command("set")
def set_point(
    what: Annotated[str, typer.Argument(help="DEVICE.POINT", show_default=False)],
    value: Annotated[str, typer.Argument(help="What to set it to.", show_default=False)],
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Set a point and wait until its readback agrees. A negative value stands after `--`."""
    device, _, name = what.partition(".")
    with Client(url) as api:
        known = point(api.get(f"/api/v1/devices/{device}/points/{name}")["point"])
        body = {"arguments": {"point": name, "value": scalar(value, known)}, "wait_s": wait}
        _tell(_command(api, device, "set", body, wait), json=json)


@app.command()
def do(
    device: Annotated[str, typer.Argument(help="DEVICE", show_default=False)],
    command: Annotated[str, typer.Argument(help="One of its commands.", show_default=False)],
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
        body: dict[str, Any] = {"arguments": arguments(device, known.commands, command, given or []), "wait_s": wait}
        if channel:
            body["channel"] = channel
        _tell(_command(api, device, command, body, wait), json=json)


@app.command()
def watch(
    devices: Annotated[list[str] | None, typer.Argument(help="DEVICE …; all when none.", show_default=False)] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Stop after so many; 0: never.")] = 0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Print every change as it happens, until Ctrl-C."""
    import msgspec

    left = lines or -1
    for address, value, quality, device_ns in _changes(url, devices or ["*"]):
        if json:
            row = {"point": address, "value": value, "quality": quality, "device_ns": device_ns}
            typer.echo(msgspec.json.encode(row))
        else:
            mark = f"  {QUALITIES[quality]}" if quality else ""
            typer.echo(f"{clock(device_ns)}  {address:<32} {number(value, {}):>12}{mark}")
        left -= 1
        if not left:
            return


def _reading(device: Any, point: str) -> tuple[Any, int]:
    row = device["readings"].get(point)
    return (row[0], row[1]) if row else (None, 3)


def _changes(url: str, devices: list[str]) -> Any:
    """(address, value, quality, device_ns) for ever, from the live feed; first how everything is."""
    import msgspec
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    feed_url = "ws" + url.rstrip("/").removeprefix("http") + "/api/v1/live"
    wish = {"watch": {"devices": devices, "points": True, "states": False, "events": False}, "resume": None}
    try:
        with connect(feed_url, open_timeout=CONNECT_S) as feed:
            feed.send(msgspec.json.encode(wish).decode())
            for message in feed:
                said = msgspec.json.decode(message)
                for address, (value, quality, device_ns, *_) in said.get("points", {}).items():
                    yield address, value, quality, device_ns
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        raise LinkError(
            f"the live feed of {url} ended: {error or 'closed'}",
            source="cli",
            suggestion="see whether `countingroom up` still runs",
            code="unreachable",
        ) from error


def _command(api: Client, device: str, command: str, body: dict[str, Any], wait: float) -> Any:
    path = f"/api/v1/devices/{device}/commands/{command}"
    return api.post(path, {**body, "deadline_s": max(wait, 10.0)}, timeout_s=wait + 15.0)


def _tell(answer: Any, *, json: bool) -> None:
    """The outcome; a failed one is raised with its Cause."""
    outcome = answer.get("outcome")
    if json:
        print_json(answer)
    elif outcome is None:
        typer.echo(f"accepted; its outcome will be an event of {answer['id']}")
    elif outcome["kind"] != "failed":
        typer.echo(outcome["message"])
    if outcome and outcome["kind"] == "failed":
        raise _failed(outcome)


def _failed(outcome: Any) -> CountingRoomError:
    import msgspec

    from countingroom.core.errors import Cause

    if outcome.get("cause"):
        return Remote(msgspec.convert(outcome["cause"], Cause))
    return DeviceError(outcome["message"], source=outcome["source"])
