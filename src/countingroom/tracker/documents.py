"""The payloads that are published, with the field names and types of the tracker DCS. Pure.

A value that is BAD or STALE, or whose device is not reached, is `null`: a collector stores no value then, and a gauge
that reads it does not go on showing the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from countingroom.core.values import Scalar
from countingroom.mqtt.device_view import DISCONNECTED, DeviceView
from countingroom.tracker.facts import CaenRow, MartaFacts

LV_FIELDS = (
    *("status", "setV", "vMon", "iMon", "maxI", "tripTime", "tripInt", "tripExt"),
    *("unVthr", "ovVthr", "rampUpTime", "rampDwnTime", "temp"),
)
HV_FIELDS = (
    *("status", "setV", "vMon", "iMon", "maxI", "tripTime", "tripInt", "tripExt"),
    *("rampUpSpeed", "rampDwnSpeed", "imRange", "tripMode"),
)
CHILLER_FIELDS = (
    *("status_code", "internal_temp", "setpoint_1", "setpoint_2", "setpoint_3", "used_setpoint", "power"),
    *("ext_is_used", "external_temp"),
)
SWITCHBOX_CHANNELS = 48
Document = Mapping[str, Any]

UNKNOWN_ALARMS = "The plant is not reached: its alarms are not known (DISCONNECTED)\n"


def encoded(document: Document) -> bytes:
    """The document as JSON; numbers that JSON does not have are null."""
    return msgspec.json.encode(document)


def state_document(view: DeviceView) -> dict[str, Scalar]:
    """`dcs/status`"""
    return {"fsm_state": view.state()}


def channel_document(row: CaenRow, view: DeviceView) -> dict[str, Scalar]:
    """`dcs/channels`: the 32 fields of one channel. `module` is a text in any case."""
    document: dict[str, Scalar] = {
        "id": row.id,
        "module": row.module,
        "lv_board": row.lv_board,
        "lv_channel": row.lv_channel,
    }
    document |= {f"lv_{name}": view.value(f"{row.channel}.lv_{name}") for name in LV_FIELDS}
    document |= {"hv_board": row.hv_board, "hv_channel": row.hv_channel}
    document |= {f"hv_{name}": view.value(f"{row.channel}.hv_{name}") for name in HV_FIELDS}
    return document | {"fsm_state": view.state(row.channel)}


def chiller_document(view: DeviceView) -> dict[str, Scalar]:
    """`julabo/status`: all ten fields.

    `external_temp` is 0 without a sensor. `ext_is_used` stays what it was last while the chiller is not reached: a
    dashboard's switch takes anything else for off, and sends that as a command.
    """
    state = view.state()
    document: dict[str, Scalar] = {name: view.value(name) for name in CHILLER_FIELDS}
    document["ext_is_used"] = bool(view.last("ext_is_used"))
    if document["external_temp"] is None and document["internal_temp"] is not None:  # the others are there
        document["external_temp"] = 0
    return document | {"fsm_state": state}


class MartaStatus:
    """`MARTA/status`: the fields that have moved by more than their deadband since they were last sent."""

    def __init__(self, facts: MartaFacts) -> None:
        self._facts = facts
        self._sent: dict[str, Scalar] = {}

    def document(self, view: DeviceView, *, full: bool) -> dict[str, Scalar]:
        """The next message. A switch is 0 or 1, as collectors read it."""
        found: dict[str, Scalar] = {}
        for name, deadband in self._facts.fields.items():
            value = view.value(name)
            value = int(value) if isinstance(value, bool) else value
            if full or self._has_moved(name, value, deadband):
                found[name] = self._sent[name] = value
        return found | {"fsm_state": view.state()}

    def _has_moved(self, name: str, value: Scalar, deadband: float) -> bool:
        before = self._sent.get(name)
        if isinstance(before, (int, float)) and isinstance(value, (int, float)):
            return abs(value - before) > deadband
        return value != before


def alarm_text(facts: MartaFacts, view: DeviceView) -> str:
    """`MARTA/alarms`: one line for each alarm, escaped because dashboards take it for HTML; empty: there is none.

    While the plant is not reached it says so: an empty text would say that there is no alarm.
    """
    if view.state() == DISCONNECTED:
        return UNKNOWN_ALARMS
    unknown = any(view.value(bit) is None for bit in facts.alarms)
    lines = [f"{escape(text)} ({escape(bit)})\n" for bit, text in facts.alarms.items() if view.value(bit) is True]
    return "".join([*lines, *(["Some alarms of the plant are not known now (UNKNOWN)\n"] if unknown else [])])


def switchbox_points() -> list[str]:
    """The points that `SB/status` is made of: the two voltages, and the channels in the order of their bits."""
    return ["lv", "hv", *(f"{number}.enabled" for number in range(1, SWITCHBOX_CHANNELS + 1))]


def switchbox_document(view: DeviceView) -> dict[str, Scalar]:
    """`SB/status`: the voltages as 0 or 1, and the mask of the enabled channels; bit 0 is channel 1."""
    lv, hv, *channels = (view.value(point) for point in switchbox_points())
    mask = sum(1 << bit for bit, is_on in enumerate(channels) if is_on)
    return {"lv": _bit(lv), "hv": _bit(hv), "channels": None if None in channels else mask}


def _bit(value: Scalar) -> int | None:
    return None if value is None else int(bool(value))


def sensor_payload(value: Scalar) -> bytes:
    """A sensor's topic: the bare number. A value that is not good is not published at all (see `outgoing.py`)."""
    return encoded_scalar(int(value) if isinstance(value, bool) else value)


def encoded_scalar(value: Scalar) -> bytes:
    """A text as it is, a number as JSON writes it."""
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
