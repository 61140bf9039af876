"""Reads `subsystem.cfg` of the earlier ECS: state table, state map and time-outs for each kind of system.

The file has one section for each kind, with the keys `stateFile`, `mapFile`, `timeout` in ms, `pingInterval` in s and
`checkRunningScript`, unchanged from the ECS.
"""

from __future__ import annotations

import re

from msgspec import Struct

from countingroom.core.charts.table import Unreadable
from countingroom.core.yaml.located import Place, Problem
from countingroom.core.yaml.validation_errors import did_you_mean

_KEYS = ("stateFile", "mapFile", "timeout", "pingInterval", "checkRunningScript")
_HEADER = re.compile(r"\[([^\[\]]+)\]")


class Subsystem(Struct, frozen=True, kw_only=True):
    """One kind of system. `places` gives file and line of each key."""

    name: str
    state_file: str
    map_file: str = ""
    timeout_s: float = 10.0
    """Time-out of one answer."""
    ping_s: float = 2.0
    """Interval of the heartbeats."""
    script: str = ""
    place: Place
    places: dict[str, Place]


def parse_subsystem_cfg(text: str, *, file: str) -> tuple[Subsystem, ...]:
    """The kinds in the order of the file; Unreadable with all problems."""
    problems: list[Problem] = []
    sections: dict[str, tuple[Place, dict[str, tuple[str, Place]]]] = {}
    name = ""
    keys: dict[str, tuple[str, Place]] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        place, line = Place(file, number), raw.strip()
        key, equals, value = (part.strip() for part in line.partition("="))
        message = ""
        if not line or line.startswith(("#", ";")):
            continue
        if header := _HEADER.fullmatch(line):
            name, keys = header[1].strip(), {}
            message = f"[{name}] given twice; the first is at line {sections[name][0].line}" if name in sections else ""
            sections.setdefault(name, (place, keys))
        elif not equals:
            message = f"got {line!r}; expected [NAME] or KEY = VALUE"
        elif not name:
            message = "this key is before the first [NAME]"
        elif key not in _KEYS:
            message = f"unknown key{did_you_mean(key, _KEYS)}"
        elif key in keys:
            message = f"key given twice; the first is at line {keys[key][1].line}"
        else:
            keys[key] = (value, place)
        if message:
            problems.append(Problem(place=place, path=_path(name, key if equals else ""), message=message))
    found = [_subsystem(name, place, keys, problems) for name, (place, keys) in sections.items()]
    if not sections:
        problems.append(Problem(place=Place(file), message="has no section; expected [NAME] with stateFile = FILE"))
    if problems:
        raise Unreadable(sorted(problems, key=lambda problem: problem.place.line))
    return tuple(found)


def _subsystem(name: str, place: Place, keys: dict[str, tuple[str, Place]], problems: list[Problem]) -> Subsystem:
    def text(key: str) -> str:
        return keys[key][0] if key in keys else ""

    def number(key: str, default: float) -> float:
        if key not in keys:
            return default
        value, where = keys[key]
        try:
            if (found := float(value)) > 0:
                return found
        except ValueError:
            pass
        message = f"got {value!r}; expected a number above 0"
        problems.append(Problem(place=where, path=_path(name, key), message=message))
        return default

    if not text("stateFile"):
        message = "is missing; expected the file of the state table"
        problems.append(Problem(place=place, path=_path(name, "stateFile"), message=message))
    return Subsystem(
        name=name,
        state_file=text("stateFile"),
        map_file=text("mapFile"),
        timeout_s=number("timeout", 10_000.0) / 1000.0,
        ping_s=number("pingInterval", 2.0),
        script=text("checkRunningScript"),
        place=place,
        places={key: where for key, (_, where) in keys.items()},
    )


def _path(name: str, key: str) -> str:
    return ".".join(part for part in (name, key) if part)
