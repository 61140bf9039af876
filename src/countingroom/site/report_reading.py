"""Reads the runs of a report from the public store, some thousand documents at a time and none kept."""

from __future__ import annotations

from itertools import groupby

from countingroom.core.errors import RequestError
from countingroom.mirror.store.reader import MOST, PublicReader
from countingroom.site.clients import RunRecord, client_state
from countingroom.site.report import ReportCount, RunsReport
from countingroom.site.withheld_view import withheld

LAST = 100
"""Runs of a report for which no range is given."""
BATCH = MOST
"""Documents that are read at once."""


async def chosen_range(
    reader: PublicReader, set_name: str, first: int | None, last: int | None, count: int = LAST
) -> tuple[int, int]:
    """The range of a report; without a first run so many of the last ones. RequestError for a range that ends before it
    begins."""
    if first is not None and last is not None and first > last:
        raise RequestError(
            f"the runs from {first} to {last} are none: the first is after the last",
            source="site",
            code="wrong_range",
            suggestion=f"give {last} to {first}",
        )
    if last is None:
        known = await reader.run_range(set_name)
        last = max(known[1] if known else 0, first or 0)
    if first is None:
        numbers = await reader.runs(set_name, last=last, limit=count)
        first = numbers[-1] if numbers else last
    return first, last


async def read_report(reader: PublicReader, set_name: str, first: int, last: int, now_s: float) -> RunsReport:
    """The report of all runs from the first to the last one. LinkError if the store does not answer."""
    count = ReportCount(set_name, first, last, now_s)
    begin = first
    while begin <= last:
        rows = await reader.documents(set_name, "run_client", runs=(begin, last), limit=BATCH)
        groups = [(run, list(of)) for run, of in groupby(rows, key=lambda row: row.run or 0)]
        is_cut = len(rows) >= BATCH
        whole = groups[:-1] if is_cut and len(groups) > 1 else groups
        for number, of in whole:
            count.add(RunRecord(number=number, set=set_name, clients=tuple(client_state(row) for row in of)))
        if not is_cut:
            break
        begin = groups[-1][0] if len(groups) > 1 else groups[-1][0] + 1
    return count.report(await _runs_between(reader, set_name, first, last), await withheld_counts(reader))


async def _runs_between(reader: PublicReader, set_name: str, first: int, last: int) -> int:
    """Runs of which anything is published."""
    found = 0
    while first <= last:
        numbers = await reader.runs(set_name, first=first, last=last, limit=BATCH)
        found += len(numbers)
        if len(numbers) < BATCH:
            break
        last = numbers[-1] - 1
    return found


async def withheld_counts(reader: PublicReader) -> tuple[int, int, int]:
    """Lines of logs that came so far, those of them that were withheld, and records that were withheld."""
    left = withheld(await reader.sources(), await reader.withheld())
    return left.lines, left.lines_withheld, left.records
