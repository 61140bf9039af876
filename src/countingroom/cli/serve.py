"""The command `serve`: it runs some roles of an experiment in one process, on another machine or under a supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from countingroom.departments import roles as known_roles

app = typer.Typer()


@app.command()
def serve(
    experiment: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    roles: Annotated[list[str], typer.Argument(help=f"{', '.join(known_roles())}.", show_default=False)],
    bus: Annotated[
        str,
        typer.Option(
            "--bus", help="The bus's URL; default: the description's, or that of `up` on the same data folder."
        ),
    ] = "",
    data: Annotated[
        Path | None, typer.Option("--data", help="Where history and database are kept.", show_default=False)
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option("--system", help="For the role agents: run only this system; can be repeated.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of the console.")] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run the named roles until Ctrl-C or SIGTERM. The bus must run already."""
    from countingroom.app.data_folder import default_data

    _serve(
        experiment,
        roles,
        bus=bus,
        data=data or default_data(experiment),
        systems=system or (),
        port=port,
        supervised=supervised,
    )


def serve_for_up(words: Sequence[str]) -> bool:
    """Do `serve` with the arguments that `up` gives its children. Returns False for any other arguments, without
    effect.

    The objects that Typer makes of a command line lie between those that the processes share: 1.5 MiB a process.
    """
    match words:
        case [experiment, role, "--supervised", "--bus", bus, "--data", data, "--port", port]:
            _serve(Path(experiment), [role], bus=bus, data=Path(data), systems=(), port=int(port), supervised=True)
            return True
        case [experiment, role, "--supervised", "--bus", bus, "--data", data, "--port", port, "--system", system]:
            place = Path(data)
            _serve(Path(experiment), [role], bus=bus, data=place, systems=(system,), port=int(port), supervised=True)
            return True
        case _:
            return False


def _serve(
    experiment: Path,
    roles: Sequence[str],
    *,
    bus: str,
    data: Path,
    systems: Sequence[str],
    port: int | None,
    supervised: bool,
) -> None:
    from countingroom.app import serve as serving
    from countingroom.console.description import ConsoleSection
    from countingroom.experiment import load, load_once

    description = load_once(experiment.resolve()) if supervised else load(experiment)
    task = serving.ServeTask(
        experiment=description,
        directory=experiment.resolve().parent,
        file=experiment.resolve(),
        roles=serving.known_roles(roles),
        bus_url=bus,
        data=data.resolve(),
        port=description.section(ConsoleSection).port if port is None else port,
        systems=tuple(systems),
    )
    if supervised:
        serving.run_as_child(task)
    else:
        serving.run_in_foreground(task)
