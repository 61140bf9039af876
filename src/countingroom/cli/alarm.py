"""The command `alarm`: see alarms, acknowledge, reset and shelve them, take them out of service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli import alarm_notify, completing
from countingroom.cli.alarm_chosen import chosen, parts, seconds_of
from countingroom.cli.alarm_stats import stats
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.core.errors import RequestError
from countingroom.core.times import duration

if TYPE_CHECKING:
    from countingroom.core.alarms.states import AlarmState

app = typer.Typer(no_args_is_help=True, help="See, acknowledge, reset and shelve alarms.")
app.command()(stats)
app.add_typer(alarm_notify.app, name="notify")

_WAIT_S = 10.0
_ID = "Its identity, as `alarm list` shows it."

Alarm = Annotated[str, typer.Argument(metavar="ALARM", help=_ID, show_default=False, autocompletion=completing.alarms)]
Alarms = Annotated[
    list[str] | None,
    typer.Argument(metavar="ALARM…", help="Identities.", show_default=False, autocompletion=completing.alarms),
]
Area = Annotated[
    str, typer.Option("--area", "-a", help="Every alarm of this area.", autocompletion=completing.alarm_areas)
]
Priority = Annotated[
    list[int] | None, typer.Option("--priority", "-p", min=1, max=4, help="Only of this; may be given several times.")
]
State = Annotated[
    str, typer.Option("--state", "-s", help="open, unacknowledged, shelved or all.", autocompletion=completing.wanted)
]
Comment = Annotated[str, typer.Option("--comment", "-m", help="For the record.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="The reason, shown to all users.", show_default=False)]
For = Annotated[str, typer.Option("--for", help="For so long: 30min, 8h, 7d.")]
Until = Annotated[str, typer.Option("--until", help="Until this time: +2h, 2026-11-22T06:00:00Z.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="So many, the newest.")]


@app.command("list")
def list_alarms(
    state: State = "open",
    priority: Priority = None,
    area: Area = "",
    text: Annotated[str, typer.Option("--text", help="Occurs in title, text, area or reason.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Alarms by priority, then newest first. One that is normal and has no flag is not listed."""
    found = fetch(url, "/api/v1/alarms", json, state=state, priority=priority or None, area=area, text=text)
    columns = ("priority", "since", "alarm", "source", "what", "state")
    rows = (
        (one.priority, _time(one.since_ns), one.id, f"{'└ ' if under else ''}{one.title}", one.text, _state(one))
        for one, under in _below_their_cause(_alarms(found["alarms"]))
    )
    print_table(columns, rows, numbers=("priority",))
    noun = "alarm" if found["total"] == 1 else "alarms"
    typer.echo(f"{found['total']} {noun}, {found['unacknowledged']} not acknowledged, {found['shelved']} shelved")


@app.command()
def show(alarm: Alarm, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One alarm: its state, what it means, what to do, and its last history."""
    found = fetch(url, f"/api/v1/alarms/{quote(alarm, safe='')}", json)
    if found["alarm"] is None:
        typer.echo(f"{alarm}: {found['definition']['title']}: normal")
    else:
        ((one, under),) = _alarms([found["alarm"]])
        typer.echo(f"{one.id}: {one.title}, priority {one.priority}, {_state(one)}")
        if one.since_ns:
            typer.echo(f"  {one.text}, since {_time(one.since_ns)}, occurrence {one.occurrence}")
        if under:
            typer.echo(f"  follows from {under}")
    for line in _guidance(found["definition"] or {}):
        typer.echo(f"  {line}")
    if found["problem"]:
        typer.echo(f"  no guidance and history: {found['problem']['message']}")
    _print_history(found["history"][:10])


@app.command()
def history(alarm: Alarm, limit: Limit = 50, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """The history of one alarm, newest first."""
    _print_history(fetch(url, f"/api/v1/alarms/{quote(alarm, safe='')}/history", json, limit=limit)["history"])


@app.command()
def ack(
    alarms: Alarms = None,
    every: Annotated[bool, typer.Option("--all", help="Every alarm that is not acknowledged.")] = False,
    area: Area = "",
    comment: Comment = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Acknowledge alarms, as they are now. Refused for one that happens again meanwhile."""
    with Client(url) as api:
        seen = chosen(api, alarms, area=area, every=every, state="unacknowledged")
        for part in parts(seen):
            _say("acknowledge", _give(api, "acknowledge", {"alarms": part}, {"comment": comment}, wait), json)


@app.command()
def reset(
    alarms: Alarms = None,
    comment: Comment = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Reset latched alarms with a clear condition."""
    _command("reset", alarms, "", {"comment": comment}, wait, url, json)


@app.command()
def shelve(
    reason: Reason,
    alarms: Alarms = None,
    area: Area = "",
    last: For = "",
    until: Until = "",
    once: Annotated[bool, typer.Option("--once", help="Also end it when the condition clears.")] = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Shelve alarms for a time: they are evaluated and recorded, and not announced."""
    given = {"reason": reason, "seconds": seconds_of(last, until), "once": once or None}
    _command("shelve", alarms, area, given, wait, url, json)


@app.command()
def unshelve(
    alarms: Alarms = None,
    area: Area = "",
    comment: Comment = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """End the shelving of alarms now."""
    _command("unshelve", alarms, area, {"comment": comment}, wait, url, json)


@app.command()
def service(
    alarms: Alarms = None,
    back: Annotated[bool, typer.Option("--in", help="Put them back into service.")] = False,
    area: Area = "",
    owner: Annotated[str, typer.Option("--owner", help="The person who repairs it.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-m", help="The reason, shown to all users.")] = "",
    last: For = "",
    until: Until = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Take alarms out of service, with an owner and a due date, or put them back with `--in`."""
    if back:
        return _command("in_service", alarms, area, {"comment": reason}, wait, url, json)
    given = {"owner": owner, "reason": reason}
    if missing := [name for name, value in given.items() if not value]:
        raise RequestError(
            f"out of service needs --{missing[0]}", code="missing_argument", suggestion=f"give --{missing[0]}"
        )
    return _command("out_of_service", alarms, area, {**given, "seconds": seconds_of(last, until)}, wait, url, json)


@app.command()
def comment(
    text: Annotated[str, typer.Option("--comment", "-m", help="The comment.", show_default=False)],
    alarms: Alarms = None,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Write a comment into the history of alarms."""
    _command("comment", alarms, "", {"comment": text}, wait, url, json)


def _command(
    name: str, alarms: list[str] | None, area: str, arguments: dict[str, Any], wait: float, url: str, json: bool
) -> None:
    if bool(alarms) == bool(area):
        raise RequestError(
            "give the identities of alarms, or one area" if not alarms else "give identities or an area, not both",
            code="missing_argument",
            suggestion="list them: countingroom alarm list",
        )
    named = {"alarms": dict.fromkeys(alarms)} if alarms else {}
    with Client(url) as api:
        _say(name, _give(api, name, named, {**arguments, "area": area}, wait), json)


def _give(api: Client, name: str, named: dict[str, Any], arguments: dict[str, Any], wait: float) -> Any:
    given = {key: value for key, value in arguments.items() if value not in (None, "")}
    return give(api, "alarms", name, {**named, "arguments": given}, wait)


def _say(name: str, answer: Any, json: bool) -> None:
    """Print the result. Raises Remote if it failed, RequestError if some of the alarms refused it."""
    outcome = answer.get("outcome")
    if json or outcome is None or outcome["kind"] == "failed":
        return tell(answer, json=json)
    if refused := outcome["data"].get("refused"):
        raise RequestError(
            f"{name}: done for {outcome['data']['done']} alarms, refused by {refused}: {outcome['data']['refusals']}",
            code="partly_refused",
            source="alarms",
            suggestion="look at those: countingroom alarm show",
        )
    return typer.echo(f"{name.replace('_', ' ')}: done")


def _alarms(found: list[dict[str, Any]]) -> list[tuple[AlarmState, str]]:
    """The alarms of an answer, each with the identity of the one that it is folded under."""
    import msgspec

    from countingroom.core.alarms.states import AlarmState

    return [(msgspec.convert(one, AlarmState), str(one.get("under") or "")) for one in found]


def _below_their_cause(alarms: list[tuple[AlarmState, str]]) -> Iterator[tuple[AlarmState, str]]:
    """The same with each consequence right below its cause, where the list has that."""
    listed = {one.id for one, _ in alarms}
    below: dict[str, list[tuple[AlarmState, str]]] = {}
    for one, under in alarms:
        if under in listed:
            below.setdefault(under, []).append((one, under))
    for one, under in alarms:
        if under not in listed:
            yield one, under
            yield from reversed(below.get(one.id, []))


def _state(alarm: AlarmState) -> str:
    if alarm.service is not None:
        return f"out of service, {alarm.service.owner}, due {_time(alarm.service.due_ns)}: {alarm.service.reason}"
    if alarm.suppressed:
        return f"suppressed: {alarm.suppressed}"
    if alarm.shelf is not None:
        return f"shelved by {alarm.shelf.by} until {_time(alarm.shelf.until_ns)}: {alarm.shelf.reason}"
    word = alarm.base.value.replace("_", ", ").replace("latched, unacknowledged", "latched, not acknowledged")
    word = {"unacknowledged": "not acknowledged", "returned": "returned, not acknowledged"}.get(word, word)
    return f"{word} by {alarm.acknowledged_by}" if alarm.acknowledged_by and word == "acknowledged" else word


def _guidance(definition: dict[str, Any]) -> list[str]:
    guidance: dict[str, Any] = definition.get("guidance") or {}
    told = (
        ("condition", definition.get("condition")),
        ("means", guidance.get("meaning")),
        ("do", "\n      ".join(guidance.get("do") or ())),
        ("within", guidance.get("time_to_act_s") and duration(guidance["time_to_act_s"])),
        ("if not", guidance.get("if_not")),
        ("contact", definition.get("contact")),
        *((f"see {link['title']}", link["address"]) for link in definition.get("links") or ()),
    )
    return [f"{term}: {text}" for term, text in told if text]


def _print_history(records: list[dict[str, Any]]) -> None:
    rows = ((_time(one["time_ns"]), one["kind"], one["text"], one["by"]) for one in records)
    print_table(("time", "what", "text", "by"), rows)


def _time(time_ns: int) -> str:
    """The time in whole seconds; empty for 0, the time of what never was, as of an alarm that is only shelved."""
    if not time_ns:
        return ""
    from countingroom.core.times import format_time

    return format_time(time_ns - time_ns % 1_000_000_000)
