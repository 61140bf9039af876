"""The API of what the embedded server keeps for MQTT clients: retained messages, sessions and waiting messages."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from countingroom.bus.server import mqtt_sessions, mqtt_store
from countingroom.console.api.devices import Console
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core.errors import LinkError, NotFound

router = APIRouter(tags=["mqtt"])


class ClearBody(BaseModel):
    """What is deleted beside the retained and the waiting messages."""

    model_config = ConfigDict(extra="forbid")

    sessions: bool = False
    """The sessions of clients that are not connected, with their subscriptions."""


@router.get(
    "/mqtt",
    summary="What is kept for MQTT clients",
    responses={
        200: example({"kept": [{"name": "retained messages", "messages": 3, "size": 412, "limit": 4194304}]}),
        404: REFUSED,
    },
)
async def show(console: Console) -> Response:
    """Number of messages, bytes, and the limit; 404 without an MQTT listener."""
    try:
        return as_json({"kept": await mqtt_store.contents(console.bus)})
    except LinkError as error:
        raise _none(error) from error


@router.post(
    "/mqtt/clear",
    summary="Delete the retained and the waiting messages of MQTT clients",
    responses={200: example({"kept": []}), 403: REFUSED, 404: REFUSED},
)
async def clear(console: Console, body: ClearBody | None = None) -> Response:
    """With `sessions` also the sessions of clients that are not connected. Answers what is kept afterwards."""
    try:
        await mqtt_store.clear(console.bus)
        if body and body.sessions:
            await mqtt_sessions.remove_unconnected(console.bus)
    except LinkError as error:
        raise _none(error) from error
    return await show(console)


def _none(error: LinkError) -> LinkError | NotFound:
    if error.cause.code != "no_responders":
        return error
    return NotFound(
        "there is no MQTT listener of the embedded server",
        source="bus",
        suggestion="write mqtt into the section bus of the description, or ask the broker of the site",
    )
