"""Commands of `mirror` for the control room: what may be done at upstreams, doing it, and what was answered."""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.outcome import give, raise_failed
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import RequestError

_GRACE_S = 15.0

Upstream = Annotated[str, typer.Argument(metavar="UPSTREAM", help="Its name in the description.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (actions, act, answer):
        app.command()(command)


def actions(
    upstream: Annotated[str, typer.Argument(metavar="[UPSTREAM]", help="Only at this one.", show_default=False)] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Show what may be done at upstreams of the mirror, and what was sent last."""
    with Client(url) as api:
        found = api.get("/api/v1/mirror/upstreams")
    if json:
        print_json(found)
        return
    known = {one["name"]: one for one in found["actions"]}
    chosen = [one for one in found["upstreams"] if upstream in ("", one["name"])]
    if not chosen:
        typer.echo("no action is permitted: see mirror.upstreams.<name>.control in the description")
    for one in chosen:
        permitted = [known[name] for name in one["actions"]]
        rows = ((each["name"], _usage(each), _needs(each), each["description"]) for each in permitted)
        print_table(("Action", "Arguments", "Needs", "Does"), rows, title=f"{one['name']} ({one['set']})")
        typer.echo(f"At most {one['per_minute']} a minute. Computers: {', '.join(one['hosts']) or 'none'}.")
        for each in one["last"]:
            typer.echo(
                f"{each['id']}  {each['action']} {' '.join(each['arguments'].values())} by {each['by']}: {_end(each)}"
            )


def act(
    upstream: Upstream,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="See: mirror actions.", show_default=False)],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE...]", help="host=fu-01", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send it without asking.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be sent, and send nothing.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Send an action to an upstream, after showing what is sent, and print its answer. Status 1: it failed, or its
    outcome is not known."""
    given = _given(arguments or [])
    base = f"mirror/upstreams/{quote(upstream, safe='')}"
    with Client(url) as api:
        found = next((one for one in api.get("/api/v1/mirror/upstreams")["upstreams"] if one["name"] == upstream), None)
        planned = api.post(f"/api/v1/{base}/plan/{quote(action, safe='')}", {"arguments": given})
        if plan and json:
            print_json(planned)
            return
        typer.echo(f"{planned['method']} {planned['address']}", err=not plan)
        typer.echo(
            f"secret: {planned['secret'] or 'none'}; {planned['left']} actions left in this minute", err=not plan
        )
        if plan:
            return
        if not yes:
            if not sys.stdin.isatty():
                raise RequestError(
                    "it is not sent without a question, and there is no terminal to ask at",
                    source="cli",
                    code="not_confirmed",
                    suggestion="add --yes",
                )
            typer.confirm("Send it?", abort=True, err=True)
        wait_s = (found["timeout_s"] if found else 30.0) + _GRACE_S
        body = {"arguments": {**given, "plan": planned["mark"]}}
        sent = give(api, base, quote(action, safe=""), body, wait_s)
        told = api.get(f"/api/v1/{base}/answers/{sent['id']}")
    _print(told, json=json)
    raise_failed(sent)


def answer(
    upstream: Upstream,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the action: mirror actions.", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Print the answer to an action again. The last 20 of each upstream are kept while the mirror runs."""
    with Client(url) as api:
        _print(api.get(f"/api/v1/mirror/upstreams/{quote(upstream, safe='')}/answers/{quote(id, safe='')}"), json=json)


def _print(told: Any, *, json: bool) -> None:
    if json:
        print_json(told)
        return
    if told["text"]:
        typer.echo(told["text"])
    if told["sent"]["is_cut"]:
        typer.echo(f"(the answer is longer: its first {told['sent']['bytes']:,} bytes)", err=True)


def _given(arguments: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in arguments:
        name, equals, value = one.partition("=")
        if not equals:
            raise RequestError(
                f"{one!r} is no argument of an action",
                source="cli",
                code="wrong_argument",
                suggestion="write host=fu-01",
            )
        found[name] = value
    return found


def _usage(action: Any) -> str:
    return " ".join(f"[{one['name']}=]" if one["optional"] else f"{one['name']}=" for one in action["arguments"])


def _needs(action: Any) -> str:
    return "expert" if action["permission"] == "endanger" else "shifter"


def _end(sent: Any) -> str:
    if not sent["is_over"]:
        return "under way"
    return str(sent["cause"]["message"]) if sent["cause"] else f"answered, {sent['bytes']} bytes"
