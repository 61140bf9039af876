"""The requests that a simulated Julabo answers and the settings that it accepts."""

from __future__ import annotations

import re

from countingroom.simulators.julabo_bath import Bath, Trouble

VERSION = b"JULABO FP50-HL SIMULATOR VERSION 4.1"
LOWEST_C, HIGHEST_C = -55.0, 200.0
INVALID = Trouble(-8, "INVALID COMMAND")
NOT_ALLOWED = Trouble(-9, "COMMAND NOT ALLOWED IN CURRENT OPERATING MODE")
TOO_SMALL = Trouble(-10, "VALUE TOO SMALL")
TOO_LARGE = Trouble(-11, "VALUE TOO LARGE")
_OUT = re.compile(rb"OUT_(SP|MODE)_(\d\d) +(-?\d+(?:\.\d+)?)", re.IGNORECASE)


def answer(bath: Bath, request: bytes) -> bytes | None:
    """The answer without its line end; None where none is due."""
    word = request.strip().upper()
    if word.startswith(b"OUT_"):
        _obey(bath, word)
        return None
    if word == b"STATUS":
        status = bath.status()
        return f"{status.code:0{2 + (status.code < 0)}d} {status.text}".encode("ascii", "replace")
    known = _answers(bath).get(word)
    return known if known is not None else b"-08 INVALID COMMAND"


def is_setting(request: bytes) -> bool:
    """Whether this request changes something."""
    return request.strip().upper().startswith(b"OUT_")


def _answers(bath: Bath) -> dict[bytes, bytes]:
    return {
        b"VERSION": VERSION,
        b"IN_PV_00": b"%.2f" % bath.noisy(bath.temperature),
        b"IN_PV_01": b"%.1f" % bath.power,
        b"IN_PV_02": b"%.2f" % bath.noisy(bath.external) if bath.sensor_plugged else b"---.--",
        b"IN_SP_00": b"%.2f" % bath.setpoints[0],
        b"IN_SP_01": b"%.2f" % bath.setpoints[1],
        b"IN_SP_02": b"%.2f" % bath.setpoints[2],
        b"IN_MODE_01": b"%d" % bath.used,
        b"IN_MODE_04": b"%d" % bath.external_control,
        b"IN_MODE_05": b"%d" % bath.running,
    }


def _obey(bath: Bath, word: bytes) -> None:
    """A setting. A wrong one is refused, and the next STATUS tells why; in manual control every one is refused."""
    match = _OUT.fullmatch(word)
    if match is None:
        bath.refusal = INVALID
        return
    if bath.manual:
        bath.refusal = NOT_ALLOWED
        return
    kind, number, value = match[1].upper(), int(match[2]), float(match[3])
    match kind, number:
        case b"SP", 0 | 1 | 2:
            bath.refusal = _outside(value, LOWEST_C, HIGHEST_C)
            if bath.refusal is None:
                bath.setpoints[number] = value
        case b"SP", 7:
            bath.refusal = _outside(value, 1, 4)
            if bath.refusal is None:
                bath.stage = int(value)
        case b"MODE", 1 if value in (0, 1, 2):
            bath.used = int(value)
        case b"MODE", 4 if value in (0, 1):
            bath.external_control = value == 1
        case b"MODE", 5 if value in (0, 1):
            if not value and bath.trouble is not None:
                bath.trouble = None
            bath.set_running(value == 1)
        case _:
            bath.refusal = INVALID


def _outside(value: float, low: float, high: float) -> Trouble | None:
    if value < low:
        return TOO_SMALL
    return TOO_LARGE if value > high else None


def trouble(code: int, text: str) -> Trouble:
    """A fault; codes are below 0."""
    return Trouble(-abs(code) or -1, text)
