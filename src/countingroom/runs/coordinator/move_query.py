"""Answers what a move of detectors would change in each partition. A query has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from countingroom.bus.ask import stored_state
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Malformed, decode, encode
from countingroom.core.partitions import Member, PartitionState
from countingroom.core.placement import PartitionRecord
from countingroom.core.run_queries import MoveAnswer, MoveEffect, MoveQuery
from countingroom.core.series import QueryRefusal
from countingroom.core.systems import SystemKind
from countingroom.runs.context import RunControlContext, members_of
from countingroom.runs.coordinator.move_plan import plan_move
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.survey import UNSEEN, Seen, is_right, survey


async def answer(context: RunControlContext, message: Message) -> bytes:
    """The answer to `query.runs.move`."""
    try:
        return encode(await effects_of(context, decode(message.data, MoveQuery)))
    except Malformed as error:
        return encode(QueryRefusal(cause=malformed("a move query", error, "runs")))
    except CountingRoomError as error:
        return encode(QueryRefusal(cause=error.cause))


async def effects_of(context: RunControlContext, query: MoveQuery) -> MoveAnswer:
    """What the move would change; NotFound or Conflict where a detector or the partition is not known."""
    detectors = await context.database.mapping.detectors()
    records = {record.name: record for record in await context.database.partitions.list()}
    where = {name: one.partition for name, one in detectors.items()}
    states = context.system_states
    move = plan_move(query.detectors, query.to, where=where, partitions=records, force=True)
    found: list[MoveEffect] = []
    for name in move.partitions:
        leaves = tuple(one for one, place in move.before.items() if place == name)
        joins = tuple(one for one, place in move.moves.items() if place == name)
        found.append(await _effect(context, records[name], joins, leaves))
    missing = [one for one in move.moves if not states.connected(one)]
    return MoveAnswer(effects=tuple(found), obstacle=_obstacle(found, missing))


async def _effect(
    context: RunControlContext, record: PartitionRecord, joins: tuple[str, ...], leaves: tuple[str, ...]
) -> MoveEffect:
    shown = await stored_state(context.bus, subjects.partition_key(record.name), PartitionState)
    template = context.template(record.template)
    chosen = (await context.database.partitions.wanted(record.name)).systems
    kept = tuple(one for one in record.detectors if one not in leaves)
    after = msgspec.structs.replace(record, detectors=(*kept, *joins))
    members = members_of(template, after, chosen, context.section)
    seen = _seen(context, record.name, members, joins)
    state = shown.state if shown else template.idle
    then = survey(with_recorders(template, members), members, seen, run=shown.run if shown else 0, rests_in=state).state
    now = {one.system: one for one in members_of(template, record, chosen, context.section)}
    fitting = await context.database.tags.covering(member.system for member in members)
    return MoveEffect(
        partition=record.name,
        before=state,
        after=then,
        joins=joins,
        leaves=leaves,
        configures=tuple(
            member.system
            for member in members
            if member.system in now
            and member.included
            and is_right(now[member.system], seen[member.system])
            and not is_right(member, seen[member.system])
        ),
        run=shown.run if shown else 0,
        tag=record.tag,
        fits=record.tag in {tag.name for tag in fitting},
        tags=tuple(tag.name for tag in fitting),
    )


def _seen(
    context: RunControlContext, partition: str, members: Iterable[Member], joins: tuple[str, ...]
) -> Mapping[str, Seen]:
    """The members as they are seen now. One that joins is aborted, so that it counts as not seen yet."""
    states = context.system_states
    return {
        member.system: UNSEEN
        if member.system in joins
        else Seen(
            state=states.present(member.system, partition if member.kind is SystemKind.GLOBAL else ""),
            connected=states.connected(member.system),
        )
        for member in members
    }


def _obstacle(effects: Iterable[MoveEffect], missing: list[str]) -> Cause | None:
    busy = [effect for effect in effects if effect.run]
    if busy:
        names = ", ".join(f"{effect.partition} records run {effect.run}" for effect in busy)
        return Cause(code="run_open", message=names, source="mapping", suggestion="stop the run first, or use force")
    if missing:
        message = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not connected"
        return Cause(
            code="not_connected", message=message, source="mapping", suggestion="start the agent, or use force"
        )
    return None
