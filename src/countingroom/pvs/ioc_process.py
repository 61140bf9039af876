"""The process with the server of EPICS: records and values in, one JSON line each; it ends with its input.

In, first: a list of records, answered by `ready`. Then lists of rows, each answered by `taken`, and an empty one as a
sign of life: without any for 5 s all values are INVALID until the next. The server of EPICS cannot be stopped inside a
process, reads its addresses from the environment, and takes no record after its start. So it has a process of its own.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from countingroom.core.clock import SystemClock
from countingroom.core.lean_imports import without_init
from countingroom.pvs.table import INVALID, MOST_TEXT, SILENT_S, PvRecord, PvRow

_COMM, _UDF = 9, 17
"""Alarm status of a record without a link, and of one that never had a value."""
_READ_ONLY = b"ASG(DEFAULT) { RULE(1, READ) }\n"
"""The access to every field of every record. DISP alone, which softioc sets, a client can clear."""


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


def lines_of(source: int, silent_s: float) -> Iterator[bytes | None]:
    """The lines of a file descriptor, until it ends; None each time that nothing has come for so long."""
    rest = b""
    while True:
        if not select.select([source], [], [], silent_s)[0]:
            yield None
        elif given := os.read(source, 1 << 20):
            *lines, rest = (rest + given).split(b"\n")
            yield from lines
        else:
            return


def rows_of(lines: Iterator[bytes | None], names: tuple[str, ...]) -> Iterator[list[PvRow]]:
    """What is to be set for each line: its rows. After a silence every record is INVALID, and with the next line it is
    what it was before."""
    decoder = msgspec.json.Decoder(list[PvRow])
    latest: dict[str, PvRow] = {}
    is_silent = False
    for line in lines:
        if line is None:
            if not is_silent:
                now_s = SystemClock().now_ns() / 1e9
                yield [PvRow(name, None, INVALID, _COMM, now_s) for name in names]
            is_silent = True
            continue
        rows = decoder.decode(line)
        latest.update({row.name: row for row in rows})
        yield list(latest.values()) if is_silent else rows
        is_silent = False


def answered(lines: Iterator[bytes | None], answer: Callable[[bytes], object]) -> Iterator[bytes | None]:
    """The lines, each answered once it has been worked off."""
    for line in lines:
        yield line
        if line is not None:
            answer(b"taken\n")


def _make_read_only(database: Any) -> None:
    """Let the server refuse every put. EPICS reads its rules from a file, and this one is a pipe."""
    reader, writer = os.pipe()
    os.write(writer, _READ_ONLY)
    os.close(writer)
    database.asSetFilename(f"/dev/fd/{reader}".encode())


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its banner must not come between our lines
    lines = lines_of(sys.stdin.fileno(), SILENT_S)
    first = next((line for line in lines if line is not None), b"[]")
    described = msgspec.json.decode(first, type=list[PvRecord])

    with without_init("setuptools_dso", names_of="runtime"):  # its `__init__` loads setuptools: 6 MiB, 0.1 s
        from epicscorelibs.ioc import dbCore  # pyright: ignore[reportMissingTypeStubs]
        from softioc import builder, softioc  # its addresses are in the environment by now

    server: Any = softioc
    records: dict[str, Any] = {record.name: _make(builder, record) for record in described}
    builder.LoadDatabase()
    _make_read_only(dbCore)
    server.eltc(0)  # no banner
    server.iocInit(_no_puts, enable_pva=True)
    server.eltc(1)
    now_s = SystemClock().now_ns() / 1e9
    for record in records.values():
        record.set_alarm(INVALID, _UDF, now_s)
    output.write(b"ready\n")
    for rows in rows_of(answered(lines, output.write), tuple(records)):
        for row in rows:
            if row.value is None:
                records[row.name].set_alarm(row.severity, row.status, row.time_s)
            else:
                records[row.name].set(row.value, row.severity, row.status, row.time_s)
    os._exit(0)


if __name__ == "__main__":
    main()
