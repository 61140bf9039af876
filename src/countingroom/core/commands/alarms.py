"""The commands to the alarm department, target `_alarms`. Pure.

Each may name many alarms at once: the argument `alarms` is JSON text of an object, identity of an alarm -> what the
user saw of it: the number of the occurrence, or that and the priority, or null where it does not matter. `listed` makes
that text, `named` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.errors import OutOfRange
from countingroom.core.points import Type
from countingroom.core.policy import Permission

MOST_ALARMS = 1000
"""Alarms that one command may name: a request to the API has at most 64 KiB. For more, several commands are sent."""

# Without limits of the numbers: msgspec 0.22 ends the process with a segmentation fault on a union of a limited number
# and a tuple. A number that no alarm has is refused later.
Seen = int | tuple[int, int] | None
"""The occurrence, or occurrence and priority, of an alarm that the user saw; None: it does not matter."""

_ALARMS = Argument(
    name="alarms",
    description="JSON text: identity of an alarm -> number of the occurrence that was seen, or [occurrence, priority], "
    "or null.",
)
_ALARMS_OR_AREA = Argument(name="alarms", description="As for acknowledge; or give an area.", optional=True)
_AREA = Argument(name="area", description="Every alarm of this area, instead of `alarms`.", optional=True)
_COMMENT = Argument(name="comment", description="For the record.", optional=True, letter="m")

ALARMS = table(
    "alarm",
    CommandRow(
        name="acknowledge",
        description="Acknowledge alarms: a person has seen them and acts.",
        details="Refused for an alarm that has another occurrence than the one that was seen: it happened again. With "
        "the priority that was seen it is also refused for one that is more urgent now.",
        permission=Permission.ACKNOWLEDGE,
        arguments=(_ALARMS, _COMMENT),
        cli="alarm ack",
    ),
    CommandRow(
        name="reset",
        description="Reset latched alarms whose condition is clear and which are acknowledged.",
        details="Refused for an alarm that has another occurrence than the one that was seen.",
        permission=Permission.OPERATE,
        arguments=(_ALARMS, _COMMENT),
    ),
    CommandRow(
        name="shelve",
        description="Shelve alarms for a time: they are evaluated and recorded, and not announced.",
        permission=Permission.OPERATE,
        arguments=(
            _ALARMS_OR_AREA,
            _AREA,
            Argument(name="reason", description="The reason, shown to all users."),
            Argument(name="seconds", description="For how long.", type=Type.FLOAT, unit="s", low=1.0),
            Argument(name="once", description="Also end it when the condition clears.", type=Type.BOOL, optional=True),
        ),
    ),
    CommandRow(
        name="unshelve",
        description="End the shelving of alarms now.",
        permission=Permission.OPERATE,
        arguments=(_ALARMS_OR_AREA, _AREA, _COMMENT),
    ),
    CommandRow(
        name="out_of_service",
        description="Take alarms out of service while something is repaired.",
        permission=Permission.CONFIGURE,
        arguments=(
            _ALARMS_OR_AREA,
            _AREA,
            Argument(name="owner", description="Who repairs it."),
            Argument(name="reason", description="The reason, shown to all users."),
            Argument(name="seconds", description="So long from now it is due.", type=Type.FLOAT, unit="s", low=1.0),
        ),
        cli="alarm service",
    ),
    CommandRow(
        name="in_service",
        description="Put alarms back into service.",
        permission=Permission.CONFIGURE,
        arguments=(_ALARMS_OR_AREA, _AREA, _COMMENT),
        cli="alarm service",
    ),
    CommandRow(
        name="comment",
        description="Write a comment into the history of alarms.",
        permission=Permission.ACKNOWLEDGE,
        arguments=(_ALARMS, Argument(name="comment", description="The comment.", letter="m")),
    ),
)
"""Name -> row, in the order of help."""


def listed(alarms: Mapping[str, Seen]) -> str:
    """The argument `alarms` of a command."""
    return msgspec.json.encode(alarms).decode()


def named(argument: str) -> dict[str, Seen]:
    """The alarms of the argument `alarms`. OutOfRange if the text is wrong or names too many alarms."""
    try:
        found = msgspec.json.decode(argument, type=dict[str, Seen])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise OutOfRange(
            "alarms is not a JSON object of identities and occurrences",
            code="wrong_argument",
            suggestion='give {"point.chiller.internal_temp": 3}',
        ) from None
    if len(found) > MOST_ALARMS:
        raise OutOfRange(
            f"{len(found)} alarms are named; one command takes {MOST_ALARMS}",
            code="wrong_argument",
            suggestion="name fewer, or give an area",
        )
    return found


def parts_of(seen: Seen) -> tuple[int | None, int | None]:
    """Occurrence and priority that the user saw; None: it does not matter."""
    return seen if isinstance(seen, tuple) else (seen, None)
