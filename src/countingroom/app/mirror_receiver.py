"""Runs the receiver of the feed outside: a process of its own with the public store, which knows no description."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from countingroom.app.listening_socket import listen
from countingroom.app.web_server import serve
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from countingroom.core.retry import Retry, edge_log
from countingroom.mirror.feed.intake import FeedIntake
from countingroom.mirror.feed.receiver import LEAST_TOKEN, FeedReceiver
from countingroom.mirror.store.pruning import keep_pruned
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicRetention

_log = logging.getLogger(__name__)
_RETRY_S = 5.0


class ReceiverPlan(Struct, frozen=True, kw_only=True):
    """What the receiver outside is told."""

    store: str
    """URL of the public store."""
    host: str
    port: int
    token: str
    tls: tuple[Path, Path] | None
    """Certificate and key."""
    keep_s: float
    """What is older is removed from the store."""


async def receive(plan: ReceiverPlan, serves: Callable[[str], None]) -> None:
    """Run the receiver until cancelled. `serves` is called with its address when it takes batches. ConfigurationError
    for a token that can be guessed, a port in use, or a store that cannot be used."""
    if len(plan.token) < LEAST_TOKEN:
        raise ConfigurationError(
            f"the token has {len(plan.token)} characters; at least {LEAST_TOKEN} are needed",
            source="mirror receive",
            code="short_token",
            suggestion="make one with `openssl rand -hex 32`, and give both sides the same",
        )
    clock = SystemClock()
    listening = listen(plan.host, plan.port)
    store = PublicStore(plan.store, clock)
    intake = FeedIntake(store, PublicReader(plan.store), clock)
    try:
        report = edge_log(_log, "the public store does not answer", "the public store answers")
        await Retry(clock, report, pause_s=_RETRY_S).run(store.open)
        scheme = "https" if plan.tls else "http"
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        address = f"{scheme}://{host}:{listening.getsockname()[1]}"
        receiver = FeedReceiver(intake, plan.token, clock)
        async with asyncio.TaskGroup() as group:
            retention = PublicRetention(age_us=round(plan.keep_s * 1e6))
            pruning = group.create_task(keep_pruned(store, clock, retention))
            await serve(receiver, listening, lambda: serves(address), tls=plan.tls)
            pruning.cancel()
    finally:
        listening.close()
        await intake.close()
        await store.close()
