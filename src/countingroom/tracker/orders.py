"""Turns a message of a dashboard, its topic and payload, into a command of a device or a refusal. Pure.

A payload that the dashboards do not send, or a field that was never touched, is refused and never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.values import Scalar
from countingroom.mqtt.messages import MOST_PAYLOAD
from countingroom.mqtt.orders import Asked, DeviceOrder, Refresh
from countingroom.tracker.documents import SWITCHBOX_CHANNELS
from countingroom.tracker.facts import CaenFacts, TrackerFacts

UNTOUCHED = "untouched_field"
"""The code of the refusal of what a dashboard sends for an untouched field."""

_SWITCHBOX_CHANNEL = re.compile(r"CH([1-9][0-9]{0,2})", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


ROOTS = {"dcs": "caen", "julabo": "chiller", "MARTA": "marta", "SB": "switchbox"}
"""First level of a topic -> key of the section."""


def kind_of(topic: str) -> str:
    """The kind of device that a topic is about; empty: none."""
    return ROOTS.get(topic.partition("/")[0], "")


def subscriptions(facts: TrackerFacts) -> list[str]:
    """The topics of commands, for the devices that there are."""
    return [
        *(["dcs/cmd/#"] if facts.caen else []),
        *(["julabo/cmd/#"] if facts.chiller else []),
        *(["MARTA/cmd/#"] if facts.marta else []),
        *(["SB/cmd"] if facts.switchbox else []),
    ]


def error_topic(topic: str) -> str:
    """Where a refusal of this message is published: `dcs/error`."""
    return f"{topic.partition('/')[0]}/error"


def asked(facts: TrackerFacts, topic: str, payload: bytes) -> Asked:
    """The command that the message asks for. RequestError if its target does not exist or the payload is unclear."""
    if len(payload) > MOST_PAYLOAD:
        raise OutOfRange(
            f"the payload has more than {MOST_PAYLOAD} bytes", code="too_long", suggestion="send what dashboards send"
        )
    if topic == "SB/cmd" and facts.switchbox:
        return _switchbox(facts.switchbox, _text(payload))
    levels = topic.split("/")
    if levels[1:2] == ["cmd"] and len(levels) > 2:
        match levels[0]:
            case "dcs" if facts.caen:
                return _supply(facts.caen, levels[2:], payload, topic)
            case "julabo" if facts.chiller:
                return _simple("chiller", facts.chiller, _CHILLER, levels[2:], payload, topic)
            case "MARTA" if facts.marta:
                return _simple("marta", facts.marta.device, _PLANT, levels[2:], payload, topic)
            case _:
                pass
    raise _unknown(topic)


def _supply(facts: CaenFacts, levels: list[str], payload: bytes, topic: str) -> Asked:
    match levels:
        case ["refresh"]:
            return Refresh(kind="caen")
        case ["clear"]:
            return DeviceOrder(kind="caen", device=facts.device, action="clear_alarms")
        case ["reconnect"]:
            return DeviceOrder(kind="caen", device=facts.device, action="reconnect")
        case ["switch", ("lv" | "hv") as side]:
            return DeviceOrder(kind="caen", device=facts.device, action=f"all_{side}_{_on_off(payload)}")
        case ["switch", ("lv" | "hv") as side, number]:
            # The original switched all channels here.
            channel = _channel(facts, number)
            return DeviceOrder(kind="caen", device=facts.device, action=f"{side}_{_on_off(payload)}", channel=channel)
        case ["setv", ("lv" | "hv") as side, number]:
            channel, volts = _channel(facts, number), _number(payload)
            if facts.untouched is not None and volts == facts.untouched:
                raise OutOfRange(
                    f"{volts:g} is what a field sends that was never touched",
                    code=UNTOUCHED,
                    suggestion="enter the voltage first; set this one from the console, or see tracker.caen.untouched",
                )
            arguments: dict[str, Scalar] = {"point": f"{channel}.{side}_setV", "value": volts}
            return DeviceOrder(kind="caen", device=facts.device, action="set", channel=channel, arguments=arguments)
        case _:
            raise _unknown(topic)


Arguments = Callable[[bytes], dict[str, Scalar]]


def _simple(
    kind: str, device: str, table: Mapping[str, tuple[str, Arguments]], levels: list[str], payload: bytes, topic: str
) -> Asked:
    if levels == ["refresh"]:
        return Refresh(kind=kind)
    if len(levels) != 1 or levels[0] not in table:
        raise _unknown(topic)
    action, arguments = table[levels[0]]
    return DeviceOrder(kind=kind, device=device, action=action, arguments=arguments(payload))


def _switchbox(device: str, text: str) -> Asked:
    if text == "STATUS?":
        return Refresh(kind="switchbox")
    what, bar, word = text.partition("|")
    if not bar or word not in ("ON", "OFF"):
        raise _not_understood(text, "LV|ON, HV|OFF, CH7|ON, CH*|OFF or STATUS?")
    is_on = word == "ON"
    if what in ("LV", "HV"):
        return DeviceOrder(kind="switchbox", device=device, action=f"{what}_{word}".lower())
    if what == "CH*" and not is_on:
        return DeviceOrder(kind="switchbox", device=device, action="disable_all")
    if what == "CH":
        raise OutOfRange("no channel was chosen", code=UNTOUCHED, suggestion="choose a channel first")
    match = _SWITCHBOX_CHANNEL.fullmatch(what)
    if match is None:
        raise _not_understood(text, "LV|ON, HV|OFF, CH7|ON, CH*|OFF or STATUS?")
    if int(match[1]) > SWITCHBOX_CHANNELS:
        raise NotFound(
            f"there is no channel {match[1]}",
            code="unknown_channel",
            suggestion=f"choose one of 1 to {SWITCHBOX_CHANNELS}",
        )
    action = "enable" if is_on else "disable"
    return DeviceOrder(kind="switchbox", device=device, action=action, channel=match[1])


def _nothing(payload: bytes) -> dict[str, Scalar]:
    """A button sends an arbitrary id."""
    return {}


def _one(name: str) -> Arguments:
    return lambda payload: {name: _number(payload)}


def _active(payload: bytes) -> dict[str, Scalar]:
    text = _text(payload)
    if text not in ("0", "1"):
        raise _not_understood(text, "0 or 1")
    return {"active": text == "1"}


def _working_temperature(payload: bytes) -> dict[str, Scalar]:
    document = _document(payload)
    return {"setpoint": _whole(document, "setpoint"), "temp": _field(document, "temp")}


def _used_setpoint(payload: bytes) -> dict[str, Scalar]:
    return {"setpoint": _whole(_document(payload), "setpoint")}


def _pressure(payload: bytes) -> dict[str, Scalar]:
    return {"press": _whole(_document(payload), "press")}


_CHILLER: dict[str, tuple[str, Arguments]] = {
    "start": ("start", _nothing),
    "stop": ("stop", _nothing),
    "reconnect": ("reconnect", _nothing),
    "useExt": ("use_external", _nothing),
    "useInt": ("use_internal", _nothing),
    "setWT": ("set_working_temperature", _working_temperature),
    "useSP": ("use_setpoint", _used_setpoint),
    "setPress": ("set_pressure", _pressure),
}
"""Last level of the topic -> command, and how its arguments are read."""

_PLANT: dict[str, tuple[str, Arguments]] = {
    **{name: (name, _nothing) for name in ("start_chiller", "start_co2", "stop_co2", "stop_chiller")},
    **{name: (name, _nothing) for name in ("clear_alarms", "reconnect")},
    "set_flow_active": ("set_flow_active", _active),
    "set_temperature_setpoint": ("set_temperature_setpoint", _one("temperature")),
    "set_speed_setpoint": ("set_speed_setpoint", _one("speed")),
    "set_flow_setpoint": ("set_flow_setpoint", _one("flow")),
}


def _channel(facts: CaenFacts, number: str) -> str:
    for row in facts.rows:
        if row.id == number:
            return row.channel
    known = ", ".join(row.id for row in facts.rows)
    raise NotFound(f"there is no channel {number[:40]!r}", code="unknown_channel", suggestion=f"choose one of {known}")


def _text(payload: bytes) -> str:
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise OutOfRange("the payload is no text", code="not_understood", suggestion="send UTF-8") from None
    if not text:
        raise OutOfRange("the payload is empty: no value was entered", code=UNTOUCHED, suggestion="enter a value first")
    return text


def _on_off(payload: bytes) -> str:
    text = _text(payload)
    if text not in ("on", "off"):
        raise _not_understood(text, "on or off")
    return text


def _number(payload: bytes) -> float:
    text = _text(payload)
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise _not_understood(text, "a number")
    return number


def _document(payload: bytes) -> dict[str, Any]:
    text = _text(payload)
    try:
        return decode_json(text, dict[str, Any])
    except Malformed:
        raise _not_understood(text, "a JSON object") from None


def _field(document: Mapping[str, Any], name: str) -> float:
    value = document.get(name)
    if value is None or value == "":
        raise OutOfRange(f"{name} is missing: no value was entered", code=UNTOUCHED, suggestion="enter a value first")
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise _not_understood(repr(value), f"a number for {name}")
    return number


def _whole(document: Mapping[str, Any], name: str) -> int:
    value = _field(document, name)
    if not value.is_integer() or abs(value) > 1e9:
        raise _not_understood(f"{value:g}", f"a whole number for {name}")
    return int(value)


def _not_understood(text: str, wanted: str) -> OutOfRange:
    return OutOfRange(
        f"{text[:60]!r} is not {wanted}",
        code="not_understood",
        suggestion=f"send {wanted}",
        evidence={"wanted": wanted},
    )


def _unknown(topic: str) -> NotFound:
    return NotFound(
        f"there is no command on the topic {topic[:100]!r}",
        code="unknown_topic",
        suggestion="see the reference of the topics",
    )
