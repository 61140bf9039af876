"""The websocket of the live feed: a subscription, one snapshot, then numbered changes. It takes no commands.

Close codes: 1003 the message is no subscription, 1008 refused by a middleware, 1013 too many viewers, 4001 the session
is over or its roles have changed.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket
from starlette.websockets import WebSocketDisconnect

from countingroom.console.auth.requester import requester
from countingroom.console.auth.sessions import SessionService
from countingroom.console.context import ConsoleContext, context
from countingroom.console.live.feed import LiveFeed, Viewer
from countingroom.console.live.subscription import parse
from countingroom.core.clock import within
from countingroom.core.errors import RequestError

router = APIRouter()
_FIRST_S = 5.0
_MOST_CHARACTERS = 100_000
LOGIN_OVER = 4001


@router.websocket("/live")
async def live(websocket: WebSocket, console: Annotated[ConsoleContext, Depends(context)]) -> None:
    """One viewer, until it disconnects."""
    await websocket.accept()
    try:
        async with within(console.clock, _FIRST_S):
            watch, resume = parse(await _receive(websocket))
        with console.feed.viewer(watch, resume) as viewer:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(_send(websocket, console.feed, viewer))
                watching = tasks.create_task(_close_when_over(websocket, console.sessions, sending))
                try:
                    await _listen(websocket, viewer)
                finally:
                    sending.cancel()
                    watching.cancel()
    except* WebSocketDisconnect:
        pass
    except* TimeoutError:
        await websocket.close(1003, "the first message was no subscription")
    except* RequestError as errors:
        await websocket.close(*_why(errors))


async def _receive(websocket: WebSocket) -> str:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
    text: str | None = message.get("text")
    if text is None:
        raise RequestError("not a watch message: send text, not bytes", source="console", code="invalid")
    if len(text) > _MOST_CHARACTERS:
        raise RequestError("the message is too long", source="console", code="invalid")
    return text


async def _listen(websocket: WebSocket, viewer: Viewer) -> None:
    """A later message changes the subscription, and a snapshot answers it."""
    while True:
        viewer.watch, _ = parse(await _receive(websocket))
        viewer.restart()


async def _send(websocket: WebSocket, feed: LiveFeed, viewer: Viewer) -> None:
    while True:
        await websocket.send_text(await feed.next(viewer))


async def _close_when_over(websocket: WebSocket, sessions: SessionService, sending: asyncio.Task[None]) -> None:
    why = await sessions.until_over(requester(websocket))
    sending.cancel()
    await websocket.close(LOGIN_OVER, why[:120])


def _why(errors: ExceptionGroup[RequestError]) -> tuple[int, str]:
    first = errors.exceptions[0]
    if isinstance(first, ExceptionGroup):
        return _why(first)
    return (1013 if first.cause.code == "too_many" else 1003), first.cause.message[:120]
