"""The commands as they are registered, for tests that compare the documentation with them."""

from __future__ import annotations

from typing import Any

import typer

from countingroom.cli.main import app


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and the words left for it; KeyError when there is none."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(command, "list_commands"):
        context = command.make_context("countingroom", [], resilient_parsing=True)
        if rest[0] not in command.list_commands(context):
            if rest[0].startswith("-"):
                break
            raise KeyError(f"no command {rest[0]!r}")
        _, command, rest = command.resolve_command(context, rest)
    return command, rest
