"""1,000 names planted in documents of a farm and in states of the experiment: none is in any byte that the site, its
copy, its log or the public store has."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.mirror.dqm_documents import DocumentHeader, GivenDocument
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, proposal
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.redaction import DocumentRedaction, host_states
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import RecordEntry, SourceState
from countingroom.simulators.dqm_farm import Farm
from countingroom.site.making import Site
from countingroom.site.rendering import SiteSettings
from countingroom.testing.clock import FakeClock
from tests.pdf_text import pdf_text
from tests.public_records_of_a_farm import farm_of
from tests.unit.test_mirror_leaks import ENCODINGS, canaries
from tests.unit.test_public_site import get

NAMES = canaries(1000)
_LINK = re.compile(r'(?:href|src|action)="(/[^"#]*)"')
_FIELDS = ("tag", "fi_state", "hostname", "user", "exit_code", "cmssw_lumi", "events_rate", "timestamp", "strange")
_FIRST = 6
"""The shortest name has seven signs."""
STATES: dict[Any, tuple[str, ...]] = {
    "partition": ("partition", "state", "tag", "goal", "trouble"),
    "device": ("device", "state", "link", "trouble"),
    "point": ("device", "point", "value", "unit"),
    "alarm": ("alarm", "node", "device", "point", "system"),
    "node": ("node", "trouble"),
    "service": ("service", "version", "trouble"),
    "note": ("sort", "state"),
    "event": ("source", "action", "before", "after"),
}


def planted(farm: Farm) -> Iterator[GivenDocument]:
    """The documents with a name in a field, a key or an id of each fourth, and names in the logs of the others."""
    rng = random.Random(11)
    encodings = list(ENCODINGS.values())
    hidden = iter([encodings[number % len(encodings)](name) for number, name in enumerate(NAMES)] * 2)
    for computer in farm.computers.values():
        for number, original in enumerate(computer.documents(computer.ids)):
            one = copy.deepcopy(original)
            header = DocumentHeader(str(one["_id"]), int(one["_rev"]), str(one["type"]))
            extra = one["extra"]
            if number % 4 == 0:
                one[rng.choice(_FIELDS)] = next(hidden)
                one[next(hidden)] = next(hidden)
                one["cmdline"] = [*one.get("cmdline", ()), next(hidden), f"runkey={next(hidden)}"]
                extra.setdefault("streams", {})[next(hidden)] = {"lumis": [1], next(hidden): [next(hidden)]}
                header = DocumentHeader(f"{header.id}-{next(hidden)}", header.revision, header.type)
            for name in ("stdlog_start", "stdlog_end"):
                if name in extra:
                    line = rng.choice(extra[name])
                    extra[name] = [*extra[name], *(f"{line} {next(hidden)}" for _ in range(12)), next(hidden)]
            yield GivenDocument(header, json.dumps(one).encode())


def states(redact: Redactor) -> Iterator[RecordEntry]:
    """States of the experiment, each with names in its fields, beside some without."""
    rng, sequence = random.Random(5), 0
    hidden = list(ENCODINGS.values())
    for kind, fields in STATES.items():
        for number in range(20):
            sequence += 1
            body: dict[str, Any] = dict.fromkeys(fields, "ready") | {kind: f"{kind}{number}", "priority": 1}
            if kind == "note":
                text = f"{rng.choice(NAMES)} stopped; {rng.choice(hidden)(rng.choice(NAMES))} is looked at"
                body |= {"note": number + 1, "sort": "incident", "state": "open", "title": "It stopped"}
                body["updates"] = [{"time": "2026-01-01T00:00:00Z", "text": text if number % 4 == 3 else "Known."}]
            if number % 2:
                body[rng.choice(fields)] = rng.choice(NAMES)
                body["title"] = body["text"] = body["message"] = rng.choice(NAMES)
            found = redact.record(kind, body)
            if found.public is not None:
                key = redact.lasting(kind, str(body[kind]))
                yield RecordEntry(kind=kind, key=key, sequence=sequence, at=sequence * 1000, body=found.public)


async def seen_by_a_robot(site: Site) -> dict[str, bytes]:
    """Every address that a page leads to, and the API, with headers and body."""
    found: dict[str, bytes] = {}
    new = [
        "/",
        "/wall",
        "/rss",
        "/api/v1/now",
        "/api/v1/sources",
        "/api/v1/timeline",
        "/api/v1/report",
        "/api/v1/uptime",
        "/api/v1/notes",
        "/api/v1/devices",
        "/api/v1/computers",
    ]
    new += [f"/api?what={what}" for what in ("get_info", "get_runs&from=390000&to=390009", "get_cluster_status")]
    while new:
        address = new.pop()
        if address in found or len(found) > 700:
            continue
        answer = await get(site, address)
        assert answer.status < 500, address
        found[address] = repr(answer.headers).encode() + answer.body
        if answer.headers["content-type"].startswith("text/html"):
            links = [one.replace("&amp;", "&") for one in _LINK.findall(answer.text) if "tz=" not in one]
            new += links
            new += [f"/api/v1/logs/{one.split('/')[2].split('?')[0]}" for one in links if one.startswith("/log/")]
            new += [f"/api/v1/runs/{one[5:]}{more}" for one in links if one[5:].isdigit() for more in ("", "/streams")]
    return found


@pytest.mark.server
async def test_of_1000_planted_names_none_is_in_any_byte_of_the_site(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    clock = FakeClock()
    farm = farm_of(4, 6, clock.now_ns() / 1e9)
    given = list(planted(farm))
    raw = [found for one in given if (found := one.read())]
    hosts = list(farm.computers)
    check = LastCheck([("word", name) for name in (*NAMES, *hosts)])
    seen, _ = learn((one.host, [str(line) for line in one.record.get("log_end", ())]) for one in raw)
    redact = Redactor(
        Pseudonyms(b"k" * 32), check, MirrorSection.default().records(), [proposal(one, check) for one in seen]
    )
    taken = await DocumentRedaction(lambda: redact, asyncio.Semaphore(2)).take(given, "production", "farm")
    assert len(taken.documents) > len(raw) / 2 and taken.lines_withheld > 300 and taken.hits > 50

    file = tmp_path / "public.sqlite"
    store, reader = PublicStore(f"sqlite:///{file}", clock), PublicReader(f"sqlite:///{file}")
    await store.open()
    rows = [(name, bool(place % 2), NAMES[place]) for place, name in enumerate(hosts)]
    source = SourceState(source=redact.word("farm"), kind="feed", is_connected=True, contact_at=clock.now_ns() // 1000)
    await store.take(
        taken.documents, hosts=host_states(redact, rows, "production"), records=list(states(redact)), states=[source]
    )
    await reader.open()
    site = Site(reader, clock, SiteSettings(title="Bench", url="https://x.org", prefix=""), version="1")
    await site.look()
    found = await seen_by_a_robot(site)
    assert len(found) > 100 and any(b"log" in body for body in found.values())
    await site.export(tmp_path / "copy", 4)
    await reader.close()
    await store.close()
    found |= {str(one): one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}
    found["log"] = caplog.text.encode()

    papers = {name: pdf_text(body[body.index(b"%PDF") :]) for name, body in found.items() if b"%PDF-" in body}
    assert any("ecal" in text for text in papers.values()) and all("Bench" in text for text in papers.values())
    found |= {f"text of {name}": text.encode() for name, text in papers.items()}

    every = b"\n".join(found.values())
    assert b"ecal" in every  # names of clients may leave, so that what is looked for could be there
    sought = {name.encode() for name in [*NAMES, *hosts]}
    sought |= {encode(name).encode() for name in NAMES for encode in ENCODINGS.values()}
    assert [one for one in begins_in(every, sought) if one in every] == []


def begins_in(every: bytes, sought: set[bytes]) -> set[bytes]:
    """Those whose first signs are there: looking for 20,000 texts one by one takes a long time."""
    lines = set(every.splitlines())
    there = {line[at : at + _FIRST] for line in lines for at in range(len(line) - _FIRST + 1)}
    return {one for one in sought if one[:_FIRST] in there}
