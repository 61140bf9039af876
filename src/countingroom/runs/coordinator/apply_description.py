"""Applies the edited description to the database, and publishes how they differ.

Schemas, configurations and tags are saved as a user saves them: a partition takes them at its next configure. A
partition that is renamed or gets another template must be Idle. It is held meanwhile, and so is one whose detector is
renamed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from uuid import NAMESPACE_OID, uuid5

from countingroom.bus.ask import stored_state
from countingroom.bus.command_request import CommandRequest, Completion
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.apply_description.compare import ApplyAction, ApplyPlan, ItemChange
from countingroom.core.apply_description.contents import ItemKind
from countingroom.core.apply_description.messages import ApplyAnswer, ApplyQuery, DescriptionState, choices, summary
from countingroom.core.errors import Cause, Conflict, CountingRoomError
from countingroom.core.messages import Malformed, decode, encode
from countingroom.core.partitions import PartitionState
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar
from countingroom.runs.context import RunControlContext
from countingroom.runs.coordinator.move_transaction import Holds
from countingroom.runs.coordinator.seeding import seed_of
from countingroom.storage.applying import check

_log = logging.getLogger(__name__)

Tell = Callable[[str, str, str, int], None]
"""Records an event: id (empty: a new one), message, user, severity."""

MOST_EVENTS = 500
"""Changes of one application that get an event each; the last event counts the others."""

_DONE = {
    ApplyAction.ADD: "added",
    ApplyAction.UPDATE: "updated",
    ApplyAction.REMOVE: "removed",
    ApplyAction.LEAVE: "left as it is in the database",
}


class ApplyDescription:
    """The command `apply` and the query of its plan, for the coordinator that leads."""

    def __init__(self, context: RunControlContext, announce: Callable[[], Awaitable[None]], tell: Tell) -> None:
        self._context = context
        self._announce = announce
        self._tell = tell
        self._seed = seed_of(context.section)
        self._read_ns = context.clock.now_ns()
        self._published: DescriptionState | None = None

    async def begin(self) -> None:
        """Publish how description and database differ, and record an event where they do."""
        plan = await self._publish()
        if plan.differs:
            # A process that takes over finds the same, and the bus stores an event id once.
            text = f"the description differs from the database: {summary(plan.counts)}"
            self._tell(uuid5(NAMESPACE_OID, f"description {plan.digest}").hex, text, "", 2)

    async def refresh(self) -> None:
        """Publish it again after a command. What users change makes no difference where there was none."""
        if self._published is None or self._published.counts:
            with suppress(CountingRoomError):
                await self._publish()

    async def answer(self, message: Message) -> bytes:
        """The answer to `query.runs.apply`."""
        try:
            query = decode(message.data, ApplyQuery)
            chosen = choices(query.take, prune=query.prune)
            plan = await self._context.database.description.plan(self._seed, chosen)
            return encode(ApplyAnswer(plan=plan, read_ns=self._read_ns))
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a query of the plan", error, "runs")))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    async def apply(self, request: CommandRequest) -> Completion:
        """Handler of the command."""
        chosen = choices(request.text("take", ""), prune=request.flag("prune"))
        plan = await self._context.database.description.plan(self._seed, chosen)
        check(plan, request.text("digest", ""))
        touched = await self._touched(plan)

        async def rest() -> Mapping[str, Scalar]:
            if not plan.to_do:
                return {"changes": 0}
            async with Holds(self._context, tuple(sorted(touched)), force=False):
                await self._are_idle([name for name, idle in touched.items() if idle])
                done = await self._context.database.description.apply(
                    self._seed, request.by, chosen, expected=plan.digest
                )
                await self._announce()
            await self._forget_partitions(done)
            self._tell_changes(done, request.by)
            await self._publish()
            return {"changes": len(done.to_do)}

        return rest()

    async def _publish(self) -> ApplyPlan:
        plan = await self._context.database.description.plan(self._seed)
        state = DescriptionState(counts=plan.counts if plan.differs else {}, read_ns=self._read_ns)
        if state != self._published:
            await self._context.bus.put(subjects.STATE_BUCKET, subjects.DESCRIPTION_KEY, encode(state))
            self._published = state
        return plan

    async def _touched(self, plan: ApplyPlan) -> dict[str, bool]:
        """Partition -> whether it must be Idle, of those that are held while the plan is carried out."""
        there = await self._context.database.partitions.list()
        names = {one.name for one in there}
        held: dict[str, bool] = {}
        for one in plan.to_do:
            if one.action is ApplyAction.RENAME and one.kind == "system":
                inside = {at.name for at in there if one.was in at.detectors}
                for name in inside or names:  # a global system serves every partition
                    held.setdefault(name, False)
            elif one.kind == ItemKind.PARTITION and one.action in (
                ApplyAction.RENAME,
                ApplyAction.UPDATE,
                ApplyAction.REMOVE,
            ):
                name = one.was or one.name
                if name in names:
                    held[name] = True
        return held

    async def _are_idle(self, names: list[str]) -> None:
        """Conflict where a partition is not Idle: its systems would stay active without an owner, or in a state that
        the new template does not have."""
        causes: list[Cause] = []
        for name in names:
            state = await stored_state(self._context.bus, subjects.partition_key(name), PartitionState)
            idle = self._idle((await self._context.database.partitions.get(name)).template)
            if state is not None and idle and state.state != idle:
                text = f"{name} is in {state.state}"
                causes.append(Cause(code="not_idle", message=text, source=f"partitions.{name}"))
        if causes:
            raise Conflict(
                "a partition is renamed, changed or removed only while it is Idle",
                code="not_idle",
                source="description",
                causes=causes,
                suggestion="bring it to Idle, then apply again",
            )

    def _idle(self, template: str) -> str:
        return self._context.template(template).idle if template in self._context.section.templates else ""

    async def _forget_partitions(self, plan: ApplyPlan) -> None:
        """Remove the published state of partitions that no longer exist under their name."""
        gone = [
            one.was or one.name
            for one in plan.to_do
            if one.kind == ItemKind.PARTITION and one.action in (ApplyAction.RENAME, ApplyAction.REMOVE)
        ]
        for name in gone:
            for key in (subjects.partition_key(name), subjects.control_key(name)):
                await self._context.bus.delete(subjects.STATE_BUCKET, key)
        if gone:
            await self._announce()  # its revision comes after those of the deletions

    def _tell_changes(self, plan: ApplyPlan, by: str) -> None:
        for one in plan.to_do[:MOST_EVENTS]:
            self._tell("", _message(one), by, 0)
        if len(plan.to_do) > MOST_EVENTS:
            self._tell("", f"description applied: {len(plan.to_do) - MOST_EVENTS} changes more", by, 0)
        _log.info("runs: %s applied the description: %s", by, summary(plan.counts))


def _message(one: ItemChange) -> str:
    what = f"renamed from {one.was}" if one.action is ApplyAction.RENAME else _DONE[one.action]
    return f"description applied: {one.kind} {one.name} {what}"
