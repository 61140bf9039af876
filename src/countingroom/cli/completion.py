"""The command `completion`: it installs or prints the completion script of a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

PROGRAM = "countingroom"

app = typer.Typer(no_args_is_help=True, help="Complete commands in your shell.")


class Shell(StrEnum):
    """The supported shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def install(shell: Annotated[Shell, typer.Argument(help="The shell you use.", show_default=False)]) -> None:
    """Install the completion for your user, where the shell looks for it."""
    from typer.completion import install as install_script  # pyright: ignore[reportPrivateImportUsage]

    _, path = install_script(shell=shell.value, prog_name=PROGRAM, complete_var=_variable())
    typer.echo(f"Installed in {path}; it works in new shells.")


@app.command()
def show(shell: Annotated[Shell, typer.Argument(help="The shell you use.", show_default=False)]) -> None:
    """Print the completion script."""
    from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]

    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=_variable(), shell=shell.value))


def _variable() -> str:
    return f"_{PROGRAM.upper()}_COMPLETE"
