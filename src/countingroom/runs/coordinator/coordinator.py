"""The coordinator of the experiment: the only writer of the layout, by lease.

The layout is stored in the database and published under one key (`Placement`). The key is written again after each
change of stored data, also of configurations, and every owner then reloads its members.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from countingroom.bus.ask import stored_state
from countingroom.bus.command_server import CommandServer
from countingroom.bus.election import Leadership
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import EventKind, encode
from countingroom.core.policy import Principal
from countingroom.core.retry import Retry, edge_log
from countingroom.core.systems import Placement
from countingroom.runs.access.control_lease import ControlLease
from countingroom.runs.access.lease_policy import LeasePolicy
from countingroom.runs.context import RunControlContext
from countingroom.runs.coordinator import move_query, plan_query
from countingroom.runs.coordinator.apply_description import ApplyDescription
from countingroom.runs.coordinator.commands import ExperimentCommands
from countingroom.runs.coordinator.seeding import seed
from countingroom.runs.monitor.durations import Known

_log = logging.getLogger(__name__)

LEASE = "runs"
RETRY_S = 0.25
KEEP_S = 5.0
"""Interval in which changed durations are published."""


class Coordinator:
    """Coordination of the experiment in this process, or standby for it."""

    def __init__(self, context: RunControlContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Run until cancelled."""
        election = self._context.election(LEASE, source="runs")
        while True:
            await election.lead(self._serve)

    async def _serve(self, leadership: Leadership) -> None:
        context = self._context
        publisher = Publisher(context.bus, context.clock, "runs")
        control = ControlLease(
            context.bus,
            context.clock,
            subjects.EXPERIMENT,
            lambda message, by: command_server.record(EventKind.NOTE, message, principal=by, action="control"),
        )
        description = ApplyDescription(
            context,
            partial(self._announce, leadership),
            lambda id, message, by, severity: command_server.record(
                EventKind.NOTE, message, id=id, principal=by, action="apply", severity=severity
            ),
        )
        handlers = ExperimentCommands(context, control, description, partial(self._announce, leadership))
        command_server = CommandServer(
            context.bus,
            context.clock,
            "runs",
            subjects.EXPERIMENT,
            handlers,
            publisher,
            policy=LeasePolicy(context.clock, subjects.EXPERIMENT, control, self._principal),
        )
        report = edge_log(_log, "runs: the experiment the takeover waits", "runs: the experiment is taken on")
        await Retry(context.clock, report, pause_s=RETRY_S).run(lambda: self._begin(control, description, leadership))
        try:
            async with (
                context.bus.respond(subjects.query("runs", "plan"), partial(plan_query.answer, context)),
                context.bus.respond(subjects.query("runs", "move"), partial(move_query.answer, context)),
                context.bus.respond(subjects.query("runs", "apply"), description.answer),
                asyncio.TaskGroup() as group,
            ):
                for part in (publisher, control, command_server):
                    group.create_task(part.run())
                group.create_task(self._keep_durations())
        finally:
            await publisher.drain()

    async def _begin(self, control: ControlLease, description: ApplyDescription, leadership: Leadership) -> None:
        if await seed(self._context.database, self._context.section):
            _log.info("runs: the database was empty and has been filled from the description")
        await control.load()
        if known := await stored_state(self._context.bus, subjects.DURATIONS_KEY, Known):
            self._context.system_states.durations.remember(known)
        await self._announce(leadership)
        await description.begin()

    async def _keep_durations(self) -> None:
        """Publish the measured durations, so that the next coordinator can compute expected times."""
        durations, bus = self._context.system_states.durations, self._context.bus
        while True:
            await self._context.clock.sleep(KEEP_S)
            if durations.changed:
                durations.changed = False
                try:
                    await bus.put(subjects.STATE_BUCKET, subjects.DURATIONS_KEY, encode(durations.known()))
                except LinkError:
                    durations.changed = True

    async def _announce(self, leadership: Leadership) -> None:
        """Publish the layout. It also notifies the owners that stored data have changed."""
        context = self._context
        if leadership.lost:
            raise LinkError(
                "another process has taken over the coordination",
                source="runs",
                code="lease_lost",
                suggestion="send the command again",
            )
        partitions = tuple(one.name for one in await context.database.partitions.list())
        placement = Placement(partitions=partitions, detectors=await context.database.mapping.all())
        await context.bus.put(subjects.STATE_BUCKET, subjects.MAPPING_KEY, encode(placement))

    async def _principal(self, user: str) -> Principal:
        return await self._context.principals.principal(user, subjects.EXPERIMENT)
