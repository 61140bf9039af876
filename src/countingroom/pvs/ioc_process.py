"""The process with the server of EPICS: records and values in, one JSON line each; it ends with its input.

Its lines are those of `wire.py`; without any for 5 s all values are INVALID until the next. The server of EPICS cannot
be stopped inside a process, reads its addresses from the environment, and takes no record after its start. So it has a
process of its own.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from countingroom.core.clock import SystemClock
from countingroom.core.lean_imports import without_init
from countingroom.pvs.ioc_puts import Puts
from countingroom.pvs.table import INVALID, MOST_TEXT, SILENT_S, PvRecord, PvRow
from countingroom.pvs.wire import TAKEN, IocBatch, IocSetup

_COMM, _UDF = 9, 17
"""Alarm status of a record without a link, and of one that never had a value."""


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
    if record.access:  # it is processed by a put, and by `Puts` for each value; not by softioc
        fields |= {"SCAN": "Passive", "DISP": 0, "ASG": record.access}
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


def batches_of(lines: Iterator[bytes | None], names: tuple[str, ...]) -> Iterator[IocBatch]:
    """What is to be done for each line. After a silence every record is INVALID, and with the next line it is what it
    was before."""
    decoder = msgspec.json.Decoder(IocBatch)
    latest: dict[str, PvRow] = {}
    is_silent = False
    for line in lines:
        if line is None:
            if not is_silent:
                now_s = SystemClock().now_ns() / 1e9
                yield IocBatch(rows=tuple(PvRow(name, None, INVALID, _COMM, now_s) for name in names))
            is_silent = True
            continue
        batch = decoder.decode(line)
        latest.update({row.name: row for row in batch.rows})
        yield IocBatch(rows=tuple(latest.values()), ends=batch.ends) if is_silent else batch
        is_silent = False


def answered(lines: Iterator[bytes | None], answer: Callable[[bytes], object]) -> Iterator[bytes | None]:
    """The lines, each answered once it has been worked off."""
    for line in lines:
        yield line
        if line is not None:
            answer(TAKEN)


def _begin(puts: Puts, access: str) -> None:
    """Give the rules of access to the server. EPICS reads them from a file, and this one is a pipe."""
    reader, writer = os.pipe()
    rules = access.encode()
    threading.Thread(target=lambda: (os.write(writer, rules), os.close(writer)), daemon=True).start()
    puts.begin(reader)


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its banner must not come between our lines
    lines = lines_of(sys.stdin.fileno(), SILENT_S)
    first = next((line for line in lines if line is not None), b"")
    setup = msgspec.json.decode(first, type=IocSetup)

    with without_init("setuptools_dso", names_of="runtime"):  # its `__init__` loads setuptools: 6 MiB, 0.1 s
        from epicscorelibs.ioc import Com, dbCore  # pyright: ignore[reportMissingTypeStubs]
        from softioc import builder, device_core, imports, softioc  # its addresses are in the environment by now

    server: Any = softioc
    made_by: Any = device_core
    puts = Puts(dbCore, Com, imports, output.write)
    records: dict[str, Any] = {record.name: _make(builder, record) for record in setup.records}
    for record in setup.records:
        if record.access:
            puts.watch(record, made_by.LookupRecord(record.name))
    builder.LoadDatabase()
    _begin(puts, setup.access)
    server.eltc(0)  # no banner
    server.iocInit(_no_puts, enable_pva=True)
    server.eltc(1)
    puts.started()
    now_s = SystemClock().now_ns() / 1e9
    for name, made in records.items():
        made.set_alarm(INVALID, _UDF, now_s)
        puts.show(name)
    output.write(b"ready\n")
    for batch in batches_of(answered(lines, output.write), tuple(records)):
        for row in batch.rows:
            if row.value is None:
                records[row.name].set_alarm(row.severity, row.status, row.time_s)
            else:
                records[row.name].set(row.value, row.severity, row.status, row.time_s)
            puts.show(row.name)
        for end in batch.ends:
            puts.end(end)
    os._exit(0)


if __name__ == "__main__":
    main()
