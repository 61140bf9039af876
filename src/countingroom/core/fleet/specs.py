"""What is wanted of a service: how each of its instances is run, and how a change of it is carried out. Pure.

An instance is one process or container of a service on one node. `ServiceSpec` is a template: `{node}`, `{address}`,
`{service}`, `{index}` and `{label.NAME}` in its texts are replaced for each instance (`resolve`). The digest of the
resolved spec is kept with the running instance, so that two specs are compared without asking the engine for details.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from countingroom.core.fleet.batch_jobs import ClusterAccess, JobOptions
from countingroom.core.values import Scalar

PLACEHOLDER = re.compile(r"\{(node|address|service|index|label\.[A-Za-z0-9_\-]+)\}")

_LONGEST_CHANGE = 60
"""Letters; what is longer is told without its values."""
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 300.0
CRASHES_OF_A_LOOP = 3
"""So many ends in a row, each before the instance was healthy for `UpdatePolicy.healthy_for_s`, are a crash loop."""


class InstanceId(Struct, frozen=True, order=True, gc=False):
    """One instance of a service."""

    service: str
    node: str
    index: int = 0
    """0 for the first one of the service on that node."""

    def __str__(self) -> str:
        return f"{self.service}@{self.node}" + (f"#{self.index}" if self.index else "")


class HealthCheck(Struct, frozen=True, kw_only=True, gc=False):
    """How an engine or the keeper finds out whether an instance works. Without a kind, running is healthy."""

    kind: str = ""
    """`exec` (a command in the container, status 0), `tcp`, `http` (status 200 to 399), `actor` (the one word of
    `command` is sent by the actor protocol and must succeed), `presence` (its heartbeat on the bus)."""
    command: tuple[str, ...] = ()
    port: int = 0
    path: str = "/"
    interval_s: float = 5.0
    timeout_s: float = 2.0
    failures: int = 3
    """So many failed checks in a row make it unhealthy."""


class Volume(Struct, frozen=True, kw_only=True, gc=False):
    """A folder of the node or a named volume, and where the instance sees it."""

    source: str
    target: str
    read_only: bool = False
    driver: str = ""
    """Of a named volume: `local`, with the options of mount(8)."""
    options: dict[str, str] = {}


class ActorPort(Struct, frozen=True, kw_only=True):
    """Where an instance speaks the actor protocol."""

    port: str = ""
    """A number, after the template is filled."""
    form: str = "json"
    """`json` or `legacy`."""


class ResourceLimits(Struct, frozen=True, kw_only=True, gc=False):
    """The most that an instance may use; 0: no limit."""

    cpus: float = 0.0
    memory_bytes: int = 0


class ServiceSpec(Struct, frozen=True, kw_only=True, gc=False):
    """How an instance is run. Secrets are references: their values are read when the instance is made."""

    image: str = ""
    """Of a container engine: `registry:5000/name:tag` or `name@sha256:…`. Empty: a program of the node."""
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Variable of the environment -> `file:PATH` or `env:NAME`, read where the keeper runs."""
    volumes: tuple[Volume, ...] = ()
    devices: tuple[str, ...] = ()
    """Paths of the node, `/dev/ttyUSB0`, or `usb:VENDOR:PRODUCT:SERIAL`, looked up on the node (usb.py)."""
    privileged: bool = False
    network: str = ""
    ports: tuple[str, ...] = ()
    """`127.0.0.1:8080:80/tcp`: address and port of the node, port of the instance."""
    user: str = ""
    directory: str = ""
    limits: ResourceLimits = ResourceLimits()
    restart: str = "always"
    """What the keeper does when an instance ends: `always`, `on-failure`, `never`."""
    health: HealthCheck = HealthCheck()
    actor: ActorPort | UnsetType = UNSET
    """UNSET is not encoded. So a field that came later changes no digest, and no instance is made again for it."""
    start_period_s: float = 30.0
    """After its start a failed check does not count for so long."""
    grace_s: float = 10.0
    """Between the request to end and SIGKILL."""
    slurm: JobOptions | UnsetType = UNSET
    """Of a batch job of Slurm."""


class UpdatePolicy(Struct, frozen=True, kw_only=True, gc=False):
    """How a change of the service is carried out."""

    max_parallel: int = 1
    """So many instances are away for the change at the same time."""
    canary: bool = False
    """One instance is changed first, and must be healthy for `healthy_for_s` before a second one is touched."""
    min_healthy: int | None = None
    """Fewer healthy instances are never left by the change. None: all but `max_parallel`."""
    healthy_for_s: float = 10.0
    rollback: bool = True
    """Go back to the revision before by itself where a changed instance fails."""


class Reach(Struct, frozen=True, kw_only=True):
    """How the engine of a node is reached. Files are named, never held."""

    url: str = ""
    """`unix:///run/docker.sock` or `tcp://host:2376`."""
    ca: str = ""
    """File of the authority that signed the certificate of the engine. Empty: without TLS."""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    """Plain TCP is wanted."""


class SshReach(Struct, frozen=True, kw_only=True):
    """How a node is reached by ssh. Files are named, never held."""

    user: str = ""
    port: int = 22
    key: str = ""
    """File of the private key. Empty: those of the user of countingroom, and of the agent."""
    passphrase: str = ""
    """Of the key: `file:PATH` or `env:NAME`, read where the keeper runs."""
    agent: bool = True
    known_hosts: str = ""
    host_key: str = ""
    """`SHA256:…`, in place of a file of known hosts."""
    connect_s: float = 10.0
    keepalive_s: float = 10.0
    folder: str = ".countingroom"
    """On the node, below the home of the user where it is relative."""
    python: str = "python3"
    """What `{python}` is there."""
    reboot: tuple[str, ...] = ()
    """The command that restarts the node; empty: `reboot`, with `sudo` where the user is not root."""
    boot_s: float = 300.0
    """A restart takes at most so long."""


class NodePower(Struct, frozen=True, kw_only=True):
    """What of a device switches the power of a node: a point, or two commands."""

    device: str
    point: str = ""
    off_value: Scalar = False
    on_value: Scalar = True
    channel: str = ""
    off_command: str = ""
    on_command: str = ""


class RegistryLogin(Struct, frozen=True, kw_only=True):
    """With what images are pulled from a registry."""

    host: str
    user: str = ""
    """Empty: without a login."""
    password: str = ""
    """`file:PATH` or `env:NAME`, read where the keeper runs."""
    ca: str = ""
    """File of the authority that signed its certificate, for what the keeper asks it."""
    insecure: bool = False
    """It may be asked without TLS."""


class WantedNode(Struct, frozen=True, kw_only=True):
    """A node as the revision has it: what placement and templates need, and how it is reached."""

    name: str
    address: str = ""
    engine: str = "process"
    labels: dict[str, str] = {}
    reach: Reach = Reach()
    ssh: SshReach = SshReach()
    has_ssh: bool = False
    """It is reached by ssh, for its programs or for a restart."""
    power: NodePower | None = None
    registries: tuple[RegistryLogin, ...] = ()
    slurm: ClusterAccess = ClusterAccess()


class WantedService(Struct, frozen=True, kw_only=True, gc=False):
    """A service of a revision, placed on its nodes."""

    name: str
    spec: ServiceSpec
    nodes: tuple[str, ...]
    copies: int = 1
    """Instances on each of the nodes."""
    update: UpdatePolicy = UpdatePolicy()
    depends_on: tuple[str, ...] = ()
    """Services that must be healthy on all their reachable nodes before an instance of this one is made."""
    category: str = ""
    title: str = ""
    restart_unhealthy_s: float = 0.0
    """An instance that is unhealthy for so long is made again; 0: it is left as it is, and told. It is no part of the
    spec: what the keeper does with an instance makes none outdated."""
    runs: str = ""
    """What of this experiment it is: `system.STS`, the agent of that system; `role.devices`; empty: nothing of it."""

    def instances(self) -> Iterator[InstanceId]:
        """Those that are wanted."""
        for node in self.nodes:
            for index in range(self.copies):
                yield InstanceId(self.name, node, index)


class Revision(Struct, frozen=True, kw_only=True):
    """What was wanted of the whole fleet, under a number."""

    number: int
    nodes: tuple[WantedNode, ...] = ()
    services: tuple[WantedService, ...] = ()
    by: str = ""
    time_ns: int = 0
    comment: str = ""


def resolve(spec: ServiceSpec, instance: InstanceId, node: WantedNode) -> ServiceSpec:
    """The template filled for one instance, with the options of its cluster. A label that the node does not have
    becomes empty."""

    def every(value: Any) -> Any:
        if isinstance(value, str):
            return filled(value, instance, node.address, node.labels)
        if isinstance(value, dict):
            return {key: every(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, list | tuple):
            return [every(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
        return value

    if node.engine == "slurm":
        options = (spec.slurm or JobOptions()).over(node.slurm.options)
        spec = msgspec.structs.replace(spec, slurm=UNSET if options == JobOptions() else options)
    return msgspec.convert(every(msgspec.to_builtins(spec)), ServiceSpec)


def filled(text: str, instance: InstanceId, address: str, labels: Mapping[str, str]) -> str:
    """A text of a template for one instance. `address` and `labels`: of its node."""
    return PLACEHOLDER.sub(lambda found: word_of(found[1], instance, address, labels), text)


def word_of(name: str, instance: InstanceId, address: str, labels: Mapping[str, str]) -> str:
    """What a placeholder becomes."""
    match name:
        case "node":
            return instance.node
        case "address":
            return address or instance.node
        case "service":
            return instance.service
        case "index":
            return str(instance.index)
        case _:
            return labels.get(name.removeprefix("label."), "")


def digest(spec: ServiceSpec) -> str:
    """16 hexadecimal digits that are the same for equal specs, also in another process."""
    return digest_of(encoded(spec))


def encoded(spec: ServiceSpec) -> bytes:
    """The text of which its digest is made."""
    return msgspec.json.encode(spec, order="sorted")


def digest_of(text: bytes) -> str:
    """The digest of an encoded spec."""
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def differences(old: ServiceSpec, new: ServiceSpec) -> tuple[str, ...]:
    """What differs, as operators read it: `image 2.4.0 → 2.4.1`, `limits.memory 3 GiB → 4 GiB`."""
    found: list[str] = []
    pairs: Iterable[tuple[str, Any, Any]] = zip(
        ServiceSpec.__struct_fields__, msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True
    )
    for field, there, wanted in pairs:
        if there is wanted or there == wanted:
            continue
        before: Any = there
        after: Any = wanted
        if field == "actor":
            before, after = there or ActorPort(), wanted or ActorPort()
        if field == "image":
            found.append(f"image {_image_change(before, after)}")
        elif isinstance(before, dict) and isinstance(after, dict):
            found += _of_mapping(field, before, after)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(before, Struct) and isinstance(after, Struct):
            found += [
                f"{field}.{name} {_text(name, one)} → {_text(name, getattr(after, name))}"
                for name in before.__struct_fields__
                if (one := getattr(before, name)) != getattr(after, name)
            ]
        else:
            change = f"{field} {_text(field, before)} → {_text(field, after)}"
            found.append(change if len(change) <= _LONGEST_CHANGE else f"{field} changed")
    return tuple(found)


def _image_change(before: str, after: str) -> str:
    old_name, old_tag = split_image(before)
    new_name, new_tag = split_image(after)
    return f"{old_tag} → {new_tag}" if old_name == new_name else f"{before or 'none'} → {after or 'none'}"


def split_image(image: str) -> tuple[str, str]:
    """(name with registry, tag or digest) of an image: `hub:5000/camera:2.4` is ("hub:5000/camera", "2.4"). Without
    a tag it is `latest`."""
    name, at, hashed = image.partition("@")
    if at:
        return name, hashed
    head, slash, last = name.rpartition("/")
    base, colon, tag = last.partition(":")
    return head + slash + base, tag if colon else "latest"


def _of_mapping(field: str, before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> list[str]:
    names = {"environment": "variable", "secrets": "secret"}.get(field, field)
    found: list[str] = []
    for name in sorted({*before, *after}):
        if name not in after:
            found.append(f"{names} {name} removed")
        elif name not in before:
            found.append(f"{names} {name} added")
        elif before[name] != after[name]:
            # The values stay out: a variable may hold a password.
            found.append(f"{names} {name} changed")
    return found


def _text(name: str, value: Any) -> str:
    if name == "memory_bytes":
        return f"{value / 2**30:.3g} GiB" if value else "no limit"
    if isinstance(value, tuple):
        return " ".join(str(one) for one in value) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
