"""Documents with 34 kB of logs each into the public store: the upsert alone, the redaction alone, and a catch-up.

The catch-up reads them from an upstream in this process, by the grabber as it is, into PostgreSQL. Its logs have the
variety of real ones (725 templates in 26,600 lines), and come again after those: of real logs 58 % of the lines are
there twice. So the redaction is measured three ways: of logs that are read for the first time, of the same lines in
other logs, and of lines whose digits all differ. `documents=4000` is the catch-up of the goal; PostgreSQL has two cores
together with everything else.

A row is a row of a table: each document is one, and its log another. Lines are not counted as rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.row import Row
from countingroom.core.clock import SystemClock
from countingroom.core.mirror.dqm_documents import DocumentHeader, RawDocument, raw_document
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, proposal
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.upstream_actions import ActionRequest
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.host import HostGrabber, HostPlace
from countingroom.mirror.grabber.redaction import AT_ONCE, DocumentRedaction
from countingroom.mirror.grabber.redaction_pool import RedactionPool
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicDocument
from tests.contract.storage.postgres import Postgres
from tests.mirror_logs import Corpus, corpus

LOG_BYTES = 34_000
BATCH = 200
UPSERTS = 4000
ROWS = 2
"""Of a document: itself and its log."""
_UPSERT = "INSERT INTO bare VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_UPSERT_LOG = (
    'INSERT INTO bare_log VALUES (%s, %s, %s) ON CONFLICT ("set", document_id) DO UPDATE SET lines = excluded.lines'
)


def run(documents: str = "400") -> list[Row]:
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
    farm = _Farm(made, documents)
    lines = sum(map(len, farm.logs)) / len(farm.logs)

    raw = farm.raw(min(documents, 100))
    began = time.process_time()
    redacted = await _redaction(rules).take(raw, "production", "farm")
    first = len(raw) * lines / (time.process_time() - began)
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

    store = PublicStore(server.database(), SystemClock())
    await store.open()
    place = HostPlace(upstream="farm", host="fu-1", set="production", every_s=5)
    pool = RedactionPool(SystemClock())
    grabber = HostGrabber(place, farm, _redaction(rules, pool), store, SystemClock())
    began = time.perf_counter()
    worked = _worked_s()
    await grabber.read()
    caught_up = documents / (time.perf_counter() - began)
    await pool.close()
    worked = _worked_s() - worked
    await store.close()
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
        Row(name=name, value=caught_up, unit="documents/s", raw_limit=bare),
        Row(name=f"{name}, grabber's processor time", value=worked / documents * 1e3, unit="ms/document"),
        Row(name=f"{name}, lines", value=caught_up * lines, unit="lines/s"),
        Row(
            name=f"{name}, rows",
            value=caught_up * ROWS,
            unit="rows/s",
            raw_limit=bare * ROWS,
            ratio=bare / caught_up,
            goal=">= 2,000 rows/s",
        ),
    ]


def _lines_a_s(rules: Redactor, farm: _Farm, *, digits: bool) -> float:
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


class _Farm:
    """An upstream that has its answers ready, so that its own work is not measured."""

    def __init__(self, made: Corpus, documents: int) -> None:
        lines = [line for _, _, log in made.logs for line in log]
        self.logs: list[list[str]] = []
        at = 0
        for _ in range(documents):  # each log begins at another line
            log: list[str] = []
            size = 0
            while size < LOG_BYTES:
                log.append(lines[at % len(lines)])
                size += len(log[-1]) + 1
                at += 1
            self.logs.append(log)
        self._ids = {f"dqm-source-state-run{one}-hostfu-1-pid{one:06d}": one for one in range(1, documents + 1)}
        self._texts = {id: json.dumps(self.document(id)) for id in self._ids}

    def document(self, id: str) -> dict[str, Any]:
        number = self._ids[id]
        log = self.logs[number - 1]
        logs = {"stdlog_start": log[: len(log) // 2], "stdlog_end": log[len(log) // 2 :]}
        fields = {"_id": id, "_rev": number, "hostname": "fu-1", "run": number, "tag": "beam", "pid": number}
        return {**fields, "timestamp": 1.79e9 + number, "exit_code": 0, "events_total": number, "extra": logs}

    def raw(self, number: int) -> list[RawDocument]:
        ids = list(self._ids)[:number]
        headers = [DocumentHeader(id, self._ids[id], "dqm-source-state") for id in ids]
        found = (raw_document(self.document(one.id), one) for one in headers)
        return [one for one in found if one]

    async def ask(self, message: str, host: str) -> list[str]:
        asked = json.loads(message)
        if asked["event"] == "request_documents":
            found = ", ".join(self._texts[one] for one in asked["ids"])
            return [f'{{"event": "update_documents", "documents": [{found}]}}']
        headers = [{"_id": id, "_rev": number, "type": "dqm-source-state"} for id, number in self._ids.items()]
        return [json.dumps({"event": "update_headers", "headers": headers})]

    async def act(self, request: ActionRequest, timeout_s: float) -> tuple[int, bytes]:
        return 404, b""

    async def status(self, cluster: str) -> Any:
        return []

    async def close(self) -> None:
        """Nothing to free."""


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
            [("production", one.id.value, json.dumps(dict(one.log.value))) for one in batch if one.log],
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
