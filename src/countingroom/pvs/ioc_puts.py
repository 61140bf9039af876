"""Puts of clients, inside the process with the server of EPICS: told to the role `pvs`, and never shown as values.

A put writes the field VAL of its record and processes it, under the lock of the record. In this processing the value
is taken as a wish, and the value of the device is written back before anything can see another one. A client that waits
for its put (`caput -c`) is answered once the role has told the end: the record is kept busy (PACT) until then.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from countingroom.core.clock import SystemClock
from countingroom.pvs.table import PvRecord
from countingroom.pvs.wire import MOST_PUTS, PvEnd, PvPut

_RECORD_OF_CHANNEL = 8
"""Place of `addr.precord` in the struct dbChannel of dbChannel.h, in bytes."""
_STATUS_OF_PUT, _CHANNEL_OF_PUT = 32, 48
"""Places of `status` and `chan` in the struct processNotify of dbNotify.h, in bytes."""
_PUT_FAILED = 2
"""`notifyError` of dbNotify.h: the client is told that its put has failed."""

_TELL_S = 10.0
"""Between two lines of the log about too many puts."""


class _WriteMessage(ctypes.Structure):
    """The beginning of asTrapWriteMessage of asTrapWrite.h."""

    _fields_ = (("user", ctypes.c_char_p), ("host", ctypes.c_char_p), ("channel", ctypes.c_void_p))


Wish = float | int | str | bool | None
_Listener = ctypes.CFUNCTYPE(None, ctypes.POINTER(_WriteMessage), ctypes.c_int)


class Puts:
    """The records that can be written."""

    def __init__(self, core: Any, com: Any, imports: Any, send: Callable[[bytes], object]) -> None:
        """`core`, `com`: the libraries of EPICS base. `imports`: those of softioc. `send`: tells the role a line."""
        self._core = core
        self._com = com
        self._imports = imports
        self._send = send
        self._own_thread = threading.get_ident()
        self._askers: dict[tuple[str, int | None], tuple[str, str]] = {}
        """User and host of the puts that are under way, by their thread, and by their channel: a put that has waited
        for the end of another one goes on in another thread."""
        self._ids = itertools.count(SystemClock().now_ns())  # others than those of the process before
        self._records: dict[str, _Writable] = {}
        self._by_pointer: dict[int, _Writable] = {}
        self._open: dict[int, _Writable] = {}
        self._told_s = float("-inf")
        self._listener = _Listener(self._hear)
        for function in (core.dbScanLock, core.dbScanUnlock, core.dbProcess):
            function.argtypes = (ctypes.c_void_p,)

    def watch(self, record: PvRecord, made: Any) -> None:
        """Take the puts to this record of softioc."""
        self._records[record.name] = _Writable(self, record, made, self._imports.create_callback_capsule())

    def begin(self, source: int) -> None:
        """Give the rules of access to the server, before it starts. `source`: the file descriptor that has them."""
        # The address of the connection counts, and not the name of a host that the client says.
        ctypes.c_int.in_dll(self._com, "asCheckClientIP").value = 1
        self._core.asSetFilename(f"/dev/fd/{source}".encode())
        self._com.asTrapWriteRegisterListener(self._listener)

    def started(self) -> None:
        """The records exist by now. RuntimeError where the server has not taken the rules: all would be writable."""
        if not ctypes.c_int.in_dll(self._com, "asActive").value:
            raise RuntimeError("the server of EPICS has not taken the rules of access")
        self._by_pointer = {one.pointer: one for one in self._records.values()}

    def show(self, name: str) -> None:
        """Process a record whose value has changed, if it is one that can be written."""
        if (writable := self._records.get(name)) is not None:
            self._core.dbScanLock(writable.pointer)
            try:
                if not writable.fields.PACT:  # otherwise it is processed when the put has ended
                    self._core.dbProcess(writable.pointer)
            finally:
                self._core.dbScanUnlock(writable.pointer)

    def end(self, end: PvEnd) -> None:
        """Answer the client that waits for this put."""
        if (writable := self._open.pop(end.id, None)) is None:
            return
        self._core.dbScanLock(writable.pointer)
        try:
            if writable.waiting != end.id:
                return
            writable.waiting = 0
            if not end.is_done:
                writable.fail()
        finally:
            self._core.dbScanUnlock(writable.pointer)
        self._imports.signal_processing_complete(writable.fields, writable.callback)

    def take(self, writable: _Writable, value: Wish, *, is_early: bool = False) -> int:
        """Tell the role of a put; its identity, or 0 where too many are under way."""
        if len(self._open) >= MOST_PUTS:
            self._overrun(writable.name)
            return 0
        id = next(self._ids)
        nameless = self._askers.get(_this_thread(), ("", ""))
        # While one put is under way the channel of the record is that of its client.
        channel = None if is_early else writable.channel()
        user, host = self._askers.get(("channel", channel), nameless)
        put = PvPut(
            id=id,
            name=writable.name,
            value=value,
            user=user,
            host=host,
            time_s=SystemClock().now_ns() / 1e9,
            waits=bool(writable.fields.PPN) and not is_early,
            is_early=is_early,
        )
        self._open[id] = writable
        self._send(msgspec.json.encode(put) + b"\n")
        return id

    def _overrun(self, name: str) -> None:
        now_s = SystemClock().monotonic()
        if now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            print(f"pvs: a put to {name} is refused: {MOST_PUTS} puts are under way", file=sys.stderr, flush=True)

    def is_own(self) -> bool:
        """Whether this thread is the one that shows values."""
        return threading.get_ident() == self._own_thread

    def _hear(self, given: Any, after: int) -> None:
        """Called by the server before and after each put that the rules allow, in the thread of the put."""
        message = given.contents
        if not after:
            who = _text(message.user), _text(message.host)
            self._askers |= {_this_thread(): who, ("channel", message.channel): who}
            return
        pointer = ctypes.c_void_p.from_address(message.channel + _RECORD_OF_CHANNEL).value if message.channel else None
        if (writable := self._by_pointer.get(pointer or 0)) is not None:
            self._core.dbScanLock(writable.pointer)
            try:
                writable.refuse_early()
            finally:
                self._core.dbScanUnlock(writable.pointer)
        for key in (_this_thread(), ("channel", message.channel)):
            self._askers.pop(key, None)


class _Writable:
    """One record that can be written."""

    def __init__(self, puts: Puts, record: PvRecord, made: Any, callback: Any) -> None:
        self.name = record.name
        self.callback = callback
        self.waiting = 0
        """The put whose client waits for the end."""
        self._puts = puts
        self._is_bool = record.kind == "bool"
        self._made = made
        self._write = made._write_value
        made._write_value = self._processed

    @property
    def fields(self) -> Any:
        return self._made._record

    @property
    def pointer(self) -> int:
        return self.fields.record.value

    def channel(self) -> int | None:
        """The channel of the client that waits for its put; None without one."""
        asked = self.fields.PPN
        return ctypes.c_void_p.from_address(asked + _CHANNEL_OF_PUT).value if asked else None

    def fail(self) -> None:
        """Let the put of the client that waits fail."""
        if asked := self.fields.PPN:
            ctypes.c_int.from_address(asked + _STATUS_OF_PUT).value = _PUT_FAILED

    def _has_failed(self) -> bool:
        """Whether the client that waits has put what is no value of this record: it is processed all the same."""
        asked = self.fields.PPN
        return bool(asked and ctypes.c_int.from_address(asked + _STATUS_OF_PUT).value)

    def refuse_early(self) -> None:
        """Take back a put that came while another one was under way: it is in VAL, and was not processed."""
        if self.fields.PACT and self.fields.RPRO:
            self.fields.RPRO = 0
            wish = self._wish()
            self._write(self.fields, self._made._value[0])
            self._puts.take(self, wish, is_early=True)

    def _processed(self, fields: Any, value: Any) -> None:
        """In place of the function by which softioc writes the value of the device into the record."""
        if fields.PACT:
            self.refuse_early()
        elif not self._puts.is_own() and not self._has_failed():
            wish = self._wish()
            self._write(fields, value)
            id = self._puts.take(self, wish)
            if fields.PPN and id:
                self.waiting = id
                fields.PACT = 1
            elif not id:
                self.fail()
            return
        self._write(fields, value)

    def _wish(self) -> Wish:
        value = self._made._epics_to_value(self._made._read_value(self.fields))
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return bool(value) if self._is_bool else value


def _this_thread() -> tuple[str, int]:
    # Not threading.local: Python forgets it between two calls from a thread that is not its own.
    return "thread", threading.get_ident()


def _text(given: bytes | None) -> str:
    return (given or b"").decode(errors="replace")[:60]
