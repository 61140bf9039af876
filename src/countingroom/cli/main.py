"""Entry point of the command line: the list of all commands.

A command's module is imported only when the command is called, because imports take most of the start-up time.

Exit status: 0 done, 1 refused or failed (its Cause is on stderr), 2 wrong usage or an invalid description.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # pyright: ignore[reportPrivateImportUsage]
from typer.core import TyperCommand, TyperGroup

from countingroom import __version__
from countingroom.core.errors import ConfigurationError, CountingRoomError

REFUSED = 1
INVALID = 2
INTERRUPTED = 130

COMMANDS = {
    "up": ("countingroom.cli.up", "Run an experiment: everything, in the foreground."),
    "demo": ("countingroom.cli.demo", "Run the demo: a simulated experiment."),
    "serve": ("countingroom.cli.serve", "Run some roles of an experiment."),
    "service": ("countingroom.cli.service", "Run what the fleet orders by the environment."),
    "check": ("countingroom.cli.check", "Check a description without touching anything."),
    "schema": ("countingroom.cli.schema", "Print the description's JSON Schema, for editors."),
    "fsm": ("countingroom.cli.fsm", "Check, show and draw state machines."),
    "synoptic": ("countingroom.cli.synoptic", "Check and preview drawings that show points and states."),
    "device": ("countingroom.cli.device", "See and command devices."),
    "partition": ("countingroom.cli.partition", "Show and control partitions."),
    "system": ("countingroom.cli.system", "Show systems and report errors for them."),
    "alarm": ("countingroom.cli.alarm", "See, acknowledge, reset and shelve alarms."),
    "rules": ("countingroom.cli.rules", "See, arm and disarm rules; replay history."),
    "interlock": ("countingroom.cli.interlock", "See, reset, bypass and test interlocks."),
    "snapshot": ("countingroom.cli.snapshot", "Setpoints as they were: take, compare, restore."),
    "reload": ("countingroom.cli.reload", "Put an edited description in force."),
    "apply": ("countingroom.cli.apply", "Apply an edited description to the database."),
    "config": ("countingroom.cli.config", "Configurations and tags: see, change, compare, exchange."),
    "run": ("countingroom.cli.run", "The run book: find, show, comment, judge, export."),
    "results": ("countingroom.cli.results", "Calibrations: start programs, see and compare results."),
    "fleet": ("countingroom.cli.fleet", "Services on many computers: see, plan, apply, roll back."),
    "history": ("countingroom.cli.history", "Query and export recorded values."),
    "mqtt": ("countingroom.cli.mqtt", "Show and clear what the bus keeps for MQTT clients."),
    "secop": ("countingroom.cli.secop", "Ask a SECoP node what it is, and write its section."),
    "mirror": ("countingroom.cli.mirror", "What leaves the laboratory, and why; the public site."),
    "snmp": ("countingroom.cli.snmp", "Ask an SNMP agent what it has, and write its section."),
    "deploy": ("countingroom.cli.deploy", "Write files that run all of it: an image, Compose, Kubernetes."),
    "backup": ("countingroom.cli.backup", "Back up everything while it runs; verify and list backups."),
    "restore": ("countingroom.cli.restore", "Make a folder of a backup, to start the experiment from."),
    "init": ("countingroom.cli.init", "Write users and permissions for the site's own NATS server."),
    "example": ("countingroom.cli.example", "Write a description to begin with."),
    "import": ("countingroom.cli.import_", "Make a description from another system's files."),
    "simulate": ("countingroom.cli.simulate", "Run one simulator, or cause a fault in a running one."),
    "user": ("countingroom.cli.user", "Accounts of the console: the first administrator, tokens, roles."),
    "completion": ("countingroom.cli.completion", "Complete commands in your shell."),
}
"""Command -> the module that holds its `app`, and its line in the help."""


NOT_BY_HAND = {"service"}
"""Commands that the fleet starts: neither listed nor completed."""
_OWN_COMPLETION = {"install_completion", "show_completion"}
"""Options that Typer adds to every application; the command `completion` takes their place."""


class _Rooms(TyperGroup):
    """A group that imports a command when it is called. Typer's own Click has no public types."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1], hidden=cmd_name in NOT_BY_HAND)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = typer.main.get_command(import_module(COMMANDS[name][0]).app)
            command.name = name
            command.params = [one for one in command.params if one.name not in _OWN_COMPLETION]
        return name, command, rest


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"countingroom {__version__}")
        raise typer.Exit


app = typer.Typer(cls=_Rooms, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """The control room of a scientific experiment as one system."""


def run(arguments: list[str] | None = None) -> int:
    """Run one command line. Returns the exit status."""
    from countingroom.cli.output import print_cause

    if "_COUNTINGROOM_COMPLETE" in os.environ:
        completion_init()
    try:
        words = sys.argv[1:] if arguments is None else arguments
        if words[:1] == ["serve"] and import_module(COMMANDS["serve"][0]).serve_for_up(words[1:]):
            return 0
        app(arguments, prog_name="countingroom")
    except CountingRoomError as error:
        print_cause(error.cause)
        return INVALID if isinstance(error, ConfigurationError) else REFUSED
    except KeyboardInterrupt:  # while it was still being imported
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def main() -> None:
    """The command `countingroom`."""
    raise SystemExit(run())


if __name__ == "__main__":
    main()
