"""Policy of run control: the role of the user, and the control lease of the target.

A command that needs the lease takes it when it is free. Commands towards a safe state need no lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from countingroom.bus.command_request import CommandHandler, CommandRequest
from countingroom.core import policy
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, Refused
from countingroom.core.policy import Permission, Principal
from countingroom.runs.access.control_lease import ControlLease

_log = logging.getLogger(__name__)

FindPrincipal = Callable[[str], Awaitable[Principal]]
"""The roles of a user at the target."""


class LeasePolicy:
    """The policy of one target."""

    def __init__(self, clock: Clock, target: str, control: ControlLease, principals: FindPrincipal) -> None:
        self._clock = clock
        self._target = target
        self._control = control
        self._principals = principals
        self._turn = asyncio.Lock()
        """Serialises the commands under the lease: of two users who act on a free lease at the same time, the first
        gets it, and the second is decided on after that."""

    @asynccontextmanager
    async def __call__(
        self, request: CommandRequest, handler: CommandHandler, permission: Permission
    ) -> AsyncGenerator[None]:
        """Entered while a command begins; Refused when the policy does not allow it."""
        if permission not in policy.UNDER_LEASE:
            await self._decide(request, permission)
            yield
            return
        async with self._turn:
            await self._decide(request, permission)
            yield
            if not handler.of_control:
                await self._used(request.by)

    async def _decide(self, request: CommandRequest, permission: Permission) -> None:
        principal = await self._principals(request.by)
        cause = policy.decide(
            principal,
            permission,
            self._target,
            control=self._control.present,
            token=request.command.lease,
            now_ns=self._clock.now_ns(),
        )
        if cause:
            raise Refused(cause)

    async def _used(self, user: str) -> None:
        """Renew the lease after a command. A failure is only logged, as the command has been carried out already."""
        try:
            await self._control.used(user)
        except CountingRoomError as error:
            _log.warning("runs.%s: the control of %s is not renewed: %s", self._target, user, error.cause)
