"""Services that are processes of countingroom itself: agents of systems, and roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.departments import roles

AGENT = "agent"
"""`run: agent`."""
_LEFT = {
    "agents": "for agents write run: agent, with systems",
    "console": "`up` runs it always: it is asked to apply what the fleet is to run",
    "fleet": "it is what runs services, and `up` runs it always",
    "simulators": "`up` runs them, with --simulate",
}
"""Roles that are no services, and why."""


class OwnProgram(Struct, frozen=True, kw_only=True):
    """One service of countingroom itself, made from a service of the description."""

    name: str
    nodes: tuple[str, ...]
    runs: str
    """`system.STS` or `role.devices`."""
    title: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


def run_problems(
    run: str, systems: Sequence[str], command: Sequence[str], copies: int
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Mistakes in the keys of a service that say what of countingroom it is."""
    if run != AGENT:
        if systems:
            yield ("systems",), "they are for run: agent"
        known = roles()
        if run in _LEFT:
            yield ("run",), f"{run} is no service: {_LEFT[run]}"
        elif run and run not in known:
            choice = [AGENT, *(name for name in known if name not in _LEFT)]
            yield ("run",), f"there is no role {run}{did_you_mean(run, choice)}; choose from {', '.join(choice)}"
        elif run and command:
            yield ("command",), f"the command of run: {run} is made by countingroom"
        return
    if not systems:
        yield (), "say which agents it runs: systems"
    if copies > 1:
        yield ("copies",), "a system has one agent: give more systems, not copies"
