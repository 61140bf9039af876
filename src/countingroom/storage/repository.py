"""Repositories: methods that run in one transaction and get its connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from countingroom.core.clock import Clock
from countingroom.storage.engine import SqlStore

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Repository")


class Repository:
    """A part of the database."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock


def reading(method: Callable[Concatenate[R, Connection, P], T]) -> Callable[Concatenate[R, P], Coroutine[Any, Any, T]]:
    """A method that reads one snapshot of the database. Callers await it and leave the connection out."""

    @wraps(method)
    async def transaction(self: R, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.store.read(lambda connection: method(self, connection, *args, **kwargs))

    return transaction


def writing(method: Callable[Concatenate[R, Connection, P], T]) -> Callable[Concatenate[R, P], Coroutine[Any, Any, T]]:
    """The same for a method that changes the database: its transaction is synced before the result is returned."""

    @wraps(method)
    async def transaction(self: R, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.store.write(lambda connection: method(self, connection, *args, **kwargs))

    return transaction
