"""The command to the description in force, target `_description` of `processes`. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.policy import Permission

DESCRIPTION = table(
    "description",
    CommandRow(
        name="reload",
        description="Put the edited description in force, without disturbing what did not change.",
        details="Refused as a whole, with every mistake or reason; then nothing has changed.",
        permission=Permission.ADMINISTER,
        arguments=(
            Argument(
                name="digest", description="Of the plan that was shown; refused where it is another.", optional=True
            ),
        ),
        cli="reload",
        wait_s=60.0,
        confirmed=True,
    ),
)
