"""The public site as a child process of `up`: it is given the address of the public store, and nothing of the inside.

It is no `serve` process: that one has the description and a user of the bus. It is started by exec, not as a copy of a
process that has read the description, and of the environment it gets what programs need everywhere: a secret in a
variable stays with `up`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from countingroom.app.child_process import launch
from countingroom.app.supervisor import Child, ChildChange
from countingroom.core.clock import Clock
from countingroom.mirror.description import MirrorSection

NAME = "site"
_KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"),
    *("PGPASSFILE", "PGSSLMODE", "PGSSLROOTCERT"),
)


class SiteParameters(Struct, frozen=True, kw_only=True):
    """What the process is told, by its standard input: other users of the computer see the arguments."""

    store: str
    """URL of the public store."""
    title: str
    url: str
    prefix: str
    host: str
    port: int
    behind_proxy: bool


def site_child(
    section: MirrorSection, data: Path, clock: Clock, on_change: Callable[[ChildChange], None]
) -> Child | None:
    """The supervised process; None where the description has none. ConfigurationError for a secret that cannot be
    read."""
    site = section.site
    if site is None:
        return None
    told = SiteParameters(
        store=site.secret.read("mirror.site") if site.secret else section.store.address(data),
        title=site.title,
        url=site.address,
        prefix=site.prefix,
        host=site.host,
        port=site.port,
        behind_proxy=site.behind_proxy,
    )
    return Child(
        NAME,
        (sys.executable, "-m", "countingroom.app.site_process"),
        parameters=lambda: {name: getattr(told, name) for name in told.__struct_fields__},
        clock=clock,
        launch=_launch,
        log=data / "logs" / f"{NAME}.log",
        on_change=on_change,
    )


async def _launch(command: Sequence[str], errors: int | None) -> asyncio.subprocess.Process:
    return await launch(command, errors, environment=environment(os.environ))


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What of these variables the process gets."""
    return {name: given[name] for name in _KEPT if name in given}
