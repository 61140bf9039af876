"""Answers plan queries from the database and the reported states. A query has no effect."""

from __future__ import annotations

from countingroom.bus.ask import stored_state
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.errors import CountingRoomError, Refused
from countingroom.core.messages import Malformed, decode, encode
from countingroom.core.partitions import Goal, PartitionState, Plan
from countingroom.core.run_queries import PlanAnswer, PlanQuery
from countingroom.core.series import QueryRefusal
from countingroom.core.systems import SystemKind
from countingroom.runs.context import RunControlContext, members_of
from countingroom.runs.planner import causes
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.survey import Seen


async def answer(context: RunControlContext, message: Message) -> bytes:
    """The answer to `query.runs.plan`."""
    try:
        return encode(PlanAnswer(plan=await plan_for(context, decode(message.data, PlanQuery))))
    except Malformed as error:
        return encode(QueryRefusal(cause=malformed("a plan query", error, "runs")))
    except CountingRoomError as error:
        return encode(QueryRefusal(cause=error.cause))


async def plan_for(context: RunControlContext, query: PlanQuery) -> Plan:
    """The plan for a goal; NotFound for an unknown partition or tag, Refused for a state that is not stable."""
    name, now_ns = query.partition, context.clock.now_ns()
    record = await context.database.partitions.get(name)
    template = context.template(record.template)
    if query.goal not in template.rests and not query.reconfigure:
        raise Refused(causes.unknown_goal(name, query.goal, template.rests))
    if query.tag:
        chosen = await context.database.tags.resolve(query.tag)
    else:
        chosen = (await context.database.partitions.wanted(name)).systems
    members = members_of(template, record, chosen, context.section)
    shown = await stored_state(context.bus, subjects.partition_key(name), PartitionState)
    seen: dict[str, Seen] = {}
    for member in members:
        at = name if member.kind is SystemKind.GLOBAL else ""
        seen[member.system] = Seen(
            state=context.system_states.present(member.system, at),
            connected=context.system_states.connected(member.system),
            cause=context.system_states.why_not(member.system),
        )
    partition = PartitionModel(
        name=name,
        template=with_recorders(template, members),
        members=members,
        seen=seen,
        state=shown.state if shown else template.idle,
        since_ns=shown.since_ns if shown else now_ns,
        tag=query.tag or record.tag,
        run=shown.run if shown else 0,
        began=bool(shown and shown.state == template.recording),
        locked=record.locked,
    )
    state = partition.state if query.reconfigure else query.goal
    goal = Goal(state=state, since_ns=now_ns, reconfigure=query.reconfigure)
    return forecast(partition, goal, now_ns=now_ns, durations=context.system_states.durations.all())
