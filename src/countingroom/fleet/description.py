"""The section `fleet`: computers, and the services that are wanted on them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.actor.words import body_problem
from countingroom.core.fleet.images import image_problem, port_problem
from countingroom.core.fleet.specs import InstanceId, filled
from countingroom.core.fleet.usb import is_usb, usb_problem
from countingroom.core.values import Scalar
from countingroom.core.yaml.secret_reference import SecretReference
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.fleet.container_sections import (
    CONTAINER_ENGINES,
    LimitsSection,
    Problem,
    RegistrySection,
    TlsSection,
    VolumeSection,
    has_usb,
    url_problem,
)
from countingroom.fleet.own_programs import AGENT, run_problems
from countingroom.fleet.slurm_sections import ClusterSection, JobSection, variable_problems
from countingroom.fleet.ssh_section import PowerSection, SshSection, ssh_problem
from countingroom.fleet.watch_section import WatchSection

Positive = Annotated[Seconds, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
"""Engines that run programs, not images."""


class NodeSection(Section):
    """A computer on which services run."""

    address: str = ""
    """Its host name, for health checks and for `{address}`; empty: this computer."""
    engine: Literal["process", "ssh", "docker", "podman", "slurm"] = "process"
    """What runs the services: `process` programs of this computer, `ssh` programs of another one, `docker` and `podman`
    containers, `slurm` batch jobs of a cluster."""
    ssh: SshSection | None = None
    """How `ssh` reaches the node; of a node with containers: for its restart."""
    power: PowerSection | None = None
    """What switches its power, for a hard restart."""
    url: str = ""
    """Where `docker` or `podman` answers: `unix:///run/docker.sock` or `tcp://host:2376`."""
    tls: TlsSection | None = None
    """Certificates for `tcp://`."""
    insecure: bool = False
    """Use `tcp://` without TLS: every computer that reaches that port can administer the node."""
    slurm: ClusterSection = ClusterSection()
    """Of a node with engine `slurm`."""
    labels: dict[Name, str] = {}
    """For the placement of services, and for `{label.NAME}`: `site: APO`."""
    category: str = ""
    """By which the page groups the nodes: `gfa`."""

    @property
    def every_label(self) -> dict[str, str]:
        """Its labels and its category, which counts as one."""
        return {"category": self.category, **self.labels} if self.category else dict(self.labels)

    def problems(self) -> Iterator[Problem]:
        """Keys that do not fit the engine."""
        if wrong := ssh_problem(self.engine, self.address, self.ssh, self.power):
            yield (wrong[0],), wrong[1]
        if wrong := url_problem(self.engine, self.url, has_tls=self.tls is not None, is_insecure=self.insecure):
            yield (wrong[0],), wrong[1]
        if self.engine != "slurm" and self.slurm != ClusterSection():
            yield ("slurm",), f"it is for a node with engine: slurm; this one has {self.engine}"
        for path, text in self.slurm.problems():
            yield ("slurm", *path), text

    def warnings(self) -> Iterator[Problem]:
        """What is allowed and dangerous."""
        if self.insecure and self.engine in CONTAINER_ENGINES:
            yield ("insecure",), f"every computer that reaches {self.url} can administer the node: use tls"


class ActorSection(Section):
    """Where a service speaks the actor protocol of SDSS (CLU), so that `fleet talk` reaches it."""

    port: Port | str
    """On its node; a text where it differs between instances: `{label.port}`."""
    form: Literal["json", "legacy"] = "json"
    """Of the replies: JSON lines, as of flicamera, or those of the hub tron."""


class HealthSection(Section):
    """How the keeper finds out whether an instance works. One of the kinds; without one, running is healthy."""

    exec: list[str] = []
    """A command on the node; status 0 is healthy."""
    tcp: Port | None = None
    """A port that accepts connections."""
    http: str = ""
    """Port and path of a GET that must answer with 200 to 399: `8080/healthz`."""
    actor: str = ""
    """A command of the actor protocol that must succeed: `ping`."""
    interval: Positive = 5.0
    timeout: Positive = 2.0
    failures: Annotated[int, Field(ge=1)] = 3
    """So many failed checks in a row make it unhealthy."""
    restart_after: Positive | None = None
    """An instance that is unhealthy for so long is made again. Default: it is told, and left as it is."""

    @property
    def has_kind(self) -> bool:
        """Whether there is a check."""
        return bool(self.exec or self.tcp or self.http or self.actor)

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        if sum(map(bool, (self.exec, self.tcp, self.http, self.actor))) > 1:
            yield (), "give one kind of check: exec, tcp, http or actor"
        if wrong := body_problem(self.actor):
            yield ("actor",), wrong
        port = self.http.partition("/")[0]
        if self.http and not (port.isdigit() and 0 < int(port) < 65536):
            yield ("http",), f"begin with the port, such as 8080/healthz; got {self.http!r}"


class UpdateSection(Section):
    """How a change of the service is carried out."""

    max_parallel: Annotated[int, Field(ge=1)] = 1
    """So many instances are away for the change at the same time."""
    canary: bool = False
    """One instance is changed first and must be healthy for `healthy_for` before a second one is touched."""
    min_healthy: Annotated[int, Field(ge=0)] | None = None
    """The change never leaves fewer healthy instances. Default: all but `max_parallel`."""
    healthy_for: Annotated[Seconds, Field(ge=0)] = 10.0
    rollback: bool = True
    """Bring the revision before back by itself where a changed instance fails."""


class ServiceSection(Section):
    """A program or an image that is wanted on nodes."""

    title: str = ""
    run: str = ""
    """What of countingroom it is: `agent`, the agents of `systems`, each in a service of its own `<service>-<system>`;
    or a role that `up` then leaves to the fleet, such as `devices`."""
    systems: list[str] = []
    """For `run: agent`: names of systems, or patterns with `*`. They are spread over the nodes in turn."""
    python: str = ""
    """For `run`: the Python that has countingroom. Default: `python3` in a container, else what
    `{python}` is on the node."""
    image: str = ""
    """For nodes with a container engine: `registry:5000/name:tag` or `name@sha256:…`."""
    command: list[str] = []
    """The program and its arguments, run without a shell; with an image: in place of the command of the image. In all
    texts of a service `{node}`, `{address}`, `{service}`, `{index}` and `{label.NAME}` are replaced for each instance.
    For a program `{python}` is the Python of countingroom."""
    environment: dict[str, Scalar] = {}
    secrets: dict[str, SecretReference] = {}
    """Variables of the environment whose values are read from a file or a variable when an instance is made."""
    directory: str = ""
    """Working folder. Of a program: relative to that of the description; of an image: in the container."""
    volumes: list[VolumeSection] = []
    devices: list[str] = []
    """Devices of the node that the container gets: `/dev/ttyUSB0`, `/dev/bus/usb`; or, also for a program, a USB device
    by its serial number: `usb:0403:6001:A50285BI`. Its path is in the variable `USB_DEVICE_1`, that of the second in
    `USB_DEVICE_2`."""
    privileged: bool = False
    """All devices and rights of the node. With `devices` it is rarely needed."""
    network: str = ""
    """`host`, `none`, or a network of the engine; empty: the one that it gives."""
    ports: list[str] = []
    """`8080:80` or `127.0.0.1:8080:80/udp`: port of the node, port of the container."""
    user: str = ""
    """`uid` or `uid:gid` in the container; empty: that of the image."""
    limits: LimitsSection = LimitsSection()
    nodes: list[str] = []
    """Names of nodes, or patterns with `*`."""
    where: dict[Name, str] = {}
    """Labels that a node must have (`category` counts as one). Together with `nodes`: both must hold."""
    copies: Annotated[int, Field(ge=1, le=1000)] = 1
    """Instances on each of the nodes."""
    restart: Literal["always", "on-failure", "never"] = "always"
    """Whether an instance that ends is started again, after a time that doubles from 2 s to 5 min while it fails."""
    health: HealthSection = HealthSection()
    actor: ActorSection | None = None
    start_period: Annotated[Seconds, Field(ge=0)] = 30.0
    """Failed checks do not count for so long after a start."""
    grace: Annotated[Seconds, Field(ge=0, le=600)] = 10.0
    """Time between SIGTERM and SIGKILL when an instance is ended."""
    update: UpdateSection = UpdateSection()
    depends_on: list[Name] = []
    """Services that must be healthy before an instance of this one is made."""
    category: str = ""
    slurm: JobSection = JobSection()
    """On nodes with engine `slurm`."""

    def problems(self) -> Iterator[Problem]:
        """Keys that contradict each other."""
        if not self.nodes and not self.where:
            yield (), "say where it runs: nodes, or where with labels"
        for name in sorted(self.environment.keys() & self.secrets.keys()):
            yield ("secrets", name), f"{name} is in environment too"
        for path, text in self.health.problems():
            yield ("health", *path), text
        if self.health.restart_after and not (self.health.has_kind or self.run):
            yield ("health", "restart_after"), "without a check it is never unhealthy: give exec, tcp, http or actor"
        if self.health.actor and not self.actor:
            yield ("health", "actor"), "say where it speaks the actor protocol: actor: {port: 19991}"
        for path, text in self.slurm.problems():
            yield ("slurm", *path), text
        if not self.image and not self.command and not self.run:
            yield (), "say what is run: command, or image on nodes with containers"
        yield from run_problems(self.run, self.systems, self.command, self.copies)
        if self.python and not self.run:
            yield ("python",), "it is for services with run: name the program in command"
        if self.image and "{" not in self.image and (wrong := image_problem(self.image)):
            yield ("image",), wrong
        for index, port in enumerate(self.ports):
            if "{" not in port and (wrong := port_problem(port)):
                yield ("ports", index), wrong
        for index, device in enumerate(self.devices):
            if is_usb(device):
                if "{" not in device and (wrong := usb_problem(device)):
                    yield ("devices", index), wrong
            elif not device.startswith("/dev/"):
                yield ("devices", index), f"a device is a path below /dev or usb:…; got {device!r}"
        if self.ports and self.network in ("host", "none"):
            yield ("ports",), f"with network {self.network} no port is passed on"

    @property
    def keys_of_containers(self) -> list[str]:
        """Those in use that a program has no use for."""
        names = ("volumes", "devices", "privileged", "network", "ports", "user")
        used = [name for name in names if getattr(self, name)]
        if all(is_usb(device) for device in self.devices) and self.devices:
            used.remove("devices")
        return [*used, "limits"] if self.limits != LimitsSection() else used


class FleetSection(Section):
    """Computers and the services that are wanted on them. A change takes effect with `countingroom fleet apply`."""

    nodes: dict[Name, NodeSection] = {}
    services: dict[Name, ServiceSection] = {}
    registries: dict[str, RegistrySection] = {}
    """Logins, by the host of the registry with its port as images name it: `hub.example.org:5000`."""
    watch: WatchSection = WatchSection()
    """How nodes and services are measured, and the limits of what is measured."""

    @property
    def in_use(self) -> bool:
        """Whether there is a fleet."""
        return bool(self.nodes)

    def placed(self, service: ServiceSection) -> list[str]:
        """The nodes of a service."""
        return [name for name, node in self.nodes.items() if _matches(service, name, node)]

    def problems(self) -> Iterator[Problem]:
        """Mistakes in services and in what they name."""
        for path, text in self.watch.problems():
            yield ("watch", *path), text
        yield from self._one_engine_each()
        for host, registry in self.registries.items():
            for path, text in registry.problems():
                yield ("registries", host, *path), text
        for name, service in self.services.items():
            here = ("services", name)
            for path, text in service.problems():
                yield (*here, *path), text
            for index, pattern in enumerate(service.nodes):
                if not any(fnmatchcase(node, pattern) for node in self.nodes):
                    yield (*here, "nodes", index), f"there is no node {pattern}"
            if (service.nodes or service.where) and not self.placed(service):
                yield here, "no node has these labels" if service.where else "it is on no node"
            for index, needed in enumerate(service.depends_on):
                if needed not in self.services:
                    yield (*here, "depends_on", index), f"there is no service {needed}"
            if circle := self._circle(name):
                yield (*here, "depends_on"), f"services wait for each other: {' → '.join(circle)}"
            yield from self._unfit(name, service)
            yield from self._far_usb(name, service)
            yield from self._ports_of_actors(name, service)
            count = 1 if service.run == AGENT else len(self.placed(service)) * service.copies
            if (least := service.update.min_healthy) is not None and count and least >= count:
                yield (
                    (*here, "update", "min_healthy"),
                    f"of {count} instances at least {least} must stay healthy: none could ever be changed",
                )

    def _one_engine_each(self) -> Iterator[Problem]:
        seen: dict[str, str] = {}
        for name, node in self.nodes.items():
            if node.url and (other := seen.setdefault(node.url, name)) != name:
                yield ("nodes", name, "url"), f"{other} has this engine already: two nodes would share its names"

    def _unfit(self, name: str, service: ServiceSection) -> Iterator[Problem]:
        """A service on nodes that cannot run it."""
        here = ("services", name)
        engines = {node: self.nodes[node].engine for node in self.placed(service)}
        programs = [node for node, engine in engines.items() if engine not in CONTAINER_ENGINES]
        clusters = [node for node, engine in engines.items() if engine == "slurm"]
        if service.image and programs:
            yield (*here, "image"), f"{programs[0]} runs programs, not images: give it engine docker or podman"
        if not service.image and len(programs) < len(engines):
            other = next(node for node in engines if node not in programs)
            yield here, f"{other} runs containers: give the service an image"
        if not service.image and (keys := service.keys_of_containers):
            if len(clusters) == len(engines):
                keys = [key for key in keys if key != "limits"]
            for key in keys[:1]:
                yield (*here, key), f"{key} is for containers: a program of the node runs without it"
        if service.slurm != JobSection() and engines and not clusters:
            yield (*here, "slurm"), "none of its nodes has engine: slurm"
        for key in ("environment", "secrets") if clusters else ():
            for path, text in variable_problems(key, getattr(service, key)):
                yield (*here, *path), text

    def _far_usb(self, name: str, service: ServiceSection) -> Iterator[Problem]:
        """USB devices are looked up on this computer, and by ssh."""
        far = [one for one in self.placed(service) if not has_usb(self.nodes[one].engine, self.nodes[one].url)]
        for index, device in enumerate(service.devices):
            if far and is_usb(device):
                why = f"USB devices of {far[0]} cannot be looked up from here: give its path, or run countingroom there"
                if self.nodes[far[0]].engine == "slurm":
                    why = (
                        f"USB devices of hosts of the cluster {far[0]} are not looked up: name the host in slurm.hosts,"
                        " and give the program a path that has the serial number, such as one in /dev/serial/by-id"
                    )
                yield ("services", name, "devices", index), why

    def _ports_of_actors(self, name: str, service: ServiceSection) -> Iterator[Problem]:
        if not service.actor:
            return
        places: dict[tuple[str, str], str] = {}
        for node in self.placed(service):
            section = self.nodes[node]
            for index in range(service.copies):
                id = InstanceId(name, node, index)
                port = filled(str(service.actor.port), id, section.address, section.every_label)
                if not port.isdecimal() or not 0 < int(port) < 65536:
                    yield ("services", name, "actor", "port"), f"on {node} it is {port!r}: a port is 1 to 65535"
                elif other := places.get((section.address, port)):
                    yield ("services", name, "actor", "port"), f"{id} and {other} have the same one: {port}"
                places[section.address, port] = str(id)

    def _circle(self, name: str) -> list[str]:
        """The way from a service back to it over `depends_on`; empty: there is none."""
        ways: list[list[str]] = [[name]]
        seen: set[str] = set()
        while ways:
            way = ways.pop()
            service = self.services.get(way[-1])
            for needed in service.depends_on if service else ():
                if needed == name:
                    return [*way, name]
                if needed not in seen:
                    seen.add(needed)
                    ways.append([*way, needed])
        return []


def _matches(service: ServiceSection, name: str, node: NodeSection) -> bool:
    if service.nodes and not any(fnmatchcase(name, pattern) for pattern in service.nodes):
        return False
    labels = node.every_label
    return bool(service.nodes or service.where) and all(labels.get(key) == one for key, one in service.where.items())
