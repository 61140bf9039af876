"""The command `rules`: see rules, arm and disarm them, replay what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli import completing
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.cli.rules_replay import replay
from countingroom.core.times import duration

if TYPE_CHECKING:
    from countingroom.core.rules.states import Firing, RuleState

app = typer.Typer(no_args_is_help=True, help="See, arm and disarm rules; replay what was recorded.")
app.command()(replay)

_WAIT_S = 10.0
Rule = Annotated[
    str,
    typer.Argument(metavar="RULE", help="Its name.", show_default=False, autocompletion=completing.rules),
]


@app.command("list")
def list_rules(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """All rules: whether each is armed, what it waits for, when it acted last."""
    states = [_state(one) for one in fetch(url, "/api/v1/rules", json)["rules"]]
    rows = ((one.rule, _armed(one), one.phase.value, _next(one), str(one.firings), _last(one)) for one in states)
    print_table(("rule", "armed", "waits", "next", "firings", "last"), rows, numbers=("firings",))


@app.command()
def show(rule: Rule, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One rule: when it acts, what it does, and its last firing with the evidence."""
    state = _state(fetch(url, f"/api/v1/rules/{quote(rule, safe='')}", json)["rule"])
    for line in _lines(state):
        typer.echo(line)


@app.command()
def arm(
    rule: Rule,
    reason: Annotated[str, typer.Option("--reason", "-m", help="For the record.")] = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Arm a rule: it acts from now on."""
    _give("arm", rule, reason, wait, url, json)


@app.command()
def disarm(
    rule: Rule,
    reason: Annotated[str, typer.Option("--reason", "-m", help="The reason, shown to all users.")],
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Disarm a rule: it does not act until it is armed again."""
    _give("disarm", rule, reason, wait, url, json)


def _give(action: str, rule: str, reason: str, wait: float, url: str, json: bool) -> None:
    with Client(url) as api:
        body = {"arguments": {"reason": reason}}
        tell(give(api, f"rules/{quote(rule, safe='')}", action, body, wait), json=json)


def _state(told: dict[str, Any]) -> RuleState:
    import msgspec

    from countingroom.core.rules.states import RuleState

    return msgspec.convert(told, RuleState)


def _armed(one: RuleState) -> str:
    word = "armed" if one.armed else "disarmed"
    return f"{word} by {one.armed_by}" if one.armed_by else word


def _next(one: RuleState) -> str:
    return _time(one.due_ns) if one.due_ns is not None else ""


def _last(one: RuleState) -> str:
    return f"{_time(one.last.time_ns)} {_result(one.last)}" if one.last else ""


def _result(firing: Firing) -> str:
    if firing.ended_ns is None:
        return "under way"
    return "done" if firing.is_good else "not done"


def _lines(one: RuleState) -> Iterator[str]:
    yield f"{one.rule}: {one.title}, {_armed(one)}, {one.phase.value}"
    if one.armed_reason:
        yield f"  because: {one.armed_reason}"
    yield f"  reason: {one.reason}"
    yield f"  when: {one.when}"
    if one.unless:
        yield f"  unless: {one.unless}"
    for action in one.actions:
        yield f"  does: {action}"
    yield f"  at most {one.most_times} times in {duration(one.most_per_s)}; {one.firings} firings"
    if one.held_back:
        yield f"  held back since the last one: {one.held_back}"
    if one.due_ns is not None:
        yield f"  next: {_time(one.due_ns)}"
    if one.problem:
        yield f"  cannot be evaluated: {one.problem}"
    if (last := one.last) is None:
        return
    yield f"firing {last.number}, {_time(last.time_ns)}, {_result(last)}"
    for name, value in last.evidence.items():
        yield f"  {name}: {'unknown' if value is None else value}"
    for outcome in last.outcomes:
        why = f": {outcome.cause.message}" if outcome.cause else ""
        yield f"  {outcome.action}: {outcome.result.value}{why}"


def _time(time_ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(time_ns - time_ns % 1_000_000_000)
