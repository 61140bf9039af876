"""The commands of the experiment as a whole. Pure.

What each does is in `runs/coordinator/commands.py`. A value that is no scalar is JSON text.
"""

from __future__ import annotations

from countingroom.core.commands.control import CONTROL
from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.commands.runs import ABOUT_RUNS
from countingroom.core.points import Type
from countingroom.core.policy import Permission

_MOVE_S = 60.0

_NAME = Argument(name="name")
_SYSTEM = Argument(name="system")
_TAG = Argument(name="tag")
_FORCE = Argument(
    name="force",
    description="Also where an agent or a partition does not answer.",
    type=Type.BOOL,
    optional=True,
)
_COMMENT = Argument(name="comment", description="Why, for the record.", optional=True)
_EXPECTED = Argument(
    name="expected",
    label="Expected revision",
    description="The revision it is changed from; refused where it is another one.",
    type=Type.INT,
    optional=True,
)

EXPERIMENT = table(
    "experiment",
    CommandRow(
        name="move",
        description="Move detectors, all or none of them.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="detectors", description="Their names, separated by commas."),
            Argument(name="to", description="The partition; empty: into none.", optional=True),
            _FORCE,
        ),
        cli="partition move",
        wait_s=_MOVE_S,
        confirmed=True,
    ),
    CommandRow(
        name="create_partition",
        label="New partition",
        description="A new partition, with no detectors yet.",
        permission=Permission.CONFIGURE,
        arguments=(
            _NAME,
            Argument(name="template", description="How it is brought up.", optional=True),
            Argument(name="title", description="For people.", optional=True),
        ),
        cli="partition create",
        confirmed=True,
    ),
    CommandRow(
        name="delete_partition",
        description="Delete a partition; with force its detectors are moved out before.",
        permission=Permission.CONFIGURE,
        arguments=(_NAME, _FORCE),
        cli="partition delete",
        wait_s=_MOVE_S,
        confirmed=True,
        dangerous=True,
    ),
    CommandRow(
        name="create_detector",
        label="New detector",
        description="A detector that the description does not name. It is in no partition.",
        permission=Permission.CONFIGURE,
        arguments=(
            _NAME,
            Argument(name="type", description="A type of the description if it has any.", optional=True),
        ),
        cli="system create",
    ),
    CommandRow(
        name="delete_detector",
        description="Delete a detector that is in no partition.",
        details="Its agent ends what it is doing before.",
        permission=Permission.CONFIGURE,
        arguments=(_NAME, _FORCE),
        cli="system delete",
        dangerous=True,
    ),
    CommandRow(
        name="save_configuration",
        label="Save",
        description="Save a configuration of a system as a new revision.",
        permission=Permission.CONFIGURE,
        arguments=(
            _SYSTEM,
            _TAG,
            Argument(name="parameters", description="A JSON object.", optional=True),
            _COMMENT,
            _EXPECTED,
        ),
        cli="config save",
        confirmed=True,
    ),
    CommandRow(
        name="delete_configuration",
        label="Delete",
        description="Delete a configuration. Its revisions stay, and so does what runs had.",
        permission=Permission.CONFIGURE,
        arguments=(
            _SYSTEM,
            _TAG,
            _COMMENT,
            Argument(
                name="with_tags",
                description="And the global tags that name it.",
                type=Type.BOOL,
                optional=True,
            ),
        ),
        cli="config delete",
        confirmed=True,
        dangerous=True,
    ),
    CommandRow(
        name="save_tag",
        description="Save a global tag: one configuration for each of its systems.",
        permission=Permission.CONFIGURE,
        arguments=(
            _NAME,
            Argument(name="systems", description="A JSON object: system, tag.", optional=True),
            _COMMENT,
            _EXPECTED,
        ),
        cli="config tag save",
        confirmed=True,
    ),
    CommandRow(
        name="delete_tag",
        label="Delete",
        description="Delete a global tag. Configurations stay.",
        permission=Permission.CONFIGURE,
        arguments=(_NAME, _COMMENT),
        cli="config tag delete",
        confirmed=True,
        dangerous=True,
    ),
    CommandRow(
        name="import",
        description="Save every configuration and tag of a YAML document, all or none.",
        permission=Permission.CONFIGURE,
        arguments=(
            Argument(name="document", description="As the export writes it."),
            _COMMENT,
        ),
        cli="config import",
        wait_s=60.0,
        confirmed=True,
    ),
    CommandRow(
        name="apply",
        description="Apply the edited description to the database: all that the plan shows, or nothing.",
        details="What changed in the database too is a conflict until `take` decides it. The description is the one "
        "that run control read at its start.",
        permission=Permission.CONFIGURE,
        arguments=(
            Argument(
                name="take",
                description="For conflicts: `description` or `database`, or `ITEM=description` and `ITEM=database` "
                "separated by commas.",
                optional=True,
            ),
            Argument(
                name="prune",
                description="Remove what the description no longer has and nothing uses.",
                type=Type.BOOL,
                optional=True,
            ),
            Argument(name="digest", description="Of the plan that was seen; refused where it changed.", optional=True),
        ),
        cli="apply",
        wait_s=60.0,
        confirmed=True,
    ),
    CommandRow(
        name="set_next_run",
        label="Next run number",
        description="Give the next run this number or a higher one, after the database was restored from a backup.",
        details="Numbers below are given to no run any more. A lower number than the next one changes nothing.",
        permission=Permission.CONFIGURE,
        arguments=(Argument(name="number", description="The number.", type=Type.INT, low=1),),
        cli="run number set-next",
        confirmed=True,
    ),
    *CONTROL,
    *ABOUT_RUNS,
)
"""Name -> row, in the order of help."""
