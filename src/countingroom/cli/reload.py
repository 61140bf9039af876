"""The command `reload`: shows what an edited description would change, and puts it in force.

Exit status of `--plan`: 0 no difference, 3 a difference to reload, 2 mistakes, 1 it would be refused now.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.outcome import Wait, give, raise_failed
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.commands.description import DESCRIPTION

DIFFERS = 3
REFUSED = 1
INVALID = 2

app = typer.Typer(help="Put an edited description in force.")


@app.command()
def reload(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Show which description is in force, and in which processes.")
    ] = False,
    wait: Wait = DESCRIPTION["reload"].wait_s,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Put the edited description in force, without disturbing what did not change. Mistakes leave the present one.

    Status of --plan: 0 no difference, 3 a difference, 2 mistakes, 1 it would be refused now.
    """
    with Client(url) as api:
        if status:
            _print_status(api.get("/api/v1/description"), json=json)
            return
        found = api.get("/api/v1/description/plan")
        if json and plan:
            print_json(found)
        elif not json:
            _print_plan(found)
        if plan or found["mistakes"]:
            raise typer.Exit(_status(found))
        if not found["differs"]:
            if json:
                print_json(found)
            return
        arguments = {"digest": found["plan"]["digest"]}
        answer = give(api, "description", "reload", {"arguments": arguments}, wait)
    if json:
        print_json(answer)
    raise_failed(answer)
    if not json:
        _print_outcome(answer)


def _status(found: Any) -> int:
    if found["mistakes"]:
        return INVALID
    if found["refusals"]:
        return REFUSED
    return DIFFERS if found["differs"] else 0


def _print_plan(found: Any) -> None:
    for mistake in found["mistakes"]:
        sys.stderr.write(f"{mistake['source']}: {mistake['message']}\n")
    if found["mistakes"]:
        sys.stderr.write("The present description stays in force.\n")
        return
    for warning in found["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")
    if not found["differs"]:
        typer.echo("Nothing to do: the description in force is the one on disk.")
        return
    rows = ((one["action"], one["path"], _keys(one), _entails(one)) for one in found["plan"]["changes"])
    print_table(("action", "what", "change", "entails"), rows)
    for cause in found["refusals"]:
        sys.stderr.write(f"refused now: {cause['message']}\n  → {cause['suggestion']}\n")
    if not found["refusals"]:
        typer.echo(f"It takes about {found['seconds']:g} s. What is not named goes on untouched.")


def _keys(change: Any) -> str:
    told = [
        f"{one['key'] and one['key'] + ': '}{one['before'] or '—'} → {one['after'] or '—'}" for one in change["keys"]
    ]
    return "; ".join(told[:_MOST]) + (f"; and {len(told) - _MOST} more" if len(told) > _MOST else "")


_MOST = 4
"""Keys of one thing in the table; `--json` has all."""


def _entails(change: Any) -> str:
    processes = ", ".join(change["processes"])
    if change["entails"] == "in place" and change["path"].startswith("devices.") and change["action"] != "changed":
        return "connects" if change["action"] == "added" else "disconnects"
    return f"restarts {processes}" if change["entails"] == "restarts a process" else change["entails"]


def _print_outcome(answer: Any) -> None:
    outcome = answer.get("outcome")
    if outcome is None:
        typer.echo(f"accepted; its outcome will be an event of {answer['id']}")
        return
    data = outcome["data"]
    restarted = f"; started again: {data['restarted']}" if "restarted" in data else ""
    typer.echo(f"Version {data['version']} of the description is in force{restarted}.")
    if "troubles" in data:
        sys.stderr.write(f"warning: {data['troubles']}\n")


def _print_status(found: Any, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    from countingroom.core.times import format_time

    by = f", reloaded by {found['by']}" if found["by"] else ""
    typer.echo(f"Version {found['version']} ({found['digest']}) since {format_time(found['since_ns'])}{by}")
    print_table(("process", "version"), ((name, str(version)) for name, version in found["processes"].items()))
    if found["behind"]:
        typer.echo(f"Not yet: {', '.join(found['behind'])}")
