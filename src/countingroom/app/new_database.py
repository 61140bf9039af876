"""Lets a process of its own make the tables of a new SQLite database, while the bus starts.

The library that does it takes 6 MiB, which the role that opened the database first kept to its end. Every role still
makes what is missing: no such process runs when a role is started by hand, and it may fail.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from countingroom.app.child_process import Launch
from countingroom.core.clock import timeout
from countingroom.storage.description import StorageSection

_MOST_S = 20.0
_FILE = "sqlite:///"
_log = logging.getLogger(__name__)


async def make_new_database(launch: Launch, section: StorageSection, data: Path) -> None:
    """Make the database if it is a SQLite file that does not exist. Errors are ignored here; the roles report them."""
    address = section.address(data)
    if not _is_new(address):
        return
    with suppress(OSError):  # no process can be started, which the first role tells
        child = await launch([sys.executable, "-m", "countingroom.storage.new_database", address], None)
        try:
            async with timeout(_MOST_S):
                await child.wait()
        except TimeoutError:
            _log.warning("the new database is not made within %g s; a role makes it", _MOST_S)
            child.kill()
            await child.wait()


def _is_new(address: str) -> bool:
    return address.startswith(_FILE) and not Path(address.removeprefix(_FILE)).exists()
