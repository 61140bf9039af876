"""Opens the database at the address that the description gives, and closes it at the end of the block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path

from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.storage.database import Database
from countingroom.storage.description import StorageSection

_log = logging.getLogger(__name__)

WAIT_S = 40.0
"""So long a process waits for a database that is away; `up` gives each a minute to be ready."""
FIRST_S = 3.0
"""So long a process that can do without the database waits for it."""
_AGAIN_S = 0.5


class WhenAway(StrEnum):
    """What a process does where the database does not answer as it starts."""

    FAIL = "fail"
    """The first start: the address may be wrong."""
    WAIT = "wait"
    """It takes the place of a process that had the database, and needs it."""
    GO_ON = "go on"
    """It takes the place of such a process, and answers what needs no database."""


@asynccontextmanager
async def opened(
    section: StorageSection, data: Path, clock: Clock, *, when_away: WhenAway = WhenAway.FAIL
) -> AsyncGenerator[Database]:
    """The open database of the experiment, with the present schema. With GO_ON it may be away or damaged at first, and
    is opened as soon as it is right; LinkError until then."""
    database = Database(section.address(data), clock=clock)
    try:
        match when_away:
            case WhenAway.FAIL:
                await database.open()
                yield database
            case WhenAway.WAIT:
                await _open_within(database, clock, WAIT_S)
                yield database
            case WhenAway.GO_ON:
                async with asyncio.TaskGroup() as group:
                    later = group.create_task(
                        _open_later(database, clock, also=ConfigurationError), name="opening the database"
                    )
                    # Not cancelled after this time: a transaction that is under way goes on in its thread.
                    await asyncio.wait([later], timeout=FIRST_S)
                    try:
                        yield database
                    finally:
                        later.cancel()
    finally:
        await database.close()


async def _open_within(database: Database, clock: Clock, most_s: float) -> None:
    with suppress(TimeoutError):
        async with timeout(most_s):
            await _open_later(database, clock)
            return
    await database.open()


async def _open_later(database: Database, clock: Clock, *, also: type[ConfigurationError] | tuple[()] = ()) -> None:
    """Open it as soon as it answers. Any other error than a lost link is raised, as a damaged or a newer database is,
    unless it is waited for `also`."""
    is_told = False
    while True:
        try:
            await database.open()
        except LinkError as error:
            if not is_told:
                is_told = True
                _log.warning("the database does not answer at this start: %s", error.cause.message)
        except also as error:
            if not is_told:
                is_told = True
                _log.error("this process begins without the database: %s", error)
        else:
            return
        await clock.sleep(_AGAIN_S)
