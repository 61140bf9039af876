"""The commands about control: a partition and the experiment as a whole each have them. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, ButtonPlace, CommandRow
from countingroom.core.policy import Permission

CONTROL = (
    CommandRow(
        name="take_control",
        description="Take control of a partition; `_experiment` for the experiment as a whole.",
        details="Refused while another user is in control.",
        permission=Permission.TAKE_CONTROL,
        cli="partition take",
        button=ButtonPlace.CONTROL,
    ),
    CommandRow(
        name="release_control",
        label="Release",
        description="Give control up.",
        permission=Permission.OPERATE,
        cli="partition release",
        button=ButtonPlace.CONTROL,
    ),
    CommandRow(
        name="hand_over",
        description="Give control to another user.",
        details="Refused where that user's role does not allow control.",
        permission=Permission.OPERATE,
        arguments=(Argument(name="to", description="The user who is in control then."),),
        cli="partition hand-over",
        button=ButtonPlace.CONTROL,
        confirmed=True,
    ),
    CommandRow(
        name="request_control",
        label="Ask for control",
        description="Ask the user in control to give it up; take it where it is free.",
        permission=Permission.ACKNOWLEDGE,
        cli="partition request",
        button=ButtonPlace.CONTROL,
    ),
    CommandRow(
        name="force_control",
        label="Take over",
        description="Take control also from the user who has it.",
        details="`--force` on the command line. It is recorded.",
        permission=Permission.TAKE_OVER,
        cli="partition take",
        button=ButtonPlace.CONTROL,
        confirmed=True,
        dangerous=True,
    ),
)

CONTROL_COMMANDS = frozenset(row.name for row in CONTROL)
"""Their names. Giving one of them is no use of control."""
