"""A database that hangs makes one caller wait, not each one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from countingroom.core.errors import Conflict, LinkError
from countingroom.storage import engine
from countingroom.storage.answering import Answering
from countingroom.storage.engine import SqlStore
from tests.patience import PATIENCE_S

FAILED = LinkError("no server", code="no_answer", source="storage", suggestion="start it")


def fail(answering: Answering, error: Exception = FAILED) -> None:
    with pytest.raises(type(error)), answering.transaction():
        raise error


def answer(answering: Answering) -> None:
    with answering.transaction():
        pass


def test_after_a_failure_one_tries_and_the_others_are_refused_at_once() -> None:
    answering = Answering()
    fail(answering)
    with answering.transaction():
        with pytest.raises(LinkError) as refused, answering.transaction():
            pytest.fail("two try at the same time")
        assert refused.value.cause.code == "storage_failed"
        assert "no server" in refused.value.cause.message
        assert refused.value.cause.suggestion == "start it"
    with answering.transaction():
        answer(answering)  # it answers again: nothing is refused any more


def test_one_that_fails_again_makes_room_for_the_next() -> None:
    answering = Answering()
    for _ in range(3):
        fail(answering)
        assert answering.is_failed
    answer(answering)
    assert not answering.is_failed


@pytest.mark.parametrize("error", [Conflict("is there", source="storage"), ValueError("of the work")], ids=repr)
def test_an_answer_that_refuses_is_an_answer(error: Exception) -> None:
    answering = Answering()
    fail(answering)
    fail(answering, error)
    assert not answering.is_failed


def test_a_full_queue_is_no_failure_of_the_database() -> None:
    answering = Answering()
    fail(answering, LinkError("1000 requests wait", code="busy", source="storage"))
    assert not answering.is_failed


def test_a_late_one_tells_nothing_while_others_are_answered() -> None:
    now = 0.0
    answering = Answering(lambda: now)
    now = 1.0
    with pytest.raises(LinkError), answering.transaction():
        now = 2.0
        answer(answering)
        raise FAILED
    assert not answering.is_failed


def test_one_that_was_cancelled_makes_room_too() -> None:
    answering = Answering()
    fail(answering)
    with pytest.raises(asyncio.CancelledError), answering.transaction():
        raise asyncio.CancelledError
    assert answering.is_failed
    answer(answering)
    assert not answering.is_failed


class Hanging:
    """Work that waits until `goes_on` is set."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def __call__(self, connection: Connection) -> int:
        self.goes_on.wait(PATIENCE_S)
        return connection.execute(text("SELECT 7")).scalar_one()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = SqlStore(f"sqlite:///{tmp_path / 'book.sqlite'}")
    await made.write(lambda connection: connection.execute(text("CREATE TABLE one (number INTEGER)")))
    yield made
    await made.close()


async def test_reads_beside_one_that_hangs_are_refused_and_go_on_afterwards(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging()
    monkeypatch.setattr(engine, "DEADLINE_S", 0.05)
    with pytest.raises(LinkError):
        await store.read(hanging)
    monkeypatch.setattr(engine, "DEADLINE_S", PATIENCE_S)
    monkeypatch.setattr(engine, "TRY_S", PATIENCE_S)
    trying = asyncio.create_task(store.read(hanging))
    await asyncio.sleep(0)
    with pytest.raises(LinkError, match="was not tried"):
        await store.read(hanging)
    hanging.goes_on.set()
    assert await trying == 7
    assert await store.read(hanging) == 7


async def test_only_a_write_that_has_no_answer_may_have_changed_something(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging()
    monkeypatch.setattr(engine, "DEADLINE_S", 0.05)
    with pytest.raises(LinkError) as read:
        await store.read(hanging)
    assert read.value.cause.code == "no_answer"
    assert read.value.cause.message.endswith("nothing was changed by this")
    assert "change" not in read.value.cause.suggestion
    with pytest.raises(LinkError) as written:
        await store.write(hanging)
    assert written.value.cause.code == "no_answer"
    assert written.value.cause.message.endswith("the outcome is not known")
    assert written.value.cause.suggestion.startswith("check whether the change was made")
    hanging.goes_on.set()


async def test_a_read_waits_shortly_for_a_database_that_did_not_answer(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging()
    monkeypatch.setattr(engine, "DEADLINE_S", 0.05)
    with pytest.raises(LinkError):
        await store.read(hanging)
    monkeypatch.setattr(engine, "DEADLINE_S", 4 * PATIENCE_S)
    monkeypatch.setattr(engine, "TRY_S", 0.05)
    with pytest.raises(LinkError, match=r"did not answer within 0\.05 s"):
        await asyncio.wait_for(store.read(hanging), PATIENCE_S)
    hanging.goes_on.set()
