"""Samples to each further store of the history, a batch at a time in turns with the raw client of that store.

The raw client sends rows that were made before, without a position; it takes the most that one connection does. A store
joins by one line in STANDS. A server that is not on this machine is left out.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from msgspec import Struct

from bench.row import Row
from countingroom.history.columns import Columns
from countingroom.history.port import Position
from countingroom.history.stores import postgresql_rows
from countingroom.history.stores.registry import open_store
from countingroom.history.stores.section import StoreSection
from tests.contract.series_servers import InfluxServer, VictoriaMetricsServer
from tests.contract.storage.postgres import Postgres

S = 1_000_000_000
BEGIN = 1_790_000_000 * S
POINTS, BATCH, BATCHES = 1000, 50_000, 40
NAMES = [f"caen.{n // 27}.p{n % 27}" for n in range(POINTS)] * (BATCH // POINTS)


class Stand(Struct, frozen=True, kw_only=True):
    """A server that runs."""

    settings: dict[str, Any]
    """Of the section of the store."""
    raw: Callable[[Columns], Callable[[], None]]
    """Makes the rows; what it returns sends them."""


def run() -> list[Row]:
    """The rows of this benchmark."""
    rows: list[Row] = []
    for name, make in STANDS.items():
        with make() as stand:
            if stand is not None:
                rows.append(_measure(name, stand))
    return rows


def _measure(name: str, stand: Stand) -> Row:
    store = open_store("bench", StoreSection.model_validate(stand.settings))
    ours = bare = 0.0
    at = store.position()
    for number in range(1, BATCHES + 1):
        columns = _columns(number)
        following = Position(sequence=number, stored_ns=number)
        ours += _took(lambda c=columns, p=following, a=at: store.append(c, p, after=a))
        at = following
        bare += _took(stand.raw(columns))
    store.close()
    total = BATCH * BATCHES
    return Row(
        name=f"history to {name}, 1,000 points",
        value=total / ours,
        unit="points/s",
        raw_limit=total / bare,
        ratio=bare / ours,
        goal=">= 200,000 points/s",
    )


def _columns(number: int) -> Columns:
    """A batch of 10 Hz, in the order in which it comes."""
    begin = BEGIN + number * (BATCH // POINTS) * S // 10
    time_ns = begin + np.repeat(np.arange(BATCH // POINTS), POINTS) * S // 10 + np.arange(BATCH) % POINTS * 1_000_000
    zeros = np.zeros(BATCH, np.uint8)
    return Columns(
        names=NAMES,
        time_ns=time_ns,
        number=np.round(np.sin(time_ns / 1e12) + np.random.default_rng(number).normal(size=BATCH) / 100, 3),
        kind=zeros,
        quality=zeros,
        device_ns=time_ns,
        received_ns=time_ns + 1000,
        sent_ns=time_ns + 2000,
        place=(np.arange(BATCH) % POINTS).astype(np.int64),
        alarm=zeros,
        whole=zeros,
        texts={},
    )


@contextmanager
def _postgresql(index: str) -> Generator[Stand | None]:
    found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)
    if not found:
        yield None
        return
    server = Postgres(found[0], "-c fsync=on")
    server.start()
    try:
        url = server.database()
        settings = {"address": url.replace("postgres@", ""), "user": "postgres", "index": index}
        # The first call of the store makes its tables; the raw ones are the same.
        open_store("bench", StoreSection.model_validate({"postgresql": settings | {"schema": "raw"}})).position()
        with psycopg.connect(url, options="-c search_path=raw") as connection:
            point = np.arange(BATCH) % POINTS

            def raw(columns: Columns) -> Callable[[], None]:
                data = b"".join((postgresql_rows.SIGNATURE, *postgresql_rows.rows(columns, point), postgresql_rows.END))

                def send() -> None:
                    copy = f"COPY sample ({', '.join(postgresql_rows.NAMES)}) FROM STDIN (FORMAT binary)"
                    with connection.cursor().copy(copy.encode()) as out:
                        out.write(data)
                    connection.commit()

                return send

            yield Stand(settings={"postgresql": settings}, raw=raw)
    finally:
        server.stop()


@contextmanager
def _influxdb() -> Generator[Stand | None]:
    if not (program := shutil.which("influxd", path=f"{os.environ['PATH']}:/usr/sbin")):
        yield None
        return
    server = InfluxServer(program)
    server.start()
    try:
        server.ask("CREATE DATABASE raw")
        settings = {"influxdb": {"url": server.url, "database": "ours"}}
        with httpx.Client(trust_env=False, timeout=60) as client:
            yield Stand(settings=settings, raw=_lines(client, f"{server.url}/write?db=raw", 1))
    finally:
        server.stop()


@contextmanager
def _victoriametrics() -> Generator[Stand | None]:
    if not (program := shutil.which("victoria-metrics", path=f"{os.environ['PATH']}:/usr/sbin")):
        yield None
        return
    server = VictoriaMetricsServer(program)
    server.start()
    try:
        settings = {"victoriametrics": {"url": server.url, "prefix": "ours"}}
        with httpx.Client(trust_env=False, timeout=60) as client:
            yield Stand(settings=settings, raw=_lines(client, f"{server.url}/write?precision=ms", 1_000_000))
    finally:
        server.stop()


def _lines(client: httpx.Client, url: str, unit_ns: int) -> Callable[[Columns], Callable[[], None]]:
    """Line protocol with point, time and value alone."""

    def raw(columns: Columns) -> Callable[[], None]:
        rows = zip(columns.names, columns.number.tolist(), (columns.time_ns // unit_ns).tolist(), strict=True)
        data = "\n".join(f"raw,point={name} value={value} {stamp}" for name, value, stamp in rows).encode()
        return lambda: client.post(url, content=data).raise_for_status() and None

    return raw


STANDS: dict[str, Callable[[], Any]] = {
    "PostgreSQL, index point": lambda: _postgresql("point"),
    "PostgreSQL, index time": lambda: _postgresql("time"),
    "InfluxDB": _influxdb,
    "VictoriaMetrics": _victoriametrics,
}
"""Store -> starts its server."""


def _took(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    for row in run():
        print(row)
