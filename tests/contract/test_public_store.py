"""The public store on SQLite and PostgreSQL: redacted values only, each once, in one transaction; a reader that cannot
write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Text, create_engine, text

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.mirror.fields import AliasRule, IntegerRule, PatternRule, RecordRule, TimeRule
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Public, PublicFields, Redactor, as_json, parted
from countingroom.mirror.store import migrating, tables
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import (
    Cursor,
    HostState,
    PublicDocument,
    PublicRetention,
    RecordEntry,
    SourceState,
    WithheldEntry,
)
from countingroom.storage.columns import Json, PlainText
from countingroom.storage.database import Database
from countingroom.storage.engine import SqlStore
from countingroom.testing.clock import FakeClock
from tests.contract.conftest import POSTGRESQL
from tests.contract.storage.postgres import Postgres

DAY_US = 86_400_000_000
FIELDS = {
    "run": IntegerRule(least=0, most=10**6),
    "client": PatternRule(pattern="[a-z]+"),
    "host": AliasRule(),
    "time": TimeRule(),
    "number": IntegerRule(least=0, most=100),
}
REDACTOR = Redactor(
    Pseudonyms(b"k" * 32), LastCheck([("host", "fu-c2f11-11-01")]), {"run": RecordRule(fields=FIELDS)}, []
)
WORD = REDACTOR.word


class Both:
    """The two sides of one store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = FakeClock()
        self.store = PublicStore(url, self.clock)
        self.reader = PublicReader(url)

    @property
    def now_us(self) -> int:
        return self.clock.now_ns() // 1000


def body(**fields: Any) -> PublicFields:
    public = REDACTOR.record("run", fields).public
    assert public is not None
    return public


def document(id: str, revision: int, run: int = 1, **fields: Any) -> PublicDocument:
    return PublicDocument(
        set=fields.pop("set", "production"),
        kind="run_client",
        id=REDACTOR.lasting("document", id),
        source=REDACTOR.alias("host", "fu-c2f11-11-01"),
        revision=revision,
        body=body(run=run, client=fields.pop("client", "beam"), **fields),
        log=as_json(parted(body(number=revision), "number")[0]),
    )


def cursor(revision: int, host: str = "fu-c2f11-11-01") -> Cursor:
    return Cursor(upstream=WORD("farm"), host=REDACTOR.lasting("cursor", host), revision=revision)


@pytest_asyncio.fixture(params=["sqlite", POSTGRESQL])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    if request.param == "sqlite":
        made = Both(f"sqlite:///{tmp_path / 'a folder?' / 'public.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        made = Both(server.database())
    await made.store.open()
    await made.reader.open()
    yield made
    await made.reader.close()
    await made.store.close()


async def test_documents_and_cursor_are_written_together_and_each_once(both: Both) -> None:
    store, reader = both.store, both.reader
    at = (both.now_us // 1_000_000) * 1_000_000
    await store.take([document("a", 1, time=at // 1_000_000), document("b", 2, run=2)], cursor(2))
    first = await reader.version()
    await store.take([document("b", 2, run=2)], cursor(2))
    one, two = await reader.documents("production", "run_client")
    assert (one.run, one.client, one.at, one.revision) == (1, "beam", at, 1)
    assert two.version == first.number, "the same revision is not written again"
    await store.take([document("a", 3), document("a", 4, number=7)], cursor(4))
    (changed,) = await reader.documents("production", "run_client", after_version=first.number)
    assert (changed.revision, changed.body["number"]) == (4, 7)
    assert changed.document_id == one.document_id
    assert await reader.document("production", one.document_id) == changed
    assert await reader.log("production", one.document_id) == {"number": 4}
    assert list((await store.cursors("farm")).values()) == [4]
    assert await store.cursors("other") == {}
    assert await reader.documents("playback", "run_client") == ()
    assert await reader.log("playback", one.document_id) is None


async def test_what_fails_is_not_written_at_all(both: Both) -> None:
    await both.store.take([document("a", 1)], cursor(1))
    broken = PublicDocument(
        set="production", kind="run_client", id=WORD("x"), source=WORD("y"), revision=2**70, body=body(run=1)
    )
    with pytest.raises(Exception, match="database"):
        await both.store.take([document("a", 2), broken], cursor(2))
    (one,) = await both.reader.documents("production", "run_client")
    assert (one.revision, list((await both.store.cursors("farm")).values())) == (1, [1])


async def test_runs_and_clients_are_found(both: Both) -> None:
    await both.store.take([document(f"{run}", run, run=run, client="abc"[run % 3]) for run in (3, 5, 8, 9)])
    await both.store.take([document("p", 1, run=4, set="playback")])
    reader = both.reader
    assert await reader.run_range("production") == (3, 9)
    assert await reader.runs("production", first=4) == [9, 8, 5]
    assert await reader.runs("production", last=8, limit=2) == [8, 5]
    assert await reader.neighbours("production", 5) == (3, 8)
    assert await reader.neighbours("production", 9) == (8, None)
    assert await reader.clients("production", 4, 9) == ["a", "c"]
    found = await reader.documents("production", "run_client", runs=(4, 8), client="c")
    assert [one.run for one in found] == [5, 8]
    assert await reader.run_range("none") is None


async def test_the_status_of_a_computer_has_one_row_for_each_change(both: Both) -> None:
    def states(is_up: bool, message: str = "") -> list[HostState]:
        return [
            HostState(set="production", host=REDACTOR.alias("host", name), is_up=is_up, message=WORD(message))
            for name in ("one", "two")
        ]

    for is_up, message in ((True, ""), (True, ""), (False, "no answer"), (False, "no answer"), (False, "no power")):
        both.clock.step(30)
        await both.store.take(hosts=[*states(True), *states(is_up, message)])
    down = await both.reader.hosts("production")
    assert [(one.is_up, one.message) for one in down] == [(False, "no power")] * 2
    history = await both.reader.host_changes("production", down[0].host)
    assert [one.message for one in history] == ["no power", "no answer", ""]
    assert history[0].at - history[2].at == 120_000_000
    assert history[0].seen_at == both.now_us
    both.clock.step(3601)
    await both.store.take(hosts=states(True)[:1])
    assert len(await both.reader.hosts("production")) == 1, "the other one is not in its cluster any more"
    assert await both.store.prune(PublicRetention(age_us=1, documents=1, records=1)) == 5
    assert len(await both.reader.host_changes("production")) == 2


async def test_of_one_batch_the_newest_state_of_each_key_is_the_present_one(both: Both) -> None:
    def record(key: str, sequence: int, *, is_state: bool = True, is_gone: bool = False) -> RecordEntry:
        made = None if is_gone else body(number=sequence)
        name = REDACTOR.alias("run", key)
        return RecordEntry(kind="run", key=name, sequence=sequence, at=sequence, body=made, is_state=is_state)

    batch = [record("a", 1), record("a", 4), record("b", 2), record("a", 3), record("c", 5, is_state=False)]
    await both.store.take(records=[*batch, record("b", 6, is_gone=True), record("a", 4)])
    assert [(one.sequence, one.body) for one in await both.reader.now("run")] == [(4, {"number": 4})]
    assert sorted(one.sequence for one in await both.reader.history("run")) == [1, 2, 3, 4, 5, 6]


async def test_records_have_a_present_state_and_a_history_and_are_removed_once(both: Both) -> None:
    def record(sequence: int, **fields: Any) -> RecordEntry:
        made = body(**fields) if fields else None
        return RecordEntry(kind="partition", key=WORD("main"), sequence=sequence, at=both.now_us, body=made)

    await both.store.take(records=[record(1, number=1), record(2, number=2), record(1, number=1)])
    assert [one.body for one in await both.reader.now("partition")] == [{"number": 2}]
    assert [one.sequence for one in await both.reader.history("partition", "main")] == [2, 1]
    before = (await both.reader.version()).number
    await both.store.take(records=[record(3)])
    await both.store.take(records=[record(2, number=2)])
    assert await both.reader.now() == ()
    assert [one.body for one in await both.reader.now(after_version=before)] == [None]
    both.clock.step(2 * DAY_US / 1e6)
    assert await both.store.prune(PublicRetention(age_us=DAY_US, documents=9, records=9)) == 4
    assert await both.reader.history("partition") == ()


async def test_old_and_many_documents_are_removed_with_their_logs(both: Both) -> None:
    start = both.now_us // 1_000_000
    await both.store.take([document(f"{n}", n, time=start + n, run=n) for n in range(1, 9)])
    ids = [one.document_id for one in await both.reader.documents("production", "run_client")]
    retention = PublicRetention(age_us=DAY_US, documents=5, records=9)
    assert await both.store.prune(retention) == 3
    assert await both.store.prune(retention) == 0
    assert await both.reader.runs("production") == [8, 7, 6, 5, 4]
    assert [await both.reader.log("production", one) is None for one in ids] == [True] * 3 + [False] * 5
    both.clock.step(DAY_US / 1e6 + 6)
    assert await both.store.prune(retention) == 2
    assert await both.reader.runs("production") == [8, 7, 6]


async def test_counts_of_a_source_add_up_and_its_last_contact_stays(both: Both) -> None:
    source = WORD("farm-1")
    good = SourceState(
        source=source, kind="host", is_connected=True, contact_at=77, taken=3, lines=10, lines_withheld=2
    )
    await both.store.take(states=[good])
    await both.store.take(states=[good])
    await both.store.take(states=[SourceState(source=source, kind="host", is_connected=False, trouble="no_answer")])
    (row,) = await both.reader.sources()
    assert (row.is_connected, row.trouble, row.contact_at, row.taken, row.lines, row.lines_withheld) == (
        *(False, "no_answer", 77),
        *(6, 20, 4),
    )
    both.clock.step(DAY_US / 1e6 + 1)
    assert await both.store.prune(PublicRetention(age_us=9 * DAY_US, documents=1, records=1)) == 1
    assert await both.reader.sources() == ()


async def test_counts_of_what_a_feed_withheld_are_taken_over_and_never_become_less(both: Both) -> None:
    def count(feed: str, kind: Any, records: int, lines_withheld: int = 0) -> WithheldEntry:
        return WithheldEntry(
            feed=WORD(feed), kind=kind, records=records, lines=2 * lines_withheld, lines_withheld=lines_withheld
        )

    for one in (count("one", "alarm", 5), count("one", "alarm", 5), count("one", "event", 1, 12)):
        await both.store.take(withheld=[one])
    await both.store.take(withheld=[count("one", "alarm", 3), count("one", "event", 1, 14)])
    await both.store.take(withheld=[count("two", "alarm", 2)])
    assert [(one.kind, one.records, one.lines, one.lines_withheld) for one in await both.reader.withheld()] == [
        ("alarm", 7, 0, 0),
        ("event", 1, 28, 14),
    ]


async def test_a_reader_cannot_write(both: Both) -> None:
    store = SqlStore(both.url, read_only=True)
    with pytest.raises(LinkError, match=r"read-?only"):
        await store.write(lambda connection: connection.execute(text("DELETE FROM document")).rowcount)
    await store.close()


async def test_a_reader_without_a_store_says_how_to_make_one(tmp_path: Path) -> None:
    reader = PublicReader(f"sqlite:///{tmp_path / 'public.sqlite'}")
    with pytest.raises(ConfigurationError) as caught:
        await reader.open()
    await reader.close()
    assert caught.value.cause.code == "no_store"
    assert "there is no public store at" in caught.value.cause.message
    assert "start the role mirror" in caught.value.cause.suggestion


async def test_a_database_of_the_inside_or_of_a_newer_version_is_refused(
    both: Both, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inside = f"sqlite:///{tmp_path / 'inside.sqlite'}"
    opened = Database(inside)
    await opened.open()
    await opened.close()
    wrong = PublicStore(inside, FakeClock())
    with pytest.raises(ConfigurationError, match="of its own"):
        await wrong.open()
    await wrong.close()
    reader = PublicReader(inside)
    with pytest.raises(ConfigurationError, match="not made"):
        await reader.open()
    await reader.close()
    monkeypatch.setattr(migrating, "HEAD", "0000")
    for side in (both.store, both.reader):
        with pytest.raises(ConfigurationError, match="newer version"):
            await side.open()


async def test_migrations_make_the_tables_of_the_program(tmp_path: Path) -> None:
    store = PublicStore(f"sqlite:///{tmp_path / 'a.sqlite'}", FakeClock())
    await store.open()
    await store.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with engine.connect() as connection:

        def same(*given: Any) -> bool | None:
            return False if isinstance(given[4], Json | PlainText) and isinstance(given[2].type, Text) else None

        context = MigrationContext.configure(connection, opts={"compare_type": same})
        found = compare_metadata(context, tables.metadata)
    engine.dispose()
    assert [one for one in found if migrating.VERSION_TABLE not in str(one)] == []


def test_only_a_redactor_makes_a_public_value() -> None:
    with pytest.raises(TypeError, match="only a Redactor"):
        Public("fu-c2f11-11-01", object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="shown outside"):
        REDACTOR.word("farm at fu-c2f11-11-01")
    assert REDACTOR.lasting("document", "a", "b").value != REDACTOR.lasting("document", "ab").value
    assert len(REDACTOR.lasting("document", "a").value) == len("document-") + 16
    later = Redactor(Pseudonyms(b"k" * 32).period(5), LastCheck([]), {}, [])
    assert later.lasting("document", "a").value == REDACTOR.lasting("document", "a").value
    assert later.alias("host", "a").value != REDACTOR.alias("host", "a").value
