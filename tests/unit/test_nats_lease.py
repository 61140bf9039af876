"""A lease that other clients acquire and release between its read and its write is not tried for ever."""

from __future__ import annotations

from typing import Any, cast

import pytest

from countingroom.bus.nats.lease import NatsLease
from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.errors import Conflict
from countingroom.testing.clock import FakeClock


class Last:
    """The key: released, at a revision."""

    data = None

    def __init__(self, revision: int) -> None:
        self.revision = revision


class ChangingStore:
    """A store in which the key has another revision at each of the first writes."""

    def __init__(self, changes: int) -> None:
        self.changes = changes
        self.revision = 7
        self.writes = 0

    async def bucket(self, *_: Any, **__: Any) -> None: ...

    async def last(self, bucket: str, key: str) -> Last:
        return Last(self.revision)

    async def write(self, bucket: str, key: str, data: bytes, *, expected: int, headers: dict[str, str]) -> int:
        self.writes += 1
        assert expected == self.revision
        self.revision += 1
        if self.writes <= self.changes:
            raise Conflict("another revision", source="bus")
        return self.revision


def lease_of(store: ChangingStore) -> NatsLease:
    return NatsLease(cast(JetStreamStore, store), FakeClock(), "partition.a", ttl_s=5, holder="me")


@pytest.mark.parametrize("changes", [0, 1, 9])
async def test_a_lease_whose_key_changes_is_read_again(changes: int) -> None:
    store = ChangingStore(changes)
    lease = lease_of(store)
    await lease.acquire()
    assert (lease.token, store.writes) == (store.revision, changes + 1)
    assert lease.is_held


async def test_a_lease_whose_key_always_changes_is_refused() -> None:
    store = ChangingStore(1000)
    with pytest.raises(Conflict, match="acquire and release it all the time") as refused:
        await lease_of(store).acquire()
    assert refused.value.cause.code == "held"
    assert store.writes == 10
