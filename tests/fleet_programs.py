"""A fleet of programs on real nodes for tests: their revisions, and what the kernel says has run."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.wanted import wanted
from tests.fleet_containers import SERVICE, WARM_S, Ran, doubles_of, fewest_of


class ProgramRecorder:
    """Follows programs that tell their number as they begin, until the kernel tells their end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.news = folder / "news"
        os.mkfifo(self.news)
        self._heard = os.open(self.news, os.O_RDWR | os.O_NONBLOCK)
        self._ran: list[Ran] = []
        self._versions: dict[str, str] = {}
        self._open: dict[int, Ran] = {}
        """Descriptor of a process -> what it is."""
        self._text = b""
        self._is_over = False
        self._thread = threading.Thread(target=self._follow, name="programs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._is_over = True
        with suppress(OSError):
            os.write(self._heard, b"\n")
        self._thread.join()
        os.close(self._heard)

    def running(self) -> list[str]:
        """The versions of the programs that run, in the order of their places."""
        running = sorted(self._running(), key=lambda one: one.node)
        return [self._versions[one.container] for one in running]

    def ran(self) -> list[Ran]:
        """All that ran, in the order of their starts. What runs still has no end."""
        return sorted([*self._ran, *self._running()], key=lambda one: one.began_ns)

    def is_told(self) -> bool:
        """The kernel tells at once."""
        return True

    def state(self) -> str:
        """What ran."""
        return str(self.ran())

    def doubles(self) -> list[tuple[Ran, Ran]]:
        """Pairs that ran at the same time in one place."""
        return doubles_of(self.ran())

    def fewest(self, since_ns: int) -> int:
        """The fewest that were healthy at one time after a time at which all were."""
        return fewest_of(self.ran(), since_ns)

    @contextmanager
    def again(self) -> Generator[ProgramRecorder]:
        """Forget what has ended."""
        self._ran = []
        yield self

    def _running(self) -> list[Ran]:
        return list(self._open.values())

    def _follow(self) -> None:
        polled = select.poll()
        polled.register(self._heard, select.POLLIN)
        while not self._is_over:
            ready = [descriptor for descriptor, _ in polled.poll()]
            now_ns = time.time_ns()
            # Ends first: a program begins in a place after the one before has ended.
            for descriptor in ready:
                if one := self._open.get(descriptor):
                    polled.unregister(descriptor)
                    os.close(descriptor)
                    self._ran.append(msgspec.structs.replace(one, ended_ns=now_ns))
                    del self._open[descriptor]
            if self._heard in ready:
                *lines, self._text = (self._text + os.read(self._heard, 4096)).split(b"\n")
                for line in lines:
                    if line:
                        self._begun(line.decode(), now_ns, polled)

    def _begun(self, line: str, now_ns: int, polled: select.poll) -> None:
        number, place, version = line.split()
        name = f"{number}-{now_ns}"
        self._versions[name] = version
        try:
            descriptor = os.pidfd_open(int(number))
        except ProcessLookupError:
            self._ran.append(Ran(place, name, now_ns, now_ns))
            return
        self._open[descriptor] = Ran(place, name, now_ns, sys.maxsize)
        polled.register(descriptor, select.POLLIN)


def program_revision(
    nodes: Sequence[WantedNode], version: str, recorder: ProgramRecorder, *, is_bad: bool = False
) -> Revision:
    """Two cameras: one on each of two nodes, or both on one."""
    place = "{node}.{index}"
    warm = f"{recorder.folder}/{place}.warm"
    told = f'echo "$$ {place} {version}" 1<>{recorder.news}; '
    works = "" if is_bad else f"sleep {WARM_S}; echo $$ >{warm}; "
    section = FleetSection.model_validate(
        {
            "nodes": {one.name: {} for one in nodes},
            "services": {
                SERVICE: {
                    "command": ["sh", "-c", f"{told}{works}exec sleep 600"],
                    "environment": {"VERSION": version},
                    "nodes": ["*"],
                    "copies": 2 // len(nodes),
                    "health": {
                        "exec": ["sh", "-c", f'kill -0 "$(cat {warm})"'],
                        "interval": "0.2 s",
                        "timeout": "20 s",
                        "failures": 1,
                    },
                    "start_period": "1 s" if is_bad else "30 s",
                    "grace": "0 s",
                    "update": {"healthy_for": "0.2 s"},
                }
            },
        }
    )
    return msgspec.structs.replace(wanted(section), nodes=tuple(nodes))
