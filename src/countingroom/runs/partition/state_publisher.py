"""Publishes the state of a partition under its key, with one writer: a conflict means that the lease is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from countingroom.bus.election import Leadership
from countingroom.core import subjects
from countingroom.core.errors import Cause, Conflict, LinkError
from countingroom.core.messages import decode, encode
from countingroom.core.partitions import Member, MemberState, PartitionState
from countingroom.core.systems import NO_CONNECTION
from countingroom.runs.context import RunControlContext
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.survey import UNSEEN, is_right

_log = logging.getLogger(__name__)

RETRY_S = 0.2
REPEAT_S = 5.0
"""An unchanged state is published again no more often. Most reports of systems that record change nothing in it: the
state of the demo, 5 kB, was published to each reader twice a second."""
GATHER_S = 0.05
"""Changes within this time are published together, as a transition of many systems makes many of them."""


class StatePublisher:
    """Publishes the latest state of one partition."""

    def __init__(
        self, context: RunControlContext, name: str, lease: Leadership, draw: Callable[[], PartitionState]
    ) -> None:
        self._context = context
        self._lease = lease
        self._draw = draw
        self._key = subjects.partition_key(name)
        self._dirty = asyncio.Event()
        self._writing = asyncio.Lock()
        self._gone = False
        self._written = b""
        """What was published last."""
        self._written_s = float("-inf")
        self.shown = False
        """Whether the published state is from this owner."""
        self.revision = 0
        """Last known revision of the key."""

    def changed(self) -> None:
        """Mark the state as changed."""
        self._dirty.set()

    async def run(self) -> None:
        """Publish changes until cancelled."""
        await self.show()
        while True:
            await self._dirty.wait()
            await self._context.clock.sleep(GATHER_S)
            await self.settle()

    async def settle(self) -> None:
        """Publish the state if it has changed since the last time, or not for REPEAT_S."""
        if self._dirty.is_set() or not self.shown:
            await self._show(repeat=False)

    async def show(self) -> None:
        """Publish the state now, as soon as the lease is held; returns when it is written, or the partition deleted."""
        await self._show(repeat=True)

    async def _show(self, *, repeat: bool) -> None:
        async with self._writing:
            while not self._gone:
                await self._lease.held()
                self._dirty.clear()
                data = encode(self._draw())
                now_s = self._context.clock.monotonic()
                is_new = data != self._written or now_s >= self._written_s + REPEAT_S
                if self.shown and not repeat and not is_new:
                    return
                try:
                    self.revision = await self._context.bus.put(
                        subjects.STATE_BUCKET, self._key, data, expected=self.revision
                    )
                except Conflict as conflict:
                    await self._look_again(conflict)
                except LinkError:
                    await self._context.clock.sleep(RETRY_S)
                else:
                    self.shown = True
                    self._written = data
                    self._written_s = now_s
                    return

    async def _look_again(self, conflict: Conflict) -> None:
        """Read the revision again after a conflict. The conflict comes from our own write, if its answer was lost, from
        a bucket that the server lost with its memory, or from another owner; in the last case our lease is lost."""
        try:
            entry = await self._context.bus.get(subjects.STATE_BUCKET, self._key)
        except LinkError:
            return
        # A deleted key has the revision of its deletion; one that the bucket never had has none.
        if entry is None and self.revision and conflict.cause.evidence.get("revision"):
            self._gone = True  # the partition is being deleted
        self.revision = entry.revision if entry else 0


def snapshot(
    partition: PartitionModel, refusals: Mapping[str, Cause | None], *, owner: str = "", boot: str = ""
) -> PartitionState:
    """The complete state of a partition for publishing."""
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
        cause=partition.unexplained or partition.cause,
        chart=partition.template.chart(),
        owner=owner,
        boot=boot,
    )


def _member(partition: PartitionModel, member: Member) -> MemberState:
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
        in_place=bool(member.base),
        joining=member.system in partition.joining,
        reported_ns=state.since_ns if state else 0,
        comment=state.comment if state else "",
        cause=seen.cause if not seen.connected else state.cause if state else None,
    )


def published(data: bytes) -> PartitionState | None:
    """The state in a message of an earlier owner; None where it is malformed."""
    try:
        return decode(data, PartitionState)
    except msgspec.DecodeError as error:
        _log.warning("the published state of a partition is malformed and ignored: %s", error)
        return None
