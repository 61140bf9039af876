"""The commands `snapshot restore` and `snapshot stop`: the plan is shown first, then the progress as it comes."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli import completing, snapshot_shown
from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url
from countingroom.cli.feed import messages
from countingroom.cli.output import Json, print_json
from countingroom.core.errors import Cause, LinkError

_KEY = "restore.present"


def restore(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Of the snapshot.", show_default=False, autocompletion=completing.snapshots
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.", show_default=False)],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="WHAT", help="Only these devices, points or patterns.", show_default=False),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="After a failure go on with the other devices.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Restore a snapshot: show the plan, ask, then write point by point. Ctrl-C stops it."""
    path = f"/api/v1/snapshots/{quote(name, safe='')}"
    with Client(url) as api:
        plan = api.get(f"{path}/plan", only=only or None)
        if not json:
            snapshot_shown.print_plan(plan)
        if not plan["writes"]:
            if json:
                print_json({"plan": plan, "restore": None})
            return
        if not yes:
            typer.confirm(f"Write these {len(plan['writes'])} points?", abort=True, err=json)
        body = {"digest": plan["digest"], "reason": reason, "only": only or [], "keep_going": keep_going}
        id = api.post(f"{path}/restore", body)["id"]
        try:
            _follow(api, id, quiet=json)
        except KeyboardInterrupt:
            _stop(api, id)
            typer.echo("stopped", err=json)
            _follow(api, id, quiet=True)
        end = api.get(f"/api/v1/restores/{id}")
    if json:
        print_json({"plan": plan, "restore": end})
    else:
        typer.echo(f"{end['end']}: {snapshot_shown.result_text(end)}")
    if end["end"] != "done":
        raise Remote(_cause(end))


def stop(
    id: Annotated[str, typer.Argument(metavar="[ID]", help="The restore; else the one that is under way.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Stop a restore: no further command is sent."""
    with Client(url) as api:
        if not id:
            running = [one for one in api.get("/api/v1/restores")["restores"] if one["end"] == "running"]
            if not running:
                return typer.echo("no restore is under way", err=json)
            id = running[0]["id"]
        _stop(api, id)
    return print_json({"id": id}) if json else typer.echo(f"{id} is stopped")


def _stop(api: Client, id: str) -> None:
    api.post(f"/api/v1/restores/{quote(id, safe='')}/stop", {})


def _follow(api: Client, id: str, *, quiet: bool) -> None:
    """Print the progress until the restore has ended."""
    shown = ""
    for message in messages(api.url, False, devices=[], points=False, states=True, events=False, partitions=[""]):
        states: dict[str, Any] = message.get("states") or {}
        state = states.get(_KEY)
        if not state or state["id"] != id:
            if message["kind"] == "snapshot" and api.get(f"/api/v1/restores/{id}")["end"] != "running":
                return  # it ended before, and another one came after it
            continue
        line = f"{state['message']}" + (f"; now {state['current']}" if state["current"] else "")
        if line != shown and not quiet:
            typer.echo(line)
        shown = line
        if state["end"] != "running":
            return
    raise LinkError("the live feed ended", source="cli", suggestion=f"see: countingroom snapshot restores {id}")


def _cause(end: Any) -> Cause:
    import msgspec

    failures = [one["cause"] for one in end["results"] if one["cause"]]
    told = end["cause"] or (failures[0] if failures else None)
    under = (msgspec.convert(told, Cause),) if told else ()
    return Cause(
        code="not_restored",
        message=f"the restore of {end['snapshot']} is {end['end']}: {snapshot_shown.result_text(end)}",
        source="snapshots",
        suggestion=f"see: countingroom snapshot restores {end['id']}",
        causes=under,
    )
