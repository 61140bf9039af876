"""Stores the documents and arrays that a program wrote into its output folder. Others stay there."""

from __future__ import annotations

import asyncio
import errno
import re
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from msgspec import Struct

from countingroom.core.errors import CountingRoomError, OutOfRange
from countingroom.core.results import ARRAY_BYTES, DOCUMENT_BYTES, MOST_PARTS, ResultStore
from countingroom.results import arrays

_MOST_SEEN = 20_000
"""Files of an output folder that are looked at."""
_OTHER = re.compile(r"[^A-Za-z0-9_\-]+")


class Collected(Struct, frozen=True, kw_only=True):
    """The result of collecting."""

    problems: tuple[str, ...] = ()
    disk_full: bool = False


async def collect(store: ResultStore, number: int, output: Path, patterns: Sequence[str]) -> Collected:
    """Store the files of the folder that fit a pattern. Each file is removed when it is stored, and the folder when it
    is empty. LinkError if the database does not answer."""
    problems: list[str] = []
    disk_full = False
    files = await asyncio.to_thread(lambda: list(_files(output, patterns)))
    if len(files) > MOST_PARTS:
        problems.append(f"{len(files)} files were written; the first {MOST_PARTS} are kept as parts of the result")
    kept = await store.get(number)
    names = {one.name for one in (*kept.documents, *kept.arrays)}
    for path in files[:MOST_PARTS]:
        name = free_name(str(path.relative_to(output).with_suffix("")), names)
        try:
            await _keep(store, number, name, path)
        except OutOfRange as error:
            problems.append(f"{path.relative_to(output)}: {error.cause.message}")
            continue
        except OSError as error:
            disk_full = disk_full or error.errno in (errno.ENOSPC, errno.EDQUOT)
            problems.append(f"{path.relative_to(output)} is not kept: {error.strerror}")
            continue
        names.add(name)
        await asyncio.to_thread(path.unlink, missing_ok=True)
    left = await asyncio.to_thread(_clear, output)
    if left:
        problems.append(f"{left} files that are not parts of the result are left in {output}")
    return Collected(problems=tuple(problems), disk_full=disk_full)


def free_name(wanted: str, taken: set[str]) -> str:
    """A name that a document or an array can have, and that none has."""
    base = _OTHER.sub("_", wanted).strip("_")[:90] or "data"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


async def _keep(store: ResultStore, number: int, name: str, path: Path) -> None:
    is_document = path.suffix == ".json"
    if not is_document and path.suffix not in arrays.SUFFIXES:
        raise OutOfRange(f"{path.suffix or 'a file without a suffix'} is no format of arrays", source="results")
    most = DOCUMENT_BYTES if is_document else ARRAY_BYTES
    content = await asyncio.to_thread(_content, path, most)
    if is_document:
        await store.add_document(number, name, content)
        return
    info, parquet = await asyncio.to_thread(arrays.read, name, arrays.SUFFIXES[path.suffix], content)
    await store.add_array(number, info, parquet)


def _content(path: Path, most: int) -> bytes:
    if (size := path.stat().st_size) > most:
        raise OutOfRange(f"it has {size:,} bytes; the most is {most:,}", source="results")
    return path.read_bytes()


def _files(output: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """Regular files below the folder, in order. A link could lead to a file of another one, and is left out."""
    seen = sorted(path for path, _ in zip(output.rglob("*"), range(_MOST_SEEN), strict=False))
    for path in seen:
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(output).as_posix()
        if any(fnmatch(name, one) or fnmatch(name, one.removeprefix("**/")) for one in patterns):
            yield path


def _clear(output: Path) -> int:
    """Remove the folder where no file is left; else how many there are."""
    left = sum(1 for path in output.rglob("*") if path.is_symlink() or not path.is_dir())
    if not left:
        shutil.rmtree(output, ignore_errors=True)
    return left


def problem_of(error: Exception) -> str:
    """An error of collecting as a sentence."""
    return error.cause.message if isinstance(error, CountingRoomError) else f"{type(error).__name__}: {error}"
