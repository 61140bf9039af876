"""Commands of `mirror note`: notes for the public. What would be seen outside is shown first, and published then."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import Cause, RequestError

app = typer.Typer(no_args_is_help=True, help="Notes for the public: incidents, maintenance and others.")

_PATH = "/api/v1/mirror/notes"
_WAIT_S = 10.0
_LETTERS = 70
_FACTS = ("sort", "state", "title", "text", "parts", "from", "to", "ended", "author")

Number = Annotated[int, typer.Argument(metavar="NOTE", min=1, help="Its number, as `mirror note list` shows it.")]
Sort = Annotated[str, typer.Argument(metavar="SORT", help="incident, maintenance or note.", show_default=False)]
Text = Annotated[str | None, typer.Option("--text", "-t", help="What the public shall know.")]
Parts = Annotated[
    list[str] | None,
    typer.Option("--part", "-p", help="A partition, device or service, by its published name. May be repeated."),
]
From = Annotated[str | None, typer.Option("--from", help="When it began or is planned to begin; without it now.")]
To = Annotated[str | None, typer.Option("--to", help="When it is planned to end; - takes it away.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Publish it without asking.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would be seen outside, and publish nothing.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `mirror`."""
    group.add_typer(app, name="note")


@app.command("list")
def list_notes(
    most: Annotated[int, typer.Option("--most", "-n", min=1, max=500, help="So many notes.")] = 40,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """List the notes for the public, the newest first."""
    with Client(url) as api:
        found = api.get(_PATH, most=most)
    if json:
        print_json(found)
        return
    rows = (
        (
            one["note"]["number"],
            one["note"]["sort"],
            "ended" if one["note"].get("ended_ns") else "open",
            _short(one["note"]["title"]),
            one["note"]["by"],
            one["why_not"] or "yes",
        )
        for one in found["notes"]
    )
    print_table(("Note", "Sort", "State", "Title", "By", "Seen outside"), rows, numbers=("Note",))


@app.command()
def add(
    sort: Sort,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="In a few words.", show_default=False)],
    text: Text = None,
    parts: Parts = None,
    begin: From = None,
    to: To = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Publish a note, after showing what is seen outside."""
    _publish("add", {"sort": sort, "title": title, **_written(text, parts, begin, to)}, yes, preview, wait, url, json)


@app.command()
def edit(
    note: Number,
    title: Annotated[str | None, typer.Option("--title", help="In a few words.")] = None,
    text: Text = None,
    parts: Parts = None,
    begin: From = None,
    to: To = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Correct a note: what is given takes the place of what there was."""
    given = ({} if title is None else {"title": title}) | _written(text, parts, begin, to)
    _publish("edit", {"note": note, **given}, yes, preview, wait, url, json)


@app.command()
def update(
    note: Number,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is known now.", show_default=False)],
    yes: Yes = False,
    preview: Preview = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Add to a note what is known now, with the time."""
    _publish("update", {"note": note, "text": text}, yes, preview, wait, url, json)


@app.command()
def end(
    note: Number,
    text: Text = None,
    at: Annotated[str | None, typer.Option("--at", help="When it ended; without it now.")] = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Wait = _WAIT_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """End a note: the incident is over, the work is done."""
    given = {name: one for name, one in (("text", text), ("at", at)) if one is not None}
    _publish("end", {"note": note, **given}, yes, preview, wait, url, json)


@app.command()
def withdraw(note: Number, wait: Wait = _WAIT_S, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Take a note back: it is removed from the public store, with all its texts."""
    with Client(url) as api:
        tell(give(api, "mirror/notes", "withdraw", {"arguments": {"note": note}}, wait), json=json)


def _written(text: str | None, parts: list[str] | None, begin: str | None, to: str | None) -> dict[str, Any]:
    given = {"text": text, "parts": None if parts is None else ",".join(parts), "from": begin, "to": to}
    return {name: one for name, one in given.items() if one is not None}


def _publish(
    action: str, arguments: dict[str, Any], yes: bool, preview: bool, wait: float, url: str, json: bool
) -> None:
    with Client(url) as api:
        seen = api.post(f"{_PATH}/{action}/preview", {"arguments": arguments})
        if preview and json:
            print_json(seen)
            return
        if seen["cause"]:
            raise Remote(msgspec.convert(seen["cause"], Cause))
        _show(seen, err=not preview)
        if preview:
            return
        if not yes:
            if not sys.stdin.isatty():
                raise RequestError(
                    "it is not published without a question, and there is no terminal to ask at",
                    source="cli",
                    code="not_confirmed",
                    suggestion="add --yes",
                )
            typer.confirm("Publish it?", abort=True, err=True)
        body = {"arguments": {**arguments, "mark": seen["mark"]}}
        tell(give(api, "mirror/notes", action, body, wait), json=json)


def _show(seen: Any, *, err: bool) -> None:
    typer.echo("Seen outside:", err=err)
    outside = seen["outside"]
    for name in _FACTS:
        if value := outside.get(name):
            told = ", ".join(map(str, outside[name])) if name == "parts" else value
            typer.echo(f"  {name:<7} {told}", err=err)
    for one in outside.get("updates", ()):
        typer.echo(f"  {one.get('time', ''):<20} {one.get('text', '')}", err=err)
    if seen["masked"]:
        many = f"{seen['masked']} pieces were" if seen["masked"] > 1 else "1 piece was"
        typer.echo(f"{many} masked: they may name a person, a computer or a place.", err=err)


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
