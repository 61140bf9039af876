"""Commands for global tags, which name one configuration for each system.

A tag is offered to a partition when it covers exactly the systems of the partition.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url, fetch
from countingroom.cli.command_rows import add_commands
from countingroom.cli.output import Json, listed, print_table
from countingroom.cli.partition_act import do
from countingroom.cli.partition_shown import checked
from countingroom.core.commands.experiment import EXPERIMENT as EXPERIMENT_COMMANDS
from countingroom.core.errors import RequestError
from countingroom.core.subjects import EXPERIMENT

app = typer.Typer(no_args_is_help=True, help="Global tags: one configuration for each system.")

Tag = Annotated[str, typer.Argument(metavar="TAG", show_default=False)]
Comment = Annotated[str, typer.Option("--comment", help="Why, for the record.")]
Replace = Annotated[bool, typer.Option("--replace", help="Exactly these: all others are taken away.")]


@app.command("list")
def list_tags(
    partition: Annotated[str, typer.Option("--partition", help="Only those that cover exactly its systems.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every global tag as it is now."""
    found = fetch(url, f"/api/v1/partitions/{checked(partition)}/tags" if partition else "/api/v1/tags", json)
    rows = (
        (one["name"], one["revision"], ", ".join(one["systems"]), one["saved_by"], one["comment"])
        for one in found["tags"]
    )
    print_table(("tag", "revision", "systems", "by", "comment"), rows, numbers=("revision",))


@app.command()
def show(tag: Tag, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Which configuration each system has under a tag."""
    found = fetch(url, f"/api/v1/tags/{checked(tag)}", json)
    print_table(("system", "configuration"), found["systems"].items(), title=f"{tag}, revision {found['revision']}")


def save(
    tag: Tag,
    given: Annotated[list[str], typer.Argument(metavar="SYSTEM=CONFIGURATION…", show_default=False)],
    replace: Replace = False,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save a tag; systems that are not named stay as they are in it."""
    import msgspec

    changes = dict(_pair(one) for one in given)
    before = present(url, f"tags/{checked(tag)}")
    systems = changes if replace else {**before.get("systems", {}), **changes}
    arguments = {
        "name": tag,
        "systems": msgspec.json.encode(systems).decode(),
        "expected": before["revision"],
        "comment": comment,
    }
    do(EXPERIMENT, "save_tag", arguments, EXPERIMENT_COMMANDS["save_tag"].wait_s, url, json)


@app.command()
def history(tag: Tag, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every change of a tag, newest first."""
    found = fetch(url, f"/api/v1/tags/{checked(tag)}/history", json)
    rows: list[tuple[Any, ...]] = []
    for one in found["history"]:
        systems = "deleted" if one["deleted"] else listed(one["systems"])
        rows.append((one["revision"], saved_by(one), systems, one["comment"]))
    print_table(("revision", "saved", "systems", "comment"), rows, numbers=("revision",))


add_commands(app, "config tag", {"save": save})


def present(url: str, path: str) -> Any:
    """A configuration or tag as it is saved now; only a revision, 0, where there is none."""
    try:
        with Client(url) as api:
            return api.get(f"/api/v1/{path}")
    except Remote as refused:
        if refused.cause.code != "not_found":
            raise
        return {"revision": 0}


def saved_by(one: Any) -> str:
    """When a revision was saved, and by which user."""
    from countingroom.core.times import format_time

    return f"{format_time(one['saved_ns'])} by {one['saved_by']}"


def _pair(given: str) -> tuple[str, str]:
    system, equals, configuration = given.partition("=")
    if not equals:
        raise RequestError(
            f"{given!r} names no configuration", source="cli", code="invalid", suggestion="write SYSTEM=CONFIGURATION"
        )
    return checked(system), checked(configuration)
