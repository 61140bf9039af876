"""The stores of results: files of the data folder with SQLite, the database itself with PostgreSQL.

A result has a folder while its program runs, in which its log grows. With files the folder stays:
`documents/NAME.json`, `arrays/NAME.parquet` (DuckDB reads the arrays of all results at once) and `log.txt`. With
PostgreSQL the documents are JSONB and the folder is removed at the end.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.results import (
    ARRAY_BYTES,
    DOCUMENT_BYTES,
    LOG_BYTES,
    ArrayInfo,
    DocumentInfo,
    NewResult,
    ResultEnd,
    ResultFilter,
    ResultStore,
    StoredResult,
)
from countingroom.core.subjects import is_token
from countingroom.storage.database import Database
from countingroom.storage.results import DeliveredRows

LOG = "log.txt"
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class _Store(ResultStore):
    """What both stores have in common: the index, and the folder of a running result."""

    place = ""

    def __init__(self, database: Database, folder: Path) -> None:
        self._index = database.results
        self._root = folder

    def folder(self, number: int) -> Path:
        """The folder of a result, which may not exist."""
        return self._root / f"{number:06d}"

    async def begin(self, new: NewResult) -> StoredResult:
        return await self._index.begin(new, self.place)

    async def find(self, wanted: ResultFilter) -> tuple[StoredResult, ...]:
        return await self._index.find(wanted)

    async def get(self, number: int) -> StoredResult:
        return await self._index.get(number)

    async def log(self, number: int, start: int = 0, most: int = 1 << 18) -> bytes:
        found = await self._index.get(number)
        if found.place == "database" and found.ended_ns is not None:
            if not found.log_bytes:
                return b""
            return (await self._index.content(number, "log", "log"))[start : start + most]
        return await asyncio.to_thread(_read_part, self.folder(number) / LOG, start, most)

    async def _log_of_folder(self, number: int) -> bytes:
        return await asyncio.to_thread(_read_part, self.folder(number) / LOG, 0, LOG_BYTES + 4096)

    async def _file(self, number: int, kind: str, name: str) -> bytes:
        if not is_token(name):
            raise NotFound(f"result {number} has no {name}", source="results")
        path = self.folder(number) / kind / name
        suffix = ".json" if kind == "documents" else ".parquet"
        try:
            return await asyncio.to_thread(path.with_name(name + suffix).read_bytes)
        except FileNotFoundError as error:
            raise NotFound(
                f"{name} of result {number} is not in {path.parent}",
                source="results",
                suggestion=f"see whether result {number} has it, and was kept in this data folder",
            ) from error


class FileStore(_Store):
    """Documents and arrays as files of the data folder; the index in the SQL database."""

    place = "files"

    async def add_document(self, number: int, name: str, content: bytes) -> None:
        content = checked_document(name, content)
        path = self.folder(number) / "documents" / f"{name}.json"
        await asyncio.to_thread(_write, path, content)
        await self._index.add_document(number, DocumentInfo(name=name, bytes=len(content)), None)

    async def add_array(self, number: int, info: ArrayInfo, content: bytes) -> None:
        _check_array(info.name, content)
        await asyncio.to_thread(_write, self.folder(number) / "arrays" / f"{info.name}.parquet", content)
        await self._index.add_array(number, info, None)

    async def end(self, number: int, end: ResultEnd) -> StoredResult:
        size = await asyncio.to_thread(_size, self.folder(number) / LOG)
        return await self._index.end(number, end, log_bytes=size)

    async def deliver(
        self,
        new: NewResult,
        end: ResultEnd,
        documents: Mapping[str, bytes],
        arrays: Sequence[tuple[ArrayInfo, bytes]],
        log: bytes,
    ) -> StoredResult:
        documents = {name: checked_document(name, content) for name, content in documents.items()}
        for info, content in arrays:
            _check_array(info.name, content)
        infos = [DocumentInfo(name=name, bytes=len(content)) for name, content in documents.items()]
        whole = DeliveredRows(
            new=new, end=end, place=self.place, documents=infos, arrays=[one for one, _ in arrays], log_bytes=len(log)
        )
        if self.place == "database":
            contents = [("array", info.name, content) for info, content in arrays]
            contents += [("log", "log", log)] if log else []
            return await self._index.deliver(whole, documents, contents, lambda _: None)
        incoming = self._root / f".incoming-{uuid4().hex}"
        try:
            await asyncio.to_thread(_write_all, incoming, documents, arrays, log)
            return await self._index.deliver(whole, {}, [], lambda number: _move(incoming, self.folder(number)))
        finally:
            await asyncio.to_thread(shutil.rmtree, incoming, ignore_errors=True)

    async def document(self, number: int, name: str) -> bytes:
        if (await self._index.get(number)).place == "database":
            return await self._index.document(number, name)
        return await self._file(number, "documents", name)

    async def array(self, number: int, name: str) -> bytes:
        if (await self._index.get(number)).place == "database":
            return await self._index.content(number, "array", name)
        return await self._file(number, "arrays", name)


class DatabaseStore(FileStore):
    """Everything in PostgreSQL: documents as JSONB, arrays as Parquet."""

    place = "database"

    async def add_document(self, number: int, name: str, content: bytes) -> None:
        content = checked_document(name, content)
        await self._index.add_document(number, DocumentInfo(name=name, bytes=len(content)), content)

    async def add_array(self, number: int, info: ArrayInfo, content: bytes) -> None:
        _check_array(info.name, content)
        await self._index.add_array(number, info, content)

    async def end(self, number: int, end: ResultEnd) -> StoredResult:
        kept = await self._log_of_folder(number)
        ended = await self._index.end(number, end, log_bytes=len(kept), log=kept or None)
        if not await asyncio.to_thread((self.folder(number) / "output").exists):  # what was not kept stays
            await asyncio.to_thread(shutil.rmtree, self.folder(number), ignore_errors=True)
        return ended


def open_store(database: Database, folder: Path) -> FileStore:
    """The store that goes with the database. Each reads also what the other one has kept."""
    return (FileStore if database.is_sqlite else DatabaseStore)(database, folder)


def checked_document(name: str, content: bytes) -> bytes:
    """The document. OutOfRange where it is no JSON, is too large, or has a name that cannot be kept. A NUL in a text
    becomes U+FFFD, because PostgreSQL takes none."""
    _check_name(name)
    if len(content) > DOCUMENT_BYTES:
        raise OutOfRange(
            f"the document {name} has {len(content):,} bytes; the most is {DOCUMENT_BYTES:,}",
            source="results",
            suggestion="keep long lists of numbers as an array",
        )
    try:
        decode_json(content, object)
    except Malformed as error:
        raise OutOfRange(
            f"the document {name} is no JSON: {error}", source="results", suggestion="write valid JSON in UTF-8"
        ) from error
    return _NUL.sub(rb"\1\\ufffd", content)


def _check_array(name: str, content: bytes) -> None:
    _check_name(name)
    if len(content) > ARRAY_BYTES:
        raise OutOfRange(f"the array {name} has {len(content):,} bytes; the most is {ARRAY_BYTES:,}", source="results")


def _check_name(name: str) -> None:
    if not is_token(name) or len(name) > 100:
        raise OutOfRange(
            f"{name[:100]!r} cannot be the name of a document or an array",
            source="results",
            suggestion="use at most 100 letters, digits, _ and -",
        )


def _write(path: Path, content: bytes) -> None:
    """The file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_all(
    folder: Path, documents: Mapping[str, bytes], arrays: Sequence[tuple[ArrayInfo, bytes]], log: bytes
) -> None:
    folder.mkdir(parents=True)
    for name, content in documents.items():
        _write(folder / "documents" / f"{name}.json", content)
    for info, content in arrays:
        _write(folder / "arrays" / f"{info.name}.parquet", content)
    if log:
        _write(folder / LOG, log)


def _move(source: Path, target: Path) -> None:
    """Move a file; an existing target is replaced: it is of a transaction that was not committed, so its number is used
    again."""
    shutil.rmtree(target, ignore_errors=True)
    source.replace(target)


def _read_part(path: Path, start: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(most)
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
