"""The bytes of the Julabo protocol. Requests end in CR, answers in CR LF, CR or LF; numbers are plain ASCII. Pure.

Commands as in the interface chapter of the HE, SE and F-series manuals. `IN_…` and STATUS are answered, `OUT_…` is not:
the next STATUS tells, once, why a setting was refused.
"""

from __future__ import annotations

import re

from msgspec import Struct

from countingroom.core.errors import DeviceError

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

REFUSALS = frozenset({-8, -9, -10, -11, -13})
"""Status numbers that answer a request: invalid, not allowed now, too small, too large, outside the warning limits."""
COLDEST_C, HOTTEST_C = -150.0, 400.0
"""No bath measures or takes a temperature outside this."""
MOST_POWER = 110.0
"""Per cent, of heating and of cooling."""

_STATUS = re.compile(r"\s*(-?\d{1,4})(?![\d.,])\s*([A-Za-z].*)?")
_SWITCH = re.compile(r"\s*([+-]?\d{1,2})\s*")
_VERSION = re.compile(r"\s*(?=.*\d)[A-Za-z][\w .,:;/()+=*'-]{3,}\s*")
_WORDS = re.compile(r"\s*[A-Za-z][ -~]{2,}\s*")
_NUMBER = re.compile(r"\s*([+-]?\d{1,6}(?:\.\d{0,6})?)\s*")
_NO_SENSOR = re.compile(r"[-.\s]*")


class Status(Struct, frozen=True):
    """The answer to STATUS: 0 and 1 manual stop and start, 2 and 3 remote, below 0 a fault; and the device's text."""

    code: int
    text: str

    @property
    def is_refusal(self) -> bool:
        """Whether it tells what became of the last request, and not how the bath is."""
        return self.code in REFUSALS


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


def parse_temperature(answer: bytes) -> float:
    """A number that a bath can have, in degC."""
    return _within(answer, COLDEST_C, HOTTEST_C, "a temperature")


def parse_power(answer: bytes) -> float:
    """A number of per cent."""
    return _within(answer, -MOST_POWER, MOST_POWER, "per cent of power")


def parse_sensor(answer: bytes) -> float | None:
    """A temperature in degC; None for dashes or an empty answer, which mean that no sensor is plugged in."""
    if _NO_SENSOR.fullmatch(_text(answer)):
        return None
    return parse_temperature(answer)


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
    """Whether this can only be the answer to VERSION: it begins with a letter and has a digit."""
    return _VERSION.fullmatch(answer.decode("latin-1")) is not None


def is_words(answer: bytes) -> bool:
    """Whether this is a text that begins with a letter. Some baths answer STATUS so, without a number."""
    return _WORDS.fullmatch(answer.decode("latin-1")) is not None


def refusal(answer: bytes) -> Status | None:
    """The bath's reason where the answer is one: `-08 INVALID COMMAND`. None for any other answer."""
    if not is_status(answer):
        return None
    status = parse_status(answer)
    return status if status.is_refusal else None


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
    match = _SWITCH.fullmatch(_text(answer))
    if match is None or int(match[1]) not in range(count):
        raise _nonsense(answer, f"one of 0 to {count - 1}")
    return int(match[1])


def _within(answer: bytes, low: float, high: float, wanted: str) -> float:
    number = parse_number(answer)
    if not low <= number <= high:
        raise _nonsense(answer, f"{wanted} from {low:g} to {high:g}")
    return number


def _text(answer: bytes) -> str:
    try:
        return answer.decode("ascii")
    except UnicodeDecodeError:
        raise _nonsense(answer, "text") from None


def _nonsense(answer: bytes, wanted: str) -> DeviceError:
    shown = answer[:60].decode("ascii", "backslashreplace")
    return DeviceError(f"the device answered {shown!r}; expected {wanted}", code="nonsense", evidence={"answer": shown})
