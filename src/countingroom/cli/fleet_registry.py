"""The command `fleet registry check`: whether registries have the images that are wanted. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.output import Json, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="The registries of images.")
_HAS = {"this": "have it", "another": "have another one of this name", "none": "will pull it", "": "do not answer"}


@app.callback()
def registry() -> None:
    """The registries of images."""


@app.command()
def check(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Whether the registries have each image of the description, for the platforms of its nodes. Nothing is pulled.

    Status 1: a node could not pull one, as far as it is seen from the keeper.
    """
    with Client(url) as api:
        images = api.get("/api/v1/fleet/registry")["images"]
    if json:
        print_json({"images": images})
    else:
        print_table(
            ("image", "registry", "digest", "for", "nodes"),
            (
                (
                    one["image"],
                    _way(one),
                    one["digest"].removeprefix("sha256:")[:12],
                    ", ".join(one["platforms"]),
                    _nodes(one["nodes"]),
                )
                for one in images
            ),
        )
        for one in images:
            if cause := one["cause"]:
                hint = f" \u2192 {cause['suggestion']}" if cause["suggestion"] else ""
                typer.echo(f"{one['image']}: {cause['message']}{hint}")
    raise typer.Exit(1 if any(one["cause"] for one in images) else 0)


def _way(one: Any) -> str:
    if not one["digest"]:
        return "has it not" if one["cause"] and one["cause"]["code"] == "not_found" else "not known"
    return "has it" if one["is_secure"] else "has it, without TLS"


def _nodes(nodes: Any) -> str:
    counts = Counter(one["has"] for one in nodes)
    return ", ".join(f"{counts[has]} {words}" for has, words in _HAS.items() if counts[has])
