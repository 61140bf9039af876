"""The command `apply`: shows how the edited description differs from the database, and applies it.

Exit status of `--plan`: 0 no difference, 3 a difference to apply or a conflict to decide.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, listed, print_json, print_table, written
from countingroom.core.commands.experiment import EXPERIMENT

DIFFERS = 3

app = typer.Typer(help="Apply an edited description to the database.")

_DASH = "—"


@app.command()
def apply(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    take: Annotated[
        list[str] | None,
        typer.Option(
            "--take",
            metavar="[ITEM=]description|database",
            help="For conflicts: whose value counts, for all or for one ITEM of the plan.",
            show_default=False,
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what the description no longer has, if unused.")
    ] = False,
    wait: Wait = EXPERIMENT["apply"].wait_s,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Apply the description that run control read at its start: the whole plan, or none of it.

    Status of --plan: 0 no difference, 3 a difference to apply or a conflict to decide.
    """
    decided = ",".join(take or ())
    with Client(url) as api:
        found = api.get("/api/v1/apply/plan", take=decided, prune=str(prune).lower())
        if plan or not found["differs"]:
            if json:
                print_json(found)
            else:
                _print(found)
            raise typer.Exit(DIFFERS if plan and found["differs"] else 0)
        if not json:
            _print(found)
        arguments: dict[str, Any] = {"take": decided, "prune": prune, "digest": found["plan"]["digest"]}
        tell(give(api, "experiment", "apply", {"arguments": arguments}, wait), json=json)


def _print(found: Any) -> None:
    changes = found["plan"]["changes"]
    if changes:
        rows = (
            (
                one["action"],
                f"{one['kind']}.{one['name']}",
                one.get("was") or _value(one.get("held")),
                _value(one.get("described")),
                one["reason"],
            )
            for one in changes
        )
        print_table(("action", "item", "database", "description", "reason"), rows)
    if not found["differs"]:
        typer.echo("Nothing to do: the database follows the description as run control read it at its start.")
    elif "conflict" in found["counts"]:
        typer.echo("Decide the conflicts with --take: nothing is applied before.")


def _value(value: Any) -> str:
    if value is None:
        return _DASH
    if not isinstance(value, dict):
        return written(value)
    text = listed(cast(dict[str, Any], value)) or "{}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST = 80
"""Characters of a value in the table; `--json` has all."""
