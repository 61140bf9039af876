"""The row of a department in the table of `departments.py`: its section, roles, state keys, API and pages.

A row names code by import path ("package.module:name") and imports none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from msgspec import Struct

from countingroom.core.bus_grants import BusGrants


class DescriptionSection(Struct, frozen=True, kw_only=True):
    """A department's key at the top of the description."""

    key: str
    model: str
    """Path of the model, in the department's `description.py`."""
    about: str
    """One sentence for the JSON Schema and the reference."""


class ProcessRole(Struct, frozen=True, kw_only=True):
    """A part of a department that runs as a process of its own under `up`, or is named to `serve`."""

    name: str
    start: str
    """Path of the function in `countingroom.app` that makes it from a `Setting`."""
    after: tuple[str, ...] = ()
    """`up` starts it when these roles are ready and stops it before them. A role that is not played is not waited
    for."""
    needs: tuple[str, ...] | None = None
    """The roles of `after` that must be ready before it is started, where these are not all: the others are then only
    stopped after it. The first start is shorter by that."""
    database: bool = False
    """Whether it is given the open database."""
    without_database: bool = False
    """Whether it is started again although the database is away: stop and abort need none."""
    simulation_only: bool = False
    """`up` starts it with `--simulate` only."""
    commands: tuple[str, ...] = ()
    """The department words of the command subjects that it answers: `command.<user>.<word>.<target>`."""
    owner: str = ""
    """What answers those commands, for error texts: `its device host`."""
    bus: BusGrants = BusGrants()
    """What its user may do on the bus, beside its heartbeat and those commands."""
    modules: tuple[str, ...] = ()
    """Modules that take long to import. `up` imports them once for all roles, see app/fork_server.py."""


class StateKey(Struct, frozen=True, kw_only=True):
    """Keys of the bucket `state` that a department writes."""

    prefix: str
    """The first token of the key: `partition` of `partition.mCBM`."""
    message: str
    """Path of the struct that stands there."""
    live: bool = False
    """Whether the console keeps the values in `Latest.words` and sends them on the live feed."""


def live(prefix: str, message: str) -> StateKey:
    """Keys that the console keeps and sends on the live feed with their values; their struct is in `core`."""
    return StateKey(prefix=prefix, message=f"countingroom.core.{message}", live=True)


class NavigationLink(Struct, frozen=True, kw_only=True):
    """A page under "Records" in the navigation of the console."""

    title: str
    address: str
    pages: tuple[str, ...]
    """Names of the pages on which the link is marked as the present one."""
    needs: tuple[str, ...] = ()
    """Facts of the page's context that must all hold: `has_runs`, `administers`, `has_login`."""


class Department(Struct, frozen=True, kw_only=True):
    """A row. Modules of the console stand here because the console imports no department."""

    name: str
    """The package below `countingroom`, and the word in event and query subjects."""
    title: str
    """For error texts: `run control`."""
    section: DescriptionSection | None = None
    roles: tuple[ProcessRole, ...] = ()
    state: tuple[StateKey, ...] = ()
    api: tuple[str, ...] = ()
    """Modules below `countingroom.console.api` with a `router`, mounted under /api/v1; a module may have `ROUTES`, the
    permissions of its routes."""
    pages: tuple[str, ...] = ()
    """Modules below `countingroom.console.pages` with a function `pages(context, render)`."""
    tree: str = ""
    """Template of the live part of the navigation: the partitions, the devices."""
    links: tuple[NavigationLink, ...] = ()


def load(path: str) -> Any:
    """What a path names, imported now: `package.module` or `package.module:name`."""
    module, _, name = path.partition(":")
    found = import_module(module)
    return getattr(found, name) if name else found


def in_stages(names: Sequence[str], known: Mapping[str, ProcessRole]) -> list[list[str]]:
    """Roles in the order of their start: those of a stage start together, when all before them are ready."""
    left = list(dict.fromkeys(names))
    found: list[list[str]] = []
    while left:
        stage = [name for name in left if not set(known[name].after) & set(left)]
        if not stage:
            raise ValueError(f"roles that wait for each other: {', '.join(left)}")
        found.append(stage)
        left = [name for name in left if name not in stage]
    return found
