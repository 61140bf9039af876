"""Results: what a calibration program, or a measurement made elsewhere, has found. Values and the port of their store.

A result has documents (JSON), arrays (tables of columns) and a log, with the times of its start and end, the versions
of the software and the configuration. It is recorded before its program starts and ended once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.values import Scalar

DOCUMENT_BYTES = 4 << 20
"""The most of one document."""
ARRAY_BYTES = 64 << 20
"""The most of one array, in memory and in the file that it comes from."""
LOG_BYTES = 8 << 20
"""The most bytes of a log. A longer one is cut in the middle, because its end says why a program failed."""
FACTS_BYTES = 1 << 18
"""The most of versions and configuration of a result that is added: each list of results has them."""
MOST_PARTS = 500
"""Documents and arrays of one result."""
UPLOAD_BYTES = 32 << 20
"""The most of the request that adds a result."""


class ResultState(StrEnum):
    """Whether a result has ended, and how."""

    RUNNING = "running"
    COMPLETED = "completed"
    """The program ended by itself with status 0, or the result was added as a whole."""
    STOPPED = "stopped"
    """A user stopped the program."""
    FAILED = "failed"
    """The program failed, was killed or took too long, or what it wrote could not be kept."""
    INTERRUPTED = "interrupted"
    """The process that watched the program ended before it."""


class DocumentInfo(Struct, frozen=True, kw_only=True):
    """A document of a result."""

    name: str
    bytes: int


class ArrayColumn(Struct, frozen=True, kw_only=True):
    """A column of an array."""

    name: str
    type: str
    """As Arrow names it: `double`, `int64`, `string`."""


class ArrayInfo(Struct, frozen=True, kw_only=True):
    """An array of a result: a table, or numbers in a grid, which are then its one column row by row."""

    name: str
    columns: tuple[ArrayColumn, ...]
    rows: int
    shape: tuple[int, ...] = ()
    """Of a grid; empty: it is a table."""
    bytes: int = 0
    """As Parquet."""


class NewResult(Struct, frozen=True, kw_only=True):
    """A result before it has a number."""

    program: str
    title: str = ""
    by: str
    started_ns: int
    comment: str = ""
    is_added: bool = False
    """It was delivered, and its program was not started here."""
    versions: dict[str, str] = {}
    configuration: dict[str, Any] = {}


class StoredResult(NewResult, frozen=True, kw_only=True):
    """One result of the index."""

    number: int
    state: ResultState = ResultState.RUNNING
    ended_ns: int | None = None
    cause: Cause | None = None
    """Why it is not complete."""
    documents: tuple[DocumentInfo, ...] = ()
    arrays: tuple[ArrayInfo, ...] = ()
    log_bytes: int = 0
    problems: tuple[str, ...] = ()
    """What the program wrote and that could not be kept as it should, one sentence each."""
    counters: dict[str, Scalar] = {}
    """What the program counted, as it said last."""
    place: str = "files"
    """Where its documents and arrays are: `files` of the data folder, or `database`."""


class ResultEnd(Struct, frozen=True, kw_only=True):
    """The end of a result."""

    state: ResultState
    ended_ns: int
    cause: Cause | None = None
    problems: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    """Added to those known before."""
    counters: dict[str, Scalar] = {}


class ResultFilter(Struct, frozen=True, kw_only=True):
    """Selects results, newest first. All given conditions must be met."""

    program: str = ""
    state: str = ""
    from_ns: int | None = None
    """Started at this time or later."""
    to_ns: int | None = None
    """Started before this time."""
    text: str = ""
    """In program, title, comment or user; case does not matter."""
    before: int | None = None
    """Only numbers lower than this. For the next page, give the last number of this page."""
    limit: int = 100


class ProgramState(Struct, frozen=True, kw_only=True):
    """A program of the section `results`, at the key `result_program.<program>` of the bucket `state`."""

    program: str
    title: str
    role: str = "shifter"
    """The lowest role that may start it."""
    parameters: dict[str, Scalar] = {}
    """What may be given at its start, with the values that it has otherwise."""
    devices: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    time_limit_s: float = 0.0
    result: int = 0
    """Of the running program; 0: it does not run."""
    since_ns: int = 0
    by: str = ""
    progress: float | None = None
    """0 to 1, as the program says; None: it says none."""
    comment: str = ""
    said: str = ""
    """The last line of its output."""
    counters: dict[str, Scalar] = {}
    log_bytes: int = 0
    last: int = 0
    """The last result that ended; 0: none since this process began."""
    last_state: str = ""


class ResultStore(Protocol):
    """Where results are kept. Methods raise NotFound, LinkError where the database is away, and OSError where the disk
    does not take or give a file."""

    async def begin(self, new: NewResult) -> StoredResult:
        """Record a new result with the next number."""
        ...

    async def add_document(self, number: int, name: str, content: bytes) -> None:
        """Keep a document: JSON in UTF-8. OutOfRange where it is none, is too large, or the name is taken."""
        ...

    async def add_array(self, number: int, info: ArrayInfo, content: bytes) -> None:
        """Keep an array: Parquet."""
        ...

    async def end(self, number: int, end: ResultEnd) -> StoredResult:
        """Record the end, once: a result that has ended is returned as it is."""
        ...

    async def deliver(
        self,
        new: NewResult,
        end: ResultEnd,
        documents: Mapping[str, bytes],
        arrays: Sequence[tuple[ArrayInfo, bytes]],
        log: bytes,
    ) -> StoredResult:
        """Store a result with all its parts, or no part of it."""
        ...

    async def find(self, wanted: ResultFilter) -> tuple[StoredResult, ...]:
        """The results of a filter, newest first."""
        ...

    async def get(self, number: int) -> StoredResult:
        """One result."""
        ...

    async def document(self, number: int, name: str) -> bytes:
        """A document as JSON."""
        ...

    async def array(self, number: int, name: str) -> bytes:
        """An array as Parquet."""
        ...

    async def log(self, number: int, start: int = 0, most: int = 1 << 18) -> bytes:
        """Bytes of the log from `start`, also while the program runs."""
        ...


class DeliveredResult(Struct, frozen=True, kw_only=True):
    """A whole result that comes from elsewhere."""

    new: NewResult
    end: ResultEnd
    documents: Mapping[str, bytes] = {}
    arrays: Sequence[tuple[str, str, bytes]] = ()
    """Name, format (`arrow`, `parquet`, `npy`, `csv`) and content of each."""
    log: bytes = b""


class ResultDesk(Protocol):
    """What the console can do with results beside reading the store: read arrays, draw them, take delivered ones."""

    store: ResultStore

    async def deliver(self, delivered: DeliveredResult) -> StoredResult:
        """Keep a whole result. OutOfRange where a part of it cannot be read; nothing is kept then."""
        ...

    async def as_format(self, number: int, name: str, form: str) -> tuple[str, bytes]:
        """(media type, content) of an array as `parquet`, `arrow`, `csv` or `json`."""
        ...

    async def view(self, number: int, name: str, *, kind: str, column: str, bins: int) -> dict[str, Any]:
        """An array reduced to what can be drawn: `values`, `distribution` or `map`."""
        ...

    async def compare_arrays(
        self, first: int, second: int, name: str, *, kind: str, column: str, bins: int
    ) -> dict[str, Any]:
        """The same of an array of two results, with the same bins, or the difference of two maps."""
        ...


def program_key(program: str) -> str:
    """Key in `state` of a program of the section `results` (`ProgramState`)."""
    from countingroom.core.subjects import token

    return f"result_program.{token(program)}"
