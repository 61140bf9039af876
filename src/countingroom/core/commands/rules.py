"""The commands to rules, target `_rules`. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.policy import Permission

_RULE = Argument(name="rule", description="Its name in the description.")

RULES = table(
    "rules",
    CommandRow(
        name="arm",
        description="Arm a rule: it acts from now on.",
        details="A condition that is true already must be false first, unless the description says otherwise.",
        permission=Permission.OPERATE,
        arguments=(
            _RULE,
            Argument(name="reason", description="For the record.", optional=True, letter="m"),
        ),
    ),
    CommandRow(
        name="disarm",
        description="Disarm a rule: it does nothing until it is armed again.",
        details="A ramp that it has begun ends at its present step; a command that was sent is not taken back.",
        permission=Permission.OPERATE,
        arguments=(_RULE, Argument(name="reason", description="The reason, shown to all users.", letter="m")),
    ),
)
"""Name -> row, in the order of help."""
