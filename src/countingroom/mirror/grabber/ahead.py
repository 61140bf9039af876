"""Makes the next item of a source while the present one is used, and no more than that one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def one_ahead(source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same items. An error of the source is raised where its item would come, after those before it were used."""
    async with aclosing(source):
        coming = asyncio.create_task(_following(source), name="next batch of documents")
        try:
            while items := await coming:
                coming = asyncio.create_task(_following(source), name="next batch of documents")
                yield items[0]
        finally:
            # Where the user of the items failed, its error counts: the item that was coming is made again later.
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _following(source: AsyncIterator[T]) -> tuple[T] | None:
    async for one in source:
        return (one,)
    return None
