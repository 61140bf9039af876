"""Synthetic logs with the variety of real ones: about 725 templates in 26,600 lines, of which 61 % have a risky slot.

The figures are those of the logs of a real farm of a few computers; words, values and order are made up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

_SYLLABLES = tuple("bcdfghjklmnpqrstvwxz"[one] + "aeiou"[one % 5] for one in range(20))
TEMPLATES = 725
LINES = 26_600


class Corpus(NamedTuple):
    """Logs of several processes, and what must not leave."""

    logs: list[tuple[str, str, list[str]]]
    """Host, process id and lines of each."""
    hosts: list[str]
    users: list[str]


def corpus(seed: int = 1, logs: int = 12) -> Corpus:
    """The same for the same seed."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(600)]
    hosts = [f"fu-c2f{rng.randint(10, 49)}-{rng.randint(10, 49)}-{rng.randint(1, 4):02d}.cms" for _ in range(6)]
    users = [f"{rng.choice(_SYLLABLES)}{rng.choice(_SYLLABLES)}{rng.randint(10, 99)}" for _ in range(4)]
    forms = [_form(rng, vocabulary, number) for number in range(TEMPLATES)]
    # Few templates have most of the lines; about every fortieth is seen once only.
    weights = [1 / (rank + 2.2) ** 1.36 for rank in range(TEMPLATES)]
    made: list[tuple[str, str, list[str]]] = []
    once = list(range(TEMPLATES))
    rng.shuffle(once)
    for number in range(logs):
        host, pid = rng.choice(hosts), str(rng.randint(30_000, 60_000))
        chosen = rng.choices(range(TEMPLATES), weights, k=LINES // logs - len(once[number::logs]))
        chosen += once[number::logs]
        rng.shuffle(chosen)
        site = _Site(rng, hosts, users, host, pid)
        made.append((host, pid, [forms[one](site) for one in chosen]))
    return Corpus(made, hosts, users)


class _Site:
    """Values for the slots."""

    def __init__(self, rng: random.Random, hosts: list[str], users: list[str], host: str, pid: str) -> None:
        self.rng, self.hosts, self.users, self.host, self.pid = rng, hosts, users, host, pid

    def value(self, kind: str, number: int) -> str:
        """A text for a slot of this kind."""
        rng = self.rng
        match kind:
            case "int":
                return self.pid if rng.random() < 0.02 else str(rng.randint(0, 10 ** rng.randint(1, 6)))
            case "float":
                return f"{rng.uniform(0, 1000):.{rng.randint(1, 4)}f}"
            case "time":
                clock = f"{rng.randint(10, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}"
                return f"{rng.randint(10, 28)}-Nov-2026 {clock} CET"
            case "version":
                return f"CMSSW_13_0_{rng.randint(1, 5)}"
            case "host":
                return rng.choice(self.hosts)
            case "path":
                return f"/opt/{rng.choice(self.users)}/run{rng.randint(1, 999)}/file{rng.randint(1, 99)}.dat"
            case "quoted":
                return f"'{rng.choice([f'stream{number}', 'calibration', 'express'])}'"
            case "hex":
                return f"0x{rng.getrandbits(40):010x}"
            case _:
                return f"module{number % 7}"


def _form(rng: random.Random, vocabulary: list[str], number: int) -> Callable[[_Site], str]:
    """A template: words, and slots of which some are risky in 61 % of the lines."""
    length = rng.randint(3, 9)
    words = rng.sample(vocabulary, length)
    kinds = rng.choices(["int", "float", "time", "version"], [6, 3, 2, 1], k=rng.randint(0, 3))
    if number * 37 % 100 < 61:
        kinds.append(rng.choices(["path", "name", "quoted", "hex", "host"], [46, 40, 9, 3, 2])[0])
    places = sorted(rng.randint(1, length) for _ in kinds)

    def line(site: _Site) -> str:
        out = list(words)
        for place, kind in sorted(zip(places, kinds, strict=True), reverse=True):
            out.insert(place, site.value(kind, number))
        return " ".join(out)

    return line
