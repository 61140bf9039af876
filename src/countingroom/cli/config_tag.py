"""Commands for global tags, which name one configuration for each system.

A tag is offered to a partition when it covers exactly the systems of the partition.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url
from countingroom.cli.command_rows import add_commands
from countingroom.cli.outcome import give, tell
from countingroom.cli.output import Json, print_json, print_table, table, text
from countingroom.cli.partition_shown import checked
from countingroom.core.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="Global tags: one configuration for each system.")

Tag = Annotated[str, typer.Argument(metavar="TAG", show_default=False)]
Comment = Annotated[str, typer.Option("--comment", help="Why, for the record.")]
SAVED_S = 10.0


@app.command("list")
def list_tags(
    partition: Annotated[str, typer.Option("--partition", help="Only those that cover exactly its systems.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every global tag as it is now."""
    with Client(url) as api:
        found = api.get(f"/api/v1/partitions/{checked(partition)}/tags" if partition else "/api/v1/tags")
    if json:
        return print_json(found)
    made = table("", ("tag", "revision", "systems", "by", "comment"), numbers=("revision",))
    for one in found["tags"]:
        made.add_row(
            text(one["name"]),
            text(one["revision"]),
            text(", ".join(one["systems"])),
            text(one["saved_by"]),
            text(one["comment"]),
        )
    return print_table(made)


@app.command()
def show(tag: Tag, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Which configuration each system has under a tag."""
    with Client(url) as api:
        found = api.get(f"/api/v1/tags/{checked(tag)}")
    if json:
        return print_json(found)
    made = table(f"{tag}, revision {found['revision']}", ("system", "configuration"))
    for system, configuration in found["systems"].items():
        made.add_row(text(system), text(configuration))
    return print_table(made)


def save(
    tag: Tag,
    given: Annotated[list[str], typer.Argument(metavar="SYSTEM=CONFIGURATION…", show_default=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Exactly these: all others are taken away.")] = False,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save a tag; systems that are not named stay as they are in it."""
    import msgspec

    changes = dict(_pair(one) for one in given)
    with Client(url) as api:
        before = _present(api, checked(tag))
        systems = changes if replace else {**before["systems"], **changes}
        body = {
            "name": tag,
            "systems": msgspec.json.encode(systems).decode(),
            "expected": before["revision"],
            "comment": comment,
        }
        tell(give(api, "experiment", "save_tag", {"arguments": body}, SAVED_S), json=json)


def delete(tag: Tag, comment: Comment = "", url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Take a tag away. Configurations stay."""
    with Client(url) as api:
        body = {"name": checked(tag), "comment": comment}
        tell(give(api, "experiment", "delete_tag", {"arguments": body}, SAVED_S), json=json)


@app.command()
def history(tag: Tag, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every change of a tag, newest first."""
    from countingroom.core.times import format_time

    with Client(url) as api:
        found = api.get(f"/api/v1/tags/{checked(tag)}/history")
    if json:
        return print_json(found)
    made = table("", ("revision", "saved", "systems", "comment"), numbers=("revision",))
    for one in found["history"]:
        systems = ", ".join(f"{system} {name}" for system, name in one["systems"].items())
        made.add_row(
            text(one["revision"]),
            text(f"{format_time(one['saved_ns'])} by {one['saved_by']}"),
            text("deleted" if one["deleted"] else systems),
            text(one["comment"]),
        )
    return print_table(made)


add_commands(app, "config tag", {"save": save, "delete": delete})


def _present(api: Client, tag: str) -> Any:
    """The present tag; revision 0 where there is none."""
    try:
        return api.get(f"/api/v1/tags/{tag}")
    except Remote as refused:
        if refused.cause.code != "not_found":
            raise
        return {"systems": {}, "revision": 0}


def _pair(given: str) -> tuple[str, str]:
    system, equals, configuration = given.partition("=")
    if not equals:
        raise RequestError(
            f"{given!r} names no configuration", source="cli", code="invalid", suggestion="write SYSTEM=CONFIGURATION"
        )
    return checked(system), checked(configuration)
