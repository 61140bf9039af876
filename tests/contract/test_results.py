"""Every store of results keeps documents, arrays and logs as they were given, and each end once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.errors import Cause, Conflict, NotFound, OutOfRange
from countingroom.core.results import ArrayColumn, ArrayInfo, NewResult, ResultEnd, ResultFilter, ResultState
from countingroom.results import arrays
from countingroom.results.store import LOG, FileStore, open_store
from countingroom.storage.database import Database
from tests.contract.conftest import POSTGRESQL
from tests.contract.storage.postgres import Postgres
from tests.contract.storage.stand import Stand

CSV = b"row,column,noise\n0,0,1.5\n0,1,2.5\n"
INTERRUPTED = ResultEnd(
    state=ResultState.INTERRUPTED,
    ended_ns=1_800_000_000_000_000_001,
    cause=Cause(code="interrupted", message="it was killed"),
    problems=("one file is left",),
    versions={"scan": "2"},
    counters={"pixels": 12},
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=12,
)


def new(**more: Any) -> NewResult:
    """A result that begins."""
    fields: dict[str, Any] = {"program": "scan", "title": "Scan", "by": "anna", "started_ns": 1_800_000_000_000_000_000}
    return NewResult(**(fields | more))


async def store_of(stand: Stand, folder: Path) -> FileStore:
    return open_store(await stand.open(), folder)


async def test_a_result_grows_part_by_part_and_is_read_by_another_process(shared_stand: Stand, tmp_path: Path) -> None:
    store = await store_of(shared_stand, tmp_path / "files")
    begun = await store.begin(new(comment="x", versions={"a": "1"}, configuration={"parameters": {"n": [1, None]}}))
    assert (begun.number, begun.state, begun.ended_ns) == (1, ResultState.RUNNING, None)
    store.folder(1).mkdir(parents=True)
    (store.folder(1) / LOG).write_bytes(b"one\ntwo\n")
    assert await store.log(1, 4) == b"two\n"
    await store.add_document(1, "summary", b'{"b": 1.5, "a": "\\u0000"}')
    info, parquet = arrays.read("noise", "csv", CSV)
    await store.add_array(1, info, parquet)
    with pytest.raises(OutOfRange, match="two parts with the name noise"):
        await store.add_document(1, "noise", b"{}")
    ended = await store.end(1, INTERRUPTED)
    assert await store.end(1, msgspec.structs.replace(INTERRUPTED, state=ResultState.COMPLETED)) == ended
    other = await store_of(shared_stand, tmp_path / "files")
    assert await other.get(1) == ended
    assert (ended.state, ended.versions, ended.problems) == (
        ResultState.INTERRUPTED,
        {"a": "1", "scan": "2"},
        ("one file is left",),
    )
    assert [one.name for one in ended.documents] == ["summary"]
    assert ended.arrays[0].columns[2] == ArrayColumn(name="noise", type="double")
    assert msgspec.json.decode(await other.document(1, "summary")) == {"b": 1.5, "a": "\ufffd"}
    assert arrays.as_format(await other.array(1, "noise"), "csv") == b'"row","column","noise"\n0,0,1.5\n0,1,2.5\n'
    assert await other.log(1) == b"one\ntwo\n"
    assert ended.log_bytes == 8
    with pytest.raises(Conflict, match="has ended"):
        await other.add_document(1, "late", b"{}")


async def test_a_delivered_result_is_kept_whole_or_not_at_all(shared_stand: Stand, tmp_path: Path) -> None:
    store = await store_of(shared_stand, tmp_path / "files")
    part = arrays.read("noise", "csv", CSV)
    with pytest.raises(OutOfRange, match="two parts"):
        await store.deliver(new(), INTERRUPTED, {"noise": b"{}"}, [part], b"")
    assert await store.find(ResultFilter()) == ()
    assert not tmp_path.joinpath("files").exists() or list(tmp_path.joinpath("files").iterdir()) == []
    made = await store.deliver(new(is_added=True), INTERRUPTED, {"doc": b"[1]"}, [part], b"said\n")
    assert await store.get(made.number) == made
    assert (await store.document(made.number, "doc")).replace(b" ", b"") == b"[1]"
    assert (await store.array(made.number, "noise"), await store.log(made.number)) == (part[1], b"said\n")


async def test_results_are_found_by_what_is_known_of_them(shared_stand: Stand, tmp_path: Path) -> None:
    store = await store_of(shared_stand, tmp_path)
    first = await store.begin(new(comment="After the Bias"))
    await store.begin(new(program="other", started_ns=5, by="bert"))
    third = await store.begin(new(started_ns=1_900_000_000_000_000_000))
    await store.end(third.number, msgspec.structs.replace(INTERRUPTED, state=ResultState.COMPLETED, cause=None))

    async def found(**wanted: Any) -> list[int]:
        return [one.number for one in await store.find(ResultFilter(**wanted))]

    assert await found() == [3, 2, 1]
    assert await found(program="scan") == [3, 1]
    assert await found(state="running") == [2, 1]
    assert await found(text="the bias") == [first.number]
    assert await found(text="%") == []
    assert await found(from_ns=6, to_ns=1_850_000_000_000_000_000) == [1]
    assert await found(before=3, limit=1) == [2]
    assert (await store.get(3)).ended_ns == 1_900_000_000_000_000_000  # never before its start


async def test_what_is_not_there_or_cannot_be_kept_is_told(shared_stand: Stand, tmp_path: Path) -> None:
    store = await store_of(shared_stand, tmp_path)
    with pytest.raises(NotFound, match="no result 1"):
        await store.get(1)
    await store.begin(new())
    for name in ("other", "../secret", "a/b"):
        with pytest.raises(NotFound, match=r"result 1 has no|is not in"):
            await store.document(1, name)
        with pytest.raises(NotFound):
            await store.array(1, name)
    for name, content in (("a/b", b"{}"), ("", b"{}"), ("doc", b"{"), ("doc", b"NaN"), ("doc", b'"\\ud800"')):
        with pytest.raises(OutOfRange):
            await store.add_document(1, name, content)
    with pytest.raises(OutOfRange, match="the most is"):
        await store.add_document(1, "large", b'"' + b"x" * (4 << 20) + b'"')
    assert await store.log(1) == b""


@pytest.mark.parametrize("kind", ["sqlite", POSTGRESQL])
def test_every_document_is_read_back_as_it_was(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        url = "sqlite://"
        if kind == "postgresql":
            server: Postgres = request.getfixturevalue("postgres")
            url = runner.run(server.migrated())
        database = Database(url)
        runner.run(database.open())
        store = open_store(database, tmp_path)

        async def round_trip(contents: list[Any]) -> list[Any]:
            documents = {f"d{number}": msgspec.json.encode(one) for number, one in enumerate(contents)}
            made = await store.deliver(new(), INTERRUPTED, documents, [], b"")
            return [msgspec.json.decode(await store.document(made.number, name)) for name in documents]

        @given(st.lists(JSON, min_size=1, max_size=8))
        @settings(max_examples=25)
        def check(contents: list[Any]) -> None:
            assert alike(runner.run(round_trip(contents)), contents)

        try:
            check()
        finally:
            runner.run(database.close())


def alike(one: Any, other: Any) -> bool:
    """The same JSON. JSONB keeps decimal numbers, so a float without a fraction may come back as an integer."""
    match one, other:
        case dict(), dict():
            first, second = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
            return first.keys() == second.keys() and all(alike(value, second[key]) for key, value in first.items())
        case list(), list():
            before, after = cast("list[Any]", one), cast("list[Any]", other)
            return len(before) == len(after) and all(map(alike, before, after))
        case int() | float(), float():
            return float(one) == other
        case _:
            return type(one) is type(other) and one == other


async def test_postgresql_answers_questions_about_keys_of_documents(server_stand: Stand, tmp_path: Path) -> None:
    from sqlalchemy import text

    database = await server_stand.open()
    store = open_store(database, tmp_path)
    await store.deliver(new(), INTERRUPTED, {"summary": b'{"noise": {"mean": 4.2}}'}, [], b"")
    asked = text("SELECT result FROM result_document WHERE (content #>> '{noise,mean}')::float > 4")
    assert await database.results.store.read(lambda connection: connection.scalars(asked).all()) == [1]
    assert not tmp_path.joinpath("000001").exists()


def test_an_array_tells_what_it_is() -> None:
    info, parquet = arrays.read("noise", "csv", CSV)
    assert info == ArrayInfo(
        name="noise",
        columns=(
            ArrayColumn(name="row", type="int64"),
            ArrayColumn(name="column", type="int64"),
            ArrayColumn(name="noise", type="double"),
        ),
        rows=2,
        bytes=len(parquet),
    )
