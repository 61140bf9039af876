"""The command `mqtt`: shows and clears what the embedded server keeps for MQTT clients."""

from __future__ import annotations

from typing import Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.output import Json, print_json, print_table, table, text

app = typer.Typer(no_args_is_help=True, help="Show and clear what the bus keeps for MQTT clients.")


@app.command()
def show(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Retained messages, sessions and waiting messages: how many, and how much of their limit."""
    with Client(url) as api:
        _print(api.get("/api/v1/mqtt"), json)


@app.command()
def clear(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Delete all retained messages and those that wait for sessions. Sessions stay."""
    with Client(url) as api:
        _print(api.post("/api/v1/mqtt/clear", {}), json)


def _print(found: Any, json: bool) -> None:
    if json:
        return print_json(found)
    made = table("", ("kept", "messages", "bytes", "limit"), numbers=("messages", "bytes", "limit"))
    for one in found["kept"]:
        made.add_row(*(text(one[key]) for key in ("name", "messages", "size", "limit")))
    return print_table(made)
