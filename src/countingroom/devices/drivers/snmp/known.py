"""Names and units of OIDs that many devices have, for `countingroom snmp walk`. Pure.

They are those of UPS-MIB (RFC 1628) and of the crates of Wiener and iseg (WIENER-CRATE-MIB).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from countingroom.core.snmp import ber
from countingroom.core.snmp.ber import Oid
from countingroom.core.snmp.pdu import Varbind
from countingroom.devices.drivers.snmp.codec import text_of

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_TENTH: Mapping[str, Any] = {"scale": 0.1, "precision": 1}
_WHOLE: Mapping[str, Any] = {"type": "int"}
_TEXT: Mapping[str, Any] = {"type": "string", "main": False}
_SWITCH: Mapping[str, Any] = {"type": "int", "words": {"off": 0, "on": 1}}
_FINE: Mapping[str, Any] = {"precision": 3}


class KnownOid(Struct, frozen=True):
    """What is known of an OID without its instance."""

    name: str
    keys: Mapping[str, Any]
    channel: str = ""
    """Of a table: what the channel is called before the number of its row."""
    first: int = 1
    """The number of the channel of row 1: 1 for `in1`, 0 for `u0`."""


def _ups() -> dict[Oid, KnownOid]:
    source = {"other": 1, "none": 2, "normal": 3, "bypass": 4, "battery": 5, "booster": 6, "reducer": 7}
    battery = {"unknown": 1, "normal": 2, "low": 3, "depleted": 4}
    test = {"passed": 1, "warning": 2, "error": 3, "aborted": 4, "in progress": 5, "none": 6}
    single: dict[str, tuple[str, Mapping[str, Any]]] = {
        "1.1": ("manufacturer", _TEXT),
        "1.2": ("model", _TEXT),
        "1.3": ("software", _TEXT),
        "1.4": ("agent_software", _TEXT),
        "1.5": ("name", _TEXT),
        "1.6": ("attached", _TEXT),
        "2.1": ("battery", {**_WHOLE, "words": battery}),
        "2.2": ("on_battery", {**_WHOLE, "unit": "s"}),
        "2.3": ("remaining", {**_WHOLE, "unit": "min"}),
        "2.4": ("charge", {**_WHOLE, "unit": "percent"}),
        "2.5": ("battery_voltage", {**_TENTH, "unit": "V"}),
        "2.6": ("battery_current", {**_TENTH, "unit": "A"}),
        "2.7": ("temperature", {**_WHOLE, "unit": "degC"}),
        "3.1": ("input_failures", _WHOLE),
        "3.2": ("input_lines", {**_WHOLE, "main": False}),
        "4.1": ("source", {**_WHOLE, "words": source}),
        "4.2": ("output_frequency", {**_TENTH, "unit": "Hz"}),
        "4.3": ("output_lines", {**_WHOLE, "main": False}),
        "5.1": ("bypass_frequency", {**_TENTH, "unit": "Hz"}),
        "5.2": ("bypass_lines", {**_WHOLE, "main": False}),
        "6.1": ("alarms", _WHOLE),
        "7.3": ("test_result", {**_WHOLE, "words": test}),
    }
    tables: dict[str, tuple[str, str, Mapping[str, Any]]] = {
        "3.3.1.2": ("in", "frequency", {**_TENTH, "unit": "Hz"}),
        "3.3.1.3": ("in", "voltage", {**_WHOLE, "unit": "V"}),
        "3.3.1.4": ("in", "current", {**_TENTH, "unit": "A"}),
        "3.3.1.5": ("in", "power", {**_WHOLE, "unit": "W"}),
        "4.4.1.2": ("out", "voltage", {**_WHOLE, "unit": "V"}),
        "4.4.1.3": ("out", "current", {**_TENTH, "unit": "A"}),
        "4.4.1.4": ("out", "power", {**_WHOLE, "unit": "W"}),
        "4.4.1.5": ("out", "load", {**_WHOLE, "unit": "percent"}),
        "5.3.1.2": ("bypass", "voltage", {**_WHOLE, "unit": "V"}),
        "5.3.1.3": ("bypass", "current", {**_TENTH, "unit": "A"}),
        "5.3.1.4": ("bypass", "power", {**_WHOLE, "unit": "W"}),
    }
    base = "1.3.6.1.2.1.33.1."
    found = {ber.oid(base + place): KnownOid(name, keys) for place, (name, keys) in single.items()}
    return found | {ber.oid(base + place): KnownOid(name, keys, of) for place, (of, name, keys) in tables.items()}


def _crate() -> dict[Oid, KnownOid]:
    columns: dict[int, tuple[str, Mapping[str, Any]]] = {
        2: ("name", _TEXT),
        4: ("on", {"type": "bool", "bit": 0}),
        5: ("sense_voltage", {**_FINE, "unit": "V"}),
        6: ("terminal_voltage", {**_FINE, "unit": "V"}),
        7: ("current", {"precision": 6, "unit": "A"}),
        9: ("switch", _SWITCH),
        10: ("set_voltage", {**_FINE, "unit": "V"}),
        12: ("set_current", {"precision": 6, "unit": "A"}),
        13: ("rise_rate", {**_FINE, "unit": "V/s"}),
        14: ("fall_rate", {**_FINE, "unit": "V/s"}),
    }
    base = "1.3.6.1.4.1.19947.1."
    found = {ber.oid(f"{base}3.2.1.{place}"): KnownOid(*column, "u", 0) for place, column in columns.items()}
    return {**found, ber.oid(f"{base}1.1"): KnownOid("main_switch", _SWITCH)}


_SYSTEM = {
    ber.oid("1.3.6.1.2.1.1.1"): KnownOid("description", _TEXT),
    ber.oid("1.3.6.1.2.1.1.3"): KnownOid("uptime", {"scale": 0.01, "unit": "s", "main": False}),
    ber.oid("1.3.6.1.2.1.1.5"): KnownOid("system_name", _TEXT),
    ber.oid("1.3.6.1.2.1.1.6"): KnownOid("place", _TEXT),
}
_KNOWN: dict[Oid, KnownOid] = {**_SYSTEM, **_ups(), **_crate()}


def row_of(answer: Varbind) -> tuple[str, dict[str, Any]]:
    """Name and keys of the row of a table for this answer: what is known of its OID, otherwise its number and type."""
    oid = {"oid": ber.dotted(answer.oid)}
    known = _KNOWN.get(answer.oid[:-1])
    if known is None:
        return "oid_" + "_".join(map(str, _without_root(answer.oid))), {**oid, **_typed(answer)}
    if not known.channel:
        return known.name, {**oid, **known.keys}
    return f"{known.channel}{answer.oid[-1] - 1 + known.first}.{known.name}", {**oid, **known.keys}


def is_known(oid: Oid) -> bool:
    """Whether this OID has a name here."""
    return oid[:-1] in _KNOWN


def _without_root(oid: Oid) -> Oid:
    return oid[4:] if oid[:4] == (1, 3, 6, 1) else oid


def _typed(answer: Varbind) -> dict[str, Any]:
    match answer.tag:
        case ber.TIME_TICKS:
            return {"scale": 0.01, "unit": "s"}
        case _ if isinstance(answer.value, int):
            return {"type": "int"}
        case _ if isinstance(answer.value, float):
            return {}
        case ber.OCTET_STRING if _NUMBER.fullmatch(text_of(answer)):
            return {}
        case _:
            return {"type": "string"}
