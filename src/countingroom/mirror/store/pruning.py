"""Removes from the public store what is too old or too much, once an hour."""

from __future__ import annotations

import logging

from countingroom.core.clock import Clock
from countingroom.core.retry import Retry, edge_log
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicRetention

_log = logging.getLogger(__name__)
_EVERY_S = 3600.0
_AGAIN_S = 60.0
"""After a failure."""


async def keep_pruned(store: PublicStore, clock: Clock, retention: PublicRetention) -> None:
    """Prune until cancelled."""
    report = edge_log(_log, "nothing is removed from the public store", "old records are removed again")
    retry = Retry(clock, report, pause_s=_AGAIN_S)
    while True:
        while await retry.run(lambda: store.prune(retention)):
            pass
        await clock.sleep(_EVERY_S)
