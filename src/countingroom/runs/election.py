"""Leader election by lease: waits until a lease is free and takes it."""

from __future__ import annotations

import logging

from countingroom.bus.port import Lease
from countingroom.core.errors import Conflict, LinkError
from countingroom.runs.context import RunControlContext

_log = logging.getLogger(__name__)

ASK_AGAIN_S = 0.1


async def acquire(context: RunControlContext, name: str, *, ttl_s: float) -> Lease:
    """Wait for a lease. Each new reason for the wait, such as another holder, is logged once."""
    last_message = ""
    while True:
        try:
            return await context.bus.acquire(name, ttl_s=ttl_s, holder=context.holder)
        except (LinkError, Conflict) as error:
            if error.cause.message != last_message:
                last_message = error.cause.message
                _log.warning("runs: standing by for %s: %s", name, error.cause)
        await context.clock.sleep(ASK_AGAIN_S)
