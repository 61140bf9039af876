"""Law: a partition has one owner, by lease. Who loses the lease stops acting at once; who stands by goes on.

A new owner builds everything from what is reported and written, so it does not matter where the old one was ended.
"""

from __future__ import annotations

import logging

from countingroom.bus.port import Lease
from countingroom.core.errors import Conflict, LinkError
from countingroom.runs.context import RunControlContext

_log = logging.getLogger(__name__)

ASK_AGAIN_S = 0.1


async def acquire(context: RunControlContext, name: str, *, ttl_s: float) -> Lease:
    """The lease, when it is free; who has it is logged once."""
    told = ""
    while True:
        try:
            return await context.bus.acquire(name, ttl_s=ttl_s, holder=context.holder)
        except (LinkError, Conflict) as error:
            if error.cause.message != told:
                told = error.cause.message
                _log.warning("runs: standing by for %s: %s", name, error.cause)
        await context.clock.sleep(ASK_AGAIN_S)
