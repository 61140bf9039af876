"""Commands of the command line, made from the rows of the tables in `core/commands`.

A row without a function written by hand gets a plain command: required arguments are positional, optional ones are
options, and the outcome is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from countingroom.cli import completing
from countingroom.cli.client import DEFAULT_URL, Url
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json
from countingroom.cli.partition_act import do, say
from countingroom.core import subjects
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.partition import PARTITION
from countingroom.core.commands.row import Argument, CommandRow
from countingroom.core.commands.system import SYSTEM
from countingroom.core.points import Type

Function = Callable[..., None]

TABLES = (("partition", PARTITION), ("experiment", EXPERIMENT), ("system", SYSTEM))
"""Kind of target -> its command table."""

_TYPES: dict[Type, type] = {Type.FLOAT: float, Type.INT: int, Type.BOOL: bool, Type.STRING: str}


def add_commands(app: typer.Typer, group: str, written: Mapping[str, Function] | None = None) -> None:
    """Add the commands of a group (`partition`, `config tag`) in the order of the tables.

    `written` maps the last word of a command to its function where it is written by hand. Two rows may share a command:
    `partition take` gives `take_control` or, with an option, `force_control`.
    """
    by_hand = written or {}
    added: set[str] = set()
    for target, rows in TABLES:
        for row in rows.values():
            words, _, name = row.cli.rpartition(" ")
            if words == group and name not in added:
                added.add(name)
                app.command(name)(by_hand.get(name) or _plain(target, row))
    if unknown := by_hand.keys() - added:
        raise LookupError(f"no row of core/commands has the command {group} {sorted(unknown)[0]}")


def _plain(target: str, row: CommandRow) -> Function:
    def command(**given: Any) -> None:
        wait, url, json = given.pop("wait"), given.pop("url"), given.pop("json")
        name = given.pop("target", subjects.EXPERIMENT)
        arguments = {one: value for one, value in given.items() if value not in (None, "")}
        (say if target == "system" else do)(name, row.name, arguments, wait, url, json)

    parameters = [
        *([] if target == "experiment" else [_parameter("target", _target(target), Parameter.empty)]),
        *(_parameter(one.name, *_taken(one)) for one in sorted(row.arguments, key=lambda one: one.optional)),
        _parameter("wait", Wait, row.wait_s),
        _parameter("url", Url, DEFAULT_URL),
        _parameter("json", Json, False),
    ]
    command.__signature__ = Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]  what Typer reads
    command.__doc__ = row.description
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _target(target: str) -> Any:
    names = {"partition": completing.partitions, "system": completing.systems}.get(target)
    return Annotated[str, typer.Argument(metavar=target.upper(), show_default=False, autocompletion=names)]


def _taken(argument: Argument) -> tuple[Any, Any]:
    """Annotation and default of an argument."""
    kind, words = _TYPES[argument.type], argument.description or None
    if not argument.optional:
        metavar = (argument.label or argument.name).upper()
        taken = typer.Argument(metavar=metavar, help=words, show_default=False, min=argument.low, max=argument.high)
        return Annotated[kind, taken], Parameter.empty
    names = [f"--{argument.name.replace('_', '-')}", *([f"-{argument.letter}"] if argument.letter else [])]
    option = typer.Option(*names, help=words, min=argument.low, max=argument.high)
    if argument.type is Type.BOOL:
        return Annotated[bool, option], False
    if argument.type is Type.STRING:
        return Annotated[str, option], ""
    return Annotated[kind | None, option], None
