"""The receiver of the feed over HTTP, with the public store behind it: each record once; the token; wrong requests."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
import pytest_asyncio

from countingroom.core.errors import LinkError
from countingroom.core.mirror.feed import MOST_BYTES, FeedBatch, FeedRecord, WithheldCount
from countingroom.core.mirror.raw_records import Sort
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.mirror.feed.intake import FeedIntake
from countingroom.mirror.feed.receiver import FeedReceiver
from countingroom.mirror.feed.target import REFUSED_KIND, HttpsTarget
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.testing.clock import FakeClock
from tests.contract.conftest import POSTGRESQL
from tests.contract.storage.postgres import Postgres

TOKEN = "0123456789abcdef0123456789abcdef"
FIRST = 1_700_000_000_000_001


class Stand:
    """The receiver and a sender of it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.clock = FakeClock()
        self.url = url
        self.store = PublicStore(self.url, self.clock)
        self.reader = PublicReader(self.url)
        (folder / "token").write_text(f"{TOKEN}\n")
        self.receiver = FeedReceiver(FeedIntake(self.store, self.reader, self.clock), TOKEN, self.clock)
        self.transport = httpx.ASGITransport(self.receiver)
        self.target = HttpsTarget("https://outside", SecretReference(file=folder / "token"), transport=self.transport)

    async def now(self) -> dict[str, Any]:
        return {f"{one.kind} {one.key}": one.body for one in await self.reader.now()}

    async def post(self, body: bytes, **headers: str) -> tuple[int, str]:
        async with httpx.AsyncClient(transport=self.transport, base_url="https://outside") as client:
            answer = await client.post("/feed", content=body, headers=headers)
            return answer.status_code, answer.text


@pytest_asyncio.fixture(params=["sqlite", POSTGRESQL])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    if request.param == "sqlite":
        made = Stand(tmp_path, f"sqlite:///{tmp_path / 'public.sqlite'}")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        made = Stand(tmp_path, server.database())
    await made.store.open()
    yield made
    await made.target.close()
    await made.reader.close()
    await made.store.close()


def record(number: int, key: str, sort: Sort = Sort.STATE, kind: str = "device") -> FeedRecord:
    body = msgspec.Raw(b"null" if sort is Sort.GONE else msgspec.json.encode({"n": number}))
    return FeedRecord(sequence=FIRST + number, kind=kind, key=key, at_ns=number * 1000, sort=sort, body=body)


def batch(*records: FeedRecord, after: int = 0, feed: str = "feed-of-test") -> FeedBatch:
    return FeedBatch(feed=feed, after=after, sent_ns=1, waiting=3, records=records)


async def test_a_batch_is_stored_once_and_only_where_it_follows(stand: Stand) -> None:
    first = batch(record(0, "a"), record(1, "b"), record(2, "7", Sort.ENTRY, "event"))
    for _ in range(3):
        assert (await stand.target.take(first)).last == FIRST + 2
    assert (await stand.target.take(batch(record(9, "x"), after=FIRST + 5))).last == FIRST + 2
    second = batch(record(3, "a"), record(4, "b", Sort.GONE), after=FIRST + 2)
    assert (await stand.target.take(second)).last == FIRST + 4
    assert await stand.now() == {"device a": {"n": 3}}
    assert [(one.key, one.body) for one in await stand.reader.history("event")] == [("7", {"n": 2})], "no present state"
    history = [(one.key, one.body) for one in await stand.reader.history("device")]
    assert sorted(history, key=str) == [("a", {"n": 0}), ("a", {"n": 3}), ("b", None), ("b", {"n": 1})]
    (source,) = await stand.reader.sources()
    assert (source.source, source.kind, source.is_connected, source.behind, source.taken) == (
        "feed",
        "feed",
        True,
        3,
        5,
    )


async def test_counts_of_what_was_withheld_come_with_each_batch_and_count_once(stand: Stand) -> None:
    def told(records: int) -> tuple[WithheldCount, ...]:
        return (WithheldCount(kind="alarm", records=records, lines=9, lines_withheld=3), WithheldCount(kind="later"))

    first = msgspec.structs.replace(batch(record(0, "a")), withheld=told(2))
    for _ in range(2):
        await stand.target.take(first)
    await stand.target.take(msgspec.structs.replace(batch(after=FIRST), withheld=told(4)))
    await stand.target.take(msgspec.structs.replace(batch(record(9, "x"), after=FIRST + 5), withheld=told(90)))
    (row,) = await stand.reader.withheld()
    assert (row.kind, row.records, row.lines, row.lines_withheld) == ("alarm", 4, 9, 3)


async def test_a_new_feed_takes_the_place_of_the_states_of_the_one_before(stand: Stand) -> None:
    await stand.target.take(batch(record(0, "old"), record(1, "both")))
    assert (await stand.target.take(batch(feed="another-feed"))).last == 0
    assert (await stand.target.take(batch(record(1000, "both"), feed="another-feed"))).last == FIRST + 1000
    assert await stand.now() == {"device both": {"n": 1000}}
    assert len(await stand.reader.history("device")) == 3


async def test_a_kind_that_is_not_known_here_is_told_so_and_nothing_is_stored(stand: Stand) -> None:
    with pytest.raises(LinkError) as refused:
        await stand.target.take(batch(record(0, "a"), record(1, "b", kind="of a later version")))
    assert refused.value.cause.code == REFUSED_KIND
    assert await stand.now() == {}
    assert (await stand.target.take(batch())).last == 0
    assert (await stand.target.take(batch(record(0, "a")))).last == FIRST


async def test_a_run_that_leaves_the_present_keeps_its_history(stand: Stand) -> None:
    await stand.target.take(batch(record(0, "7", kind="run"), record(1, "7", Sort.GONE, "run")))
    assert await stand.now() == {}
    assert [one.body for one in await stand.reader.history("run")] == [{"n": 0}]


async def test_a_store_that_does_not_answer_is_told_and_what_it_missed_comes_later(stand: Stand) -> None:
    take = stand.store.take

    async def away(*_: object, **__: object) -> None:
        raise LinkError("postgresql://mirror@db.inside is away", source="storage")

    stand.store.take = away  # type: ignore[method-assign]
    with pytest.raises(LinkError, match=r"503 .*store") as error:
        await stand.target.take(batch(record(0, "a")))
    assert "db.inside" not in str(error.value)
    stand.store.take = take  # type: ignore[method-assign]
    assert (await stand.target.take(batch(record(0, "a")))).last == FIRST


@pytest.mark.parametrize("stand", [POSTGRESQL], indirect=True)
async def test_after_the_database_has_ended_its_connections_the_feed_goes_on(stand: Stand) -> None:
    first, second = batch(record(0, "a")), batch(record(1, "b"), after=FIRST)
    assert (await stand.target.take(first)).last == FIRST
    with psycopg.connect(stand.url, autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
    for _ in range(2):
        assert (await stand.target.take(second)).last == FIRST + 1
    assert await stand.now() == {"device a": {"n": 0}, "device b": {"n": 1}}
    assert len(await stand.reader.history("device")) == 2


async def test_an_answer_that_never_ends_or_is_too_large_is_no_answer(stand: Stand, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.get_running_loop().create_future()

    for content, says in ((endless(), "did not answer in time"), (b" " * 200_000, "more than 65536 bytes")):
        answer = httpx.Response(200, content=content)
        transport = httpx.MockTransport(lambda _, answer=answer: answer)
        token = SecretReference(file=tmp_path / "token")
        target = HttpsTarget("https://outside", token, timeout_s=0.2, transport=transport)
        with pytest.raises(LinkError, match=says):
            await target.take(batch(record(0, "a")))
        await target.close()


async def test_a_wrong_request_stores_nothing_and_learns_nothing(stand: Stand, tmp_path: Path) -> None:
    good = msgspec.json.encode(batch(record(0, "a")))
    right = {"Authorization": f"Bearer {TOKEN}"}
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}):
        assert await stand.post(good, **headers) == (401, '{"error":"token"}')
    packed = {"Content-Encoding": "gzip"} | right
    assert await stand.post(b"{", **right) == (400, '{"error":"malformed"}')
    assert await stand.post(good, **packed) == (400, '{"error":"malformed"}')
    assert (await stand.post(b"x" * (MOST_BYTES + 1), **right))[0] == 413
    assert (await stand.post(gzip.compress(b"x" * (MOST_BYTES + 1)), **packed))[0] == 413
    for bad in (gzip.compress(good)[:-5], gzip.compress(good) + b"more"):
        assert await stand.post(bad, **packed) == (400, '{"error":"malformed"}')
    assert await stand.post(good, **{"Content-Encoding": "br"}, **right) == (415, '{"error":"encoding"}')
    beyond = msgspec.json.encode({**msgspec.json.decode(good), "waiting": 1 << 70})
    assert await stand.post(beyond, **right) == (400, '{"error":"malformed"}')
    told: list[Any] = []

    async def tell(message: Any) -> None:
        told.append(message)

    await stand.receiver({"type": "websocket", "path": "/feed", "headers": []}, tell, tell)  # type: ignore[arg-type]
    assert told == [{"type": "websocket.close"}]
    async with httpx.AsyncClient(transport=stand.transport, base_url="https://outside") as client:
        assert (await client.get("/feed", headers=right)).status_code == 405
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        assert (await client.get("/other")).status_code == 404
    assert await stand.now() == {}
    (tmp_path / "token").write_text("another token, which is wrong\n")
    with pytest.raises(LinkError, match="refuses the token"):
        await stand.target.take(batch(record(0, "a")))
