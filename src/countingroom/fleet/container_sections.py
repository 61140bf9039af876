"""The parts of the section `fleet` that are about containers: how an engine is reached, and how a container is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Section

Problem = tuple[tuple[str | int, ...], str]
CONTAINER_ENGINES = ("docker", "podman")
UNIX, TCP = "unix://", "tcp://"
_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
LEAST_MEMORY = 6 << 20
"""Docker refuses less."""


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if found and found[2] in _SIZES:
        return round(float(found[1]) * _SIZES[found[2]])
    raise ValueError(f"an amount of memory is a number with one of {', '.join(_SIZES)}, as 4 GiB; got {value!r}")


Memory = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=int | str), Field(ge=0)]


class TlsSection(Section):
    """The certificates with which the engine of a node is reached, relative to the description."""

    ca: Path
    """The authority that signed the certificate of the engine."""
    certificate: Path
    """The client certificate of countingroom, signed by the authority that the engine trusts."""
    key: Path
    """Its private key, readable for the user of countingroom alone."""


class RegistrySection(Section):
    """A registry of images: its login, and how `fleet registry check` reaches it."""

    user: str = ""
    password: SecretReference | None = None
    ca: Path | None = None
    """The authority that signed its certificate, relative to the description. Engines have their own setting."""
    insecure: bool = False
    """Ask it without TLS where it has none. Engines have their own setting, `insecure-registries`."""

    def problems(self) -> Iterator[Problem]:
        """Half a login."""
        if bool(self.user) != (self.password is not None):
            yield ("password" if self.user else "user",), "give user and password, or none of both"


class VolumeSection(Section):
    """A folder of the node or a named volume, and where the container sees it."""

    source: Annotated[str, Field(min_length=1)]
    """An absolute path of the node, which must exist, or the name of a volume, which is made where it does not."""
    target: Annotated[str, Field(pattern=r"^/")]
    read_only: bool = False
    driver: str = ""
    """Of a named volume: `local` or a plugin of the node."""
    options: dict[str, str] = {}
    """Of the driver. For an NFS folder with `local`: `type: nfs`, `o: addr=10.0.0.1,rw`, `device: ":/data"`."""

    def problems(self) -> Iterator[Problem]:
        """Options that could have no effect."""
        if self.source.startswith("/") and (self.driver or self.options):
            yield ("source",), "driver and options are for a named volume, not for a path of the node"
        if not self.source.startswith("/") and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-{}]*", self.source):
            yield ("source",), f"give an absolute path or the name of a volume; got {self.source!r}"


class LimitsSection(Section):
    """The most that an instance may use; 0: no limit."""

    cpus: Annotated[float, Field(ge=0, le=1024)] = 0.0
    """Cores: 3.5 is three and a half."""
    memory: Memory = 0
    """`6 GiB`. What needs more is ended by the kernel, and started again."""

    def problems(self) -> Iterator[Problem]:
        """Limits that no container could live with."""
        if 0 < self.memory < LEAST_MEMORY:
            yield ("memory",), "give at least 6 MiB"


def has_local_usb(engine: str, url: str) -> bool:
    """Whether the USB devices of a node are those of this computer."""
    return engine == "process" or url.startswith(UNIX)


def has_usb(engine: str, url: str) -> bool:
    """Whether the USB devices of a node can be looked up."""
    return engine == "ssh" or has_local_usb(engine, url)


def url_problem(engine: str, url: str, *, has_tls: bool, is_insecure: bool) -> tuple[str, str] | None:
    """(key, what is wrong) of how the engine of a node is reached; None: nothing."""
    if engine not in CONTAINER_ENGINES:
        how = {"process": "programs are run on this computer", "ssh": "it is reached by address and ssh"}
        wrong = f"{how.get(engine, 'it is reached by its own programs')}: only docker and podman are reached by a url"
        key = "url" if url else "tls" if has_tls else "insecure"
        return (key, wrong) if url or has_tls or is_insecure else None
    if url.startswith(f"{UNIX}/"):
        key = "tls" if has_tls else "insecure"
        return (key, "a unix socket needs neither tls nor insecure") if has_tls or is_insecure else None
    if not re.fullmatch(r"tcp://(?:[A-Za-z0-9.\-]+|\[[0-9a-fA-F:]+\]):\d{1,5}", url):
        return "url", f"an engine is reached by unix:///run/docker.sock or tcp://host:2376; got {url!r}"
    if has_tls and is_insecure:
        return "insecure", "it has tls; insecure is for plain TCP"
    if not has_tls and not is_insecure:
        return "url", (
            "over plain TCP every computer of that network can administer the node: give tls,"
            " or insecure: true where the network is yours alone"
        )
    return None
