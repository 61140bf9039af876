"""Finds the streams that met a full disk, and repairs them when there is room again, without a restart of the server.

After a failed write a stream refuses all further writes, also after the disk has room. It can still be read. So it is
copied into a second one, deleted, and copied back under its name, with the same numbers; then it stores again. Its
owners keep what they append meanwhile.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.clock import Clock, within
from countingroom.core.subjects import SERVER_HEALTH

_log = logging.getLogger(__name__)

COPY = "_copy"
"""End of the name of the second stream."""
_LOOK_S = 0.05
_COPY_S = 300.0
_LEAST_BYTES = 1 << 20


class BrokenStream(Struct, frozen=True, kw_only=True):
    """A stream that does not store."""

    name: str
    error: str
    """In the words of the server."""


class StreamRepair:
    """The streams of the account of all clients."""

    def __init__(self, connection: NatsConnection, clock: Clock, *, account: str) -> None:
        self._connection = connection
        self._clock = clock
        self._account = account
        self._store = JetStreamStore(connection, 1)

    async def broken(self) -> list[BrokenStream]:
        """The streams that do not store; LinkError when the server does not answer."""
        answer = await self._connection.request(SERVER_HEALTH, b'{"details": true}', timeout_s=2.0)
        errors: list[dict[str, str]] = json.loads(answer.data).get("data", {}).get("errors") or []
        return [
            BrokenStream(name=error["stream"], error=error.get("error", ""))
            for error in errors
            if error.get("type") == "STREAM"
            and error.get("account") == self._account
            and "write error" in error.get("error", "")
        ]

    async def repair(self, name: str, *, free_bytes: int) -> None:
        """Make the stream store again. Its oldest messages go where the disk has no room for a copy of all.

        An interrupted repair is finished by `finish`.
        """
        info = await self._store.info(name)
        if info is None:
            return
        copy = f"{name}{COPY}"
        if await self._store.info(copy):
            await self._connection.api(f"STREAM.DELETE.{copy}")
        room = max(_LEAST_BYTES, free_bytes // 2)
        if info["config"]["max_bytes"] > 0:
            room = min(room, info["config"]["max_bytes"])
        config = info["config"] | {"max_bytes": room}
        await self._mirror(copy, name, config, last=info["state"]["last_seq"])
        # From here on the copy holds what the stream held. Its size limit is that of the stream, which `finish` needs.
        await self._promote(copy, info["config"], subjects=[copy])
        await self._connection.api(f"STREAM.DELETE.{name}")
        await self._copy_back(name, info["config"])

    async def finish(self, name: str, subjects: list[str]) -> None:
        """Finish a repair that a crash has interrupted."""
        copied = await self._store.info(f"{name}{COPY}")
        if copied is None:
            return
        present = await self._store.info(name)
        if "mirror" in copied["config"] or (present and "mirror" not in present["config"]):
            await self._connection.api(f"STREAM.DELETE.{name}{COPY}")  # the stream itself is complete
            return
        if present:
            await self._connection.api(f"STREAM.DELETE.{name}")
        _log.warning("the repair of the stream %s was interrupted and is finished now", name)
        await self._copy_back(name, copied["config"] | {"subjects": subjects})

    async def _copy_back(self, name: str, config: Mapping[str, Any]) -> None:
        copy = f"{name}{COPY}"
        copied = await self._store.info(copy)
        last = copied["state"]["last_seq"] if copied else 0
        if copied and not copied["state"]["messages"]:
            plain = {key: value for key, value in config.items() if key != "mirror"}
            await self._connection.api(f"STREAM.CREATE.{name}", {**plain, "name": name, "first_seq": last + 1})
        else:
            await self._mirror(name, copy, config, last=last)
            await self._promote(name, config, subjects=config["subjects"])
        await self._connection.api(f"STREAM.DELETE.{copy}")

    async def _mirror(self, name: str, source: str, config: Mapping[str, Any], *, last: int) -> None:
        """Create a stream with the messages of another one."""
        own = {key: value for key, value in config.items() if key not in ("name", "subjects", "first_seq", "mirror")}
        await self._connection.api(f"STREAM.CREATE.{name}", {**own, "name": name, "mirror": {"name": source}})
        async with within(self._clock, _COPY_S):
            while True:
                info = await self._store.info(name)
                if info is None or info["state"]["last_seq"] >= last:
                    return
                await self._clock.sleep(_LOOK_S)

    async def _promote(self, name: str, config: Mapping[str, Any], *, subjects: list[str]) -> None:
        """Turn a mirror into a stream of its own."""
        own = {key: value for key, value in config.items() if key not in ("mirror", "first_seq")}
        await self._connection.api(f"STREAM.UPDATE.{name}", {**own, "name": name, "subjects": subjects})
