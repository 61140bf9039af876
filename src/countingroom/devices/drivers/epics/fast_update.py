"""Reads updates of Channel Access in the thread of libca, at a third of the library's cost.

libca calls back from threads of its own. Python makes a thread state for each such call and deletes it afterwards: 12
of the 34 us that an update took. The library's conversion made an array and eight attributes of each double. When the
receiving thread falls behind, the server drops changes, and this side cannot count them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ctypes import pythonapi, string_at
from threading import local
from typing import Any

from countingroom.devices.drivers.epics.convert import EPOCH_S

TIME_DOUBLE = 20
"""DBR_TIME_DOUBLE: a double with its alarm and its time stamp."""
_LAYOUT = struct.Struct("=hhIIid")
"""Of db_access.h: status, severity, seconds since 1990, nanoseconds, padding, value."""
_read = _LAYOUT.unpack
_SIZE = _LAYOUT.size


class Update(float):
    """A double with the attributes that the library's own has, as far as `convert.sample` reads them."""

    __slots__ = ("raw_stamp", "severity", "status")
    ok = True
    raw_stamp: tuple[int, int]
    """Seconds since 1970 and nanoseconds."""
    severity: int
    status: int


class ThreadStates:
    """The states of the threads that call back, which are kept between their callbacks."""

    def __init__(self) -> None:
        self._of_thread = local()

    def keep(self) -> None:
        """Enter the interpreter once more than the callbacks of this thread leave it. Its state is then kept: about 1
        kB for each of the few threads that libca starts for a server."""
        if not hasattr(self._of_thread, "is_kept"):
            pythonapi.PyGILState_Ensure()
            self._of_thread.is_kept = True


def fast(
    slow: Callable[[Any, int, int], Any], states: ThreadStates, *, is_scalar: bool = True
) -> Callable[[Any, int, int], Any]:
    """The conversion `slow` of the library, with a short way for a variable that is one double. Its arguments are the
    address, the DBR code and the count."""

    def convert(address: Any, code: int, count: int) -> Any:
        states.keep()
        if code != TIME_DOUBLE or count != 1 or not is_scalar:
            return slow(address, code, count)
        status, severity, seconds, nanoseconds, _, value = _read(string_at(address, _SIZE))
        update = Update(value)
        update.status = status
        update.severity = severity
        update.raw_stamp = (seconds + EPOCH_S, nanoseconds)
        return update

    return convert
