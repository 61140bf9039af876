"""Reserves the number of a run in the database, before any order is sent for it, and reads the limits of a run.

The number is on disk before the run starts, and after the end of the last run is on disk.
"""

from __future__ import annotations

from countingroom.bus.ask import stored_state
from countingroom.bus.command_request import CommandRequest
from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.errors import Cause, Conflict, LinkError, NotFound, OutOfRange, Refused
from countingroom.core.messages import Catalogue, EventKind
from countingroom.core.points import Type
from countingroom.core.run_book import Run, RunEnd, RunLimit
from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.run_lifecycle import RunLifecycle

WRITTEN_S = 3.0
"""Time-out for the waiting entries of the run book, mainly the end of the last run. Until it is written, the database
refuses a second open run of the partition."""


async def reserve_run_number(
    owner: OwnerPort, life: RunLifecycle, by: str, limit: RunLimit | None, comment: str = "", *, sequence: str = ""
) -> Run:
    """Reserve a run number and record the run. Conflict while a run is open, Refused while an interlock forbids it."""
    async with life.reserving:
        await _skip_seen(owner)
        is_written = await _is_written(owner)
        if cause := owner.partition.forbidden:  # an interlock tripped since the command was accepted
            raise Refused(cause)
        try:
            run = await _reserve(owner, life, by, limit, sequence)
        except Conflict as error:
            if not is_written:
                raise LinkError(
                    "the run book cannot be written now: the end of the last run still waits for the database",
                    code="storage_failed",
                    source=owner.source,
                    suggestion="see whether the disk of the database has free space; then start again",
                ) from error
            # The database has an open run that this owner does not know: an earlier reservation was committed, but its
            # answer was lost. Without the clean-up no run could start until another process owns the partition.
            if life.open is not None:
                raise
            await _close_forgotten(owner)
            run = await _reserve(owner, life, by, limit, sequence)
        life.open = run
        owner.context.run_book.reserved(run.number)
    if cause := owner.partition.forbidden:  # an interlock tripped while the number was reserved
        life.over(run.number, RunEnd.NEVER_STARTED, cause)
        raise Refused(cause)
    if comment:
        owner.book.note(run.number, "comment", comment, author=by)
    return run


async def _skip_seen(owner: OwnerPort) -> None:
    """Skip the numbers that a system has recorded, or that were reserved on this computer: a restored database has
    forgotten its last runs. An event tells it."""
    seen = max(owner.context.system_states.highest_run(), owner.context.run_book.highest_run)
    runs = owner.context.database.runs
    if seen <= owner.context.system_states.skipped or seen <= (last := await runs.last_number()):
        return
    following = await runs.skip_to(seen + 1)
    owner.context.system_states.skipped = seen
    if following == seen + 1:
        owner.command_server.record(
            EventKind.NOTE,
            f"the run book ends with run {last}, but run {seen} was seen: the next run is {following}",
            action="set_next_run",
            severity=2,
        )


async def _is_written(owner: OwnerPort) -> bool:
    try:
        async with within(owner.context.clock, WRITTEN_S):
            await owner.book.written()
    except TimeoutError:
        return False
    return True


async def _reserve(owner: OwnerPort, life: RunLifecycle, by: str, limit: RunLimit | None, sequence: str) -> Run:
    partition = owner.partition
    return await owner.context.database.runs.reserve(
        partition.name,
        partition.template.name,
        by,
        owner.context.clock.now_ns(),
        tag=partition.tag,
        configurations={one.system: one.wanted for one in partition.members if one.included and one.wanted},
        members=[one.system for one in partition.members if one.included],
        versions=life.versions(),
        limit=limit,
        sequence=sequence,
    )


async def _close_forgotten(owner: OwnerPort) -> None:
    """Close the runs that were reserved but never started: the answer to their reservation was lost after the
    commit."""
    cause = Cause(
        code="no_answer",
        message="the database reserved the number, but its answer was lost",
        source=owner.source,
        suggestion="no action is needed: the run was never started",
    )
    runs = owner.context.database.runs
    for run in await runs.open_runs(owner.name):
        await runs.close(run.number, RunEnd.NEVER_STARTED, owner.context.clock.now_ns(), cause=cause)


async def limit_of(bus: Bus, request: CommandRequest) -> RunLimit | None:
    """The limit in the request; None: no limit. NotFound for a point that does not exist, OutOfRange for bad values."""
    seconds, above, below = (request.number(name) for name in ("seconds", "above", "below"))
    point = request.text("point", "")
    if seconds is not None and seconds <= 0:
        raise OutOfRange(
            "seconds must be above 0", code="wrong_argument", suggestion="give a positive number of seconds"
        )
    if bool(point) != (above is not None or below is not None):
        raise OutOfRange(
            "a condition needs a point, and above or below",
            code="wrong_argument",
            suggestion="give point and above or below",
        )
    if point:
        await _check(bus, point)
    if seconds is None and not point:
        return None
    return RunLimit(seconds=seconds, point=point, above=above, below=below)


async def _check(bus: Bus, point: str) -> None:
    """Check that the point exists and is a number. A run with a condition on a wrong point would never end."""
    device, _, name = point.partition(".")
    if not subjects.is_token(device) or not name:
        raise OutOfRange(f"{point} is not a point", code="wrong_argument", suggestion="write DEVICE.POINT")
    catalogue = await stored_state(bus, subjects.catalogue_key(device), Catalogue)
    if catalogue is None:
        raise NotFound(f"there is no device {device}", suggestion="check the list of devices: device list")
    known = {one.name: one for one in catalogue.points}
    if name not in known:
        hint = did_you_mean(name, known)
        raise NotFound(f"{device} has no point {name}{hint}", suggestion=f"check its points: device show {device}")
    if known[name].type is Type.STRING:
        raise OutOfRange(f"{point} is a text", code="wrong_argument", suggestion="give a point that is a number")
