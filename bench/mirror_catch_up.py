"""Documents with 34 kB of logs each into the public store: the upsert alone, the redaction alone, and a catch-up.

The catch-up is done by the grabber as it is, over HTTP, from an upstream in a process of its own (`dqm_upstream`), into
PostgreSQL. All of them share the cores of this computer. The logs repeat themselves as real ones do. So the redaction
is measured three ways: of logs that are read for the first time, of the same lines in other logs, and of lines whose
digits all differ; the catch-up once more with such lines.

A row is a row of a table: each document is one, and its log another. Lines are not counted as rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from msgspec import Struct

from bench.dqm_upstream import FarmDocuments
from bench.row import Row
from countingroom.core.clock import SystemClock
from countingroom.core.mirror.dqm_documents import DocumentHeader, GivenDocument
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, proposal
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.host import HostGrabber, HostPlace
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess
from countingroom.mirror.grabber.redaction import AT_ONCE, DocumentRedaction
from countingroom.mirror.grabber.redaction_pool import RedactionPool
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicDocument
from tests.contract.storage.postgres import Postgres
from tests.mirror_logs import Corpus, corpus

BATCH = 200
UPSERTS = 4000
ROWS = 2
"""Of a document: itself and its log."""
_UPSERT = "INSERT INTO bare VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_UPSERT_LOG = (
    'INSERT INTO bare_log VALUES (%s, %s, %s) ON CONFLICT ("set", document_id) DO UPDATE SET lines = excluded.lines'
)


def run(documents: str = "4000") -> list[Row]:
    """The rows of this benchmark."""
    found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)
    if not found:
        return []
    server = Postgres(found[0], "-c fsync=on")
    server.start()
    try:
        return asyncio.run(_measured(server, int(documents)))
    finally:
        server.stop()


async def _measured(server: Postgres, documents: int) -> list[Row]:
    made = corpus()
    rules = _rules(made)
    farm = FarmDocuments(made, 100)
    lines = sum(map(len, farm.logs)) / len(farm.logs)

    given = [
        GivenDocument(DocumentHeader(id, number, "dqm-source-state"), json.dumps(farm.document(id)).encode())
        for id, number in farm.ids.items()
    ]
    began = time.process_time()
    redacted = await _redaction(rules).take(given, "production", "farm")
    first = len(given) * lines / (time.process_time() - began)
    again, changed = (_lines_a_s(rules, farm, digits=digits) for digits in (False, True))

    url = server.database()
    store = PublicStore(url, SystemClock())
    await store.open()
    batches = [_batch(redacted.documents, number) for number in range(UPSERTS // BATCH)]
    bare = _bare(url, batches)
    began = time.perf_counter()
    for one in batches:
        await store.take(one)
    upsert = UPSERTS / (time.perf_counter() - began)
    await store.close()

    caught_up = await _catch_up(server, rules, documents)
    fresh = await _catch_up(server, rules, documents // 4, "digits")
    name = f"mirror: catch-up of {documents} documents"
    return [
        Row(
            name="mirror: upsert of redacted documents and logs, 34 kB each",
            value=upsert * ROWS,
            unit="rows/s",
            raw_limit=bare * ROWS,
            ratio=bare / upsert,
            goal=">= 2,000 rows/s",
        ),
        Row(name="mirror: redaction of logs, new lines, one core", value=first, unit="lines/s"),
        Row(name="mirror: redaction of logs, lines with other digits, one core", value=changed, unit="lines/s"),
        Row(name="mirror: redaction of logs, known lines, one core", value=again, unit="lines/s"),
        Row(name=name, value=caught_up.documents_per_s, unit="documents/s", raw_limit=bare),
        Row(name=f"{name}, grabber's processor time", value=caught_up.worked_ms, unit="ms/document"),
        Row(name=f"{name}, upstream's processor time", value=caught_up.upstream_ms, unit="ms/document"),
        Row(name=f"{name}, lines", value=caught_up.documents_per_s * lines, unit="lines/s"),
        Row(
            name=f"{name}, rows",
            value=caught_up.documents_per_s * ROWS,
            unit="rows/s",
            raw_limit=bare * ROWS,
            ratio=bare / caught_up.documents_per_s,
            goal=">= 2,000 rows/s",
        ),
        Row(
            name=f"mirror: catch-up of {documents // 4} documents, lines with other digits, rows",
            value=fresh.documents_per_s * ROWS,
            unit="rows/s",
            raw_limit=bare * ROWS,
            ratio=bare / fresh.documents_per_s,
        ),
    ]


class CaughtUp(Struct, frozen=True, kw_only=True):
    """A catch-up, and what it cost."""

    documents_per_s: float
    worked_ms: float
    """Processor time of the grabber and its processes, for each document."""
    upstream_ms: float


async def _catch_up(server: Postgres, rules: Redactor, documents: int, *more: str) -> CaughtUp:
    upstream = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.dqm_upstream", str(documents), *more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert upstream.stdin and upstream.stdout
    port = int(await upstream.stdout.readline())
    link = HttpLink(UpstreamAccess(name="farm", url=f"http://127.0.0.1:{port}", port=port, timeout_s=60))
    store = PublicStore(server.database(), SystemClock())
    await store.open()
    place = HostPlace(upstream="farm", host="", set="production", every_s=5)
    pool = RedactionPool(SystemClock())
    grabber = HostGrabber(place, link, _redaction(rules, pool), store, SystemClock())
    began = time.perf_counter()
    worked = _worked_s()
    await grabber.read()
    taken_s = time.perf_counter() - began
    await pool.close()
    worked = _worked_s() - worked
    await store.close()
    await link.close()
    upstream.stdin.close()
    upstream_s = float(await upstream.stdout.readline())
    await upstream.wait()
    return CaughtUp(
        documents_per_s=documents / taken_s,
        worked_ms=worked / documents * 1e3,
        upstream_ms=upstream_s / documents * 1e3,
    )


def _lines_a_s(rules: Redactor, farm: FarmDocuments, *, digits: bool) -> float:
    """Lines a second of processor time, in logs that begin elsewhere; with `digits` other ones in each."""
    rng = random.Random(1)
    logs = [tuple(log[::-1]) for log in farm.logs[:100]]
    if digits:
        logs = [tuple(re.sub(r"\d", lambda _: str(rng.randint(1, 9)), line) for line in log) for log in logs]
    began = time.process_time()
    for log in logs:
        rules.log(log, ("fu-1", "1"))
    return sum(map(len, logs)) / (time.process_time() - began)


def _rules(made: Corpus) -> Redactor:
    names = [("host", one) for one in made.hosts] + [("user", one) for one in made.users]
    check = LastCheck(names)
    seen, _ = learn([(pid, lines) for _, pid, lines in made.logs], ())
    approvals = [proposal(one, check) for one in seen]
    return Redactor(Pseudonyms(b"k" * 32), check, MirrorSection.default().records(), approvals)


def _redaction(rules: Redactor, pool: RedactionPool | None = None) -> DocumentRedaction:
    return DocumentRedaction(lambda: rules, asyncio.Semaphore(AT_ONCE), pool)


def _worked_s() -> float:
    """Processor time of this process, and of its children that have ended."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def _batch(redacted: Sequence[PublicDocument], number: int) -> list[PublicDocument]:
    """So many documents with ids of their own."""
    rules = Redactor(Pseudonyms(b"k" * 32), LastCheck([]), {}, ())
    return [
        PublicDocument(
            set=one.set,
            kind=one.kind,
            id=rules.lasting("document", str(number * BATCH + place)),
            source=one.source,
            revision=number * BATCH + place,
            body=one.body,
            log=one.log,
        )
        for place, one in ((place, redacted[place % len(redacted)]) for place in range(BATCH))
    ]


def _bare(url: str, batches: Sequence[Sequence[PublicDocument]]) -> float:
    """Rows a second of the driver alone, into tables of the same kind, with the texts made before."""
    made = [
        (
            [(one.id.value, json.dumps(dict(one.body.value))) for one in batch],
            [("production", one.id.value, bytes(one.log.value).decode()) for one in batch if one.log],
        )
        for batch in batches
    ]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bare (id text PRIMARY KEY, body text)")
        connection.execute("CREATE TABLE bare_log (LIKE document_log INCLUDING ALL)")
        connection.commit()
        began = time.perf_counter()
        for documents, logs in made:
            with connection.cursor() as cursor:
                cursor.executemany(_UPSERT, documents)
                cursor.executemany(_UPSERT_LOG, logs)
            connection.commit()
        return UPSERTS / (time.perf_counter() - began)
