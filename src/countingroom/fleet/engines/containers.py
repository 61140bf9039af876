"""An instance as a container of the API that Docker and Podman share: what is asked for, and what is read back. Pure.

Labels on each container say whose it is and what it was made from. Only the labels are read, never parts of a name.
The values of secrets are in the environment of the container alone, not in a label.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from countingroom.core.fleet.images import split_port
from countingroom.core.fleet.specs import InstanceId, ResourceLimits, ServiceSpec
from countingroom.core.fleet.usb import usb_environment
from countingroom.fleet.engines.port import EngineInstance, MakeOrder

_LABEL = "countingroom"
EXPERIMENT = f"{_LABEL}.experiment"
NODE = f"{_LABEL}.node"
_DEVICES = f"{_LABEL}.devices"
_NS = 1_000_000_000
_LOG_BYTES, _LOG_FILES = "8m", "2"
"""Of the log that the engine keeps of each container."""
NEXT = ".next"
"""Suffix of the name of a container that is about to take the place of another."""
_POLICIES = {"always": "unless-stopped", "on-failure": "on-failure", "never": "no"}
Inspected = Mapping[str, Any]
"""The answer of the engine about one container."""


def container_name(experiment: str, id: InstanceId) -> str:
    """`mCBM-camera`, the second one on a node `mCBM-camera.1`: exact, as `.` stands in no name of a service."""
    head = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment).strip("-_") or "countingroom"
    return f"{head}-{id.service}" + (f".{id.index}" if id.index else "")


def container_config(experiment: str, order: MakeOrder, *, podman: bool) -> dict[str, Any]:
    """The body of the request that makes the container of an order."""
    spec, id = order.spec, order.id
    environment = {**spec.environment, **usb_environment(order.devices), **order.secrets}
    paths = [path for one in spec.devices for path in order.devices.get(one, (one,))]
    ports = [split_port(port) for port in spec.ports]
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {
            EXPERIMENT: experiment,
            NODE: id.node,
            f"{_LABEL}.service": id.service,
            f"{_LABEL}.index": str(id.index),
            f"{_LABEL}.digest": order.digest,
            f"{_LABEL}.revision": str(order.revision),
            f"{_LABEL}.change": order.change,
            f"{_LABEL}.spec": msgspec.json.encode(spec).decode(),
            _DEVICES: msgspec.json.encode(order.devices).decode(),
        },
        "StopTimeout": math.ceil(spec.grace_s),
        "HostConfig": {
            "RestartPolicy": {"Name": restart_policy(spec.restart, podman=podman)},
            "AutoRemove": False,
            "Privileged": spec.privileged,
            "NetworkMode": spec.network or "default",
            "Memory": spec.limits.memory_bytes,
            "NanoCpus": round(spec.limits.cpus * _NS),
            "Devices": [{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in paths],
            "Mounts": [
                {
                    "Type": "bind" if one.source.startswith("/") else "volume",
                    "Source": one.source,
                    "Target": one.target,
                    "ReadOnly": one.read_only,
                }
                for one in spec.volumes
            ],
            "PortBindings": {inner: [{"HostIp": address, "HostPort": outer}] for address, outer, inner in ports},
        },
        "ExposedPorts": {inner: {} for _, _, inner in ports},
    }
    if not podman:  # Podman bounds its logs by itself; of Docker's drivers only some can be read again
        config["HostConfig"]["LogConfig"] = {
            "Type": "json-file",
            "Config": {"max-size": _LOG_BYTES, "max-file": _LOG_FILES},
        }
    for key, value in (("Cmd", list(spec.command)), ("User", spec.user), ("WorkingDir", spec.directory)):
        if value:
            config[key] = value
    return config


def restart_policy(restart: str, *, podman: bool) -> str:
    """The policy of the engine. Podman starts `always` alone again when the node has started."""
    return "always" if podman and restart == "always" else _POLICIES[restart]


def instance_of(shown: Inspected, crashes: int, reason: str, *, podman: bool, ahead_ns: int) -> EngineInstance | None:
    """The instance that a container is; None where its labels are not whole. `crashes`: ends in a row. `ahead_ns`: by
    how much the clock of the node is ahead."""
    id = instance_id(shown)
    if id is None:
        return None
    labels, state = _labels(shown), shown["State"]
    try:
        spec = msgspec.json.decode(labels.get(f"{_LABEL}.spec", "{}"), type=ServiceSpec)
        devices = msgspec.json.decode(labels.get(_DEVICES, "{}"), type=dict[str, tuple[str, ...]])
        revision = int(labels.get(f"{_LABEL}.revision", "0"))
    except (msgspec.DecodeError, ValueError):
        return None
    runs = is_running(shown)
    since = state["StartedAt"] if runs else (state.get("FinishedAt") if was_started(shown) else shown["Created"])
    return EngineInstance(
        id=id,
        digest=labels.get(f"{_LABEL}.digest", ""),
        revision=revision,
        change=labels.get(f"{_LABEL}.change", ""),
        is_running=runs,
        since_ns=time_ns(since) - ahead_ns,
        exit_status=state.get("ExitCode") if not runs and was_started(shown) else None,
        crashes=crashes,
        reason=reason or state.get("Error", ""),
        drift=tuple(drift(shown, spec, podman=podman)),
        spec=spec,
        engine_id=shown["Id"][:12],
        devices=devices,
    )


def instance_id(shown: Inspected) -> InstanceId | None:
    """Which instance a container is, by its labels."""
    labels = _labels(shown)
    try:
        return InstanceId(labels[f"{_LABEL}.service"], labels[NODE], int(labels[f"{_LABEL}.index"]))
    except (KeyError, ValueError):
        return None


def is_running(shown: Inspected) -> bool:
    """Whether its program runs now. Between two attempts of its engine it does not."""
    state = shown["State"]
    return bool(state.get("Running")) and not state.get("Restarting")


def was_started(shown: Inspected) -> bool:
    """Whether its program ever ran."""
    return shown["State"].get("Status") not in ("created", "configured", "initialized") and not shown["State"].get(
        "StartedAt", "0001"
    ).startswith("0001")


def ends(shown: Inspected) -> int:
    """Ends of its program since a user or the keeper started it."""
    state = shown["State"]
    has_ended = was_started(shown) and not state.get("Running") and not state.get("Restarting")
    return int(shown.get("RestartCount") or 0) + has_ended


def drift(shown: Inspected, spec: ServiceSpec, *, podman: bool) -> Iterable[str]:
    """What was changed by hand since it was made, as operators read it."""
    host = shown["HostConfig"]
    nano, quota, period = (int(host.get(key) or 0) for key in ("NanoCpus", "CpuQuota", "CpuPeriod"))
    cpus = nano / _NS if nano else max(quota, 0) / (period or 100_000)
    present = ResourceLimits(cpus=cpus, memory_bytes=int(host.get("Memory") or 0))
    if abs(present.cpus - spec.limits.cpus) > 1e-3:
        yield f"limits.cpus {_cpus(spec.limits.cpus)} → {_cpus(present.cpus)}"
    if abs(present.memory_bytes - spec.limits.memory_bytes) >= 1 << 16:  # the engine rounds to pages
        yield f"limits.memory {_size(spec.limits.memory_bytes)} → {_size(present.memory_bytes)}"
    present_policy: Mapping[str, Any] = host.get("RestartPolicy") or {}
    policy = present_policy.get("Name") or "no"
    if policy != restart_policy(spec.restart, podman=podman):
        yield f"restart {restart_policy(spec.restart, podman=podman)} → {policy}"
    if shown["State"].get("Paused"):
        yield "it is paused"


def preferred(shown: Sequence[Inspected]) -> Inspected:
    """Of the containers of one instance, that which stands for it: one that runs, else one that ran, else the older."""
    return min(shown, key=lambda one: (not is_running(one), not was_started(one), is_next(one), one["Created"]))


def is_next(shown: Inspected) -> bool:
    """Whether it was made to take the place of another one, and has not got its name yet."""
    return str(shown["Name"]).endswith(NEXT)


def spellings(name: str) -> Iterable[str]:
    """How descriptions may write an image that an engine calls so: `docker.io/library/camera:latest` is `camera`."""
    found = [name]
    for head in ("docker.io/library/", "docker.io/", "localhost/"):
        if name.startswith(head):
            found.append(name.removeprefix(head))
    first, slash, _ = name.partition("/")
    if not slash:
        found += [f"docker.io/library/{name}", f"docker.io/{name}"]
    elif "." not in first and ":" not in first and first != "localhost":
        found.append(f"docker.io/{name}")
    for one in found:
        yield one
        if one.endswith(":latest"):
            yield one.removesuffix(":latest")


def time_ns(text: str | int | None) -> int:
    """Nanoseconds since the epoch of a time of the engine; 0: it has none."""
    if not text or isinstance(text, int):
        return (text or 0) * _NS
    whole, _, rest = text.partition(".")
    digits = re.match(r"\d*", rest)
    fraction = digits[0][:9].ljust(9, "0") if digits and digits[0] else "0"
    zone = (rest if digits is None else rest[len(digits[0]) :]) if rest else ""
    moment = datetime.fromisoformat(f"{whole}{zone}".replace("Z", "+00:00"))
    return 0 if moment.year < 1971 else int(moment.timestamp()) * _NS + int(fraction)


def labelled(experiment: str, node: str) -> str:
    """The filter by which an engine lists or tells of the containers of one node of an experiment alone."""
    return json.dumps({"label": [f"{EXPERIMENT}={experiment}", f"{NODE}={node}"]})


def _labels(shown: Inspected) -> Mapping[str, str]:
    return shown.get("Config", {}).get("Labels") or {}


def _size(amount: int) -> str:
    return f"{amount / 2**30:.3g} GiB" if amount else "no limit"


def _cpus(amount: float) -> str:
    return f"{amount:g}" if amount else "no limit"
