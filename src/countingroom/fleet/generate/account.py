"""What became of each key of a service in the files of another system. Pure.

A generator gives its verdict on the keys that it knows. A key that is in use and has no verdict is told as left out, so
that nothing is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.core.errors import NotFound
from countingroom.core.fleet.resolver import Resolver
from countingroom.core.fleet.specs import InstanceId, Revision, ServiceSpec, WantedNode, WantedService

TAKEN, CHANGED, LEFT_OUT = "taken", "changed", "left out"
PAUSE_S = 2
"""Before a unit is started again."""
UNIT_RESTART = {"always": "always", "on-failure": "on-failure", "never": "no"}
Lines = list[tuple[str, str]]
"""Keys and values of a section of a unit."""


class KeyVerdict(Struct, frozen=True):
    """The verdict on one key."""

    service: str
    key: str
    verdict: str
    text: str = ""
    """What it became, or why it is left out."""


class Generated(Struct, frozen=True):
    """The files, and the account of all keys of the services."""

    files: Mapping[str, str]
    """Path below the folder of the output -> text."""
    rows: Sequence[KeyVerdict]


class FilePlan(Struct, frozen=True, kw_only=True):
    """What files are made of."""

    experiment: str
    revision: Revision
    services: Sequence[WantedService]
    titles: Mapping[str, str]
    directory: str
    """Of the description, absolute."""
    python: str
    """What `{python}` is on this computer."""
    user: str = ""
    """The account that runs programs."""

    def node(self, name: str) -> WantedNode:
        """A node of the revision."""
        return next(node for node in self.revision.nodes if node.name == name)

    def specs(self, service: WantedService) -> Iterator[tuple[InstanceId, ServiceSpec]]:
        """Each instance of a service, with what is wanted of it."""
        resolver = Resolver(self.revision)
        for id in service.instances():
            yield id, resolver.resolve(service, id).spec

    def title(self, service: WantedService) -> str:
        """For people."""
        return self.titles.get(service.name) or service.name


class Account:
    """The verdicts on the keys of one service: one for each way in which its instances have them."""

    def __init__(self, service: WantedService) -> None:
        self._service = service.name
        self._used = list(keys_in_use(service))
        self._rows: dict[str, list[KeyVerdict]] = {}

    def taken(self, key: str, text: str = "") -> None:
        """It means the same there."""
        self._add(key, TAKEN, text)

    def changed(self, key: str, text: str) -> None:
        """It is there, and means something else or needs a step by hand. Told also where the key is not used."""
        self._add(key, CHANGED, text)

    def left_out(self, key: str, why: str) -> None:
        """It is not there."""
        self._add(key, LEFT_OUT, why)

    def rows(self) -> list[KeyVerdict]:
        """At least one for each key in use, and what else is another way than on the node."""
        found: list[KeyVerdict] = []
        for key in self._used:
            silent = KeyVerdict(self._service, key, LEFT_OUT, "these files have no word for it")
            found += self._rows.get(key) or [silent]
        added = [row for key, rows in self._rows.items() if key not in self._used for row in rows]
        return [*found, *(row for row in added if row.verdict == CHANGED or row.key.startswith("nodes."))]

    def none(self, why: str) -> list[KeyVerdict]:
        """The service is left out as a whole."""
        return [KeyVerdict(self._service, "(all)", LEFT_OUT, why)]

    def _add(self, key: str, verdict: str, text: str) -> None:
        row = KeyVerdict(self._service, key, verdict, text)
        rows = self._rows.setdefault(key, [])
        if row not in rows:
            rows.append(row)


def keys_in_use(service: WantedService) -> Iterator[str]:
    """The keys of a service that say something, as in the description; each item of a list by itself."""
    spec = service.spec
    for name in ("image", "command", "environment", "directory", "network", "user", "privileged", "actor", "slurm"):
        if getattr(spec, name):
            yield name
    yield from (f"secrets.{name}" for name in spec.secrets)
    yield from (f"volumes.{one.target}" for one in spec.volumes)
    yield from (f"devices.{one}" for one in spec.devices)
    yield from (f"ports.{one}" for one in spec.ports)
    if spec.limits.cpus:
        yield "limits.cpus"
    if spec.limits.memory_bytes:
        yield "limits.memory"
    if spec.health.kind:
        yield "health"
        yield "health.failures"
        yield "start_period"
        if service.restart_unhealthy_s:
            yield "health.restart_after"
    yield "restart"
    yield "grace"
    yield "update"
    if service.copies > 1:
        yield "copies"
    yield from (f"depends_on.{name}" for name in service.depends_on)
    if service.category:
        yield "category"


def chosen(revision: Revision, names: Iterable[str]) -> list[WantedService]:
    """The services of these names; all where there are none. NotFound."""
    known = {service.name: service for service in revision.services}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise NotFound(
                f"there is no service {name}", source="fleet", suggestion=f"choose from {', '.join(sorted(known))}"
            )
    return [known[name] for name in dict.fromkeys(wanted)] if wanted else list(known.values())


def unit_name(plan: FilePlan, service: str, index: int, copies: int) -> str:
    """Of a unit of systemd, without its suffix."""
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "-", f"{plan.experiment}-{service}")
    return f"{name}-{index}" if copies > 1 else name


def restart_text(restart: str) -> str:
    """What the restart policy of a service is as a unit."""
    value = UNIT_RESTART[restart]
    return f"Restart={value}" + ("" if value == "no" else f", each time after {PAUSE_S} s: the pause does not grow")


def unit_word(text: str, *, is_expanded: bool = True) -> str:
    """One word of a line of a unit, which systemd takes as it is. `is_expanded`: where `$` has a meaning."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n").replace("\t", "\\t")
    text = text.replace("\r", "\\r")
    if is_expanded:
        text = text.replace("$", "$$")
    return text if re.fullmatch(r"[A-Za-z0-9_./:=,@+%\-]+", text) else f'"{text}"'


def unit_raw(text: str) -> str:
    """A whole value of Quadlet, which it takes without looking at quotes, and then gives to systemd."""
    return text.replace("%", "%%").replace("$", "$$")


def unit_text(sections: Mapping[str, Sequence[tuple[str, str]]], head: str) -> str:
    """The text of a unit."""
    parts = [f"# {head}"]
    for name, lines in sections.items():
        if lines:
            parts += ["", f"[{name}]", *(f"{key}={value}" for key, value in lines)]
    return "\n".join(parts) + "\n"


def seconds(value: float) -> str:
    """A duration as systemd reads it."""
    return f"{value:g}s"
