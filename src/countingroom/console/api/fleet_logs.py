"""The logs of services as they are written: a websocket for pages and the command line. It takes no commands.

The first message names the instances; then each message has new lines in the order in which they came, or the cause
for which there are none now. Close codes: as those of the live feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, WebSocket
from starlette.websockets import WebSocketDisconnect

from countingroom.console.api.live import address_of, close, close_when_over, receive_text, why_closed
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext, context
from countingroom.console.query_client import ask
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.clock import within
from countingroom.core.errors import CountingRoomError, LinkError, RequestError
from countingroom.core.fleet.queries import LONGEST_TAIL, LogFollowAnswer, LogFollowQuery, LogSource
from countingroom.core.policy import Permission

router = APIRouter()
ROUTES = {"WS /api/v1/fleet/logs": RoutePermission(action=Permission.VIEW)}
_FIRST_S = 5.0
_AGAIN_S = 2.0


class LogWatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first message of a reader."""

    of: tuple[LogSource, ...]
    tail: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_TAIL)] = 200
    since_ns: Annotated[int, msgspec.Meta(ge=0)] = 0


@router.websocket("/fleet/logs")
async def follow_logs(websocket: WebSocket, console: Annotated[ConsoleContext, Depends(context)]) -> None:
    """One reader, until it disconnects."""
    found = requester(websocket)
    try:
        await websocket.accept()
        with console.viewers.place(found.name, address_of(websocket), operates=found.operates):
            async with within(console.clock, _FIRST_S):
                watch = _watch(await receive_text(websocket))
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(_send(websocket, console, watch))
                watching = tasks.create_task(close_when_over(websocket, console.sessions, sending))
                try:
                    while True:  # it has nothing more to say: this waits for its end
                        await receive_text(websocket)
                finally:
                    sending.cancel()
                    watching.cancel()
    except* TimeoutError:
        await close(websocket, 1003, "the first message named no instances")
    except* (WebSocketDisconnect, OSError):  # the client has left
        pass
    except* CountingRoomError as errors:
        await close(websocket, *why_closed(errors))


def _watch(text: str) -> LogWatch:
    try:
        return msgspec.json.decode(text, type=LogWatch)
    except msgspec.DecodeError as error:
        raise RequestError(
            f"the first message does not name instances: {error}",
            source="console",
            code="invalid",
            suggestion='send {"of": [{"service": …, "node": …, "index": 0}], "tail": 200}',
        ) from error


async def _send(websocket: WebSocket, console: ConsoleContext, watch: LogWatch) -> None:
    """Send lines as they come. After a time without a keeper they go on where they ended."""
    session, last_ns, tail = uuid4().hex, watch.since_ns - 1, watch.tail
    try:
        while True:
            query = LogFollowQuery(session=session, of=watch.of, tail=tail, since_ns=max(last_ns + 1, 0))
            try:
                answer = await ask(console.bus, "fleet", "log_lines", query, LogFollowAnswer)
            except LinkError as error:
                await _tell(websocket, {"cause": error.cause})
                await console.clock.sleep(_AGAIN_S)
                session, tail = uuid4().hex, LONGEST_TAIL if last_ns > 0 else tail
                continue
            if answer.lines or answer.missed:
                last_ns = max(last_ns, *(line.time_ns for line in answer.lines), 0)
                await _tell(websocket, {"lines": _shown(watch.of, answer), "missed": answer.missed})
    finally:
        with suppress(CountingRoomError):
            await ask(console.bus, "fleet", "log_lines", LogFollowQuery(session=session, is_end=True), LogFollowAnswer)


def _shown(of: Sequence[LogSource], answer: LogFollowAnswer) -> list[dict[str, Any]]:
    return [
        {**msgspec.structs.asdict(of[line.of]), "time_ns": line.time_ns, "text": line.text} for line in answer.lines
    ]


async def _tell(websocket: WebSocket, said: dict[str, Any]) -> None:
    await websocket.send_text(msgspec.json.encode(said).decode())
