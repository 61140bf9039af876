"""The commands about messages to people, target `_notify` of the alarm department. Pure."""

from __future__ import annotations

from countingroom.core.commands.row import Argument, CommandRow, table
from countingroom.core.policy import Permission

TEST_S = 60.0

NOTIFICATIONS = table(
    "alarm notify",
    CommandRow(
        name="test",
        description="Send a test message through one channel, or through each.",
        details="It is really sent, past the outbox; what the server of the channel says is the outcome.",
        permission=Permission.OPERATE,
        arguments=(Argument(name="channel", description="Its name; without it every channel.", optional=True),),
        wait_s=TEST_S,
    ),
)
"""Name -> row, in the order of help."""
