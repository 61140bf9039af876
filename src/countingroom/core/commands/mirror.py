"""The commands to the mirror: decide which templates of log lines leave. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.points import Type
from countingroom.core.policy import Permission

TARGET = "_templates"
"""The one target of these commands; the description refuses an upstream of this name."""

_TEMPLATE = Argument(name="template", description="Its id in the list.")
_REASON = Argument(name="reason", description="For the record.", letter="m")

MIRROR = table(
    "mirror",
    CommandRow(
        name="approve",
        description="Let the lines of a template leave, as it was proposed.",
        details="It counts from the next line on, without a restart. With `mirror.approvals.two_persons` a second "
        "person must confirm it first. Refused where the proposal is not known any more, or the words of the template "
        "hold a name of the inside.",
        permission=Permission.CONFIGURE,
        arguments=(
            _TEMPLATE,
            Argument(name="mark", description="Of the proposal that was seen."),
            Argument(
                name="mask",
                description="Slots that are masked in place of what was proposed: `1,3`, or `all`.",
                optional=True,
            ),
            _REASON,
            Argument(
                name="days",
                description="After so many days its lines are withheld again.",
                type=Type.FLOAT,
                unit="d",
                low=0,
                optional=True,
            ),
        ),
    ),
    CommandRow(
        name="confirm",
        description="Confirm, as the second person, an approval that another user gave.",
        permission=Permission.CONFIGURE,
        arguments=(_TEMPLATE, Argument(name="reason", description="For the record.", optional=True, letter="m")),
    ),
    CommandRow(
        name="refuse",
        description="Withhold the lines of a template for good: it is not proposed again.",
        details="Also of one that was approved, and of one that a file of the description approves.",
        permission=Permission.CONFIGURE,
        arguments=(_TEMPLATE, _REASON),
    ),
    CommandRow(
        name="withdraw",
        description="Take back what was decided of a template: its lines are withheld until it is decided anew.",
        permission=Permission.CONFIGURE,
        arguments=(_TEMPLATE, _REASON),
    ),
)
"""Name -> row, in the order of help."""
