"""Streams and buckets on the server, through the JSON API of JetStream. Refusals are translated into our exceptions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from countingroom.bus.nats.connection import STORE_S, ApiError, NatsConnection
from countingroom.bus.nats.open_requests import Outgoing, result
from countingroom.bus.nats.views import deleted
from countingroom.core.errors import ConfigurationError, Conflict, CountingRoomError, LinkError, RequestError

_NO_MESSAGE, _NO_STREAM, _NAME_IN_USE = 10037, 10059, 10058
WRONG_REVISION, _FULL, _TOO_BIG = 10071, 10077, 10054
_DUPLICATES_S = 120
_FIXED = ("storage", "first_seq", "metadata")
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
DELETION = {"KV-Operation": "DEL"}
"""Headers of the message that deletes a key."""


class LastMessage(Struct, frozen=True):
    """The last message of a subject; `data` is None for a deletion marker."""

    revision: int
    data: bytes | None


class JetStreamStore:
    """The streams and buckets of the server."""

    def __init__(self, connection: NatsConnection, replicas: int) -> None:
        self._connection = connection
        self._replicas = replicas

    async def stream(self, name: str, subjects: list[str], *, max_bytes: int, **more: Any) -> None:
        """Create the stream, or change the existing one. The number of replicas of an existing stream is not changed,
        as the site's administrator may have set it; nor is what cannot be changed: its storage and first sequence."""
        wanted: dict[str, Any] = {
            "name": name,
            "subjects": subjects,
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "max_bytes": max_bytes,
            "max_age": 0,
            "duplicate_window": _DUPLICATES_S * 1_000_000_000,
            **more,
        }
        try:
            try:
                present = await self._connection.api(f"STREAM.INFO.{name}")
            except ApiError as error:
                if error.number != _NO_STREAM:
                    raise
                await self._create(name, wanted)
            else:
                wanted = {key: value for key, value in wanted.items() if key not in _FIXED}
                if any(present["config"].get(key, 0) != value for key, value in wanted.items()):
                    await self._connection.api(f"STREAM.UPDATE.{name}", {**present["config"], **wanted})
        except ApiError as error:
            raise ConfigurationError(
                f"the stream {name} cannot be created: {error.cause.message}",
                source="bus",
                suggestion="free disk space for the bus, or set a smaller max_bytes",
            ) from error

    async def _create(self, name: str, wanted: dict[str, Any]) -> None:
        try:
            await self._connection.api(f"STREAM.CREATE.{name}", {**wanted, "num_replicas": self._replicas})
        except ApiError as error:
            # Another client was faster, with another first sequence.
            if error.number != _NAME_IN_USE:
                raise

    async def info(self, stream: str) -> dict[str, Any] | None:
        """The facts of the server about a stream: `config`, `state`, `created`, `ts` …; None if it does not exist."""
        try:
            return await self._connection.api(f"STREAM.INFO.{stream}")
        except ApiError as error:
            if error.number == _NO_STREAM:
                return None
            raise LinkError(error.cause.message, source="bus", code="no_stream") from None

    async def names(self) -> set[str]:
        """The names of all streams."""
        found: set[str] = set()
        while True:
            page = await self._connection.api("STREAM.NAMES", {"offset": len(found)})
            found.update(page.get("streams") or ())
            if not page.get("streams") or len(found) >= int(page["total"]):
                return found

    async def bucket(self, name: str, *, max_bytes: int, **more: Any) -> None:
        """Create the bucket, or change the existing one."""
        await self.stream(
            f"KV_{name}",
            [f"$KV.{name}.>"],
            max_bytes=max_bytes,
            max_msgs_per_subject=1,
            discard="new",
            allow_rollup_hdrs=True,
            allow_direct=True,
            **more,
        )

    async def last_sequence(self, stream: str) -> int:
        """Sequence of the newest message of a stream; LinkError when the stream does not exist."""
        try:
            return int((await self._connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"])
        except ApiError:
            raise LinkError(f"there is no stream {stream}", source="bus", code="no_stream") from None

    async def last(self, bucket: str, key: str) -> LastMessage | None:
        """The last message of a key, a deletion marker included; None when there is none."""
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.KV_{bucket}", {"last_by_subj": f"$KV.{bucket}.{key}"})
        except ApiError as error:
            if error.number == _NO_MESSAGE:
                return None
            raise LinkError(f"there is no bucket {bucket}", source="bus", code="no_stream") from None
        message = answer["message"]
        head = base64.b64decode(message.get("hdrs", "")).decode(errors="replace")
        names = {line.partition(":")[0]: "" for line in head.splitlines()}
        return LastMessage(int(message["seq"]), None if deleted(names) else base64.b64decode(message.get("data", "")))

    async def append(self, subject: str, data: bytes, message_id: str) -> int:
        """Store a message in the stream of its subject. The server drops a second message with the same id."""
        return result((await self.append_all([(subject, data, message_id)]))[0])

    async def append_all(self, messages: Sequence[tuple[str, bytes, str]]) -> list[int | CountingRoomError]:
        """Store messages, each with its subject and id. For each one its sequence, or the error of `append`."""
        outgoing = [
            Outgoing(subject, data, {"Nats-Msg-Id": message_id} if message_id else None)
            for subject, data, message_id in messages
        ]
        outcomes = await self._connection.store_all(outgoing, timeout_s=STORE_S)
        return [_translated(outcome) if isinstance(outcome, ApiError) else outcome for outcome in outcomes]

    async def write_all(
        self, bucket: str, entries: Sequence[tuple[str, bytes | None]]
    ) -> list[int | CountingRoomError]:
        """Write keys in this order, or delete those with None. For each one its revision, or the error of `write`."""
        outgoing = [
            Outgoing(f"$KV.{bucket}.{key}", data or b"", DELETION if data is None else None) for key, data in entries
        ]
        outcomes = await self._connection.store_all(outgoing)
        return [_translated(outcome, bucket) if isinstance(outcome, ApiError) else outcome for outcome in outcomes]

    async def write(
        self, bucket: str, key: str, data: bytes, *, expected: int | None, headers: dict[str, str] | None = None
    ) -> int:
        """Write a key; returns its revision. Conflict when the present revision is not the expected one."""
        heads = dict(headers or {})
        if expected is not None:
            heads[_EXPECTED] = str(expected)
        try:
            return await self._connection.store(f"$KV.{bucket}.{key}", data, heads or None)
        except ApiError as error:
            if error.number != WRONG_REVISION:
                raise _translated(error, bucket) from error
        last = await self.last(bucket, key)
        # `expected=0` means "must not exist". A deleted key still has a revision, that of its deletion marker, and the
        # server compares with that one.
        if expected == 0 and last and last.data is None:
            return await self.write(bucket, key, data, expected=last.revision, headers=headers)
        revision = last.revision if last else 0
        raise Conflict(
            f"{bucket}/{key} is at revision {revision}, not {expected}",
            source="bus",
            evidence={"revision": revision, "expected": expected},
            suggestion="read it again and decide again",
        )


def _translated(error: ApiError, bucket: str = "") -> CountingRoomError:
    """The error of the port for a message that was not stored. `bucket`: empty in a stream, which is never full."""
    if error.number == _FULL and bucket:
        return RequestError(f"the bucket {bucket} is full", source="bus", code="full")
    if error.number == _TOO_BIG:
        return RequestError(error.cause.message, source="bus", code="too_big")
    return LinkError(error.cause.message, source="bus", code="not_stored")
