"""The command `interlock`: see interlocks, reset them, bypass causes, record proof tests."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli.alarm_chosen import seconds_of
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.core.errors import RequestError
from countingroom.core.times import duration

app = typer.Typer(no_args_is_help=True, help="See, reset, bypass and test interlocks.")

_WAIT_S = 10.0

Interlock = Annotated[str, typer.Argument(metavar="INTERLOCK", help="Its name.", show_default=False)]
Cause = Annotated[str, typer.Argument(metavar="CAUSE", help="A row of its matrix.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", "-m", help="The reason, shown to all users.", show_default=False)]
For = Annotated[str, typer.Option("--for", help="For so long: 30min, 8h.")]
Until = Annotated[str, typer.Option("--until", help="Until this time: +2h, 2026-11-22T06:00:00Z.")]


@app.command("list")
def list_interlocks(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """All interlocks, the tripped ones first."""
    found = fetch(url, "/api/v1/interlocks", json)
    rows = ((one["name"], one["title"], _state(one), _bypassed(one), _proof(one)) for one in found["interlocks"])
    print_table(("interlock", "title", "state", "bypassed", "proof test"), rows)
    typer.echo(f"{found['tripped']} tripped, {found['bypassed']} causes bypassed")


@app.command()
def show(interlock: Interlock, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One interlock: its causes, its effects, the matrix, and its last history."""
    found = fetch(url, f"/api/v1/interlocks/{quote(interlock, safe='')}", json)
    one = found["interlock"]
    typer.echo(f"{one['name']}: {one['title']}: {_state(one)}; proof test {_proof(one)}")
    for host in found["hosts"]:
        typer.echo(_host(host))
    cells = {(cell["cause"], cell["effect"]): cell["delay_ns"] / 1e9 for cell in one["matrix"]}
    effects = [effect["name"] for effect in one["effects"]]
    rows = (
        (
            cause["name"],
            _cause(cause),
            "; ".join(f"{given['text']}: {given['truth']}" for given in cause["inputs"]),
            *(
                f"after {duration(cells[cause['name'], name])}" if (cause["name"], name) in cells else ""
                for name in effects
            ),
        )
        for cause in one["causes"]
    )
    print_table(("cause", "state", "inputs", *effects), rows)
    print_table(
        ("effect", "does", "state"), ((effect["name"], effect["does"], _effect(effect)) for effect in one["effects"])
    )
    if found["problem"]:
        typer.echo(f"no history: {found['problem']['message']}")
    rows = ((_time(row["time_ns"]), row["kind"], row["name"], row["text"], row["person"]) for row in found["history"])
    print_table(("time", "what", "of", "text", "by"), rows)


@app.command()
def reset(
    interlock: Interlock,
    reason: Annotated[str, typer.Option("--reason", "-m", help="What was found and mended, for the record.")] = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """End the trip. Refused while a cause is present and not bypassed."""
    _give(url, interlock, "reset", {"reason": reason} if reason else {}, wait, json=json)


@app.command()
def bypass(
    interlock: Interlock,
    cause: Cause,
    reason: Reason,
    last: For = "",
    until: Until = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Bypass a cause for a time: it does not trip. It stays visible, with what it would do."""
    arguments = {"cause": cause, "reason": reason, "seconds": seconds_of(last, until)}
    _give(url, interlock, "bypass", arguments, wait, json=json)


@app.command()
def unbypass(
    interlock: Interlock, cause: Cause, wait: Wait = _WAIT_S, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """End the bypass of a cause now. What it held back happens."""
    _give(url, interlock, "end_bypass", {"cause": cause}, wait, json=json)


@app.command()
def test(
    interlock: Interlock,
    passed: Annotated[
        bool | None, typer.Option("--passed/--failed", help="Record what a test by hand has shown.", show_default=False)
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="What was done by hand and found.")] = "",
    cause: Annotated[str, typer.Option("--cause", help="The cause that is provoked; else every one.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the faults.")] = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Test it with faults of simulators and record the result; with --passed or --failed: record a test by hand.

    Each cause that declares a `test` is provoked, one after the other: it must trip, its effects must be reached. Then
    the fault is ended and the interlock is reset."""
    if passed is not None:
        arguments = {"passed": passed, "comment": comment, "cause": cause or None}
        return _give(url, interlock, "proof_test", arguments, wait, json=json)
    if comment:
        raise RequestError(
            "a comment goes with a test by hand", source="--comment", suggestion="add --passed or --failed"
        )
    from countingroom.cli.interlock_test import test_by_simulation

    return test_by_simulation(url, interlock, cause, wait, yes=yes, json=json)


def _give(url: str, interlock: str, command: str, arguments: dict[str, Any], wait: float, *, json: bool) -> None:
    with Client(url) as api:
        tell(give(api, f"interlocks/{quote(interlock, safe='')}", command, {"arguments": arguments}, wait), json=json)


def _state(one: dict[str, Any]) -> str:
    if not one["is_tripped"]:
        return "not known: the database was not read" if one.get("unread") else "not tripped"
    return f"tripped by {one['first_out']} at {_time(one['tripped_ns'])}"


def _bypassed(one: dict[str, Any]) -> str:
    return ", ".join(cause["name"] for cause in one["causes"] if cause["bypass"])


def _proof(one: dict[str, Any]) -> str:
    last = one["proof"]
    done = f"{'passed' if last['passed'] else 'failed'} {_time(last['time_ns'])}" if last else "not yet tested"
    return f"overdue, {done}" if one["is_proof_overdue"] else done


def _cause(cause: dict[str, Any]) -> str:
    words = ["tripped" if cause["tripped_ns"] else "present" if cause["present_since_ns"] else "gone"]
    if (past := cause["bypass"]) is not None:
        words.append(f"bypassed by {past['by']} until {_time(past['until_ns'])}: {past['reason']}")
    if cause["would_trip"]:
        words.append("would trip")
    return ", ".join(words)


def _effect(effect: dict[str, Any]) -> str:
    if effect["acting_ns"] is None:
        return f"due {_time(effect['due_ns'])}" if effect["due_ns"] else "at rest"
    if effect["trouble"]:
        return f"not reached: {effect['trouble']}"
    return "acts" if effect["reached_ns"] else "acts, not confirmed yet"


def _host(host: dict[str, Any]) -> str:
    """What one device host does of it."""
    part = "all of it" if host["is_whole"] else "its part"
    words = [
        f"device host {host['instance']}: " + (f"evaluates {part}" if host["evaluates"] else "does not evaluate it")
    ]
    if host["state"] and host["state"].get("tripped_ns") is not None:
        words.append(f"tripped {_time(host['state']['tripped_ns'])} by {host['state']['first_out']}")
    if host["silent_since_ns"] is not None:
        effects = ", ".join(host["silent_effects"])
        words.append(f"applies {effects}, because the alarm engine is silent since {_time(host['silent_since_ns'])}")
    if host["problem"]:
        words.append(f"cannot keep what trips: {host['problem']}")
    return ", ".join(words)


def _time(time_ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(time_ns - time_ns % 1_000_000_000)
