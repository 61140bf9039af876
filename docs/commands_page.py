"""The reference of the commands of run control, made from their tables in `core/commands`."""

from __future__ import annotations

from collections.abc import Iterator

from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.partition import PARTITION
from countingroom.core.commands.row import Argument, CommandRow, CommandTable
from countingroom.core.commands.system import SYSTEM
from countingroom.core.policy import NEEDS

HEAD = """# Commands of run control

Every command has one row in a table of the product. From it come its API route, the permission it needs, its command on
the command line, its button and this page. Bodies and answers of API routes are in
[API](api.md), the options of the command line in [Commands](cli.md).

Arguments in brackets are optional. *Role* is the lowest [role](console.md) that may give the command on this target;
*with control* means that it is refused while another user is in control of the target.
"""

PARTS = (
    ("To a partition", "`POST /api/v1/partitions/{partition}/commands/{command}`", PARTITION),
    ("To the experiment as a whole", "`POST /api/v1/experiment/commands/{command}`", EXPERIMENT),
    ("To the agent of a system", "`POST /api/v1/systems/{system}/commands/{command}`", SYSTEM),
)


def page() -> str:
    """The page, as Markdown."""
    return HEAD + "".join(f"\n## {title}\n\n{_route(route, rows)}\n\n{_table(rows)}" for title, route, rows in PARTS)


def _route(route: str, rows: CommandTable) -> str:
    short = ", ".join(f"`{row.name}`" for row in rows.values() if row.short_route)
    return f"{route}; {short} also without `commands/`." if short else f"{route}."


def _table(rows: CommandTable) -> str:
    head = ["| command | does | arguments | role | command line |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(_cells(row))} |" for row in rows.values())]) + "\n"


def _cells(row: CommandRow) -> Iterator[str]:
    yield f"`{row.name}`"
    yield f"{row.description} {row.details}".strip()
    yield "; ".join(_argument(one) for one in row.arguments) or "–"
    yield NEEDS[row.permission].name.lower() + (", with control" if row.under_lease else "")
    yield f"`{row.cli}`"


def _argument(argument: Argument) -> str:
    name = f"[`{argument.name}`]" if argument.optional else f"`{argument.name}`"
    return f"{name}: {argument.description.rstrip('.')}" if argument.description else name
