"""The policy of a description: its rules, its approved templates, and all names that it and this computer know."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from msgspec import Struct, structs

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.approvals import ApprovalTable
from countingroom.core.mirror.last_check import LEAST, LastCheck
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor, Undecided
from countingroom.core.mirror.templates import Approval
from countingroom.mirror.decision_files import DECISIONS, read_decisions
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.template_files import read_templates

if TYPE_CHECKING:
    from countingroom.experiment import Loaded

_HOSTS = ("host", "hosts", "address", "addresses", "advertise", "broker", "name_servers", "server", "servers", "url")
_USERS = ("user", "username", "login_name")
_HERE = re.compile(r"localhost|127\.[\d.]+|0\.0\.0\.0|::1?|\[::1?\]|builtin")


class Policy(Struct, frozen=True, kw_only=True):
    """All that decides what leaves."""

    section: MirrorSection
    redactor: Redactor
    """The one in force when the policy was read."""
    pseudonyms: Pseudonyms
    """Of no period."""
    check: LastCheck
    table: ApprovalTable
    """The approved templates, of the files of the description and of what people decide."""
    undecided: Undecided | None
    """Is given the lines of which nothing was decided."""
    names: tuple[tuple[str, str], ...]

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What was decided of templates."""
        return self.table.in_force

    def aliases(self, period: int) -> Pseudonyms:
        """The aliases of a period."""
        return self.pseudonyms.period(period) if self.section.rotate else self.pseudonyms

    def period(self, now_s: float) -> int:
        """Number of the time with the same aliases; always 0 where they do not change."""
        return int(now_s // self.section.rotate) if self.section.rotate else 0

    def redactor_of(self, period: int) -> Redactor:
        """The redactor with the aliases of a period."""
        return Redactor(self.aliases(period), self.check, self.section.records(), self.table, self.undecided)


def policy(file: Path, now_s: float, *, undecided: Undecided | None = None, data: Path | None = None) -> Policy:
    """The policy of the description in this file. `data`: the data folder, with the decisions about templates.
    ConfigurationError if there is no policy, or if its key or templates cannot be read."""
    from countingroom.experiment import load_located

    loaded = load_located(file)
    section = loaded.experiment.section(MirrorSection)
    if section.key is None:
        raise ConfigurationError(
            "the section mirror has no key",
            source=str(file),
            code="no_key",
            suggestion="describe what is published: docs/howto/publish-outside.md",
        )
    pseudonyms = Pseudonyms(section.key.read("mirror.key").encode())
    table = ApprovalTable(read_templates(file.parent / one for one in section.templates))
    if data:
        table.decide(read_decisions(data / DECISIONS), round(now_s * 1e9))
    names = tuple(dict.fromkeys((*section.never.names(), *described_names(loaded), *names_here())))
    check = LastCheck(names)
    made = Policy(
        section=section,
        redactor=Redactor(pseudonyms, check, {}, ()),
        pseudonyms=pseudonyms,
        check=check,
        table=table,
        undecided=undecided,
        names=names,
    )
    return structs.replace(made, redactor=made.redactor_of(made.period(now_s)))


def described_names(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Computers and users that the description names: addresses of devices, brokers, databases, upstreams and nodes."""
    value = loaded.located.value
    yield from _walk({key: one for key, one in cast("Mapping[str, Any]", value).items() if key != "mirror"})
    for upstream in loaded.experiment.section(MirrorSection).upstreams.values():
        for host in (*upstream.hosts, _host(upstream.url)):
            if len(host) >= LEAST:
                yield "host", host
    fleet = cast("Mapping[str, Any]", value.get("fleet") or {})
    for name in cast("Mapping[str, Any]", fleet.get("nodes") or {}):
        if len(name) >= LEAST:
            yield "host", name


def names_here() -> Iterator[tuple[str, str]]:
    """The name of this computer and of its user, and the home of that user."""
    for name in {socket.gethostname(), socket.getfqdn()}:
        if len(name) >= LEAST and not _HERE.fullmatch(name):
            yield "host", name
    user = getpass.getuser()
    if len(user) >= LEAST and user != "root":  # the word stands in too many lines, and tells nothing
        yield "user", user
        yield "path", str(Path.home())


def _walk(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[Any, Any]", value).items():
            yield from _walk(inner, str(name))
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _walk(inner, key)
    elif isinstance(value, str):
        if key in _HOSTS and (host := _host(value)):
            yield "host", host
        elif key in _USERS and len(value) >= LEAST and value != "root":
            yield "user", value


def _host(text: str) -> str:
    """The host of an address: `mqtt://broker.lab:1883`, `10.0.0.3:502`, `plc`."""
    try:
        found = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    is_name = len(found) >= LEAST and not _HERE.fullmatch(found) and "{" not in found
    return found if is_name else ""
