"""What Linux tells of a computer and its programs in /proc. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from countingroom.core.fleet.usage import HostUse

TICKS = 100
"""Ticks of the processor time in /proc in each second. It is so on every Linux that countingroom runs on."""
SCRIPT = "cat /proc/stat /proc/meminfo /proc/uptime /proc/sys/kernel/random/boot_id; stat -f -c 'disk %S %b %f %a' /"
"""Prints all that `host_use` reads; in a container too, where it is about the computer. `/` is on the disk of the
engine."""


def host_use(text: str) -> HostUse:
    """What the output of `SCRIPT` says. What is missing in it is None."""
    busy_s: float | None = None
    cores = 0
    memory: dict[str, int] = {}
    disk: tuple[int, int] | None = None
    uptime_s: float | None = None
    boot = ""
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["cpu", *ticks] if len(ticks) >= 8 and all(one.isdigit() for one in ticks[:8]):
                user, nice, system, _, _, irq, soft, steal = map(int, ticks[:8])
                busy_s = (user + nice + system + irq + soft + steal) / TICKS
            case [str(name), *_] if name.startswith("cpu") and name[3:].isdigit():
                cores += 1
            case [("MemTotal:" | "MemAvailable:") as name, str(number), "kB"] if number.isdigit():
                memory[name] = int(number) * 1024
            case ["disk", *numbers] if len(numbers) == 4 and all(one.isdigit() for one in numbers):
                size, blocks, free, usable = map(int, numbers)
                disk = (blocks - free + usable) * size, (blocks - free) * size
            case [str(up), str(idle)] if _is_number(up) and _is_number(idle):
                uptime_s = float(up)
            case [str(one)] if len(one) == 36 and one.count("-") == 4:
                boot = one
            case _:
                pass
    whole, there = memory.get("MemTotal:"), memory.get("MemAvailable:")
    return HostUse(
        busy_s=busy_s,
        cores=cores,
        memory_bytes=whole,
        memory_used_bytes=None if whole is None or there is None else whole - there,
        disk_bytes=disk[0] if disk else None,
        disk_used_bytes=disk[1] if disk else None,
        uptime_s=uptime_s,
        boot=boot,
    )


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()


class ProcessFacts(Struct, frozen=True):
    """One line of /proc/PID/stat."""

    parent: int
    cpu_s: float
    """With its children that have ended."""
    memory_bytes: int


def process_facts(text: str, page_bytes: int) -> ProcessFacts | None:
    """What /proc/PID/stat says; None where it is cut off."""
    words = text.rpartition(")")[2].split()
    if len(words) < 22:
        return None
    ticks = sum(int(words[place]) for place in (11, 12, 13, 14))
    return ProcessFacts(int(words[1]), ticks / TICKS, int(words[21]) * page_bytes)


def tree_use(root: int, processes: Mapping[int, ProcessFacts], children: Mapping[int, Sequence[int]]) -> ProcessFacts:
    """What a program and all that it has begun use together."""
    cpu_s, memory, ways = 0.0, 0, [root]
    seen: set[int] = set()
    while ways:
        pid = ways.pop()
        one = processes.get(pid)
        if one is None or pid in seen:
            continue
        seen.add(pid)
        cpu_s += one.cpu_s
        memory += one.memory_bytes
        ways += children.get(pid, ())
    return ProcessFacts(0, cpu_s, memory)
