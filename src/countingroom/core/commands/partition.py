"""The commands of a partition. Pure.

What can stand against each of them is in `runs/planner/legality.py`; what each does is in `runs/partition/commands.py`.
"""

from __future__ import annotations

from countingroom.core.commands.control import CONTROL
from countingroom.core.commands.row import Argument, ButtonPlace, CommandRow, table
from countingroom.core.commands.runs import ABOUT_RUNS
from countingroom.core.points import Type
from countingroom.core.policy import Permission
from countingroom.core.systems import Action

_GOAL_S = 300.0
_RUN_S = 60.0

_SYSTEM = Argument(name="system", description="A member of it.")
_COMMENT = Argument(name="comment", description="For the run book.", optional=True)
_LIMIT = (
    Argument(
        name="seconds",
        label="Stop by itself after",
        description="Stop by itself after so long.",
        type=Type.FLOAT,
        unit="s",
        low=0.0,
        optional=True,
    ),
    Argument(name="point", description="Stop by itself by the value of this point …", optional=True),
    Argument(name="above", description="… above this …", type=Type.FLOAT, optional=True),
    Argument(name="below", description="… or below this.", type=Type.FLOAT, optional=True),
)

PARTITION = table(
    "partition",
    CommandRow(
        name="goal",
        label="Bring to",
        description="Bring a partition to a state, by whatever is needed and nothing else.",
        details="`--plan` shows the way and does nothing.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="state", description="Idle, QA_Active, Recording …"),
            Argument(name="tag", description="Configuration tag to have there.", optional=True),
            *_LIMIT,
            _COMMENT,
        ),
        wait_s=_GOAL_S,
        short_route=True,
    ),
    CommandRow(
        name="select",
        label="Configuration",
        description="Choose the tag that its systems are to be configured with. Nothing is configured by it.",
        permission=Permission.OPERATE,
        arguments=(Argument(name="tag", description="A tag that covers exactly its systems."),),
        button=ButtonPlace.HEAD,
        confirmed=True,
    ),
    CommandRow(
        name="select_one",
        label="Configuration of one system",
        description="Choose the configuration of one system alone. Nothing is configured by it.",
        details="`--system` on the command line.",
        permission=Permission.OPERATE,
        arguments=(_SYSTEM, Argument(name="tag", description="The tag of one of its configurations.")),
        cli="partition select",
    ),
    CommandRow(
        name="configure",
        description="Configure the next level.",
        details="Its members are configured in parallel.",
        permission=Permission.OPERATE,
        wait_s=_GOAL_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
        short_route=True,
    ),
    CommandRow(
        name="configure_all",
        label="Auto-configure",
        description="Configure level after level, to the top.",
        permission=Permission.OPERATE,
        wait_s=_GOAL_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
    ),
    CommandRow(
        name="reconfigure",
        description="Give changed parameters to systems in place, without leaving their state.",
        details="Only systems whose agents can do it. During a run it is refused without `--while-recording`; the run "
        "book notes what changed and when. `--plan` shows what would change and does nothing.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(
                name="while_recording",
                label="During the run, whose conditions change",
                description="Also during a run, whose conditions then change.",
                type=Type.BOOL,
                optional=True,
            ),
        ),
        wait_s=_GOAL_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
        short_route=True,
    ),
    CommandRow(
        name="start",
        description="Begin a run. It is recorded in the run book before anything starts.",
        details="Recorders start in order; the partition is in Recording when all of them record. "
        "`--seconds`, or `--point` with `--above` or `--below`, stop the run automatically.",
        permission=Permission.OPERATE,
        arguments=(*_LIMIT, _COMMENT),
        wait_s=_RUN_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
        short_route=True,
    ),
    CommandRow(
        name="repeat",
        description="Begin a run like the last one.",
        permission=Permission.OPERATE,
        wait_s=_RUN_S,
    ),
    CommandRow(
        name="sequence",
        description="Runs one after the other, unattended: a parameter takes each of the values in turn.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="system", description="Whose parameter is scanned."),
            Argument(name="parameter", description="Which one."),
            Argument(name="values", description="One run for each, separated by commas."),
            Argument(name="seconds", description="How long a run lasts.", type=Type.FLOAT, unit="s", low=0.1),
            Argument(name="name", description="Of the sequence, in the run book.", optional=True),
        ),
        wait_s=0.0,
    ),
    CommandRow(
        name="stop_sequence",
        label="Stop the sequence",
        description="No further runs of the sequence that goes on.",
        permission=Permission.MAKE_SAFE,
        wait_s=_RUN_S,
    ),
    CommandRow(
        name="stop",
        description="End the run, in order.",
        details="It changes nothing else.",
        permission=Permission.MAKE_SAFE,
        wait_s=_RUN_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
        short_route=True,
    ),
    CommandRow(
        name="abort",
        description="Everything down at once, from anywhere.",
        details="Programs are ended. A later `stop` does not interrupt it.",
        permission=Permission.MAKE_SAFE,
        wait_s=_RUN_S,
        button=ButtonPlace.HEAD,
        confirmed=True,
        dangerous=True,
        short_route=True,
    ),
    CommandRow(
        name="reset",
        description="Take a system out of Error.",
        permission=Permission.OPERATE,
        arguments=(_SYSTEM,),
        wait_s=_RUN_S,
        button=ButtonPlace.SYSTEM,
    ),
    CommandRow(
        name="include",
        description="Let a system take part, also while a run goes on.",
        details="An included detector is brought up beside the run; a recorder can be included only between runs.",
        permission=Permission.OPERATE,
        arguments=(_SYSTEM,),
        button=ButtonPlace.SYSTEM,
        confirmed=True,
    ),
    CommandRow(
        name="exclude",
        description="Go on without a system, also while a run goes on.",
        permission=Permission.OPERATE,
        arguments=(_SYSTEM,),
        button=ButtonPlace.SYSTEM,
        confirmed=True,
    ),
    *CONTROL,
    CommandRow(
        name="lock",
        description="Take no commands until it is unlocked, except stop and abort.",
        details="A locked partition refuses every command that acts, except `stop` and `abort`, and gives the reason.",
        permission=Permission.OPERATE,
        button=ButtonPlace.CONTROL,
    ),
    CommandRow(
        name="unlock",
        description="Take commands again.",
        permission=Permission.OPERATE,
        button=ButtonPlace.CONTROL,
    ),
    *ABOUT_RUNS,
)
"""Name -> row, in the order of buttons and help."""

DIRECT = {"stop": Action.STOP, "abort": Action.ABORT}
"""Command -> the order that the console sends to the systems itself where no owner of the partition answers."""
