"""The commands about a run in the run book: a partition has them, and the experiment for deleted partitions. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow
from countingroom.core.points import Type
from countingroom.core.policy import Permission

_RUN = Argument(name="run", description="Its number; the open run where left out.", type=Type.INT, optional=True)

ABOUT_RUNS = (
    CommandRow(
        name="comment",
        label="Add comment",
        description="Add a comment to a run, while it goes on or later.",
        permission=Permission.ACKNOWLEDGE,
        arguments=(_RUN, Argument(name="text")),
        cli="run comment",
    ),
    CommandRow(
        name="flag",
        label="Judge",
        description="Judge the quality of a run.",
        permission=Permission.ACKNOWLEDGE,
        arguments=(_RUN, Argument(name="quality", description="good, bad, test …", optional=True)),
        cli="run flag",
    ),
)
