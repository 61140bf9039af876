"""The command `mqtt`: shows and clears what the embedded server keeps for MQTT clients."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.output import Json, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Show and clear what the bus keeps for MQTT clients.")


@app.command()
def show(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Retained messages, sessions and waiting messages: how many, and how much of their limit."""
    _print(fetch(url, "/api/v1/mqtt", json))


@app.command()
def clear(
    *,
    url: Url = DEFAULT_URL,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Also the persistent sessions of clients that are not connected.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete all retained messages and those that wait for sessions; with --sessions also persistent sessions."""
    with Client(url) as api:
        found = api.post("/api/v1/mqtt/clear", {"sessions": sessions})
    if json:
        return print_json(found)
    return _print(found)


def _print(found: Any) -> None:
    rows = ([one[key] for key in ("name", "messages", "size", "limit")] for one in found["kept"])
    print_table(("kept", "messages", "bytes", "limit"), rows, numbers=("messages", "bytes", "limit"))
