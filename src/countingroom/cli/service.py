"""The command `service`: what the fleet starts for an agent or a role of countingroom."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def service() -> None:
    """Run what the environment orders, until SIGTERM. The fleet starts it."""
    from countingroom.app.service_process import run

    run()
