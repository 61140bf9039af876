"""A command of run control as one row of a table. Pure.

Everything that names a command is made from its row, so a new command is a row and a handler.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, structs

from countingroom.core.points import Type
from countingroom.core.policy import UNDER_LEASE, Permission
from countingroom.core.values import Scalar


class ButtonPlace(StrEnum):
    """Where on the page of a partition a command has its button."""

    NONE = ""
    HEAD = "head"
    """Beside the state of the partition."""
    CONTROL = "control"
    """Beside the name of the person in control."""
    SYSTEM = "system"
    """In the row of each system."""


class Argument(Struct, frozen=True, kw_only=True):
    """An argument of a command. On the command line a required one is positional, an optional one is an option."""

    name: str
    label: str = ""
    """In forms, and in capitals in the usage of the command line; empty in a row: made from the name."""
    description: str = ""
    type: Type = Type.STRING
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] = ()
    optional: bool = False
    letter: str = ""
    """The short option of the command line: `m` for `-m`."""


class CommandRow(Struct, frozen=True, kw_only=True):
    """A command: what it does, what it takes, what it needs, and where it is offered."""

    name: str
    """In the API and on the bus: `configure_all`."""
    label: str = ""
    """Of its button; empty in a row: made from the name."""
    description: str
    """One sentence: the help of the command line, and the first sentence of the reference."""
    details: str = ""
    """What the reference says beyond that."""
    permission: Permission
    arguments: tuple[Argument, ...] = ()
    cli: str = ""
    """The words after `countingroom`: `partition configure-all`. Two rows may share them, told apart by an option.
    Empty in a row: made from the name."""
    wait_s: float = 10.0
    """How long the command line waits for the outcome unless `--wait` says otherwise."""
    button: ButtonPlace = ButtonPlace.NONE
    confirmed: bool = False
    """The page shows what it will do before it is sent; the label of its button ends with `…`."""
    dangerous: bool = False
    """Its button is red."""
    short_route: bool = False
    """Of a partition: `POST …/partitions/{partition}/NAME` is the same as `…/commands/NAME`."""

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of its arguments."""
        return tuple(one.name for one in self.arguments)

    @property
    def under_lease(self) -> bool:
        """Whether it is refused while another user is in control of its target."""
        return self.permission in UNDER_LEASE

    @property
    def usage(self) -> str:
        """Name and arguments as the API takes them: `goal {state, tag?}`."""
        given = ", ".join(f"{one.name}?" if one.optional else one.name for one in self.arguments)
        return f"{self.name} {{{given}}}" if given else self.name


CommandTable = dict[str, CommandRow]
"""Name -> row, in the order in which commands are listed."""


def table(target: str, *rows: CommandRow) -> CommandTable:
    """Rows by their names, with what they leave to be made from the name. `target`: first word of the command line."""
    return {
        row.name: structs.replace(
            row,
            label=row.label or _label(row.name),
            arguments=tuple(structs.replace(one, label=one.label or _label(one.name)) for one in row.arguments),
            cli=row.cli or f"{target} {row.name.replace('_', '-')}",
        )
        for row in rows
    }


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def reference(rows: Iterable[CommandRow]) -> str:
    """The commands as a list in Markdown, for the description of the API."""
    return "\n".join(f"- `{row.usage}`: {row.description}" for row in rows)
