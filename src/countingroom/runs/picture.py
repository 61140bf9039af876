"""Law: what is shown of a partition is made from what its owner knows, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.errors import Cause
from countingroom.core.partitions import Member, MemberState, PartitionState
from countingroom.core.systems import NO_CONNECTION
from countingroom.runs.derive import UNSEEN, is_right
from countingroom.runs.situation import Partition


def picture(
    partition: Partition, refusals: Mapping[str, Cause | None], *, owner: str = "", boot: str = ""
) -> PartitionState:
    """Everything about it."""
    return PartitionState(
        partition=partition.name,
        template=partition.template.name,
        state=partition.state,
        since_ns=partition.since_ns,
        goal=partition.goal,
        tag=partition.tag,
        members=tuple(_member(partition, member) for member in partition.members),
        steps=partition.steps,
        run=partition.run,
        locked=partition.locked,
        refusals=dict(refusals),
        cause=partition.cause,
        chart=partition.template.chart(),
        owner=owner,
        boot=boot,
    )


def _member(partition: Partition, member: Member) -> MemberState:
    seen = partition.seen.get(member.system, UNSEEN)
    state = seen.state
    return MemberState(
        system=member.system,
        kind=member.kind,
        level=member.level,
        included=member.included,
        critical=member.critical,
        seen=seen.common,
        own=state.state if state else NO_CONNECTION,
        tag=state.tag if state else "",
        wanted_tag=member.wanted.tag if member.wanted else "",
        right=is_right(member, seen),
        joining=member.system in partition.joining,
        reported_ns=state.since_ns if state else 0,
        comment=state.comment if state else "",
        cause=seen.cause if not seen.connected else state.cause if state else None,
    )
