"""Drives the run sequence of a partition. Its progress is in the database, so that the next owner continues it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from contextlib import suppress

from countingroom.bus.command_request import CommandRequest, Completion, Handler
from countingroom.core.admission import NOTHING_TO_DO
from countingroom.core.clock import within
from countingroom.core.errors import Conflict, CountingRoomError, LinkError, NotFound, OutOfRange, Refused, RequestError
from countingroom.core.messages import EventKind
from countingroom.core.partitions import Goal
from countingroom.core.retry import Retry, edge_log
from countingroom.core.run_book import Run, RunEnd, RunLimit, RunSequence
from countingroom.core.values import Scalar
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.owner_messages import ANSWER_S
from countingroom.runs.partition.configuration_selection import ConfigurationSelection
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle
from countingroom.runs.partition.run_numbers import reserve_run_number
from countingroom.runs.partition.starts import AcceptedCommand

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
VALUES = 1000
"""Maximum number of values in a sequence."""

_GOES_ON = (RunEnd.LIMIT, RunEnd.OWNER_DIED)


class Sequence:
    """Runs the sequences of one partition."""

    def __init__(self, owner: OwnerPort, life: RunLifecycle, selection: ConfigurationSelection) -> None:
        self._owner = owner
        self._life = life
        self._selection = selection
        self._begun = asyncio.Event()
        self._start = life.accepted.add_start()
        """Ends the present sequence where a stop comes between two runs. A former owner may have left a sequence."""
        self.handlers: Mapping[str, Handler] = {"sequence": self._sequence, "stop_sequence": self._stop}

    async def _sequence(self, request: CommandRequest) -> Completion:
        start = self._life.accepted.add_start()  # first: a stop that comes while the database is asked ends it
        try:
            await self._accept(request, start)
        except BaseException:
            self._life.accepted.remove(start)
            raise
        self._life.accepted.remove(self._start)
        self._start = start
        self._begun.set()
        return None

    async def _accept(self, request: CommandRequest, start: AcceptedCommand) -> None:
        """Store the sequence, if all that it needs is there and it was not stopped meanwhile."""
        owner, clock = self._owner, self._owner.context.clock
        system, parameter = request.text("system"), request.text("parameter")
        wanted = await owner.context.database.partitions.wanted(owner.name)
        if system not in wanted.systems:
            raise NotFound(f"no configuration is selected for {system}", suggestion="select a tag first")
        base = wanted.systems[system]
        if parameter not in base.parameters:
            hint = did_you_mean(parameter, base.parameters)
            raise NotFound(
                f"{base.tag} of {system} has no parameter {parameter}{hint}", suggestion="save it in this configuration"
            )
        seconds = request.number("seconds")
        if seconds is None or seconds <= 0:
            raise OutOfRange(
                "a sequence needs seconds, the duration of each run", code="missing_argument", suggestion="give seconds"
            )
        values = tuple(_scalar(part) for part in request.text("values").split(","))
        if len(values) > VALUES:
            raise OutOfRange(f"a sequence has at most {VALUES} values", suggestion="split it into several sequences")
        name = request.text("name", f"scan-{clock.now_ns() // 1_000_000_000}")
        if any(one.tag == name for one in await owner.context.database.configurations.list(system)):
            raise Conflict(
                f"{system} has a configuration {name}, which the sequence would overwrite",
                suggestion="choose another name",
            )
        if cause := start.cause(owner.source):
            raise Refused(cause)
        await owner.context.database.sequences.begin(
            RunSequence(
                name=name,
                partition=owner.name,
                requested_by=request.by,
                created_ns=clock.now_ns(),
                system=system,
                parameter=parameter,
                values=values,
                limit=RunLimit(seconds=seconds),
                tag=base.tag,
            )
        )

    async def _stop(self, request: CommandRequest) -> Completion:
        owner = self._owner
        going = await owner.context.database.sequences.going(owner.name)
        if going is None:
            raise Conflict(f"{owner.name} is in no sequence", code=NOTHING_TO_DO, suggestion="nothing")
        await owner.context.database.sequences.end(going.name, "stopped")
        top = owner.partition.template.top
        owner.goal(Goal(state=top, requested_by=request.by, since_ns=owner.now_ns(), stop=True), "stop")
        return None

    async def run(self) -> None:
        """Run until cancelled."""
        source = self._owner.source
        report = edge_log(_log, f"{source}: the sequence waits", f"{source}: the sequence goes on")
        retry = Retry(self._owner.context.clock, report, pause_s=_RETRY_S)
        while True:
            self._begun.clear()
            await retry.run(self._go_on)
            await self._begun.wait()

    async def _go_on(self) -> None:
        start = self._start
        if going := await self._owner.context.database.sequences.going(self._owner.name):
            await self._drive(going)
        self._life.accepted.remove(start)

    async def _drive(self, going: RunSequence) -> None:
        owner, sequences = self._owner, self._owner.context.database.sequences
        owner.command_server.record(
            EventKind.NOTE, f"sequence {going.name}: run {len(going.runs) + 1} of {len(going.values)}"
        )
        failed_at = 0
        try:
            while True:
                going, end = await self._last_run(going)
                if end or len(going.runs) == len(going.values):
                    break
                await self._configure(going, going.values[len(going.runs)])
                going = await self._begin(going)
            cause = None
        except LinkError:
            raise
        except CountingRoomError as error:
            end, cause = "failed", error.cause
            failed_at = len(going.runs) + (0 if isinstance(error, _Failed) else 1)
        going = await sequences.end(going.name, end or "finished", cause)
        if going.end != "stopped":
            with suppress(RequestError):  # the original configuration may have been deleted meanwhile
                await self._selection.select_one(going.system, going.tag, going.requested_by)
        count = len(going.values)
        progress = f" at value {failed_at} of {count}" if failed_at else f", {len(going.runs)} of {count} runs"
        reason = f": {cause.message}" if cause else ""
        owner.command_server.record(
            EventKind.NOTE,
            f"sequence {going.name} ended: {going.end}{progress}{reason}",
            principal=going.requested_by,
            action="sequence_over",
            cause=cause,
            severity=3 if cause else 0,
        )

    async def _last_run(self, going: RunSequence) -> tuple[RunSequence, str]:
        """Wait for the end of the present run; returns the reason why the sequence ends after it, or empty."""
        owner = self._owner
        while owner.partition.run:
            await owner.changed()
        await owner.book.written()
        going = await owner.context.database.sequences.get(going.name)
        if self._start.ended_by:
            return going, going.end or "stopped"
        if going.end or not going.runs:
            return going, going.end
        last = await owner.context.database.runs.get(going.runs[-1])
        if last.end in _GOES_ON:
            return going, ""
        if last.end in (RunEnd.STOPPED, RunEnd.ABORTED):
            return going, "stopped"
        raise _Failed(last)

    async def _configure(self, going: RunSequence, value: Scalar) -> None:
        """Save and select the configuration with this value; repeated if a user selects another one meanwhile."""
        owner, database = self._owner, self._owner.context.database
        base = await database.configurations.get(going.system, going.tag)
        parameters = {**base.parameters, going.parameter: value}
        comment = f"{going.parameter} {value} of sequence {going.name}"
        await database.configurations.save(going.system, going.name, parameters, going.requested_by, comment)
        while not (await database.sequences.get(going.name)).end:
            await self._selection.select_one(self._selection.member(going.system), going.name, going.requested_by)
            with suppress(TimeoutError):
                async with within(owner.context.clock, ANSWER_S):
                    while not self._is_wanted(going.system, parameters):
                        await owner.changed()
                    return

    def _is_wanted(self, system: str, parameters: Mapping[str, Scalar]) -> bool:
        members = self._owner.partition.members
        return any(one.system == system and one.wanted and one.wanted.parameters == parameters for one in members)

    async def _begin(self, going: RunSequence) -> RunSequence:
        owner = self._owner
        if owner.partition.forbidden:
            raise Refused(owner.partition.forbidden)
        if self._start.ended_by:
            return going
        run = await reserve_run_number(owner, self._life, going.requested_by, going.limit, sequence=going.name)
        try:
            going = await owner.context.database.sequences.advance(going.name, run.number)
        except CountingRoomError as error:
            self._life.over(run.number, RunEnd.NEVER_STARTED, error.cause)
            raise
        if cause := self._start.cause(owner.source):
            self._life.over(run.number, RunEnd.NEVER_STARTED, cause)
            return going
        goal = Goal(state=owner.partition.template.recording, requested_by=going.requested_by, since_ns=owner.now_ns())
        owner.goal(goal, "start", run=run)
        while owner.partition.run != run.number and self._life.open is not None:
            await owner.changed()
        return going


class _Failed(CountingRoomError):
    def __init__(self, run: Run) -> None:
        end = run.end.value if run.end else "open"
        super().__init__(
            f"run {run.number} ended: {end}",
            code="run_failed",
            causes=(run.cause,) if run.cause else (),
            suggestion="check the run, then start a new sequence",
        )


def _scalar(text: str) -> Scalar:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            value = kind(text)
            if math.isfinite(value):
                return value
            text = ""
    if not text:
        raise OutOfRange("a value is empty or not finite", code="wrong_argument", suggestion="give values as 1,2,3")
    return text
