"""Law: what is printed is a table for people or, with `--json`, the same facts for programs; refusals go to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.core.errors import Cause

if TYPE_CHECKING:
    from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
"""The option every command that prints a table takes; default False."""


def print_json(facts: Any) -> None:
    """Facts as indented JSON on stdout."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n")


def table(title: str, columns: Sequence[str], *, numbers: Iterable[str] = ()) -> Table:
    """An empty table in the house's manner; columns named in `numbers` stand right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    return made


def text(value: object) -> Any:
    """A cell that is text whatever it contains: no markup from devices is ever obeyed."""
    from rich.text import Text

    return Text("" if value is None else str(value))


def written(value: object) -> str:
    """A value as the description would have it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def listed(values: Mapping[str, object]) -> str:
    """Names with their values, in a line."""
    return ", ".join(f"{name} {written(value)}" for name, value in values.items())


def print_table(made: Table) -> None:
    """On stdout; as wide as it needs to be where stdout is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(240, console.width))
    console.print(made)


def print_cause(cause: Cause) -> None:
    """Why not, on stderr."""
    sys.stderr.write("".join(f"{line}\n" for line in cause.lines()))
