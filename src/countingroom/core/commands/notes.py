"""The commands about notes for the public: incidents, maintenance and others. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.mirror.notes import SORTS
from countingroom.core.points import Type
from countingroom.core.policy import Permission

NOTES_TARGET = "_notes"
"""The one target of these commands; the description refuses an upstream of this name."""
MARKED = ("add", "edit", "update", "end")
"""Those that show a text outside, and so need the mark of its preview."""

_NOTE = Argument(name="note", description="Its number in the list.", type=Type.INT, low=1)
_MARK = Argument(name="mark", description="Of the preview that was seen: what it showed is published.")
_TEXT = Argument(name="text", description="What the public shall know, at most 2,000 characters.", optional=True)
_WRITTEN = (
    _TEXT,
    Argument(
        name="parts",
        description="What it is about: published names of partitions, devices and services, with commas.",
        optional=True,
    ),
    Argument(name="from", description="When it began or is planned to begin; without it now.", optional=True),
    Argument(name="to", description="When it is planned to end; `-` takes it away.", optional=True),
)

NOTES = table(
    "mirror note",
    CommandRow(
        name="add",
        description="Publish a note: an incident, a maintenance, or another one.",
        details="It leaves through the feed, as the policy permits.",
        permission=Permission.OPERATE,
        arguments=(
            Argument(name="sort", description="What it is.", choices=SORTS),
            Argument(name="title", description="In a few words, at most 120 characters."),
            _MARK,
            *_WRITTEN,
        ),
    ),
    CommandRow(
        name="edit",
        description="Correct a note: what is given takes the place of what there was.",
        permission=Permission.OPERATE,
        arguments=(
            _NOTE,
            _MARK,
            Argument(name="title", description="In a few words, at most 120 characters.", optional=True),
            *_WRITTEN,
        ),
    ),
    CommandRow(
        name="update",
        description="Add to a note what is known now, with the time.",
        permission=Permission.OPERATE,
        arguments=(_NOTE, Argument(name="text", description="What is known now."), _MARK),
    ),
    CommandRow(
        name="end",
        description="End a note: the incident is over, the work is done.",
        permission=Permission.OPERATE,
        arguments=(
            _NOTE,
            _MARK,
            _TEXT,
            Argument(name="at", description="When it ended; without it now.", optional=True),
        ),
    ),
    CommandRow(
        name="withdraw",
        description="Take a note back: it is removed from the public store, with all its texts.",
        permission=Permission.OPERATE,
        arguments=(_NOTE,),
    ),
)
"""Name -> row, in the order of help."""
