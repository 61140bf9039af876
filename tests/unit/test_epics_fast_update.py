"""The short way of reading a double gives the same sample as the library's own conversion."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest
from epicscorelibs.ca import dbr

from countingroom.core.points import Point
from countingroom.devices.drivers.epics.convert import Variable, sample
from countingroom.devices.drivers.epics.fast_update import TIME_DOUBLE, ThreadStates, fast

VARIABLE = Variable(pv="x", point=Point(name="x"))
WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


def update(value: float, *, severity: int = 0, status: int = 0, seconds: int = 1_000_000) -> Any:
    made = dbr.dbr_time_double()
    made.status, made.severity = status, severity
    made.raw_stamp.secs, made.raw_stamp.nsec = seconds, 250
    made.raw_value[0] = value
    return made


class Channel:
    """What the library asks of a channel before it converts."""

    name = "x"


def converters(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setattr(dbr.cadef, "ca_field_type", lambda channel: dbr.DBR_DOUBLE)
    monkeypatch.setattr(dbr.cadef, "ca_element_count", lambda channel: 1)
    code, slow = dbr.type_to_dbr(Channel(), None, dbr.FORMAT_TIME)
    assert code == TIME_DOUBLE
    return slow, fast(slow, ThreadStates())


@pytest.mark.parametrize(
    "given",
    [
        update(-2.5e-9),
        update(7.0, severity=2, status=3),
        update(7.0, severity=3, status=17),
        update(float("nan")),
        update(1.0, seconds=0),
        update(1.0, seconds=4_000_000_000),
    ],
)
def test_the_sample_is_the_same(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = converters(monkeypatch)
    address = ctypes.addressof(given)
    assert sample(VARIABLE, quick(address, TIME_DOUBLE, 1)) == sample(VARIABLE, slow(address, TIME_DOUBLE, 1))


def test_what_is_no_single_double_is_left_to_the_library() -> None:
    asked: list[tuple[Any, ...]] = []
    convert = fast(lambda *given: asked.append(given), ThreadStates())
    convert(1, TIME_DOUBLE, 3)
    convert(2, 16, 1)
    assert asked == [(1, TIME_DOUBLE, 3), (2, 16, 1)]


class CookieFunctions(ctypes.Structure):
    """`cookie_io_functions_t` of stdio.h: what a stream calls for its data."""

    _fields_ = [("read", ctypes.c_void_p), ("write", WRITE), ("seek", ctypes.c_void_p), ("close", CLOSE)]


@pytest.mark.parametrize(("is_read", "calls"), [(True, [1, 2]), (False, [1, 1])])
def test_a_thread_of_libca_keeps_its_state_between_callbacks(is_read: bool, calls: list[int]) -> None:
    """`fclose` in a thread that Python did not start, as those of libca, calls back twice: to write and to close. What
    is local to a thread lives as long as its state."""
    libc = ctypes.CDLL(None)
    libc.fopencookie.restype = ctypes.c_void_p
    libc.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, CookieFunctions]
    here = threading.local()
    seen: list[int] = []
    convert = fast(lambda *given: None, ThreadStates())

    def called() -> None:
        if is_read:
            convert(0, 0, 0)
        here.calls = getattr(here, "calls", 0) + 1
        seen.append(here.calls)

    def write(_: Any, __: Any, size: int) -> int:
        called()
        return size

    def close(_: Any) -> int:
        called()
        return 0

    functions = CookieFunctions(None, WRITE(write), None, CLOSE(close))
    stream = ctypes.c_void_p(libc.fopencookie(None, b"w", functions))
    libc.fputs(b"x", stream)
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, libc.fclose, stream)
    libc.pthread_join(thread, None)
    assert seen == calls
