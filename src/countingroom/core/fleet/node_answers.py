"""What the shell of another computer tells (`use`, `usb` and `lines` of node.sh). Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from countingroom.core.fleet.host_facts import TICKS, ProcessFacts, host_use, tree_use
from countingroom.core.fleet.usage import HostUse, InstanceUse
from countingroom.core.fleet.usb import UsbDevice

_NS = 1_000_000_000
N = TypeVar("N", int, float)
_NUMBERS = "([-0-9]+ )"
_PROCESS = (
    rf"s/^([0-9]+) .*\) [A-Za-z] ([0-9]+) {_NUMBERS}{{9}}([0-9]+) ([0-9]+) ([-0-9]+) ([-0-9]+)"
    rf" {_NUMBERS}{{6}}([0-9]+) .*"
    r"/process \1 \2 \4 \5 \6 \7 \9/p"
)
JOBS_SCRIPT = rf"""date '+time %s.%N'
cat /proc/stat /proc/meminfo /proc/uptime /proc/sys/kernel/random/boot_id
stat -f -c 'disk %S %b %f %a' /
printf 'page %s\n' "$(getconf PAGESIZE 2>/dev/null || echo 4096)"
grep -a -z -o -H -s '^SLURM_JOB_ID=[0-9]*' /proc/[0-9]*/environ | tr '\0' '\n' |
    sed -n 's|^/proc/\([0-9]*\)/environ:SLURM_JOB_ID=|job \1 |p' | while read -r word pid job; do
        [ "$pid" = $$ ] || echo "$word $pid $job"
        sed -n -E '{_PROCESS}' "/proc/$pid/stat" 2>/dev/null
    done
date '+time %s.%N'
"""
"""As `use` of node.sh, for the jobs of Slurm on one host."""
_TIME = re.compile(r"(\d+)\.(\d{9})")


class NodeAnswer(Struct, frozen=True, kw_only=True):
    """The answer to `use`."""

    host: HostUse
    times_s: tuple[float, float] | None = None
    """The time of its clock at the begin and at the end, since the epoch; None: it tells whole seconds alone."""
    processes: Mapping[int, ProcessFacts] = {}
    children: Mapping[int, Sequence[int]] = {}
    jobs: Mapping[int, Sequence[int]] = {}
    """Number of a job of Slurm -> its processes."""
    sizes: Mapping[str, int] = {}
    """Folder of an instance -> bytes of its files."""

    def clock_offset_s(self, asked_s: float, answered_s: float) -> float | None:
        """By how much its clock is ahead at least, negative: behind. `asked_s`, `answered_s`: by our clock. What the
        way there and back, and the start of the shell, may be the reason of, is no offset."""
        if self.times_s is None:
            return None
        most, least = self.times_s[0] - asked_s, self.times_s[1] - answered_s
        return max(least, 0.0) or min(most, 0.0)

    def of(self, pid: int, folder: str, ends: int) -> InstanceUse:
        """What an instance uses with all that its program has begun. `pid`: 0: it does not run."""
        used = tree_use(pid, self.processes, self.children) if pid in self.processes else None
        return InstanceUse(
            cpu_s=used.cpu_s if used else None,
            memory_bytes=used.memory_bytes if used else None,
            disk_bytes=self.sizes.get(folder),
            ends=ends,
        )

    def of_job(self, number: int, ends: int) -> InstanceUse:
        """What the processes of a job use together."""
        found = [self.processes[pid] for pid in self.jobs.get(number, ()) if pid in self.processes]
        if not found:
            return InstanceUse(ends=ends)
        memory = sum(one.memory_bytes for one in found)
        return InstanceUse(cpu_s=sum(one.cpu_s for one in found), memory_bytes=memory, ends=ends)


def all_hosts(hosts: Sequence[HostUse]) -> HostUse:
    """Several computers as one: what their cores and their memory do together, the fullest disk, the last start. Where
    one of them does not tell something, it is not known of all."""
    if len(hosts) == 1:
        return hosts[0]
    disks = [(one.disk_used_bytes / one.disk_bytes, one) for one in hosts if one.disk_bytes and one.disk_used_bytes]
    fullest = max(disks, key=lambda disk: disk[0])[1] if disks else HostUse()
    uptimes = [one.uptime_s for one in hosts if one.uptime_s is not None]
    return HostUse(
        busy_s=_sum([one.busy_s for one in hosts]),
        cores=sum(one.cores for one in hosts),
        memory_bytes=_sum([one.memory_bytes for one in hosts]),
        memory_used_bytes=_sum([one.memory_used_bytes for one in hosts]),
        disk_bytes=fullest.disk_bytes,
        disk_used_bytes=fullest.disk_used_bytes,
        uptime_s=min(uptimes, default=None),
    )


def _sum(values: Sequence[N | None]) -> N | None:
    known = [one for one in values if one is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(values) else None


def node_answer(text: str) -> NodeAnswer:
    """Read the answer to `use`. What is missing or cut off in it is not known."""
    page = 4096
    processes: dict[int, ProcessFacts] = {}
    jobs: dict[int, list[int]] = {}
    sizes: dict[str, int] = {}
    times: list[float] = []
    for line in text.splitlines():
        match line.split():
            case ["page", number] if number.isdigit():
                page = int(number)
            case ["process", *numbers] if len(numbers) == 7 and all(_is_whole(one) for one in numbers):
                pid, parent, *ticks, pages = map(int, numbers)
                processes[pid] = ProcessFacts(parent, sum(ticks) / TICKS, pages * page)
            case ["job", pid, number] if pid.isdigit() and number.isdigit():
                jobs.setdefault(int(number), []).append(int(pid))
            case ["size", number, folder] if number.isdigit():
                sizes[folder] = sizes.get(folder, 0) + int(number)
            case ["time", word] if found := _TIME.fullmatch(word):
                times.append(int(found[1]) + int(found[2]) / _NS)
            case _:
                pass
    children: dict[int, list[int]] = {}
    for pid, one in processes.items():
        children.setdefault(one.parent, []).append(pid)
    return NodeAnswer(
        host=host_use(text),
        times_s=(times[0], times[-1]) if len(times) > 1 else None,
        processes=processes,
        children=children,
        jobs=jobs,
        sizes=sizes,
    )


def usb_devices(text: str) -> tuple[UsbDevice, ...] | None:
    """Read the answer to `usb`; None where it is cut off."""
    *lines, last = text.rstrip("\n").split("\n")
    if last != "end":
        return None
    return tuple(_usb_devices(lines))


def _usb_devices(lines: Iterable[str]) -> Iterator[UsbDevice]:
    place, facts, paths = "", dict[str, str](), list[str]()
    for line in (*lines, "usb "):
        kind, _, rest = line.partition(" ")
        if kind == "path":
            paths.append(f"/dev/{rest.removeprefix('/dev/')}")
        elif kind != "usb":
            facts.setdefault(kind, rest.strip())
        else:
            if place and all(facts.get(name) for name in ("idVendor", "idProduct", "serial")):
                yield UsbDevice(
                    vendor=facts["idVendor"].lower(),
                    product=facts["idProduct"].lower(),
                    serial=facts["serial"],
                    title=" ".join(word for name in ("manufacturer", "product") if (word := facts.get(name))),
                    place=place,
                    paths=tuple(sorted(paths, key=lambda one: (not one.startswith("/dev/bus/"), one))),
                )
            place, facts, paths = rest, {}, []


def log_lines(answer: bytes, ahead_ns: int, since_ns: int = 0) -> Iterator[tuple[int, str]]:
    """(time, text) of the lines of the answer to `lines`; the time is 0 where it is not known. `ahead_ns`: by how much
    the clock of the node is ahead. `since_ns`: only those from then on, and where no time is known all."""
    head, _, data = answer.partition(b"\nlines\n")
    whole, places, times = 0, list[int](), list[int]()
    begin = 0
    for line in head.decode(errors="replace").splitlines():
        match line.split():
            case ["log", _, number] if number.isdigit():
                begin, whole = whole, whole + int(number)
            case [place, time] if place.isdigit() and time.partition(".")[0].isdigit():
                places.append(begin + int(place))
                times.append(_time_ns(time) - ahead_ns)
            case _:
                pass
    at = whole - len(data)
    for raw in data.removesuffix(b"\n").split(b"\n") if data else ():
        index = bisect_right(places, at) - 1
        time_ns = times[index] if index >= 0 else 0
        if not since_ns or not times or time_ns >= since_ns:
            yield time_ns, raw.decode(errors="replace")
        at += len(raw) + 1


def _time_ns(word: str) -> int:
    seconds, _, rest = word.partition(".")
    return int(seconds) * _NS + (int(rest) if rest.isdigit() else 0)


def _is_whole(word: str) -> bool:
    return word.removeprefix("-").isdigit()
