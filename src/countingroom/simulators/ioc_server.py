"""The process of a Channel Access server: records and values in, puts out, one JSON line each.

In, first: `{"records": [Record…]}`, answered by `{"ready": true}`. Then in: `{"set": [[name, value, severity]…]}`, out:
`{"put": [name, value]}` for each value that a client wrote. The process ends with its input.

The server of libca cannot be stopped inside a process and reads its addresses from the environment when it is loaded.
So it has a process of its own, and `ioc.py` sets its environment.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Timer, get_ident
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.lean_imports import without_init


class IocRecord(Struct, frozen=True, kw_only=True):
    """One process variable."""

    name: str
    kind: str = "float"
    """`float`, `int` (32 bits), `int64`, `enum`, `string`, `text` (an array of 256 characters), `array` (of 10 numbers,
    the first of which is `value`)."""
    value: float | int | str = 0.0
    """For an enum: the number of the choice."""
    writable: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""
    precision: int = 3
    fields: dict[str, float | int | str] = {}
    """More fields of the record: `{"HIHI": 10, "HHSV": "MAJOR"}`."""
    put_takes_s: float = 0.0
    """A put is completed after this time, as that of a motor is when it has arrived."""


class Setup(Struct, frozen=True, kw_only=True):
    """The first line in."""

    records: tuple[IocRecord, ...]
    pva: bool = False
    """Serve by PVAccess too."""


class Values(Struct, frozen=True, kw_only=True):
    """Every later line in: name, value (null: not a number), severity (0 none, 1 minor, 2 major, 3 invalid)."""

    set: tuple[tuple[str, float | int | str | None, int], ...]


def _make(builder: Any, record: IocRecord, on_put: Callable[[Any, str], None]) -> Any:
    fields: dict[str, Any] = {"initial_value": record.value}
    if record.kind == "array":
        fields = {"initial_value": [float(record.value)] * 10}
    if record.kind == "text":
        fields["length"] = 256
    if record.kind in {"float", "int", "int64"}:
        fields["EGU"] = record.unit
    if record.kind == "float":
        fields["PREC"] = record.precision
    fields |= record.fields
    if record.writable:
        fields |= {"on_update_name": on_put, "always_update": True, "blocking": bool(record.put_takes_s)}
    makers: dict[tuple[str, bool], Callable[..., Any]] = {
        ("float", False): builder.aIn,
        ("float", True): builder.aOut,
        ("int", False): builder.longIn,
        ("int", True): builder.longOut,
        ("int64", False): builder.int64In,
        ("int64", True): builder.int64Out,
        ("array", False): builder.WaveformIn,
        ("enum", False): builder.mbbIn,
        ("enum", True): builder.mbbOut,
        ("text", False): builder.longStringIn,
        ("text", True): builder.longStringOut,
        ("string", False): builder.stringIn,
        ("string", True): builder.stringOut,
    }
    return makers[record.kind, record.writable](record.name, *record.choices, **fields)


class _AtOnce:
    """softioc's dispatcher: the effect of a put, writing one line, is done in the thread of the put. Its completion
    comes at once, or after the time that the record says."""

    def __init__(self, takes_s: dict[str, float]) -> None:
        self._takes_s = takes_s

    def __call__(self, func: Any, func_args: Any = (), completion: Any = None, completion_args: Any = ()) -> None:
        func(*func_args)
        if completion:
            takes_s = self._takes_s.get(str(completion_args[0].NAME), 0.0)
            if takes_s:
                Timer(takes_s, completion, completion_args).start()
            else:
                completion(*completion_args)


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its banner must not come between our lines
    lines = sys.stdin.buffer
    setup = msgspec.json.decode(lines.readline(), type=Setup)

    with without_init("setuptools_dso", names_of="runtime"):  # its `__init__` loads setuptools: 6 MiB, 0.1 s
        from softioc import alarm, builder, softioc  # its addresses are in the environment by now

    lock = Lock()

    def say(message: dict[str, Any]) -> None:
        with lock, suppress(BrokenPipeError):  # the parent has ended; the end of the input follows
            output.write(msgspec.json.encode(message) + b"\n")

    ours = get_ident()

    def on_put(value: Any, name: str) -> None:
        if get_ident() != ours:  # a record that we set is processed in this thread, and is no put
            say({"put": [name, value]})

    softioc_ioc: Any = softioc
    records: dict[str, Any] = {record.name: _make(builder, record, on_put) for record in setup.records}
    builder.LoadDatabase()
    softioc_ioc.eltc(0)  # no banner
    softioc_ioc.iocInit(_AtOnce({r.name: r.put_takes_s for r in setup.records}), enable_pva=setup.pva)
    softioc_ioc.eltc(1)
    say({"ready": True})
    decoder = msgspec.json.Decoder(Values)
    for line in lines:
        for name, given, severity in decoder.decode(line).set:
            value = math.nan if given is None else given
            records[name].set(value, severity=severity, alarm=alarm.STATE_ALARM if severity else alarm.NO_ALARM)
    os._exit(0)


if __name__ == "__main__":
    main()
