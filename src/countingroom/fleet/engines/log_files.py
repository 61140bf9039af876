"""Logs and records of instances in files: `log` is written to, `log.1` holds what was written before it was full."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

TAIL_BYTES = 1 << 20
"""Of a log or of the output of a command, the last that is given to users."""
T = TypeVar("T", bound=Struct)


def read_record(file: Path, kind: type[T]) -> T | None:
    """None where there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def write_record(file: Path, record: Struct) -> None:
    """The file has the whole of the record, or what it had before."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(msgspec.json.encode(record))
    new.replace(file)


def last_lines(folder: Path, most: int) -> list[str]:
    """Of `log.1` and `log`, without those that are empty."""
    data = b""
    for name in ("log.1", "log"):
        with suppress(OSError), (folder / name).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - TAIL_BYTES, 0))
            data += file.read()
    return [line.decode(errors="replace") for line in data.split(b"\n") if line][-most:]


def cut_log(log: Path, most: int) -> bool:
    """Where it has more bytes: put them into `log.1`, and let its writer, which appends, begin again. What is written
    in between is lost. Returns whether it had."""
    if _size(log) <= most:
        return False
    new = log.with_name("log.new")
    shutil.copyfile(log, new)
    new.replace(log.with_name("log.1"))
    os.truncate(log, 0)
    return True


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
