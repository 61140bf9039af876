"""What is deployed of a description: ports, secrets and files by reference, the public site or none. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

UID = 10001
"""User and group of the processes in a container: fixed, so that files of a volume keep their owner."""
HERE = "/experiment"
"""Folder of the description in a container, and the working directory: relative paths count from it."""
DATA = "/data"
"""The one volume. Its root may belong to another user, so the data folder is below it."""
DATA_FOLDER = f"{DATA}/experiment"
PUBLIC = "/public"
"""Folder of the public store."""
PUBLIC_FILE = f"{PUBLIC}/public.sqlite"
STORE_VARIABLE = "COUNTINGROOM_MIRROR_STORE"
SITE_PORT = 8090
RECEIVER_PORT = 8091
SECRETS = "/secrets"
"""Folder of the token and the certificate of the receiver, in a container."""
RECEIVER_FILES = ("token", "certificate.pem", "key.pem")
GRACE_S = 45
"""From the signal to stop until processes are killed: `up` stops its roles one after the other."""


class OpenPort(Struct, frozen=True, kw_only=True):
    """A port that other computers reach."""

    name: str
    number: int


class DeployPlan(Struct, frozen=True, kw_only=True):
    """The values for the files of a deployment."""

    name: str
    """Of the experiment, as part of other names."""
    title: str
    folder: str
    """Of the description on this computer, absolute."""
    main: str
    """File name of the description."""
    files: Mapping[str, PurePath]
    """Path below the folder -> file: the description and what it names, without secrets."""
    outside: Sequence[str]
    """Absolute paths of files that it names and that are not below its folder, without secrets."""
    secret_files: Sequence[str]
    """Files with secrets, as the description names them: below its folder, or absolute."""
    variables: Sequence[str]
    """Variables of the environment with secrets."""
    ports: Sequence[OpenPort]
    """Those that other computers reach; the console first, where it listens on more than loopback."""
    console_port: int
    has_tls: bool
    """The console serves HTTPS."""
    has_site: bool
    """There is a public site beside the control room."""
    is_fed: bool = False
    """What is published goes to a receiver on a computer outside, which has the site."""
    has_database: bool = False
    """The public store is a database, not a file."""
    site_url: str = ""
    """The public address of the site."""
    simulate: bool = False
    image: str

    @property
    def slug(self) -> str:
        """The name of the experiment in small letters, digits and -, at most 40."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower())[:40].strip("-") or "experiment"

    @property
    def is_open(self) -> bool:
        """Whether other computers reach the console."""
        return any(port.name == "console" for port in self.ports)

    def command(self) -> list[str]:
        """The arguments of `countingroom` for the control room."""
        words = ["up", f"{HERE}/{self.main}", "--data", DATA_FOLDER]
        return [*words, "--simulate"] if self.simulate else words

    def site_command(self) -> list[str]:
        """The arguments of `countingroom` for the public site."""
        words = ["mirror", "site", "--host", "0.0.0.0", "--port", str(SITE_PORT), "--title", self.title]
        return [*words, "--url", self.site_url] if self.site_url else words

    def receiver_command(self, folder: str = SECRETS) -> list[str]:
        """The arguments of `countingroom` for the receiver of the feed; `folder` has `RECEIVER_FILES`."""
        token, certificate, key = (f"{folder}/{name}" for name in RECEIVER_FILES)
        words = ["mirror", "receive", "--host", "0.0.0.0", "--port", str(RECEIVER_PORT)]
        return [*words, "--token-file", token, "--certificate", certificate, "--key", key]

    def receiver_probe(self) -> list[str]:
        """The command that asks the receiver whether it answers."""
        return probe_command(f"https://127.0.0.1:{RECEIVER_PORT}/healthz")

    def of_the_outside(self) -> DeployPlan:
        """The plan of the computer outside, where the receiver and the site share a file."""
        return replace(self, has_site=True, has_database=False, is_fed=False)

    def probe(self) -> list[str]:
        """The command that asks the console whether it answers."""
        return probe_command(f"{'https' if self.has_tls else 'http'}://127.0.0.1:{self.console_port}/healthz")

    def site_probe(self) -> list[str]:
        """The command that asks the site whether it answers. The path of its public address is taken away by the proxy
        before it, so the site itself has none."""
        return probe_command(f"http://127.0.0.1:{SITE_PORT}/")

    @property
    def has_public_file(self) -> bool:
        """The control room and the site share a file."""
        return self.has_site and not self.has_database


def probe_command(url: str) -> list[str]:
    """The product's own check of a server."""
    return ["countingroom", "deploy", "probe", url]


def notes(plan: DeployPlan, user: str = "") -> Iterator[str]:
    """What is to be done by hand, or known, before the files are used. `user`: the account of processes that are in no
    container."""
    if not plan.is_open:
        yield (
            "the console listens on loopback alone: only its own computer reaches it; for others give console.login:"
            " local, host: 0.0.0.0, names, and a certificate or behind_proxy"
        )
    for name in plan.variables:
        yield f"give the secret {name} as a variable" + (f" in {secrets_file(plan)}" if user else "")
    for path in plan.secret_files:
        yield f"the file {path} must be readable for user {user or UID} alone"
    if plan.is_fed:
        yield (
            "the receiver of the feed and the site are for a computer outside: give them its token and certificate, as "
            + ", ".join(RECEIVER_FILES)
        )
    elif plan.has_site and plan.has_database:
        yield f"give the site a user of the database that only reads, in its own variable {STORE_VARIABLE}"
    elif plan.has_site and not user:
        yield f"the control room and the site share the public store: write mirror.store.url: sqlite:///{PUBLIC_FILE}"


def secrets_file(plan: DeployPlan) -> str:
    """Of a unit of systemd: lines `NAME=value`."""
    return f"/etc/countingroom/{plan.slug}.secrets"
