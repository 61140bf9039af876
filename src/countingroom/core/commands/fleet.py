"""The commands to the fleet. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.points import Type
from countingroom.core.policy import Permission

TARGET = "fleet"
"""The one target of these commands."""

_SERVICE = Argument(name="service", description="A service.")
_NODE = Argument(name="node", description="A node.")
_REASON = Argument(name="reason", description="Why, for those who see it.")
_FOR = Argument(
    name="for_s",
    description="After so many seconds it ends by itself.",
    type=Type.FLOAT,
    unit="s",
    low=0,
    optional=True,
)

_PLAN = Argument(
    name="plan",
    description="The mark of the plan that was seen: it is refused where another plan holds by now.",
    optional=True,
)

FLEET = table(
    "fleet",
    CommandRow(
        name="apply",
        description="Make the services as the description has them now.",
        details="The description is read anew and kept as a revision. Images are pulled first; then instances are "
        "replaced, a few at a time, each after the ones before are healthy.",
        permission=Permission.CONFIGURE,
        arguments=(
            Argument(name="comment", description="For the list of revisions.", optional=True, letter="m"),
            _PLAN,
        ),
    ),
    CommandRow(
        name="rollback",
        description="Make the services as an earlier revision had them.",
        details="It becomes a new revision with the content of the earlier one.",
        permission=Permission.CONFIGURE,
        arguments=(
            Argument(name="revision", description="Its number.", type=Type.INT, low=1),
            Argument(name="comment", description="For the list of revisions.", optional=True, letter="m"),
            _PLAN,
        ),
    ),
    CommandRow(
        name="halt",
        description="Halt the change of a service where it is.",
        permission=Permission.MAKE_SAFE,
        arguments=(_SERVICE,),
    ),
    CommandRow(
        name="resume",
        description="Go on with the halted change of a service.",
        permission=Permission.CONFIGURE,
        arguments=(_SERVICE,),
    ),
    CommandRow(
        name="restart",
        description="Make the instances of a service again, as they are.",
        details="As many at a time as its `update` allows, and none before the one before it is healthy.",
        permission=Permission.OPERATE,
        arguments=(
            _SERVICE,
            Argument(name="nodes", description="Nodes, with commas; all where it is not given.", optional=True),
        ),
    ),
    CommandRow(
        name="talk",
        description="Send a command to actors of the fleet, to all at the same time.",
        details="It ends when each has answered or its deadline is over, and fails as `policy` says. Its replies are "
        "in the state `talk.<id>`, with the id of the command.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="command", description="What they are sent: `expose 2 --dark`."),
            Argument(name="services", description="Names or patterns of services, with commas.", optional=True),
            Argument(name="nodes", description="Names or patterns of nodes, with commas.", optional=True),
            Argument(name="where", description="Labels of nodes, with commas: `site=APO`.", optional=True),
            Argument(name="category", description="Category of the nodes.", optional=True),
            Argument(
                name="policy",
                description="How many must succeed.",
                choices=("all", "majority", "any"),
                optional=True,
            ),
            Argument(
                name="deadline_s",
                description="For each actor; 60 where it is not given.",
                type=Type.FLOAT,
                unit="s",
                low=0,
                high=86_400,
                optional=True,
            ),
        ),
    ),
    CommandRow(
        name="stop_talk",
        description="End a talk that runs: wait no longer for its actors.",
        details="The actors are sent nothing, and go on with what they do. The talk fails, with the outcome `stopped` "
        "for those that had not ended.",
        permission=Permission.MAKE_SAFE,
        arguments=(Argument(name="talk", description="The id of its command `talk`."),),
    ),
    CommandRow(
        name="cordon",
        description="Leave a node as it is: no instance is made, changed or ended there.",
        permission=Permission.OPERATE,
        arguments=(_NODE, _REASON, _FOR),
    ),
    CommandRow(
        name="drain",
        description="End all instances of a node and make none there.",
        permission=Permission.CONFIGURE,
        arguments=(_NODE, _REASON, _FOR),
    ),
    CommandRow(
        name="uncordon",
        description="Use a node again that was cordoned or drained.",
        permission=Permission.OPERATE,
        arguments=(_NODE,),
    ),
    CommandRow(
        name="reboot",
        description="Restart a node by ssh, or by switching its power off and on.",
        details="It ends when the node shows another boot id than before, or failed where it does not in time. With "
        "`hard` its power is off for 3 s; where it cannot be switched off, nothing more is done.",
        permission=Permission.CONFIGURE,
        arguments=(
            _NODE,
            Argument(name="hard", description="By its power.", type=Type.BOOL, optional=True),
        ),
    ),
    CommandRow(
        name="disable",
        description="End all instances of a service until it is enabled.",
        permission=Permission.CONFIGURE,
        arguments=(_SERVICE, _REASON, _FOR),
    ),
    CommandRow(
        name="enable",
        description="Run a service again that was disabled.",
        permission=Permission.CONFIGURE,
        arguments=(_SERVICE,),
    ),
)
"""Name -> row, in the order of help."""
