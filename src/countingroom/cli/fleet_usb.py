"""The command `fleet usb`: the USB devices of the nodes, as services name them."""

from __future__ import annotations

from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.output import Json, print_json, print_table


def usb(
    node: Annotated[str, typer.Argument(metavar="[NODE]", help="All where none is given.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The USB devices with a serial number, as `devices` of a service names them."""
    with Client(url) as api:
        nodes = [api.get(f"/api/v1/nodes/{node}")] if node else api.get("/api/v1/nodes")["nodes"]
    found = [{"node": one["node"], **device} for one in nodes for device in one["usb"]]
    if json:
        print_json({"devices": found})
        return
    print_table(
        ("node", "device", "what it is", "socket", "paths"),
        (
            (
                one["node"],
                f"usb:{one['vendor']}:{one['product']}:{one['serial']}",
                one["title"],
                one["place"],
                " ".join(one["paths"]),
            )
            for one in found
        ),
    )
