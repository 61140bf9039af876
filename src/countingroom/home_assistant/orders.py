"""Turns a message of Home Assistant, its entity and payload, into a command of a device or a refusal. Pure."""

from __future__ import annotations

import math

from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import Catalogue
from countingroom.core.points import Type
from countingroom.core.values import Scalar
from countingroom.home_assistant.entities import PRESS, Entity, spec_of
from countingroom.mqtt.messages import MOST_PAYLOAD
from countingroom.mqtt.orders import DeviceOrder


def order_of(entity: Entity, catalogue: Catalogue, payload: bytes) -> DeviceOrder:
    """The command; RequestError where the payload is none that this entity sends."""
    text = _text(payload)
    point = entity.point
    if point is None:
        if text != PRESS:
            raise _not_understood(text, PRESS)
        return DeviceOrder(kind=entity.component, device=entity.device, action=entity.command, channel=entity.channel)
    value = _number(text, whole=point.type is Type.INT) if entity.component == "number" else _option(entity, text)
    if not point.commands:
        return DeviceOrder(
            kind=entity.component,
            device=entity.device,
            action="set",
            channel=entity.channel,
            arguments={"point": point.name, "value": value},
        )
    if (spec := spec_of(catalogue, point, value)) is None:
        raise NotFound(
            f"no command of {entity.device} gives {point.name} the value {text}",
            code="unknown_command",
            suggestion="look at the commands of the device in the console",
        )
    channel = entity.channel if spec.scope == "channel" else ""
    return DeviceOrder(kind=entity.component, device=entity.device, action=spec.name, channel=channel)


def _text(payload: bytes) -> str:
    if len(payload) > MOST_PAYLOAD:
        raise OutOfRange(
            f"the payload has more than {MOST_PAYLOAD} bytes", code="too_long", suggestion="send a single value"
        )
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise OutOfRange("the payload is no text", code="not_understood", suggestion="send UTF-8") from None


def _option(entity: Entity, text: str) -> Scalar:
    if text not in entity.options:
        raise _not_understood(text, "one of " + ", ".join(entity.options))
    return entity.options[text]


def _number(text: str, *, whole: bool) -> float | int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (whole and not number.is_integer()):
        raise _not_understood(text, "a whole number" if whole else "a number")
    return int(number) if whole else number


def _not_understood(text: str, wanted: str) -> OutOfRange:
    return OutOfRange(
        f"{text[:60]!r} is not {wanted}",
        code="not_understood",
        suggestion=f"send {wanted}",
        evidence={"wanted": wanted},
    )
