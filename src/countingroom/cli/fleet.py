"""The command `fleet`: see the services on their nodes, plan and apply changes, set nodes aside, read logs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.alarm_chosen import seconds_of
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.fleet_follow import follow_change, phase_text, steps_so_far
from countingroom.cli.fleet_generate import app as generate_app
from countingroom.cli.fleet_import import app as import_app
from countingroom.cli.fleet_logs import logs
from countingroom.cli.fleet_registry import app as registry_app
from countingroom.cli.fleet_talk import stop_talk, talk, talks
from countingroom.cli.fleet_usb import usb
from countingroom.cli.outcome import give, tell
from countingroom.cli.output import Json, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Services on many computers: see, plan, apply, roll back, set aside.")
app.add_typer(import_app, name="import")
app.add_typer(registry_app, name="registry")
app.add_typer(generate_app, name="generate")
app.command()(logs)
app.command()(usb)
# The options of what is sent are its own.
app.command(context_settings={"allow_interspersed_args": False})(talk)
app.command()(talks)
app.command()(stop_talk)

_WAIT_S = 30.0
DIFFERS = 3
_KINDS = {
    "replace": "replace",
    "again": "make again, same image",
    "right": "put right",
    "create": "create",
    "remove": "remove",
}
_NOTES = {"waits": "waits", "left": "left alone", "fails": "would fail"}

Service = Annotated[str, typer.Argument(metavar="SERVICE", help="Its name.", show_default=False)]
Node = Annotated[str, typer.Argument(metavar="NODE", help="Its name.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for those who see it.")]
For = Annotated[str, typer.Option("--for", help="It ends by itself after this time: 2 h, 30 min.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="For the list of revisions.")]


@app.command()
def status(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Nodes and services: what is wanted, and what is there."""
    with Client(url) as api:
        fleet = api.get("/api/v1/fleet")
        nodes, services = api.get("/api/v1/nodes")["nodes"], api.get("/api/v1/services")["services"]
    if json:
        print_json({"fleet": fleet, "nodes": nodes, "services": services})
        return
    typer.echo(
        f"r{fleet['revision']}{_by(fleet)}: {fleet['healthy']} of {fleet['instances']} instances healthy, "
        f"{fleet['nodes_reachable']} of {fleet['nodes']} nodes answer"
    )
    if fleet["cause"]:
        typer.echo(f"Nothing is changed now: {fleet['cause']['message']}")
    print_table(
        ("service", "wanted", "healthy", "state", "instances that are not as wanted"),
        (
            (one["service"], _wanted(one), f"{one['healthy']}/{one['wanted']}", phase_text(one), _wrong(one))
            for one in services
        ),
    )
    print_table(
        ("node", "engine", "state", "instances", "set aside"),
        ((one["node"], one["engine"], _reach(one), one["instances"], _aside(one["cordon"])) for one in nodes),
    )


@app.command()
def plan(
    revision: Annotated[int, typer.Option("--revision", "-r", min=0, help="An earlier revision.")] = 0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """What applying the description, or an earlier revision, would change. Status 3: there is something to change."""
    found = fetch(url, "/api/v1/fleet/plan", json, revision=revision)
    _print_plan(found["plan"])
    raise typer.Exit(DIFFERS if found["plan"]["changes"] else 0)


@app.command()
def apply(
    comment: Comment = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Show the plan, ask, and make the services as the description has them."""
    with Client(url) as api:
        found = api.get("/api/v1/fleet/plan")
        if not json:
            _print_plan(found["plan"])
        count = len(found["plan"]["changes"])
        question = f"Apply {count} changes?" if count else "Keep it as a revision all the same?"
        if not yes and not typer.confirm(question):
            raise typer.Exit(1)
        told = steps_so_far(api)
        # With --yes no person has decided by the plan that was shown: what it is by now is applied.
        seen = {} if yes else {"plan": found["mark"]}
        answer = _give(api, "apply", {"comment": comment, **seen})
        follow_change(api, answer, told, wait=wait, json=json)


@app.command()
def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Its number.", show_default=False)],
    comment: Comment = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Make the services as an earlier revision had them."""
    with Client(url) as api:
        told = steps_so_far(api)
        answer = _give(api, "rollback", {"revision": revision, "comment": comment})
        follow_change(api, answer, told, wait=wait, json=json)


@app.command()
def revisions(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """What was wanted when, newest first."""
    from countingroom.core.times import format_time

    found = fetch(url, "/api/v1/fleet/revisions", json)["revisions"]
    rows = ((f"r{one['number']}", format_time(one["time_ns"]), one["by"], one["comment"]) for one in found)
    print_table(("revision", "applied", "by", "comment"), rows)


@app.command()
def restart(
    service: Service,
    nodes: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="All where none is given.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Make its instances again, a few at a time."""
    if not all(nodes or ()):  # of a script with an empty variable, which means one node and not all
        raise typer.BadParameter("a name of a node is empty", param_hint="NODE")
    with Client(url) as api:
        told = steps_so_far(api)
        answer = _give(api, "restart", {"service": service, "nodes": ",".join(nodes or ())})
        follow_change(api, answer, told, wait=wait, json=json, services=(service,))


@app.command()
def halt(service: Service, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Halt the change of a service where it is."""
    _say(url, "halt", {"service": service}, json=json)


@app.command()
def resume(service: Service, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Go on with a halted change."""
    _say(url, "resume", {"service": service}, json=json)


@app.command()
def cordon(node: Node, reason: Reason, lasts: For = "", url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Leave a node as it is: nothing is made, changed or ended there."""
    _say(url, "cordon", {"node": node, "reason": reason, **_lasts(lasts)}, json=json)


@app.command()
def drain(node: Node, reason: Reason, lasts: For = "", url: Url = DEFAULT_URL, json: Json = False) -> None:
    """End all instances of a node and make none there."""
    _say(url, "drain", {"node": node, "reason": reason, **_lasts(lasts)}, json=json)


@app.command()
def uncordon(node: Node, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Use a node again that was cordoned or drained."""
    _say(url, "uncordon", {"node": node}, json=json)


@app.command()
def reboot(
    node: Node,
    hard: Annotated[bool, typer.Option("--hard", help="Switch its power off and, after 3 s, on.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, max=600, help="Seconds; 0: do not wait.")] = 360.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Restart a node, by ssh or by its power, and wait until it shows another boot id."""
    with Client(url) as api:
        state = api.get(f"/api/v1/nodes/{node}")
        how = "Switch the power of" if hard else "Restart"
        if not yes and not typer.confirm(f"{how} {node}, with {state['instances']} instances on it?"):
            raise typer.Exit(1)
        arguments: dict[str, Any] = {"node": node, **({"hard": True} if hard else {})}
        answer = give(api, "fleet", "reboot", {"arguments": arguments}, wait)
        outcome: Any = answer.get("outcome")
        if not json and outcome and outcome["kind"] == "done":
            typer.echo(outcome["data"]["result"])
        else:
            tell(answer, json=json)


@app.command()
def disable(service: Service, reason: Reason, lasts: For = "", url: Url = DEFAULT_URL, json: Json = False) -> None:
    """End all instances of a service until it is enabled."""
    _say(url, "disable", {"service": service, "reason": reason, **_lasts(lasts)}, json=json)


@app.command()
def enable(service: Service, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Run a service again that was disabled."""
    _say(url, "enable", {"service": service}, json=json)


def _give(api: Client, command: str, arguments: dict[str, Any]) -> Any:
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return give(api, "fleet", command, {"arguments": given}, _WAIT_S)


def _say(url: str, command: str, arguments: dict[str, Any], *, json: bool) -> None:
    with Client(url) as api:
        tell(_give(api, command, arguments), json=json)


def _lasts(text: str) -> dict[str, Any]:
    return {"for_s": seconds_of(text, "")} if text else {}


def _print_plan(found: Any) -> None:
    if not found["changes"]:
        typer.echo(f"Nothing to change: {found['stays']} instances are as wanted.")
    else:
        rows = (
            (
                _KINDS[one["kind"]],
                one["service"],
                one["node"] + (f"#{one['index']}" if one["index"] else ""),
                ", ".join(one["what"]),
                one["why"],
                one["pulls"],
            )
            for one in found["changes"]
        )
        print_table(("change", "service", "node", "what", "why", "pulls first"), rows)
        typer.echo(f"{len(found['changes'])} changes; {found['stays']} instances stay as they are.")
    for one in found["notes"]:
        typer.echo(f"{_NOTES[one['kind']]}: {one['service']} {one['node']}: {one['text']}")


def _by(fleet: Any) -> str:
    return f" by {fleet['by']}" + (f" ({fleet['comment']})" if fleet["comment"] else "") if fleet["by"] else ""


def _wanted(one: Any) -> str:
    return f"r{one['revision']}" + (f" {one['version']}" if one["version"] else "")


def _wrong(one: Any) -> str:
    said: list[str] = []
    for instance in one["instances"]:
        name = instance["node"] + (f"#{instance['index']}" if instance["index"] else "")
        if not instance["is_known"]:
            said.append(f"{name} not known")
        elif instance["health"] is None:
            said.append(f"{name} {instance['doing'] or 'missing'}")
        elif instance["health"] != "healthy":
            crashes = f" ({instance['crashes']} times)" if instance["crashes"] > 1 else ""
            why = f": {instance['reason']}" if instance["health"] == "starting" and instance["reason"] else ""
            said.append(f"{name} {instance['health']}{crashes}{why}")
    return ", ".join(said)


def _reach(one: Any) -> str:
    if one["is_reachable"]:
        return "up, without TLS" if one["warning"] else "up"
    return f"lost: {one['cause']['message']}" if one["cause"] else "lost: no answer yet"


def _aside(aside: Any) -> str:
    if not aside:
        return ""
    return f"{'drained' if aside['drain'] else 'cordoned'} by {aside['by']}: {aside['reason']}"
