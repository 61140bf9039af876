"""Makes a description of a fleet from the configuration of fliswarm, and accounts for each of its keys. Pure.

What fliswarm has in its program and not in its file (host network, all rights, limits) is accounted for too.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from countingroom.cli.fliswarm_import_text import (
    Described,
    DescribedDoor,
    DescribedNode,
    DescribedVolume,
    NodeGroup,
    description_text,
)
from countingroom.cli.fliswarm_reader import FliswarmReader
from countingroom.cli.import_account import CHANGED, NOT_NEEDED, TAKEN, AccountRow, account
from countingroom.core.errors import ConfigurationError, OutOfRange
from countingroom.core.fleet.images import image_problem
from countingroom.core.fleet.specs import split_image
from countingroom.core.yaml.located import Located, Mistaken, Path, mapping, parse
from countingroom.core.yaml.section import Name

_PLAIN_PORT, _TLS_PORT = ":2375", ":2376"
_SWITCH = (
    "it is switched by an actor of tron: describe what switches it as a device, and give it as `power` of the node"
)
_NAMES = TypeAdapter[str](Name)
_BUILT_IN = (
    ("privileged", CHANGED, "it is in the program of fliswarm; now: devices: [/dev/bus/usb], without further rights"),
    ("network: host", TAKEN, "it is in the program of fliswarm"),
    ("environment", TAKEN, "ACTOR_NAME and OBSERVATORY, as fliswarm gives them"),
    ("limits", TAKEN, "3.5 cores and 6 GiB, as in the program of fliswarm"),
    ("auto-remove", CHANGED, "a container that ends stays with its log, and is started again"),
    ("pull", CHANGED, "the new image is pulled before the present container is stopped"),
)


class FliswarmWishes(Struct, frozen=True, kw_only=True):
    """The settings that the file does not contain."""

    site: str = ""
    """Which of its sites; empty: the only one."""
    name: str = ""
    """Of the experiment; empty: that of the actor."""
    insecure: bool = False
    """Keep plain TCP."""


class FliswarmImport(Struct, frozen=True, kw_only=True):
    """The description, and the account of all keys."""

    text: str
    rows: tuple[AccountRow, ...]


def imported(text: str, file: str, wishes: FliswarmWishes) -> FliswarmImport:
    """`file`: its name, for the account. Mistaken where it is no YAML, ConfigurationError where it has no nodes,
    OutOfRange where the site or the name is missing or wrong."""
    located = parse(text, file=file)
    if located.problems:
        raise Mistaken(located.problems)
    reader = FliswarmReader(located)
    site = _site(located, wishes.site, file)
    made = _described(reader, site, wishes)
    rows = account(file, text, located, reader.account(), each=True)
    rows += [AccountRow(place="fliswarm", what=what, verdict=verdict, reason=why) for what, verdict, why in _BUILT_IN]
    return FliswarmImport(text=description_text(made, file), rows=tuple(rows))


def _site(located: Located, wished: str, file: str) -> str:
    nodes = mapping((mapping(located.value) or {}).get("nodes")) or {}
    sites = [name for name, part in nodes.items() if mapping(part)]
    if not sites:
        raise ConfigurationError(
            f"{file} has no nodes", source=file, suggestion="give the configuration file of fliswarm, with `nodes`"
        )
    if wished not in (*sites, ""):
        raise OutOfRange(f"{file} has no site {wished}", source=file, suggestion=f"give one of: {', '.join(sites)}")
    if not wished and len(sites) > 1:
        raise OutOfRange(
            f"{file} has {len(sites)} sites, which are described one by one",
            source=file,
            code="no_site",
            suggestion=f"give --site {' or --site '.join(sites)}",
        )
    return wished or sites[0]


def _described(reader: FliswarmReader, site: str, wishes: FliswarmWishes) -> Described:
    service = _service_name(reader)
    nodes = _nodes(reader, site, insecure=wishes.insecure)
    wanted = _enabled(reader, site, [node.name for node in nodes])
    groups = _groups([node for node in nodes if node.name in wanted])
    made = Described(
        experiment=_experiment(reader, wishes.name),
        door=_door(reader),
        site=site,
        service=service,
        image=_image(reader),
        nodes=tuple(nodes),
        groups=groups,
        volumes=_volumes(reader),
        insecure=wishes.insecure,
    )
    for key in ("user", "port", "docker-uid", "docker-gid"):
        for node in nodes:
            reader.told(("nodes", site, node.name, key), *_NODE_KEYS[key])
    _others(reader)
    return made


_NODE_KEYS = {
    "user": (TAKEN, "ssh of the node, by which it is restarted"),
    "port": (TAKEN, "actor of the service, and its health check: ping"),
    "docker-uid": (TAKEN, "user of the service"),
    "docker-gid": (TAKEN, "user of the service"),
}


def _experiment(reader: FliswarmReader, wished: str) -> str:
    name = reader.text("actor", "name")
    if wished:
        if wrong := _name_problem(wished):
            raise OutOfRange(f"--name: {wrong}", suggestion="give the experiment a short name")
        reader.told(("actor", "name"), CHANGED, f"--name: {wished}")
        return wished
    if wrong := _name_problem(name):
        reader.told(("actor", "name"), CHANGED, f"now: fliswarm; {wrong}")
        return "fliswarm"
    reader.told(("actor", "name"), TAKEN, "name of the experiment and of its door")
    return name


def _door(reader: FliswarmReader) -> DescribedDoor:
    """Where the clients and scripts of fliswarm find the fleet."""
    name, host = reader.text("actor", "name"), reader.text("actor", "host")
    port = reader.number("actor", "port", most=65535) or 19996
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        address = ipaddress.ip_address("0.0.0.0")
    is_lax = not address.is_loopback
    reader.told(
        ("actor", "host"),
        CHANGED if is_lax else TAKEN,
        "listen of the door; until `hosts` names others, programs of this computer alone: the protocol has no login"
        if is_lax
        else "listen of the door",
    )
    reader.told(("actor", "port"), TAKEN, "listen of the door")
    host = f"[{address}]" if address.version == 6 else str(address)
    return DescribedDoor(name=name if not _name_problem(name) else "fliswarm", listen=f"{host}:{port}", is_lax=is_lax)


def _service_name(reader: FliswarmReader) -> str:
    prefix = reader.text("container_name")
    name = split_image(reader.text("image"))[0].rpartition("/")[2]
    if not _name_problem(prefix):
        reader.told(("container_name",), TAKEN, "name of the service; its containers are <experiment>-<service>")
        return prefix
    name = name if not _name_problem(name) else "camera"
    reader.told(("container_name",), CHANGED, f"now: {name}; {_name_problem(prefix)}")
    return name


def _image(reader: FliswarmReader) -> str:
    registry, image = reader.text("registry"), reader.text("image")
    if not image:
        raise ConfigurationError(
            "the file names no image", suggestion="give `image` in the file, such as sdss/flicamera"
        )
    whole = f"{registry.rstrip('/')}/{image}" if registry else image
    if wrong := image_problem(whole):
        raise ConfigurationError(f"image {whole}: {wrong}", suggestion="put registry and image right in the file")
    reader.told(("registry",), TAKEN, "first part of the image")
    if split_image(image)[1] == "latest":
        reader.told(("image",), CHANGED, "give a version: `latest` is pulled only where it is missing")
    else:
        reader.told(("image",), TAKEN, "behind its registry")
    return whole


def _nodes(reader: FliswarmReader, site: str, *, insecure: bool) -> list[DescribedNode]:
    for other in reader.table("nodes"):
        if other != site:
            reader.told(("nodes", other), NOT_NEEDED, f"another site: import it with --site {other}")
    found: list[DescribedNode] = []
    urls: dict[str, str] = {}
    for name in reader.table("nodes", site):
        here = ("nodes", site, name)
        if wrong := _name_problem(name):
            reader.told(here, NOT_NEEDED, f"left out: {wrong}")
            continue
        if not reader.table(*here):
            continue
        host = reader.text(*here, "host")
        url = _url(reader, here, host, insecure=insecure)
        if not url:
            reader.told(here, NOT_NEEDED, "left out: it has neither docker-client nor host")
        elif other := urls.get(url):
            reader.told(here, NOT_NEEDED, f"left out: {other} has this engine already")
        else:
            urls[url] = name
            port = reader.number(*here, "port", most=65535)
            if port == 0:
                reader.told((*here, "port"), NOT_NEEDED, "left out: there is no port 0")
            found.append(
                DescribedNode(
                    name=name,
                    address=host,
                    login=_login(reader, here, host),
                    url=url,
                    category=reader.text(*here, "category"),
                    port=port or 0,
                    user=_user(reader, here),
                )
            )
            reader.told((*here, "power"), NOT_NEEDED, _SWITCH)
    if not found:
        raise ConfigurationError(f"no node of {site} can be taken", suggestion="each needs `docker-client` or `host`")
    return found


def _login(reader: FliswarmReader, here: tuple[str, ...], host: str) -> str:
    """The user of ssh; empty: none, or the node has no address."""
    user = reader.text(*here, "user")
    if user and not (host and re.fullmatch(r"[A-Za-z0-9._\-]+", user)):
        reader.told((*here, "user"), NOT_NEEDED, "left out: without host, or no name of a user")
        return ""
    return user


def _user(reader: FliswarmReader, here: tuple[str, ...]) -> str:
    uid, gid = (reader.number(*here, key, most=2**31) for key in ("docker-uid", "docker-gid"))
    if uid is None:
        reader.told((*here, "docker-gid"), NOT_NEEDED, "left out: fliswarm uses no group without docker-uid")
        return ""
    return f"{uid}" if gid is None else f"{uid}:{gid}"


def _url(reader: FliswarmReader, here: tuple[str, ...], host: str, *, insecure: bool) -> str:
    key = (*here, "docker-client")
    given = reader.text(*key)
    if given.startswith("unix:///"):
        reader.told(key, TAKEN, "url")
        return given
    place = given.partition("://")[2].rpartition("@")[2].partition("/")[0] if "://" in given else given
    if given and not given.startswith("tcp://"):
        place = place.partition(":")[0] + _PLAIN_PORT
    place = place or (host and host + _PLAIN_PORT)
    if not place:
        return ""
    place = place if ":" in place.rpartition("]")[2] else place + _PLAIN_PORT
    if insecure:
        reader.told(key, TAKEN, "url, without TLS: every computer that reaches it can administer the node")
        return f"tcp://{place}"
    secure = f"tcp://{place.removesuffix(_PLAIN_PORT)}{_TLS_PORT}" if place.endswith(_PLAIN_PORT) else f"tcp://{place}"
    reader.told(key, CHANGED, "now with TLS, port 2376 for 2375: over plain TCP every computer could administer it")
    return secure


def _enabled(reader: FliswarmReader, site: str, names: Sequence[str]) -> set[str]:
    for other in reader.table("enabled_nodes"):
        if other != site:
            reader.told(("enabled_nodes", other), NOT_NEEDED, f"another site: import it with --site {other}")
    wanted: set[str] = set()
    for index, name in enumerate(reader.items("enabled_nodes", site)):
        if name in names:
            wanted.add(name)
        else:
            here: Path = ("enabled_nodes", site, index)
            reader.told(here, NOT_NEEDED, f"left out: {name} is not described, or was left out")
    if not wanted:
        raise ConfigurationError(
            f"no node of {site} is enabled", suggestion=f"name nodes in enabled_nodes.{site} of the file"
        )
    reader.told(("enabled_nodes", site), TAKEN, "nodes of the service")
    for name in names:
        if name not in wanted:
            reader.told(("nodes", site, name), TAKEN, "described; the service is not on it")
    return wanted


def _groups(nodes: Sequence[DescribedNode]) -> tuple[NodeGroup, ...]:
    """One service for each kind of node: those that differ in port or user."""
    kinds = Counter((node.port, node.user) for node in nodes)
    return tuple(
        NodeGroup(
            port=port,
            user=user,
            nodes=tuple(node.name for node in nodes if (node.port, node.user) == (port, user)),
        )
        for (port, user), _ in kinds.most_common()
    )


def _volumes(reader: FliswarmReader) -> tuple[DescribedVolume, ...]:
    found: list[DescribedVolume] = []
    for name in reader.table("volumes"):
        here = ("volumes", name)
        options = {key: reader.text(*here, "opts", key) for key in reader.table(*here, "opts")}
        driver = reader.text(*here, "driver") or "local"
        target = options.get("device", "").removeprefix(":")
        if _name_problem(name) or not target.startswith("/"):
            reader.told(here, NOT_NEEDED, "left out: its name or its device cannot be mounted")
            continue
        is_read_only = "ro" in options.get("o", "").split(",")
        reader.told(
            (*here, "opts", "device"), TAKEN, f"the container sees it at {target}" + (", read only" * is_read_only)
        )
        found.append(
            DescribedVolume(source=name, target=target, read_only=is_read_only, driver=driver, options=options)
        )
    return tuple(found)


def _others(reader: FliswarmReader) -> None:
    """Keys that have no place in a description."""
    for path, reason in _NOT_NEEDED.items():
        reader.told(path, NOT_NEEDED, reason)


_NOT_NEEDED: dict[Path, str] = {
    ("actor", "tron_host"): "the door has no connection to tron",
    ("actor", "tron_port"): "the door has no connection to tron",
    ("actor", "log_dir"): "the log of the role is in the data folder",
    ("actor", "additional_properties"): "it loosens a schema of the actor, which is not there",
    ("ping_timeout",): "a node is followed by its engine, with deadlines of its own",
    ("reboot_command",): "fliswarm does not use it; a node is restarted by `sudo -n reboot`",
    ("power",): _SWITCH,
}


def _name_problem(name: str) -> str:
    try:
        _NAMES.validate_python(name)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""
