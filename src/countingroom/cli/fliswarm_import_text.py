"""The text of a description that is made from the configuration of fliswarm. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from json import dumps
from typing import Any

from msgspec import Struct

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./\-]*(?::[A-Za-z0-9_./\-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


class DescribedNode(Struct, frozen=True, kw_only=True):
    """A node of the file."""

    name: str
    address: str
    url: str
    category: str
    port: int
    """Of its camera server; 0: not told."""
    user: str
    login: str
    """The user of ssh."""


class DescribedVolume(Struct, frozen=True, kw_only=True):
    """A volume of all containers."""

    source: str
    target: str
    read_only: bool
    driver: str
    options: Mapping[str, str]


class DescribedDoor(Struct, frozen=True, kw_only=True):
    """Where the fleet answers in the actor protocol."""

    name: str
    listen: str
    is_lax: bool
    """Other computers reach it."""


class NodeGroup(Struct, frozen=True, kw_only=True):
    """Nodes on which the service is run in the same way."""

    port: int
    user: str
    nodes: tuple[str, ...]


class Described(Struct, frozen=True, kw_only=True):
    """All that the description has."""

    experiment: str
    site: str
    door: DescribedDoor
    service: str
    image: str
    nodes: tuple[DescribedNode, ...]
    groups: tuple[NodeGroup, ...]
    """Biggest first."""
    volumes: tuple[DescribedVolume, ...]
    insecure: bool


def description_text(made: Described, file: str) -> str:
    """The file `experiment.yaml`."""
    lines = [f"# From {file} of fliswarm. All lines of it: import-report.txt.", ""]
    lines += [f"experiment: {{ name: {_flow(made.experiment)} }}", "", "fleet:", "  nodes:"]
    lines += _nodes(made)
    lines += ["", "  services:"]
    for number, group in enumerate(made.groups, 1):
        lines += _service(made, group, made.service if number == 1 else f"{made.service}-{number}")
    lines += _door(made)
    return "\n".join([*lines, ""])


def _door(made: Described) -> Iterator[str]:
    services = [made.service, *(f"{made.service}-{number}" for number in range(2, len(made.groups) + 1))]
    yield from ("", "doors:", f"  {_flow(made.door.name)}:", f"    listen: {_flow(made.door.listen)}")
    if made.door.is_lax:
        yield "    # The protocol has no login: add the addresses of the computers whose clients may command the fleet."
        yield "    hosts: [127.0.0.0/8]"
    yield "    role: expert"
    yield f"    services: {_flow(services)}"


def _nodes(made: Described) -> Iterator[str]:
    has_anchor = False
    for node in made.nodes:
        yield f"    {_flow(node.name)}:"
        if node.address:
            yield f"      address: {_flow(node.address)}"
        yield "      engine: docker"
        yield f"      url: {_flow(node.url)}"
        if node.url.startswith("tcp://"):
            if made.insecure:
                yield "      insecure: true"
            elif has_anchor:
                yield "      tls: *tls"
            else:
                yield "      tls: &tls { ca: tls/ca.pem, certificate: tls/client.pem, key: tls/client.key }"
                has_anchor = True
        if node.login:
            yield f"      ssh: {{ user: {_flow(node.login)} }}"
        if node.category:
            yield f"      category: {_flow(node.category)}"
        yield f"      labels: {{ site: {_flow(made.site)} }}"


def _service(made: Described, group: NodeGroup, name: str) -> Iterator[str]:
    yield f"    {_flow(name)}:"
    yield f"      image: {_flow(made.image)}"
    yield f"      nodes: {_flow(list(group.nodes))}"
    yield "      network: host"
    yield "      devices: [/dev/bus/usb]"
    if group.user:
        yield f"      user: {dumps(group.user)}"
    yield '      environment: { ACTOR_NAME: "{node}", OBSERVATORY: "{label.site}" }'
    if made.volumes:
        yield "      volumes:"
        for one in made.volumes:
            yield f"        - source: {_flow(one.source)}"
            yield f"          target: {_flow(one.target)}"
            if one.read_only:
                yield "          read_only: true"
            yield f"          driver: {_flow(one.driver)}"
            yield f"          options: {_flow(dict(one.options))}"
    yield "      limits: { cpus: 3.5, memory: 6 GiB }"
    if group.port:
        yield f"      actor: {{ port: {group.port} }}"
        yield "      health: { actor: ping }"
    yield "      update: { canary: true }"


def _flow(value: str | Sequence[str] | Mapping[str, Any]) -> str:
    """A value on one line of YAML; a text without quotes where it stays a text."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else dumps(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_flow(key)}: {_flow(one)}' for key, one in value.items())} }}"
    return f"[{', '.join(_flow(one) for one in value)}]"
