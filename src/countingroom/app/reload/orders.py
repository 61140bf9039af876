"""The child's side of a reload: orders of the parent come as lines of the input, and are answered on the output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.reload.messages import ReloadOrder, ReloadReply, ReloadStep

_log = logging.getLogger(__name__)


class Reloadable(Protocol):
    """A role that takes a changed description while it runs."""

    async def prepare(self, order: ReloadOrder) -> dict[str, dict[str, Any]]:
        """Make all new objects without any effect yet. CountingRoomError if that fails. Returns the keys that point at
        simulators, if the role runs them."""
        ...

    async def commit(self) -> None:
        """Put what was prepared in force."""
        ...

    async def cancel(self) -> None:
        """Forget the prepared description. Has no effect if there is none."""
        ...


class ReloadOrders:
    """Carries out the orders to this process, one after the other."""

    def __init__(self, answer: Callable[[ReloadReply], object] = lambda reply: None) -> None:
        self._answer = answer
        self._target: Reloadable | None = None
        self._prepared: int | None = None
        """The reload for which all is prepared."""
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()

    def serve(self, target: Reloadable) -> None:
        """The role that takes them. Called before it is ready."""
        self._target = target

    def receive(self, line: bytes) -> None:
        """Take one line of the parent."""
        self._lines.put_nowait(line)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            line = await self._lines.get()
            try:
                order = decode_json(line, ReloadOrder)
            except Malformed as error:
                _log.warning("an order of the parent is not understood: %s", error)
                continue
            self._answer(await self.carried_out(order))

    async def carried_out(self, order: ReloadOrder) -> ReloadReply:
        """The answer to one order, which is carried out."""
        if self._target is None:
            cause = Cause(
                code="not_reloadable",
                message="this process takes no changes while it runs",
                source="reload",
                suggestion="restart `countingroom up`",
            )
            return ReloadReply(id=order.id, refused=cause)
        try:
            match order.step:
                case ReloadStep.PREPARE:
                    overrides = await self._prepare(self._target, order)
                    return ReloadReply(id=order.id, overrides=msgspec.to_builtins(overrides))
                case ReloadStep.COMMIT:
                    if self._prepared != order.reload:
                        return ReloadReply(id=order.id, refused=_NOT_PREPARED)
                    self._prepared = None
                    await self._target.commit()
                case ReloadStep.CANCEL:
                    self._prepared = None
                    await self._target.cancel()
        except CountingRoomError as error:
            return ReloadReply(id=order.id, refused=error.cause)
        except Exception as error:  # a mistake in the code of a driver must not end the process
            _log.exception("reload: %s failed", order.step)
            cause = Cause(
                code="fault",
                message=f"{order.step} failed: {type(error).__name__}: {error}",
                source="reload",
                suggestion="report it; the log of the process has the place",
            )
            return ReloadReply(id=order.id, refused=cause)
        return ReloadReply(id=order.id)

    async def _prepare(self, target: Reloadable, order: ReloadOrder) -> dict[str, dict[str, Any]]:
        """Let the target prepare a reload. If it fails, the target forgets what it has prepared."""
        self._prepared = None
        try:
            overrides = await target.prepare(order)
        except BaseException:
            await target.cancel()
            raise
        self._prepared = order.reload
        return overrides


_NOT_PREPARED = Cause(
    code="not_prepared",
    message="this process has prepared nothing for this reload: it has begun since",
    source="reload",
    suggestion="nothing: it is started again, and then has the new description",
)
