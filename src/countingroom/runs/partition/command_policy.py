"""Policy of a partition: who may give a command, and only while its owner holds the lease of the partition.

Also notes what was accepted and has not acted yet, from its receipt on, so that a stop can end it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from countingroom.bus.command_request import CommandHandler, CommandRequest
from countingroom.core import subjects
from countingroom.core.clock import within
from countingroom.core.errors import LinkError
from countingroom.core.policy import Permission, Principal
from countingroom.runs.access.lease_policy import LeasePolicy
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.starts import AcceptedCommands

HELD_S = 2.0
"""So long a command waits for a lease that is lost."""

_STARTS = frozenset({"start", "repeat", "sequence"})
_SETS_GOAL = _STARTS | {"goal", "configure", "configure_all", "reconfigure"}


class PartitionPolicy:
    """The policy of one partition."""

    def __init__(self, owner: OwnerPort, commands: AcceptedCommands) -> None:
        self._owner = owner
        self._commands = commands
        self._control = LeasePolicy(owner.context.clock, owner.name, owner.control, self._principal)

    @asynccontextmanager
    async def __call__(
        self, request: CommandRequest, handler: CommandHandler, permission: Permission
    ) -> AsyncGenerator[None]:
        """Entered while a command begins; Refused when the policy does not allow it, LinkError while the lease of the
        partition is lost: what is accepted without it might never be done."""
        command, owner = request.command, self._owner
        is_start = command.action in _STARTS or (
            command.action == "goal" and request.text("state", "") == owner.partition.template.recording
        )
        noted = self._commands.accepted(command.id, is_start=is_start)
        with noted if command.action in _SETS_GOAL else nullcontext():
            try:
                if owner.lease.lost:
                    async with within(owner.context.clock, HELD_S):
                        await owner.lease.held()
            except TimeoutError:
                raise LinkError(
                    f"the process that answers for {owner.name} is not its owner now",
                    source=owner.source,
                    code="lease_lost",
                    suggestion="send the command again",
                ) from None
            async with self._control(request, handler, permission):
                yield

    async def _principal(self, user: str) -> Principal:
        return await self._owner.context.principals.principal(user, subjects.partition_key(self._owner.name))
