"""The commands to the programs of the section `results`. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.policy import Permission

RESULTS = table(
    "results",
    CommandRow(
        name="start",
        description="Start a program; what it finds is kept as a result.",
        details="It may need a higher role: `role` of the program in the description.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="comment", description="For the record.", optional=True, letter="m"),
            Argument(
                name="parameters",
                description="A JSON object with parameters of the program in place of those of the description.",
                optional=True,
            ),
        ),
    ),
    CommandRow(
        name="stop",
        description="Stop a running program: what it has written until then is kept.",
        details="It gets SIGTERM, and SIGKILL after its time of grace.",
        permission=Permission.MAKE_SAFE,
    ),
)
"""Name -> row, in the order of help."""
