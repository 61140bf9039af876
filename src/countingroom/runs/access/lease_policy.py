"""Policy of run control: the role of the user, and the control lease of the target.

A command that needs the lease takes it where it is free. Commands that make the experiment safer do not wait for it.
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
from countingroom.runs.access.control_lease import ControlDesk

_log = logging.getLogger(__name__)

FindPrincipal = Callable[[str], Awaitable[Principal]]
"""The roles of a user at the target."""


class LeasePolicy:
    """The policy of one target."""

    def __init__(self, clock: Clock, target: str, control: ControlDesk, principals: FindPrincipal) -> None:
        self._clock = clock
        self._target = target
        self._control = control
        self._principals = principals
        self._turn = asyncio.Lock()
        """The first to act where the lease is free takes it; the next command is decided on after that."""

    @asynccontextmanager
    async def __call__(
        self, request: CommandRequest, handler: CommandHandler, permission: Permission
    ) -> AsyncGenerator[None]:
        """Entered while a command is begun; Refused where its user may not give it."""
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
        """The command is carried out already, so it cannot be refused any more."""
        try:
            await self._control.used(user)
        except CountingRoomError as error:
            _log.warning("runs.%s: %s acted without being in control: %s", self._target, user, error.cause)
