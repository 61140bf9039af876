"""Legality of commands by the chart of a device, with the reason and what to do where a command is not legal.

A command to a state that is reached already needs no action (code `nothing_to_do`); it succeeds if it is given.
`reconnect` and `refresh` are given by the host to every device; the others by its behaviour, which may also have rules
of its own (`CommandRules`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause, NotAllowed
from countingroom.core.messages import CommandSpec, Link
from countingroom.devices.behaviour import Observation

RECONNECT = CommandSpec(
    name="reconnect",
    label="Reconnect",
    description="Let the link go and reach the device anew, without waiting for the next attempt.",
    deadline_s=15.0,
)
REFRESH = CommandSpec(name="refresh", label="Refresh", description="Publish every value and state again.")
OF_THE_HOST = (RECONNECT, REFRESH)


def refusals(
    commands: tuple[CommandSpec, ...],
    chart: Chart,
    channel: str,
    seen: Observation,
    *,
    link: Link,
    active: bool,
    source: str,
    forbids: Callable[[str], Cause | None] = lambda command: None,
) -> dict[str, Cause | None]:
    """Command -> None where the chart and the rules (`forbids`) allow it now, else why not; those of the device or
    those of its channels."""
    scope = "channel" if channel else "device"
    source = f"{source}.{channel}" if channel else source
    return {
        spec.name: refusal(spec, chart, seen, link=link, active=active, source=source, forbids=forbids)
        for spec in commands
        if spec.scope == scope
    }


def refusal(
    spec: CommandSpec,
    chart: Chart,
    seen: Observation,
    *,
    link: Link,
    active: bool,
    source: str,
    forbids: Callable[[str], Cause | None] = lambda command: None,
) -> Cause | None:
    """Why this command may not be given now, or None."""
    if spec in OF_THE_HOST:
        return None
    if not active:
        return inactive(source)
    if link is not Link.CONNECTED:
        return unreachable(source, seen.cause)
    if spec.event and spec.event not in chart.allowed(seen.state):
        if seen.state in spec.done_in and not spec.parameters:
            return Cause(
                code=NOTHING_TO_DO,
                message=f"it is {seen.state} already",
                source=source,
                suggestion="nothing",
                causes=(seen.cause,) if seen.cause else (),
            )
        return _forbidden(spec, forbids, source) or _not_allowed(spec, chart, seen, source)
    return _forbidden(spec, forbids, source)


def _forbidden(spec: CommandSpec, forbids: Callable[[str], Cause | None], source: str) -> Cause | None:
    """What a rule says, which is clearer than what the chart says."""
    cause = forbids(spec.name)
    return replace(cause, source=cause.source or source) if cause else None


def inactive(source: str) -> Cause:
    """A channel that is watched and never commanded."""
    return Cause(
        code="inactive",
        message="the channel is monitored but not commanded",
        source=source,
        suggestion="give the channel a module in the description to make it active",
    )


def unreachable(source: str, cause: Cause | None) -> Cause:
    """The device is not reached."""
    return Cause(
        code="link_lost",
        message="the device is not reached",
        source=source,
        suggestion="restore the link; it is tried again by itself",
        causes=(cause,) if cause else (),
    )


def _not_allowed(spec: CommandSpec, chart: Chart, seen: Observation, source: str) -> Cause:
    error = NotAllowed(seen.state, spec.event, chart.allowed(seen.state))
    where = list(dict.fromkeys(row.state for row in chart.rows if row.event == spec.event))
    return Cause(
        code=error.cause.code,
        message=f"{spec.label or spec.name} is not possible in {seen.state}",
        source=source,
        evidence=error.cause.evidence,
        suggestion=f"it is possible in {' or '.join(where)}" if where else "no state allows it",
        causes=(seen.cause,) if seen.cause else (),
    )
