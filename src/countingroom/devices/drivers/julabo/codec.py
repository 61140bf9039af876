"""The bytes of the Julabo protocol. Requests end in CR, answers in CR LF; numbers are plain ASCII. Pure.

Commands as in the interface chapter of the HE, SE and F-series manuals. `IN_…` and STATUS are answered, `OUT_…` is not.
"""

from __future__ import annotations

import re

from msgspec import Struct

from countingroom.core.errors import DeviceError

ANSWER_END = b"\r\n"

STATUS = b"STATUS\r"
VERSION = b"VERSION\r"
READS = {
    "internal_temp": b"IN_PV_00\r",
    "power": b"IN_PV_01\r",
    "external_temp": b"IN_PV_02\r",
    "setpoint_1": b"IN_SP_00\r",
    "setpoint_2": b"IN_SP_01\r",
    "setpoint_3": b"IN_SP_02\r",
    "used_setpoint": b"IN_MODE_01\r",
    "ext_is_used": b"IN_MODE_04\r",
    "running": b"IN_MODE_05\r",
}
"""Point -> its request."""

_STATUS = re.compile(r"\s*(-?\d{1,3})\s*([A-Za-z].*)?")
_NUMBER = re.compile(r"\s*([+-]?\d{1,6}(?:\.\d{0,6})?)\s*")
_NO_SENSOR = re.compile(r"[-.\s]*")


class Status(Struct, frozen=True):
    """The answer to STATUS: 0 and 1 manual stop and start, 2 and 3 remote, below 0 a fault; and the device's text."""

    code: int
    text: str


def parse_status(answer: bytes) -> Status:
    """`03 REMOTE START` as a Status."""
    match = _STATUS.fullmatch(_text(answer))
    if match is None:
        raise _nonsense(answer, "a status")
    return Status(int(match[1]), (match[2] or "").strip())


def parse_number(answer: bytes) -> float:
    """`-12.50` as a float."""
    match = _NUMBER.fullmatch(_text(answer))
    if match is None:
        raise _nonsense(answer, "a number")
    return float(match[1])


def parse_sensor(answer: bytes) -> float | None:
    """A number, or None where dashes or nothing stand for a sensor that is not plugged in."""
    if _NO_SENSOR.fullmatch(_text(answer)):
        return None
    return parse_number(answer)


def parse_setpoint_number(answer: bytes) -> int:
    """The setpoint in use, 1 to 3; the line counts from 0."""
    return _one_of(answer, 3) + 1


def parse_switch(answer: bytes) -> bool:
    """`1` or `0`."""
    return _one_of(answer, 2) == 1


def is_status(answer: bytes) -> bool:
    """Whether this can only be the answer to STATUS: a number followed by words."""
    try:
        return bool(parse_status(answer).text)
    except DeviceError:
        return False


def is_version(answer: bytes) -> bool:
    """Whether this can only be the answer to VERSION: it begins with a letter."""
    return answer.strip()[:1].isalpha()


def request(point: str, value: float | int | str | bool) -> bytes:
    """The request that sets a point. The value has been checked against the point's limits."""
    match point:
        case "setpoint_1" | "setpoint_2" | "setpoint_3":
            return b"OUT_SP_%02d %.2f\r" % (int(point[-1]) - 1, float(value))
        case "pressure_stage":
            return b"OUT_SP_07 %d\r" % int(value)
        case "used_setpoint":
            return b"OUT_MODE_01 %d\r" % (int(value) - 1)
        case "ext_is_used":
            return b"OUT_MODE_04 %d\r" % bool(value)
        case "running":
            return b"OUT_MODE_05 %d\r" % bool(value)
        case _:
            raise DeviceError(f"{point} of a Julabo cannot be written", code="read_only")


def _one_of(answer: bytes, count: int) -> int:
    number = parse_number(answer)
    if number not in range(count):
        raise _nonsense(answer, f"one of 0 to {count - 1}")
    return int(number)


def _text(answer: bytes) -> str:
    try:
        return answer.decode("ascii")
    except UnicodeDecodeError:
        raise _nonsense(answer, "text") from None


def _nonsense(answer: bytes, wanted: str) -> DeviceError:
    shown = answer[:60].decode("ascii", "backslashreplace")
    return DeviceError(f"the device answered {shown!r}; expected {wanted}", code="nonsense", evidence={"answer": shown})
