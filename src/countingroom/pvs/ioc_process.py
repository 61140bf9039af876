"""The process with the server of EPICS: records and values in, one JSON line each; it ends with its input.

In, first: a list of records, answered by `ready`. Then lists of rows. The server of EPICS cannot be stopped inside a
process, reads its addresses from the environment, and takes no record after its start. So it has a process of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from countingroom.core.clock import SystemClock
from countingroom.core.lean_imports import without_init
from countingroom.pvs.table import INVALID, MOST_TEXT, PvRecord, PvRow

_UDF = 17
"""Alarm status of a record that never had a value."""


def _make(builder: Any, record: PvRecord) -> Any:
    makers: dict[str, Callable[..., Any]] = {
        "float": builder.aIn,
        "int": builder.int64In,
        "bool": builder.boolIn,
        "words": builder.mbbIn,
        "text": builder.longStringIn,
    }
    # -2: the time stamp is the one that comes with the value, and not the time of its processing.
    fields: dict[str, Any] = {**record.fields, "TSE": -2}
    words = record.words
    if record.kind == "bool":
        words = ()
        fields["ZNAM"], fields["ONAM"] = record.words or ("false", "true")
    if record.kind == "text":
        fields["length"] = MOST_TEXT + 1
    return makers[record.kind](record.name, *words, **fields)


def _no_puts(*given: Any) -> None:
    """The dispatcher of puts: these records take none."""


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its banner must not come between our lines
    lines = sys.stdin.buffer
    described = msgspec.json.decode(lines.readline(), type=list[PvRecord])

    with without_init("setuptools_dso", names_of="runtime"):  # its `__init__` loads setuptools: 6 MiB, 0.1 s
        from softioc import builder, softioc  # its addresses are in the environment by now

    server: Any = softioc
    records: dict[str, Any] = {record.name: _make(builder, record) for record in described}
    builder.LoadDatabase()
    server.eltc(0)  # no banner
    server.iocInit(_no_puts, enable_pva=True)
    server.eltc(1)
    now_s = SystemClock().now_ns() / 1e9
    for record in records.values():
        record.set_alarm(INVALID, _UDF, now_s)
    output.write(b"ready\n")
    decoder = msgspec.json.Decoder(list[PvRow])
    for line in lines:
        for row in decoder.decode(line):
            if row.value is None:
                records[row.name].set_alarm(row.severity, row.status, row.time_s)
            else:
                records[row.name].set(row.value, row.severity, row.status, row.time_s)
    os._exit(0)


if __name__ == "__main__":
    main()
