"""The documents of a simulated farm for data quality monitoring: computers that write headers and documents, pure.

Each computer has its own table: a document gets the next revision when it is written, and again when it changes; it
keeps its id, and only its last revision is there. `fu` computers write the state of the clients of a run, `bu`
computers the figures of its streams.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

BATCH = 1000
"""Headers in one message."""
STREAMS = ("DQM", "DQMCalibration", "DQMEventDisplay", "DQMOnlineBeamspot")
CLIENTS = ("beam", "csc", "dt", "ecal", "hcal", "hlt", "l1t", "pixel", "rpc", "sistrip")
_RELEASE = "CMSSW_15_0_3"
_WORDS = (
    "opened",
    "closed",
    "module",
    "event",
    "stream",
    "lumi",
    "memory",
    "sequence",
    "processed",
    "waits",
    "histogram",
)
Document = dict[str, Any]


class Header(Struct, frozen=True):
    """A line of the table of headers."""

    id: str
    rev: int
    timestamp: float
    """Seconds since 1970."""
    hostname: str
    type: str
    tag: str
    run: int

    def shown(self) -> dict[str, Any]:
        """As it is sent."""
        fields = {"_id": self.id, "_rev": self.rev, "timestamp": self.timestamp, "hostname": self.hostname}
        return fields | {"type": self.type, "tag": self.tag, "run": self.run}


class FarmComputer:
    """The table of one computer."""

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self._rev = 0
        self._headers: dict[str, Header] = {}
        self._documents: dict[str, Document] = {}

    @property
    def rev(self) -> int:
        """The last revision."""
        return self._rev

    @property
    def ids(self) -> list[str]:
        """Of all documents, in the order of their revisions."""
        return list(self._headers)

    def put(self, document: Document) -> None:
        """Write a document, or its next state."""
        id = str(document["_id"])
        self._rev += 1
        self._headers.pop(id, None)  # at the end again: the order is that of the revisions
        self._headers[id] = Header(
            id,
            self._rev,
            float(document.get("timestamp") or 0.0),
            str(document.get("hostname") or self.hostname),
            str(document.get("type") or ""),
            str(document.get("tag") or ""),
            int(document.get("run") or 0),
        )
        self._documents[id] = {**document, "_rev": self._rev}

    def lose(self, id: str) -> bool:
        """Lose a document, and keep its header."""
        return self._documents.pop(id, None) is not None

    def headers(self, known_rev: int | None) -> Iterator[list[Header]]:
        """Those with a revision from the last known one on, which is sent again, in batches."""
        least = (known_rev or 0) - 1
        found = [one for one in self._headers.values() if one.rev > least]
        for start in range(0, len(found), BATCH):
            yield found[start : start + BATCH]

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Those that are there; of others nothing is said."""
        return [self._documents[one] for one in ids if one in self._documents]


class Farm:
    """The computers, and the run that goes on."""

    def __init__(self, fu: int = 3, bu: int = 1, clients: int = 10, log_bytes: int = 34_000, seed: int = 1) -> None:
        """`clients` of each run on all `fu` computers together; `log_bytes` of the log of one."""
        self._random = random.Random(seed)  # noqa: S311 (made-up figures)
        names = [f"fu-c2f{11 + one % 5}-{11 + one}-{1 + one % 4:02d}" for one in range(fu)]
        names += [f"dqmrubu-c2a06-{1 + one:02d}-01" for one in range(bu)]
        self.computers = {name: FarmComputer(name) for name in names}
        self._clients = [*CLIENTS, *(f"extra{one}" for one in range(clients))][:clients]
        self._log_bytes = log_bytes
        self.run = 390_000
        self.lumi = 0
        self._pid = 30_000
        self._states: dict[str, tuple[FarmComputer, Document]] = {}
        self._crashed: set[str] = set()

    @property
    def processors(self) -> list[FarmComputer]:
        """Those that run clients."""
        return [one for name, one in self.computers.items() if name.startswith("fu")]

    @property
    def builders(self) -> list[FarmComputer]:
        """Those that deliver the files."""
        return [one for name, one in self.computers.items() if not name.startswith("fu")]

    def begin_run(self, now_s: float) -> int:
        """End the run that goes on, and begin the next; its number."""
        for computer, state in self._states.values():
            if state["exit_code"] is None:
                computer.put({**state, "exit_code": 0, "fi_state": "eor", "timestamp": now_s})
        self.run += 1
        self.lumi = 0
        self._states.clear()
        self._crashed.clear()
        processors = self.processors
        for number, client in enumerate(self._clients if processors else ()):
            computer = processors[number % len(processors)]
            self._pid += self._random.randint(1, 90)
            self._states[client] = (computer, self._client(client, computer.hostname, now_s))
        self._write(now_s)
        return self.run

    def go_on(self, now_s: float) -> None:
        """A lumi section later: clients have more events, streams more files."""
        self.lumi += 1
        for client, (computer, state) in self._states.items():
            if client not in self._crashed:
                more = self._random.randint(50, 500)
                state |= {"events_total": state["events_total"] + more, "events_rate": round(more / 23.31, 3)}
                state |= {"cmssw_lumi": self.lumi, "timestamp": now_s, "fi_state": "running"}
                self._states[client] = (computer, state)
        self._write(now_s)

    def crash(self, client: str, now_s: float) -> bool:
        """Let a client of this run end with an error; False where there is none."""
        if client not in self._states:
            return False
        computer, state = self._states[client]
        state |= {"exit_code": 139, "timestamp": now_s}
        state["extra"]["stdlog_end"] = [*state["extra"]["stdlog_end"][:-1], "A fatal system signal has occurred"]
        self._crashed.add(client)
        computer.put(state)
        return True

    def foreign(self, number: int, now_s: float) -> None:
        """Let the builders write so many headers that are no figures of streams."""
        for one in range(number):
            for computer in self.builders:
                id = f"dqm-files-run{self.run}-file{one:05d}-host{computer.hostname}"
                computer.put(
                    {"_id": id, "hostname": computer.hostname, "type": "file", "run": self.run, "timestamp": now_s}
                )

    def _write(self, now_s: float) -> None:
        for client, (computer, state) in self._states.items():
            if client not in self._crashed:
                computer.put(state)
        for computer in self.builders:
            computer.put(self._figures(computer.hostname, now_s))

    def _client(self, client: str, host: str, now_s: float) -> Document:
        folder = f"/opt/offline/el9/cms/cmssw/{_RELEASE}"
        name = f"{client}_dqm_sourceclient-live"
        command = [f"{folder}/bin/cmsRun", f"{folder}/src/DQM/Integration/python/clients/{name}_cfg.py"]
        return {
            "_id": f"dqm-source-state-run{self.run}-host{host}-pid{self._pid:06d}",
            "type": "dqm-source-state",
            "tag": name,
            "hostname": host,
            "run": self.run,
            "timestamp": now_s,
            "pid": self._pid,
            "exit_code": None,
            "events_total": 0,
            "events_rate": 0.0,
            "cmssw_run": self.run,
            "cmssw_lumi": 0,
            "cmdline": [*command, f"runNumber={self.run}", f"runInputDir=/fff/ramdisk/run{self.run}", "runkey=pp_run"],
            "fi_state": "starting",
            "extra": {
                "ps_info": {"VmRSS": f"{self._random.randint(400_000, 2_500_000)} kB"},
                "stdlog_start": self._log(client, host, self._log_bytes // 2),
                "stdlog_end": self._log(client, host, self._log_bytes // 2),
            },
        }

    def _log(self, client: str, host: str, size: int) -> list[str]:
        lines: list[str] = []
        while size > 0:
            words = " ".join(self._random.choices(_WORDS, k=4))
            count, took = self._random.randint(0, 10**5), self._random.uniform(0, 90)
            line = self._random.choice(
                (
                    f"{words} {count} of run {self.run} in {took:.2f} ms",
                    f"%MSG-i {client.capitalize()}Client: {words} {count}",
                    f"{words} /fff/ramdisk/run{self.run}/run{self.run}_ls{count % 1000:04d}_streamDQM_{host}.dat",
                    f"Begin processing the {count}th record. Run {self.run}, Event {count * 7}, {words}",
                )
            )
            lines.append(line)
            size -= len(line) + 1
        return lines

    def _figures(self, host: str, now_s: float) -> Document:
        lumis = list(range(1, self.lumi + 1))
        begun = now_s - 23.31 * self.lumi
        streams: dict[str, Any] = {}
        for number, stream in enumerate(STREAMS):
            times = [begun + 23.31 * one + 2 + number for one in lumis]
            accepted = [100 + (one * 7 + number * 13) % 50 for one in lumis]
            streams[stream] = {
                "lumis": lumis,
                "mtimes": times,
                "ctimes": times,
                "fsize": [one * 1_000_000 for one in accepted],
                "evt_accepted": accepted,
                "evt_processed": [one * 20 for one in accepted],
            }
        return {
            "_id": f"dqm-stats-run{self.run}-analyze_files-host{host}",
            "type": "dqm-stats",
            "tag": "analyze_files",
            "hostname": host,
            "run": self.run,
            "timestamp": now_s,
            "extra": {"global_start": begun, "streams": streams},
        }
