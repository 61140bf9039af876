"""The values that a script needs to offer the commands of a partition to the user of a request."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.present import partition_views, partition_words
from countingroom.core import subjects
from countingroom.core.partitions import PartitionState


def commanded(context: ConsoleContext, request: Request, state: PartitionState) -> dict[str, Any]:
    """One of `data.partitions`: state, commands, and which of them this person may not give."""
    who = requester(request)
    denied = partition_views.denied(who.principal, state.partition, context.clock.now_ns())
    return {
        "partition": state.partition,
        "gone_ns": partition_words.gone_since(context.device_rows, state.partition),
        "states": {subjects.partition_key(state.partition): msgspec.to_builtins(state)},
        "tags": [],
        "denied": msgspec.to_builtins(denied),
        "leased": partition_views.leased(),
        "commands": partition_views.buttons(),
        "user": who.name,
    }
