"""Payloads to values and setpoints to payloads. A payload that cannot be read is BAD; it is never an error. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, cast

from msgspec import Struct

from countingroom.core.errors import RequestError
from countingroom.core.times import parse_time
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.mqtt.description import VALUE, Availability, Keys, SensorValue
from countingroom.devices.drivers.mqtt.topics import Route
from countingroom.devices.port import Sample

MOST_PAYLOAD = 65_536
"""Bytes of a payload; a larger one is not read."""

_YES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""Python reads more as a number, such as `1_000` and the digits of other scripts; no board writes these."""
_NO_NUMBER = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*+"?)|(?<![\w.])[+-]?(?:nan|inf|infinity)(?![\w.])', re.IGNORECASE | re.DOTALL
)
"""What C writes in place of a number, outside of texts; and texts, which are left as they are."""
_WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII)


class _Absent(Struct, frozen=True):
    """The document does not have the field."""


_ABSENT = _Absent()


def sample(route: Route, payload: bytes, *, retained: bool, now_ns: int) -> Sample | None:
    """The sample of this payload; None where it is a document without the field, as of a board that sends parts. A
    retained payload may be old, so it is UNCERTAIN; so is one that says itself that it is old."""
    point, wanted = route.point.name, route.value
    if len(payload) > MOST_PAYLOAD:
        reason = f"the payload has more than {MOST_PAYLOAD} bytes"
        return Sample(point=point, value=None, quality=Quality.BAD, reason=reason)
    raw = _raw(payload, wanted.field)
    if isinstance(raw, _Absent):
        return None
    value = _value(raw, wanted)
    if value is None:
        where = f" at {_shown(wanted.field)}" if wanted.field else ""
        what = f"word of {', '.join(wanted.words)}" if wanted.words else wanted.type
        return Sample(
            point=point, value=None, quality=Quality.BAD, reason=f"the payload has no {what}{where}: {payload[:60]!r}"
        )
    if isinstance(value, (int, float)) and value in wanted.no_value:
        reason = f"{value:g} means that there is no value"
        return Sample(point=point, value=None, quality=Quality.BAD, reason=reason)
    device_ns, doubt = _time(payload, wanted, now_ns) if wanted.time else (None, "")
    believed = not retained and not doubt and _within(value, wanted)
    quality = Quality.GOOD if believed else Quality.UNCERTAIN
    return Sample(point=point, value=value, quality=quality, device_ns=device_ns, reason=doubt)


def _time(payload: bytes, wanted: SensorValue, now_ns: int) -> tuple[int | None, str]:
    """The time that the document gives the value, and why the value is doubtful."""
    raw = _raw(payload, wanted.time)
    try:
        time_ns = parse_time(str(raw), now_ns=now_ns)
    except RequestError:
        return None, f"the payload has no time at {_shown(wanted.time)}"
    age_s = (now_ns - time_ns) / 1e9
    if 0 < wanted.stale_after < age_s:
        return time_ns, f"the board measured it {age_s:.0f} s ago"
    return time_ns, ""


def is_online(rule: Availability, payload: bytes) -> bool | None:
    """What a payload says of a board; None where it has neither of the two words."""
    if len(payload) > MOST_PAYLOAD:
        return None
    raw = _raw(payload, rule.field)
    if rule.field and not isinstance(raw, str):
        raw = _raw(payload, "")  # zigbee2mqtt wrote the bare word in former versions
    word = str(raw).casefold()
    return {rule.online.casefold(): True, rule.offline.casefold(): False}.get(word)


def setpoint(wanted: SensorValue, value: float | int | str | bool) -> str:
    """What is published for this setpoint."""
    text = next((word for word, code in wanted.words.items() if code == value), None)
    if text is None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    if wanted.set_payload != VALUE:
        text = json.dumps(text, ensure_ascii=False)[1:-1]  # it may stand between the quotes of a JSON text
    return wanted.set_payload.replace(VALUE, text)


def _raw(payload: bytes, field: Keys) -> Any:
    """The value at the field, None where there is none, _ABSENT where the document does not have the field."""
    try:
        text = payload.decode()
        if not field:
            return text.strip()
        document = _document(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, (dict, list)):
        return None
    return _at(
        cast("Any", document), field if isinstance(field, list) else field.split("."), exact=isinstance(field, list)
    )


def _document(text: str) -> Any:
    """The JSON document. ValueError where it is none.

    Boards write a number that they do not have as the function printf of C writes it, `nan` or `-inf`, which is no
    JSON. It is no number, and spoils no other value of the document.
    """
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(_NO_NUMBER.sub(lambda found: found[0] if found["text"] else "null", text))


def _at(document: Any, path: Sequence[str], *, exact: bool) -> Any:
    if not path:
        return document
    if isinstance(document, dict):
        table = cast("dict[str, Any]", document)
        # A key may have dots in it: then more than one step of the path is that key.
        for end in range(1, 2 if exact else len(path) + 1):
            if (key := ".".join(path[:end])) in table:
                found = _at(table[key], path[end:], exact=exact)
                if not isinstance(found, _Absent):
                    return found
    elif isinstance(document, list):
        items = cast("list[Any]", document)
        if _WHOLE.fullmatch(path[0]) and 0 <= int(path[0]) < len(items):
            return _at(items[int(path[0])], path[1:], exact=exact)
    elif document is not None:
        return None  # the field is inside of a value that has no inside
    return _ABSENT


def _value(raw: Any, wanted: SensorValue) -> Scalar:
    if wanted.words:
        text = str(raw).lower() if isinstance(raw, bool) else str(raw)
        return wanted.words.get(text)
    if wanted.type == "string":
        return raw if isinstance(raw, str) else None
    if wanted.type == "bool":
        return raw if isinstance(raw, bool) else _YES.get(str(raw).lower())
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        return None
    return _number(raw, whole=wanted.type == "int")


def _number(raw: float | str, *, whole: bool) -> float | int | None:
    if whole and (isinstance(raw, int) or (isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()))):
        return int(raw)
    if isinstance(raw, str) and not _NUMBER.fullmatch(raw.strip()):
        return None
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) and (number.is_integer() or not whole) else None


def _within(value: Scalar, wanted: SensorValue) -> bool:
    if not isinstance(value, (int, float)):
        return True
    return (wanted.low is None or value >= wanted.low) and (wanted.high is None or value <= wanted.high)


def _shown(field: Keys) -> str:
    return field if isinstance(field, str) else " → ".join(field)
