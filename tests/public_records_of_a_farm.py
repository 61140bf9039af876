"""A public store with the synthetic documents of a simulated farm, redacted, for tests and benches of the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.mirror.dqm_documents import DocumentHeader, raw_document
from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Public, Redactor, as_json, parted
from countingroom.core.mirror.templates import Approval, SlotRule, read_line
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import HostState, PublicDocument, RecordEntry, SourceState, WithheldEntry
from countingroom.simulators.dqm_farm import Farm


def redactor(farm: Farm) -> Redactor:
    """With the policy `default`, and approved templates of half of the lines in the logs of the present run."""
    approvals: dict[str, Approval] = {}
    for computer in farm.processors:
        for document in computer.documents(computer.ids):
            for line in document["extra"]["stdlog_end"][::2] if document["run"] == farm.run else ():
                read = read_line(line)
                if read is not None:
                    slots = tuple(SlotRule(how="mask") for _ in read.slots)
                    approvals[read.template] = Approval(template=read.template, slots=slots)
    records = MirrorSection.default().records()
    return Redactor(Pseudonyms(b"k" * 32), LastCheck([]), records, approvals.values())


def documents(farm: Farm, redact: Redactor) -> Iterator[PublicDocument]:
    """All present documents of a farm as they leave."""
    for computer in farm.computers.values():
        for one in computer.documents(computer.ids):
            header = DocumentHeader(str(one["_id"]), int(one["_rev"]), str(one["type"]))
            raw = raw_document(one, header)
            if raw is None:
                continue
            found = redact.record(raw.kind, raw.record, raw.own)
            assert found.public is not None, found.decisions
            log, body = parted(found.public, "log_start", "log_end")
            yield PublicDocument(
                set="production",
                kind=raw.kind,
                id=redact.lasting("document", raw.id),
                source=redact.alias("host", raw.host),
                revision=raw.revision,
                body=body,
                log=as_json(log) if log.value else None,
            )


def record(redact: Redactor, kind: Any, key: str, sequence: int, body: Mapping[str, Any]) -> RecordEntry:
    """A state of a thing of the inside as it leaves."""
    found = redact.record(kind, body)
    assert found.public is not None, found.decisions
    at = sequence * 1000
    return RecordEntry(kind=kind, key=redact.lasting(kind, key), sequence=sequence, at=at, body=found.public)


async def filled_store(path: Path, clock: Clock, farm: Farm) -> PublicStore:
    """A store with the documents of the farm, an experiment and its computers."""
    store = PublicStore(f"sqlite:///{path}", clock)
    await store.open()
    redact = redactor(farm)
    withheld: list[tuple[Any, int, int]] = [("alarm", 7, 0), ("event", 1203, 36)]
    now = clock.now_ns()
    hosts = [
        HostState(set="production", host=redact.alias("host", name), is_up=place != 1, message=redact.word(text))
        for place, name in enumerate(farm.computers)
        for text in ("" if place != 1 else "no answer",)
    ]
    await store.take(
        list(documents(farm, redact)),
        hosts=hosts,
        records=list(_experiment(redact, now, farm.run)),
        states=[
            SourceState(
                source=redact.word(f"{kind} one"), kind=kind, is_connected=True, contact_at=now // 1000, lines=900
            )
            for kind in ("host", "cluster", "feed")
        ],
        withheld=[
            WithheldEntry(feed=redact.word("feed-1"), kind=kind, records=many, lines=lines, lines_withheld=lines // 3)
            for kind, many, lines in withheld
        ],
    )
    return store


def _experiment(redact: Redactor, now: int, run: int) -> Iterator[RecordEntry]:
    def ago(seconds: float) -> int:
        return now - round(seconds * 1e9)

    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("partition", "PHYSICS", {"state": "Recording", "run": run, "since": ago(6480), "tag": "pp-std"}),
        ("partition", "CALIB", {"state": "Ready", "since": ago(5000), "tag": "lumi-std"}),
        ("partition", "COSMIC", {"state": "Idle", "since": ago(300_000)}),
        (
            "alarm",
            "gas.o2",
            {"state": "unacknowledged", "priority": 2, "device": "gas", "point": "gas.o2", "since": ago(1700)},
        ),
        ("alarm", "chiller", {"state": "acknowledged", "priority": 1, "device": "chiller", "since": ago(720)}),
        ("alarm", "quiet", {"state": "shelved", "priority": 1, "device": "quiet", "since": ago(720)}),
        ("node", "rack-07", {"reachable": False, "since": ago(1000)}),
        ("node", "rack-08", {"reachable": True, "since": ago(9000)}),
        ("run", str(run), {"run": run, "partition": "PHYSICS", "state": "running", "started": ago(6480)}),
        (
            "run",
            str(run - 1),
            {
                "run": run - 1,
                "partition": "PHYSICS",
                "state": "ended",
                "started": ago(20000),
                "ended": ago(7000),
                "end": "stopped",
                "seconds": 13_000.0,
            },
        ),
        ("service", "cam", {"service": "cam", "phase": "done", "instances": 2, "healthy": 2}),
        ("device", "gas", {"device": "gas", "state": "ON", "link": "connected", "since": ago(9000)}),
        ("device", "pump", {"device": "pump", "state": "ERROR", "common": "error", "trouble": "pump_trip"}),
    ]
    valve = {"device": "gas", "point": "valve", "is_on": True, "quality": "good", "at": ago(5)}
    humidity = {"device": "gas", "point": "humidity", "unit": "%", "quality": "bad", "at": ago(5)}
    rows += [("point", "gas/valve", valve), ("point", "gas/humidity", humidity)]

    def note(number: int, sort: str, title: str, begin_s: float, **more: Any) -> tuple[str, str, dict[str, Any]]:
        """`begin_s`: so long ago."""
        text = "No data of the detectors is taken.\nWe look into it."
        body = {"sort": sort, "state": "open", "title": title, "text": text, "from": ago(begin_s), **more}
        return "note", str(number), {"note": number, "made": ago(max(begin_s, 3000)), "changed": ago(100), **body}

    update = {"time": ago(600), "text": "The pump is exchanged; it takes another hour."}
    rows += [
        note(1, "incident", "The magnet was off", 200_000, state="ended", ended=ago(100_000), parts=["PHYSICS"]),
        note(2, "maintenance", "Gas bottles are exchanged", -90_000, to=ago(-100_000), parts=["gas"]),
        note(3, "incident", "The cooling is off", 2400, parts=["PHYSICS", "gas"], updates=[update]),
        note(4, "maintenance", "A long work", 9000, to=ago(60)),
    ]
    for kind, key, body in rows:
        yield record(redact, kind, key, now // 1_000_000, {kind: key} | body)
    for minute in range(90, -1, -1):
        at = now - minute * 60_000_000_000
        body = {"device": "gas", "point": "o2", "value": 20.9 + minute / 100, "unit": "%", "quality": "good", "at": at}
        yield record(redact, "point", "gas/o2", at // 1_000_000, body)


def farm_of(runs: int, sections: int, now_s: float, *, clients: int = 10, crash: str = "ecal") -> Farm:
    """A farm after so many runs; in the last one a client has crashed, and sections are missing."""
    farm = Farm(fu=6, clients=clients, log_bytes=3000)
    begin_s = now_s - runs * sections * 24.0
    for run in range(runs):
        farm.begin_run(begin_s)
        for section in range(sections):
            begin_s += 24.0
            farm.go_on(begin_s)
            if crash and section == sections // 2 and run in (runs - 1, runs - 4):
                farm.crash(crash, begin_s)
    return farm


__all__ = ["Public", "documents", "farm_of", "filled_store", "redactor"]
