"""The command `up`: it runs a whole experiment in the foreground and prints its progress line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def up(
    experiment: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Use simulators for every device, over the real protocols.")
    ] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of the console; 0 takes any free port.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder for bus, history, database and logs.", show_default=False)
    ] = None,
) -> None:
    """Run an experiment: bus, device host, history, run control with its agents, and console, until Ctrl-C.

    Without `console.login` in the description the console listens on this machine only.
    """
    from countingroom.app import up as everything
    from countingroom.app.data_folder import default_data
    from countingroom.console.description import ConsoleSection
    from countingroom.experiment import load

    description = load(experiment)
    everything.run(
        everything.StartPlan(
            description=experiment.resolve(),
            experiment=description,
            simulate=simulate,
            port=description.section(ConsoleSection).port if port is None else port,
            data=(data or default_data(experiment)).resolve(),
        ),
        say=lambda line: print(line, flush=True),
    )
