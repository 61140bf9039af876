"""The command `fleet generate`: it writes the services of a description as files of systemd, Quadlet or Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from countingroom.fleet.generate.account import FilePlan, Generated

app = typer.Typer(no_args_is_help=True, help="Write services as files of systemd, Quadlet or Kubernetes.")

Services = Annotated[
    list[str] | None, typer.Argument(metavar="[SERVICE]...", help="All where none is given.", show_default=False)
]
File = Annotated[Path, typer.Option("--file", "-f", help="The description.", exists=True, dir_okay=False)]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write in. Default: name of the form.")]
User = Annotated[str, typer.Option("--user", help="Account that runs the programs: NAME or NAME:GROUP.")]
_FILE = Path("experiment.yaml")


@app.callback()
def generate() -> None:
    """Write services as files of systemd, Quadlet or Kubernetes."""


@app.command()
def systemd(
    services: Services = None, file: File = _FILE, output: Output = None, user: User = "", json: Json = False
) -> None:
    """Units for services that are programs: a folder for each node.

    What each key became is told; secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.fleet.generate.systemd import systemd_files

    _generate(systemd_files, "systemd", services, file, output, user=user, json=json)


@app.command()
def quadlet(services: Services = None, file: File = _FILE, output: Output = None, json: Json = False) -> None:
    """Files of Quadlet (Podman 5) for services that are images: a folder for each node.

    What each key became is told; secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.fleet.generate.quadlet import quadlet_files

    _generate(quadlet_files, "quadlet", services, file, output, json=json)


@app.command()
def kubernetes(services: Services = None, file: File = _FILE, output: Output = None, json: Json = False) -> None:
    """Manifests of Kubernetes for services that are images: a file for each service.

    What each key became is told; secrets are referred to and never written; no file is overwritten.
    """
    from countingroom.fleet.generate.kubernetes import kubernetes_files

    _generate(kubernetes_files, "kubernetes", services, file, output, json=json)


def _generate(
    make: Callable[[FilePlan], Generated],
    form: str,
    services: list[str] | None,
    file: Path,
    output: Path | None,
    *,
    user: str = "",
    json: bool,
) -> None:
    import sys

    from countingroom.cli.example import write_new
    from countingroom.experiment.loading import load
    from countingroom.fleet.description import FleetSection
    from countingroom.fleet.generate.account import FilePlan, chosen
    from countingroom.fleet.wanted import wanted

    experiment = load(file)
    section = experiment.section(FleetSection)
    revision = wanted(section)
    plan = FilePlan(
        experiment=experiment.experiment.name,
        revision=revision,
        services=chosen(revision, services or ()),
        titles={name: one.title for name, one in section.services.items() if one.title},
        directory=str(file.absolute().parent),
        python=sys.executable,
        user=user,
    )
    made = make(plan)
    folder = output or Path(form)
    written = {folder / path: text for path, text in made.files.items()}
    write_new(written)
    if json:
        print_json({"files": [str(path) for path in written], "keys": made.rows})
        return
    for path in written:
        typer.echo(path)
    print_table(
        ("service", "key", "verdict", "what it became, or why not"),
        ((one.service, one.key, one.verdict, one.text) for one in made.rows),
    )
    if not written:
        typer.echo("No file: see the table.")
