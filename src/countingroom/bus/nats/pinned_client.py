"""The client of nats-py with what its options cannot change, for the pinned version of nats-py."""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import Client


class PinnedClient(Client):
    """The client of nats-py with three changes: it never closes itself, it can discard unsent messages, and a server
    that closes the connection during the handshake does not count as connected."""

    _reading_task: asyncio.Task[None] | None
    _ping_interval_task: asyncio.Task[None] | None
    _flusher_task: asyncio.Task[None] | None

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        # A server that closes the socket instead of answering the handshake leaves the status as it was, without an
        # exception, and nats-py then reports a connection that does not exist.
        if self._status != Client.CONNECTED:
            for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                if task:
                    task.cancel()
            raise ConnectionResetError("the server closed the connection before it answered")

    async def _process_err(self, err_msg: str) -> None:
        # nats-py closes the client for good on most errors that a server sends, such as an authorization error while
        # the server restarts with another configuration. `_process_op_err` reconnects instead.
        if "permissions violation" in err_msg:
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))

    def discard_unsent(self) -> None:
        """Drop the send buffer, which nats-py would send after the reconnection."""
        self._pending: list[bytes] = []
        self._pending_data_size = 0
