"""The commands to the agent of a system. Pure.

What each does is in `runs/agents/commands.py`; an agent of its own kind may have more, which need an administrator.
"""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.points import Type
from countingroom.core.policy import Permission

_PARTITION = Argument(
    name="partition",
    description="For which partition, where the system is global.",
    optional=True,
    letter="p",
)

SYSTEM = table(
    "system",
    CommandRow(
        name="error",
        description="Report for a system that it does not work: it goes to Error.",
        permission=Permission.ENDANGER,
        arguments=(
            Argument(name="message", description="What is wrong.", optional=True, letter="m"),
            _PARTITION,
        ),
        wait_s=0.0,
    ),
    CommandRow(
        name="resolved",
        description="Report for a system that it works again.",
        permission=Permission.OPERATE,
        arguments=(_PARTITION,),
        wait_s=0.0,
    ),
    CommandRow(
        name="reset",
        description="Take a detector that is in no partition out of Error; in one, `partition reset` does.",
        permission=Permission.OPERATE,
        wait_s=0.0,
    ),
    CommandRow(
        name="abort",
        description="End what a detector that is in no partition is doing; in one, `partition abort` does.",
        permission=Permission.MAKE_SAFE,
        wait_s=0.0,
    ),
    CommandRow(
        name="fault",
        description="Make a simulated system fail.",
        permission=Permission.SIMULATE,
        arguments=(
            Argument(name="name", label="Fault", description="fail, hang, slow, error, heal."),
            Argument(name="times", description="So many steps fail.", type=Type.INT, low=1, optional=True),
            Argument(
                name="seconds",
                description="How slow it is.",
                type=Type.FLOAT,
                unit="s",
                low=0.0,
                optional=True,
            ),
            Argument(name="message", description="Of the error.", optional=True, letter="m"),
            _PARTITION,
        ),
        wait_s=0.0,
    ),
)
"""Name -> row, in the order of help."""
