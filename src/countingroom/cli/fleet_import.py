"""The command `fleet import`: it makes a description of a fleet from the file of another system.

Like `countingroom import` it accounts for each line, overwrites no file and connects to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from countingroom.cli.import_account import AccountRow

app = typer.Typer(no_args_is_help=True, help="Make a description from the file of another system.")


@app.callback()
def import_() -> None:
    """Make a description from the file of another system."""


@app.command()
def fliswarm(
    file: Annotated[
        Path, typer.Argument(help="Its configuration, fliswarm.yaml.", show_default=False, exists=True, dir_okay=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The description to write.")] = Path(
        "fliswarm/experiment.yaml"
    ),
    site: Annotated[str, typer.Option(help="Which site of the file; needed where it has several.")] = "",
    name: Annotated[str, typer.Option(help="Short name of the experiment; else that of the actor.")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Keep plain TCP, by which every computer can administer the nodes.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a description from the configuration of fliswarm.

    Each line of the file is taken, changed with a reason, or not needed; import-report.txt beside the description has
    all of them. Then the description is checked.
    """
    from countingroom.cli.check import check
    from countingroom.cli.example import write_new
    from countingroom.cli.fliswarm_import import FliswarmWishes, imported
    from countingroom.cli.import_ import REPORT
    from countingroom.cli.import_account import CHANGED, NOT_NEEDED, TAKEN

    text = file.read_text(encoding="utf-8", errors="replace")
    made = imported(text, file.name, FliswarmWishes(site=site, name=name, insecure=insecure))
    report = output.parent / REPORT
    write_new({output: made.text, report: "".join(f"{row}\n" for row in made.rows)})
    if json:
        print_json({"file": str(output), "lines": made.rows})
        return
    print_table(("Line", "What", "Verdict", "Reason"), _together(made.rows))
    counts = {one: sum(row.verdict == one for row in made.rows) for one in (TAKEN, CHANGED, NOT_NEEDED)}
    typer.echo(f"{report}: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
    check(output)


def _together(rows: Iterable[AccountRow]) -> Iterator[tuple[str, str, str, str]]:
    """Rows of a table. What was told of several lines with the same words is one row; what is simply taken, or goes
    with the key above it, is none."""
    alike: dict[tuple[str, str], list[AccountRow]] = {}
    for row in rows:
        if row.reason and not row.reason.startswith("with "):
            alike.setdefault((row.verdict, row.reason), []).append(row)
    for (verdict, reason), group in alike.items():
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        yield group[0].place, f"{group[0].what}{more}", verdict, reason
