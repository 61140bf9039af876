"""Output of the commands: tables, or JSON with `--json`. Refusals and errors go to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.core.errors import Cause

if TYPE_CHECKING:
    from rich.table import Table
    from rich.tree import Tree

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
"""Option of every command that prints a table. Its default is False."""


def print_json(facts: Any) -> None:
    """Print values as indented JSON on stdout."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Iterable[object]], *, title: str = "", numbers: Iterable[str] = ()
) -> None:
    """Print a table on stdout. The columns named in `numbers` are right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    for row in rows:
        made.add_row(*map(text, row))
    print_rich(made)


def text(value: object) -> Any:
    """Plain text for a table or tree. Markup in texts of devices is shown, never interpreted."""
    from rich.text import Text

    return Text("" if value is None else str(value))


def written(value: object) -> str:
    """A value as it is written in the description."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def listed(values: Mapping[str, object]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {written(value)}" for name, value in values.items())


def print_rich(made: Table | Tree) -> None:
    """Print a table or tree on stdout. If stdout is not a terminal, lines are as long as their content."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(240, console.width))
    console.print(made)


def print_cause(cause: Cause) -> None:
    """Print a Cause on stderr."""
    sys.stderr.write("".join(f"{line}\n" for line in cause.lines()))
