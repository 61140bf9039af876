"""Commands of `mirror` about templates of log lines: those that wait for a decision, and the decisions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.core.errors import NotFound

_PATH = "/api/v1/mirror/templates"
_WAIT_S = 10.0
_MOST = 500
_LETTERS = 110
_STANDS = {"to_confirm": "waits for a second person"}
Template = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `mirror templates` lists it.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="For the record.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (templates, approve, confirm, refuse, withdraw):
        app.command()(command)


def templates(
    template: Annotated[
        str, typer.Argument(metavar="[ID]", help="Show this one with its slots and a line.", show_default=False)
    ] = "",
    most: Annotated[int, typer.Option("--most", "-n", min=1, max=_MOST, help="So many templates.")] = 40,
    decided: Annotated[bool, typer.Option("--decided", help="List what was decided instead.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """List the templates of withheld log lines that wait for a decision, those with most lines first.

    For experts: a template that is shown alone comes with a raw line.
    """
    found = fetch(url, _PATH, json, most=_MOST if template else most)
    if template:
        _show(_one(found, template))
        return
    if decided:
        rows = (
            (
                one["id"],
                _STANDS.get(one["stands"], one["stands"]),
                one["decision"]["approval"]["by"],
                _short(one["decision"].get("reason", "")),
                _short(one["decision"]["approval"]["template"]),
            )
            for one in found["decided"]
        )
        print_table(("Id", "State", "By", "Reason", "Template"), rows)
        return
    waiting = (
        (one["id"], one["lines"], one["logs"], _short(one["template"]), one["why_not"]) for one in found["waiting"]
    )
    print_table(("Id", "Lines", "Logs", "Template", "Against it"), waiting, numbers=("Lines", "Logs"))
    state = found["state"]
    typer.echo(
        f"{state['waiting']} templates wait, {state['lines']} lines are withheld; {state['approved']} approved, "
        f"{state['to_confirm']} to confirm, {state['refused']} refused, {state['expired']} expired here."
    )


def approve(
    template: Template,
    reason: Reason,
    mask: Annotated[str, typer.Option("--mask", help="Slots to mask in place of what is proposed: 1,3 or all.")] = "",
    days: Annotated[float | None, typer.Option("--days", min=0, help="After so many days it expires.")] = None,
    mark: Annotated[
        str, typer.Option("--mark", help="Of the proposal that was read; without it the present one counts.")
    ] = "",
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Let the lines of a template leave as proposed, from the next line on.

    Read the proposal first: `countingroom mirror templates ID`.
    """
    with Client(url) as api:
        seen = mark or str(_one(api.get(_PATH, most=_MOST), template)["mark"])
        arguments: dict[str, Any] = {"template": template, "mark": seen, "reason": reason}
        if mask:
            arguments["mask"] = mask
        if days is not None:
            arguments["days"] = days
        tell(give(api, "mirror/templates", "approve", {"arguments": arguments}, wait), json=json)


def confirm(
    template: Template, reason: Reason = "", wait: Wait = _WAIT_S, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """Confirm an approval of another user, as the second person."""
    _give("confirm", template, reason, wait, url, json)


def refuse(
    template: Template, reason: Reason, wait: Wait = _WAIT_S, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """Withhold the lines of a template for good."""
    _give("refuse", template, reason, wait, url, json)


def withdraw(
    template: Template, reason: Reason, wait: Wait = _WAIT_S, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """Take back what was decided of a template: its lines are withheld until it is decided anew."""
    _give("withdraw", template, reason, wait, url, json)


def _give(action: str, template: str, reason: str, wait: float, url: str, json: bool) -> None:
    arguments = {"template": template} | ({"reason": reason} if reason else {})
    with Client(url) as api:
        tell(give(api, "mirror/templates", action, {"arguments": arguments}, wait), json=json)


def _one(found: dict[str, Any], template: str) -> dict[str, Any]:
    for one in found["waiting"]:
        if one["id"] == template:
            return one
    raise NotFound(
        f"no template {template} waits", source="mirror", suggestion="list them: countingroom mirror templates"
    )


def _show(one: dict[str, Any]) -> None:
    typer.echo(f"template  {one['template']}")
    typer.echo(f"lines     {one['lines']} in {one['logs']} logs" + (f"; {one['why_not']}" if one["why_not"] else ""))
    typer.echo(f"inside    {''.join(text for _, text in one['example'])}")
    typer.echo(f"outside   {one['shown_as']}")
    typer.echo(f"mark      {one['mark']}")
    rows = (
        (number, slot["kind"] + (" (risky)" if slot["is_risky"] else ""), _rule(slot["proposed"]), slot["distinct"])
        for number, slot in enumerate(one["slots"], 1)
    )
    print_table(("Slot", "Kind", "Proposed", "Distinct"), rows, numbers=("Slot", "Distinct"))


def _rule(rule: dict[str, Any]) -> str:
    match rule.get("how", "mask"):
        case "publish" if "least" in rule:
            return f"published from {rule['least']:g} to {rule['most']:g}"
        case "publish":
            return "published"
        case "one_of":
            return _short("one of " + ", ".join(rule["values"]))
        case "pseudonym":
            return "its alias"
        case _:
            return "masked"


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
