"""The command `import`: it makes a description from the files of another system, and accounts for each of their lines.

It never overwrites a file, and connects to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.output import Json, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Make a description from the files of another system.")

REPORT = "import-report.txt"
Found = Annotated[
    Path, typer.Argument(help="Folder with its YAML files: channels, registers.", show_default=False, exists=True)
]
Address = Annotated[str, typer.Option(help="Serial line, or socket://HOST:PORT.")]


@app.callback()
def import_() -> None:
    """Make a description from the files of another system."""


@app.command("tracker-dcs")
def tracker_dcs(
    directory: Found,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the description in.")] = Path(
        "cleanroom"
    ),
    name: Annotated[str, typer.Option(help="Short name of the experiment.")] = "cleanroom",
    julabo: Address = "",
    marta: Annotated[str, typer.Option(help="Host of the MARTA plant, which its register file does not name.")] = "",
    switchbox: Address = "",
    epics: Annotated[
        list[str] | None, typer.Option(help="EPICS name server, HOST or HOST:PORT. May be repeated.")
    ] = None,
    broker: Annotated[
        str, typer.Option(help="Broker of the dashboards, mqtt://HOST:PORT; else the built-in one.")
    ] = "",
    json: Json = False,
) -> None:
    """Make a description from the YAML files of a tracker DCS.

    Each line of the files is taken, changed with a reason, or not needed; import-report.txt has all of them. Then the
    description is checked.
    """
    from countingroom.bus.server.credentials import write_private
    from countingroom.cli.check import check
    from countingroom.cli.example import write_new
    from countingroom.cli.tracker_import import Wishes, imported

    wishes = Wishes(name=name, julabo=julabo, marta=marta, switchbox=switchbox, epics=tuple(epics or ()), broker=broker)
    made = imported(directory, wishes, secrets=(output / "secrets").absolute())
    report = "".join(f"{row}\n" for row in made.rows)
    write_new({output / path: text for path, text in made.files.items()} | {output / REPORT: report})
    (output / "secrets").mkdir(mode=0o700, exist_ok=True)
    for user, password in made.passwords.items():
        write_private(output / "secrets" / f"mqtt-{user}", f"{password}\n".encode())
    if json:
        print_json({"files": sorted(made.files), "lines": made.rows})
        return
    told = [row for row in made.rows if row.verdict != "taken" or row.reason]
    print_table(("Line", "What", "Verdict", "Reason"), ((row.place, row.what, row.verdict, row.reason) for row in told))
    counts = {
        verdict: sum(row.verdict == verdict for row in made.rows) for verdict in ("taken", "changed", "not needed")
    }
    typer.echo(f"{output / REPORT}: {', '.join(f'{count} lines {verdict}' for verdict, count in counts.items())}")
    check(output / "experiment.yaml")
