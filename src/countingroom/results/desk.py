"""What the console can do with results beside reading the store: formats, drawings, comparisons, delivered results."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

from countingroom.core.errors import LinkError, OutOfRange
from countingroom.core.results import DeliveredResult, ResultStore, StoredResult
from countingroom.results import arrays, plots
from countingroom.results.store import checked_document


class Desk:
    """See `ResultDesk`."""

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._turn = asyncio.Lock()
        """One array is in memory at a time."""

    async def deliver(self, delivered: DeliveredResult) -> StoredResult:
        for name, content in delivered.documents.items():
            checked_document(name, content)  # before the longer work
        async with self._turn:
            read = [
                await asyncio.to_thread(arrays.read, name, _form(form), content)
                for name, form, content in delivered.arrays
            ]
        try:
            return await self.store.deliver(delivered.new, delivered.end, delivered.documents, read, delivered.log)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise LinkError(
                f"the result could not be kept: {error.strerror}",
                source="results",
                code="disk_full" if full else "not_kept",
                suggestion="free space on the disk of the data folder, then add it again",
            ) from error

    async def as_format(self, number: int, name: str, form: str) -> tuple[str, bytes]:
        if form not in arrays.MEDIA:
            raise OutOfRange(f"there is no format {form}", source="results", suggestion=", ".join(arrays.MEDIA))
        content = await self.store.array(number, name)
        async with self._turn:
            return arrays.MEDIA[form], await asyncio.to_thread(arrays.as_format, content, form)

    async def view(self, number: int, name: str, *, kind: str, column: str, bins: int) -> dict[str, Any]:
        content = await self.store.array(number, name)
        async with self._turn:
            return await asyncio.to_thread(lambda: plots.view(arrays.from_parquet(content), kind, column, bins))

    async def compare_arrays(
        self, first: int, second: int, name: str, *, kind: str, column: str, bins: int
    ) -> dict[str, Any]:
        contents = [await self.store.array(number, name) for number in (first, second)]

        def work() -> dict[str, Any]:
            one, other = map(arrays.from_parquet, contents)
            return plots.compared(one, other, kind, column, bins)

        async with self._turn:
            return await asyncio.to_thread(work)


def _form(form: str) -> str:
    if form not in arrays.FORMS:
        raise OutOfRange(f"arrays do not come as {form}", source="results", suggestion=", ".join(arrays.FORMS))
    return form
