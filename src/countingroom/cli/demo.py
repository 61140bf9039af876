"""The command `demo`: it runs the simulated experiment that ships with the package, as `make demo` does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

NAME = "demo"


def demo_directory() -> Path:
    """The directory of the demo: in the installed package, or in the source tree it is installed from."""
    shipped = Path(__file__).parent / "examples" / NAME
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "examples" / NAME


@app.command()
def demo(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the console; 0 takes any free port.")
    ] = 8080,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder for bus, history, database and logs.", show_default=False)
    ] = None,
) -> None:
    """Run the demo, with a simulator in place of each device, until Ctrl-C."""
    from countingroom.cli.up import up

    up(demo_directory() / "experiment.yaml", simulate=True, port=port, data=data)
