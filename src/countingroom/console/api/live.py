"""The live feed: a websocket with one snapshot and then numbered changes, or the same by request. It takes no commands.

Close codes: 1003 the message is no subscription, 1008 refused by a middleware, 1013 too many live feeds are open (the
reason says which limit), 4001 the session is over or its roles have changed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.auth.sessions import SessionService
from countingroom.console.context import ConsoleContext, context
from countingroom.console.live.feed import LiveFeed
from countingroom.console.live.subscription import parse
from countingroom.console.live.viewer_limits import TOO_MANY
from countingroom.console.live.viewer_queue import Viewer
from countingroom.console.responses import example, refusals
from countingroom.core.clock import within
from countingroom.core.errors import CountingRoomError, RequestError

router = APIRouter()
_FIRST_S = 5.0
_MOST_CHARACTERS = 100_000
LOGIN_OVER = 4001
_TRY_LATER = 1013


@router.get(
    "/live",
    tags=["devices"],
    summary="The live feed by request, for a page without a websocket",
    responses={
        200: example(
            {"messages": [{"kind": "tick", "revision": 1795330666457, "time_ns": 1795330666457000000, "bus": True}]},
            "The messages that the websocket would have sent since `resume`; a snapshot where that is too long ago.",
        ),
        **refusals(422, 429),
    },
)
async def get_live(
    console: Console,
    request: Request,
    watch: Annotated[str, Query(max_length=_MOST_CHARACTERS, description="JSON, as `watch` of the websocket")] = "{}",
    resume: Annotated[int | None, Query(description="the last revision received")] = None,
) -> Response:
    """Ask again every few seconds with `resume` = the last `revision`."""
    subscription, _ = parse(f'{{"watch": {watch}}}')
    wait_s = console.viewers.wait_s(requester(request).name, console.clock.monotonic())
    if wait_s:
        raise RequestError(
            f"{requester(request).name} asks for the live state too often",
            code="too_often",
            source="console",
            evidence={"retry_after_s": wait_s},
            suggestion="ask every 2 s",
        )
    messages = ",".join(console.feed.messages(subscription, resume))
    return Response(f'{{"messages":[{messages}]}}', media_type="application/json")


@router.websocket("/live")
async def live(websocket: WebSocket, console: Annotated[ConsoleContext, Depends(context)]) -> None:
    """One viewer, until it disconnects."""
    found = requester(websocket)
    try:
        await websocket.accept()  # a browser shows the reason of a close only where the socket was accepted
        with console.viewers.place(found.name, address_of(websocket), operates=found.operates):
            await _serve(websocket, console, found.name)
    except* TimeoutError:
        await close(websocket, 1003, "the first message was no subscription")
    except* (WebSocketDisconnect, OSError):  # the client has left
        pass
    except* CountingRoomError as errors:
        await close(websocket, *why_closed(errors))


async def _serve(websocket: WebSocket, console: ConsoleContext, user: str) -> None:
    async with within(console.clock, _FIRST_S):
        watch, resume = parse(await receive_text(websocket))
    await _wait_for_turn(console, user)
    with console.feed.viewer(watch, resume) as viewer:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send(websocket, console.feed, viewer))
            watching = tasks.create_task(close_when_over(websocket, console.sessions, sending))
            try:
                await _listen(websocket, console, viewer, user)
            finally:
                sending.cancel()
                watching.cancel()


def address_of(connection: HTTPConnection) -> str:
    """The address of the client; empty if it is not known."""
    return connection.client.host if connection.client else ""


async def receive_text(websocket: WebSocket) -> str:
    """The next message. WebSocketDisconnect, RequestError."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
    text: str | None = message.get("text")
    if text is None:
        raise RequestError("not a watch message: send text, not bytes", source="console", code="invalid")
    if len(text) > _MOST_CHARACTERS:
        raise RequestError("the message is too long", source="console", code="invalid")
    return text


async def _listen(websocket: WebSocket, console: ConsoleContext, viewer: Viewer, user: str) -> None:
    """A later message changes the subscription, and a snapshot answers it."""
    while True:
        text = await receive_text(websocket)
        await _wait_for_turn(console, user)
        viewer.watch, _ = parse(text)
        viewer.restart()


async def _wait_for_turn(console: ConsoleContext, user: str) -> None:
    """Wait before the next message of a user that subscribes too often; other users do not wait."""
    while wait_s := console.viewers.wait_s(user, console.clock.monotonic()):
        await console.clock.sleep(wait_s)


async def _send(websocket: WebSocket, feed: LiveFeed, viewer: Viewer) -> None:
    while True:
        await websocket.send_text(await feed.next(viewer))


async def close_when_over(websocket: WebSocket, sessions: SessionService, sending: asyncio.Task[None]) -> None:
    """Close the connection when its session is over."""
    why = await sessions.until_over(requester(websocket))
    sending.cancel()
    await close(websocket, LOGIN_OVER, why[:120])


async def close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close the connection, unless the client has left."""
    with suppress(WebSocketDisconnect, OSError, RuntimeError):  # RuntimeError: it is closed already
        await websocket.close(code, reason)


def why_closed(errors: ExceptionGroup[CountingRoomError]) -> tuple[int, str]:
    """(close code, reason) of what ended a connection."""
    first = errors.exceptions[0]
    if isinstance(first, ExceptionGroup):
        return why_closed(first)
    code = _TRY_LATER if first.cause.code == TOO_MANY else 1003
    # The protocol allows 123 bytes, and a longer reason would break the connection without one.
    return code, first.cause.message.encode()[:120].decode(errors="ignore")
