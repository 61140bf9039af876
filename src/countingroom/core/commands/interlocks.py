"""The commands to interlocks, target `_interlocks`. Pure.

The permission of a row is the lowest that any interlock can ask for; each interlock declares its own roles.
"""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.points import Type
from countingroom.core.policy import Permission

_INTERLOCK = Argument(name="interlock", description="Its name.")
_CAUSE = Argument(name="cause", description="The cause: a row of the matrix.")

INTERLOCKS = table(
    "interlock",
    CommandRow(
        name="reset",
        description="End the trip of an interlock whose causes are gone or bypassed.",
        details="The interlock declares the role that may do it.",
        permission=Permission.OPERATE,
        arguments=(
            _INTERLOCK,
            Argument(
                name="reason", description="What was found and mended, for the record.", optional=True, letter="m"
            ),
        ),
    ),
    CommandRow(
        name="bypass",
        description="Bypass a cause for a time: it does not trip, and what it would do is shown.",
        details="The interlock declares the role that may do it, and the longest time.",
        permission=Permission.OPERATE,
        arguments=(
            _INTERLOCK,
            _CAUSE,
            Argument(name="reason", description="The reason, shown to all users."),
            Argument(name="seconds", description="For how long.", type=Type.FLOAT, unit="s", low=1.0),
        ),
    ),
    CommandRow(
        name="end_bypass",
        description="End the bypass of a cause now. What it held back happens.",
        permission=Permission.OPERATE,
        arguments=(_INTERLOCK, _CAUSE),
        cli="interlock unbypass",
    ),
    CommandRow(
        name="proof_test",
        description="Record the result of a proof test.",
        details="Its date counts for the declared period; a test that failed is overdue at once.",
        permission=Permission.OPERATE,
        arguments=(
            _INTERLOCK,
            Argument(name="passed", description="Whether it did what it should.", type=Type.BOOL),
            Argument(name="comment", description="What was done and found.", optional=True, letter="m"),
            Argument(name="cause", description="The cause that was provoked; not given: every one.", optional=True),
        ),
        cli="interlock test",
    ),
)
"""Name -> row, in the order of help."""
