"""The commands of a door: names, options and help, as fliswarm and CLU have them. Pure.

Click parses them, as it does for CLU, so help and refusals have the same words. This module does not execute commands:
`parse` returns the command with its options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import click
from msgspec import Struct

from countingroom.core.actor.words import split_words
from countingroom.core.errors import NotFound, RequestError

_WIDTH = 78
"""Letters of a line of help: that of CLU where its output is no terminal."""
_SHORT = 200
"""The longest command, in letters, whose parsed form is kept, because scripts repeat short commands."""


class Parsed(Struct, frozen=True):
    """A command with the values of its options and arguments."""

    name: str
    values: Mapping[str, Any]


class GrammarError(RequestError):
    """A command that does not exist, or options that it does not take. `help` has the lines that say what is wrong."""

    code = "no_such_command"
    suggestion = "see help"

    def __init__(self, body: str, help: Sequence[str]) -> None:
        super().__init__(f"Command {body!r} does not exist or cannot be parsed.")
        self.help = tuple(help)


def _command(name: str, text: str, *params: click.Parameter) -> click.Command:
    # As in CLU: a negative number is no option.
    return click.Command(name, help=text, params=list(params), context_settings={"ignore_unknown_options": True})


_BUILT_IN = (
    _command("ping", "Pings the actor."),
    _command("version", "Reports the version."),
    _command("get_schema", "Returns the schema of the actor as a JSON schema."),
    _command("help", "Shows the help.", click.Argument(["parser_command"], required=False)),
    _command(
        "get-command-model",
        "Returns a dictionary representation of the command using ``unclick``.",
        click.Argument(["command_name"], required=False),
    ),
    _command(
        "keyword", "Prints human-readable information about a keyword.", click.Argument(["keyword"], required=True)
    ),
)


def _names(what: str, verb: str = "command") -> click.Option:
    return click.Option(["--names", "-n"], type=str, help=f"Comma-separated {what} to {verb}.")


def _category(what: str) -> click.Option:
    return click.Option(["--category", "-c"], type=str, help=f"Category of {what} (gfa, fvc).")


_OF_FLISWARM = (
    _command("status", "Outputs the status of the nodes and containers."),
    _command(
        "reconnect",
        "Recreates volumes and restarts the Docker containers.",
        _names("nodes", "reconnect"),
        _category("nodes to reconnect"),
        click.Option(["--force", "-f"], is_flag=True, help="Stops and restarts services even if they are running."),
    ),
    _command(
        "reboot",
        "Reboot the NUC computer(s).",
        _names("nodes", "reconnect"),
        _category("nodes to reconnect"),
        click.Option(["--hard", "-f"], is_flag=True, help="Reboots the NUC by power cycling it."),
    ),
    _command(
        "talk",
        "Sends a command to selected or all cameras.",
        click.Argument(["camera_command"], nargs=-1, type=str),
        _names("cameras"),
        _category("cameras to talk to"),
    ),
    _command(
        "disable",
        "Disables one or multiple cameras/nodes.",
        click.Argument(["nodes_to_disable"], metavar="NODES", nargs=-1, type=str),
        click.Option(["-a", "--all"], is_flag=True, help="Disable all nodes."),
    ),
    _command(
        "enable",
        "Enables one or multiple cameras.",
        click.Argument(["nodes_to_enable"], metavar="NODES", nargs=-1, type=str),
        click.Option(["-a", "--all"], is_flag=True, help="Enable all nodes."),
    ),
    _command(
        "simulate",
        "Simulate images being written to disk.",
        click.Argument(["glob"], type=str, required=False),
        click.Option(["--delay"], type=float, default=5, help="Delay between outputting images."),
        click.Option(["--random"], is_flag=True, help="Randomise images."),
        click.Option(["--stop"], is_flag=True, help="Stops the execution of the command."),
    ),
)
_MULTILINE = click.Command(
    "multiline",
    params=[click.Option(["--on/--off"], default=True, help="Turn multiline on/off.")],
    help="Set multiline mode for the transport.",
    context_settings={"ignore_unknown_options": True},
)


class Grammar:
    """The commands of a door."""

    def __init__(self, actor: str, *, is_json: bool) -> None:
        """`actor`: its name, for help. `is_json`: whether there is `multiline`."""
        self._actor = actor
        self._group = click.Group()
        for one in (*_BUILT_IN, *_OF_FLISWARM, *([_MULTILINE] if is_json else [])):
            self._group.add_command(one)
        self._parse_short = lru_cache(512)(self._parse)
        self._lines: dict[tuple[str, ...], list[str]] = {}
        """Command -> its help."""

    def parse(self, body: str) -> Parsed:
        """The command of a line. GrammarError, or ActorSyntaxError for a quote without its end."""
        return self._parse_short(body) if len(body) <= _SHORT else self._parse(body)

    def help(self, words: Sequence[str] = ()) -> list[str]:
        """The lines of help, of one command or of all. NotFound where there is no such command."""
        if kept := self._lines.get(tuple(words)):
            return kept
        command: click.Command = self._group
        for word in words:
            found = command.commands.get(word) if isinstance(command, click.Group) else None
            if found is None:
                raise NotFound(f"command {word} not found.", suggestion="see help")
            command = found
        context = click.Context(command, info_name="_", terminal_width=_WIDTH)
        lines = command.get_help(context).splitlines()
        # The usage names the program there; CLU puts the name of the actor and the command in its place.
        shown = " ".join([self._actor, *words])
        made = [line.replace("Usage: _", f"Usage: {shown}", 1) for line in lines]
        return self._lines.setdefault(tuple(words), made)

    def model(self, name: str | None) -> dict[str, Any]:
        """A command, or all, as the package unclick describes them. NotFound where there is no such command."""
        command = self._group if name is None else self._group.commands.get(name)
        if command is None:
            raise NotFound(f"Cannot find command {name}.", suggestion="see help")
        return click.Context(command).to_info_dict()["command"]

    def _parse(self, body: str) -> Parsed:
        words = split_words(body)
        if "--help" in words:
            return Parsed("help", {"words": tuple(word for word in words if word != "--help")})
        if words[:1] == ["help"]:
            return Parsed("help", {"words": tuple(" ".join(words[1:]).split())})
        context = click.Context(self._group, info_name=self._actor)
        try:
            if words[0].startswith("-"):
                raise click.NoSuchOption(words[0])
            name, command, rest = self._group.resolve_command(context, words)
            if command is None:
                raise click.UsageError(f"No such command {words[0]!r}.")
            with command.make_context(name, rest, parent=context) as own:
                return Parsed(command.name or "", dict(own.params))
        except click.ClickException as error:
            raise GrammarError(body, [f"{type(error).__name__}: {error.format_message()}"]) from None
