"""Writes the site as files, for a web server that stays up when this one is down.

`/run/7` becomes `run/7/index.html`, an answer of the API `index.json`, what has a suffix keeps its name. A file whose
content is the same is left alone, so that copying the folder costs little; each is replaced at once, never half
written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from countingroom.site.answers import PreparedAnswer
from countingroom.site.public_records import PublicRecords
from countingroom.site.whole_file import write_whole

_PAGES = (
    "/",
    "/wall",
    "/runs",
    "/timeline",
    "/crashes",
    "/report",
    "/devices",
    "/computers",
    "/notes",
    "/uptime",
    "/about",
    "/badges",
    "/api",
)
_OTHERS = (
    "/rss",
    "/api/v1/openapi.json",
    "/api/v1/now",
    "/api/v1/sources",
    "/api/v1/notes",
    "/api/v1/uptime",
    "/api/v1/runs",
    "/api/v1/timeline",
    "/api/v1/report",
    "/report.pdf",
    "/api/v1/devices",
    "/api/v1/computers",
)


class Exported(Struct):
    """What was done."""

    files: int = 0
    written: int = 0
    """Those that are new or changed."""


async def export(
    records: PublicRecords,
    answer: Callable[[str], Awaitable[PreparedAnswer]],
    addresses: list[str],
    folder: Path,
    runs: int,
) -> Exported:
    """Write the pages of the last runs. `addresses`: of badges and files. OSError where the folder cannot be
    written."""
    done = Exported()
    async for address in _addresses(records, addresses, runs):
        found = await answer(address)
        if found.status == 200:
            done.files += 1
            done.written += _write(folder / _file(address, found), found.body)
    return done


async def _addresses(records: PublicRecords, addresses: list[str], runs: int) -> AsyncIterator[str]:
    for one in (*_PAGES, *_OTHERS, *addresses):
        yield one
    for number in await records.runs("production", limit=runs):
        yield f"/run/{number}"
        yield f"/api/v1/runs/{number}"
        yield f"/api/v1/runs/{number}/streams"
        run = await records.run("production", number)
        for client in run.clients if run else ():
            yield f"/log/{client.id}"


def _file(address: str, answer: PreparedAnswer) -> str:
    path = address.strip("/")
    if "." in path.rpartition("/")[2]:
        return path
    kind = dict(answer.plain)[b"content-type"]
    ending = "html" if kind.startswith(b"text/html") else "xml" if b"xml" in kind else "json"
    return f"{path}/index.{ending}".lstrip("/")


def _write(path: Path, body: bytes) -> bool:
    try:
        if path.read_bytes() == body:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, body)
    return True
