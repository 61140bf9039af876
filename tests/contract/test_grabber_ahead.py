"""While a batch of documents is stored, the next is redacted and the one after it fetched, and nothing is doubled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from countingroom.core.errors import LinkError
from countingroom.mirror.grabber import host as grabber_host
from countingroom.mirror.grabber.host import HostGrabber
from tests.grabber_stand import HOSTS, GrabberStand, grabber_stand
from tests.patience import PATIENCE_S

FU = HOSTS[0]
DOCUMENTS = 9
AT_ONCE = 2
BATCHES = 5


class Watched:
    """A grabber whose questions for documents and whose transactions are counted, and stopped where a test wants."""

    def __init__(self, stand: GrabberStand, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(grabber_host, "MOST_DOCUMENTS", AT_ONCE)
        self.stand = stand
        self.grabber: HostGrabber = stand.grabber(FU)
        self.asked = 0
        self.stored: list[int] = []
        """Revisions of the positions."""
        self.most_ahead = 0
        self.ask_fails_at = 0
        self.store_fails_at = 0
        self.store_waits_at = 0
        self.waits = asyncio.Event()
        self.news = asyncio.Condition()
        self._ask = stand.links[-1].ask
        self._take = stand.store.take
        monkeypatch.setattr(stand.links[-1], "ask", self.ask)
        monkeypatch.setattr(stand.store, "take", self.take)

    async def ask(self, message: str, host: str) -> list[str]:
        if json.loads(message)["event"] == "request_documents":
            async with self.news:
                self.asked += 1
                self.news.notify_all()
            self.most_ahead = max(self.most_ahead, self.asked - len(self.stored))
            if self.asked == self.ask_fails_at:
                raise LinkError("status 500", code="refused", source="mirror.upstreams.farm")
        return await self._ask(message, host)

    async def take(self, documents: Any, cursor: Any, **more: Any) -> None:
        number = len(self.stored) + 1
        if number < BATCHES:
            await self.until_asked(number + 1)
        if number == self.store_waits_at:
            self.waits.set()
            await asyncio.Event().wait()
        if number == self.store_fails_at:
            self.store_fails_at = 0
            raise LinkError("the database did not answer", code="no_answer", source="storage")
        await self._take(documents, cursor, **more)
        self.stored.append(cursor.revision)

    async def until_asked(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.news:
            await self.news.wait_for(lambda: self.asked >= number)

    async def taken(self) -> int:
        """Documents that the grabbers have counted."""
        return sum(one.taken for one in await self.stand.reader.sources())


@pytest_asyncio.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    async with grabber_stand(f"sqlite:///{tmp_path / 'public.sqlite'}", fu=1, clients=DOCUMENTS) as stand:
        assert len(stand.expected(FU)) == DOCUMENTS
        yield Watched(stand, monkeypatch)


async def test_the_next_batch_comes_while_one_is_stored(watched: Watched) -> None:
    await watched.grabber.cycle()
    assert await watched.stand.is_complete(FU)
    assert len(watched.stored) == BATCHES
    assert watched.stored == sorted(watched.stored)
    assert 2 <= watched.most_ahead <= 3, "one that is stored, one that is redacted, one that comes"
    assert await watched.taken() == DOCUMENTS
    assert watched.grabber.state().behind == 0


async def test_a_cancelled_grabber_leaves_no_batch_behind(watched: Watched) -> None:
    watched.store_waits_at = 3
    before = asyncio.all_tasks()
    reading = asyncio.create_task(watched.grabber.cycle())
    async with asyncio.timeout(PATIENCE_S):
        await watched.waits.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert reading.cancelled()
    assert asyncio.all_tasks() <= before
    assert len(await watched.stand.stored()) == 2 * AT_ONCE
    assert await watched.taken() == 2 * AT_ONCE


async def test_a_store_that_fails_while_the_next_batch_comes_loses_and_doubles_nothing(watched: Watched) -> None:
    watched.store_fails_at = 3
    await watched.grabber.cycle()
    assert watched.grabber.trouble == "store"
    assert len(await watched.stand.stored()) == 2 * AT_ONCE
    watched.asked = len(watched.stored)
    await watched.grabber.cycle()
    assert await watched.stand.is_complete(FU)
    assert await watched.taken() == DOCUMENTS


async def test_a_batch_is_stored_although_the_next_one_fails(watched: Watched) -> None:
    watched.ask_fails_at = 3
    await watched.grabber.cycle()
    assert watched.grabber.trouble == "refused"
    assert len(await watched.stand.stored()) == 2 * AT_ONCE
    assert watched.grabber.state().behind == DOCUMENTS - 2 * AT_ONCE


async def test_both_failing_at_once_is_a_trouble_of_the_store(watched: Watched) -> None:
    watched.ask_fails_at = 3
    watched.store_fails_at = 2
    await watched.grabber.cycle()
    assert watched.grabber.trouble == "store"
    assert await watched.taken() == AT_ONCE
