"""Files of Quadlet, by which systemd runs containers of Podman, for the services that are images. Pure."""

from __future__ import annotations

import json
import math
import re

from countingroom.core.fleet.images import split_port
from countingroom.core.fleet.specs import InstanceId, ServiceSpec, Volume, WantedService
from countingroom.fleet.generate.account import (
    PAUSE_S,
    UNIT_RESTART,
    Account,
    FilePlan,
    Generated,
    KeyVerdict,
    Lines,
    restart_text,
    seconds,
    unit_name,
    unit_raw,
    unit_text,
    unit_word,
)

_HEAD = "Made by countingroom fleet generate quadlet"


def quadlet_files(plan: FilePlan) -> Generated:
    """A folder for each node, with a `.container` for each instance and a `.volume` for each named volume."""
    files: dict[str, str] = {}
    rows: list[KeyVerdict] = []
    for service in plan.services:
        account = Account(service)
        if not service.spec.image:
            rows += account.none("it is a program, not an image: generate systemd")
            continue
        for id, spec in plan.specs(service):
            files |= _Container(plan, service, id, spec, account).files()
        rows += account.rows()
    return Generated(files, rows)


class _Container:
    """The file of one instance."""

    def __init__(
        self, plan: FilePlan, service: WantedService, id: InstanceId, spec: ServiceSpec, account: Account
    ) -> None:
        self._plan = plan
        self._service = service
        self._id = id
        self._spec = spec
        self._account = account
        self._name = unit_name(plan, service.name, id.index, service.copies)
        self._volumes: dict[str, str] = {}

    def files(self) -> dict[str, str]:
        spec, account = self._spec, self._account
        container: Lines = [("Image", unit_raw(spec.image)), ("ContainerName", self._name)]
        account.taken("image")
        if spec.command:
            account.taken("command", "Exec")
            container.append(("Exec", " ".join(unit_word(word) for word in spec.command)))
        account.taken("environment", "Environment")
        container += [("Environment", unit_word(f"{name}={value}")) for name, value in spec.environment.items()]
        container += self._secrets()
        container += [("Volume", self._volume(one)) for one in spec.volumes]
        container += self._rights()
        container += self._check()
        account.changed("restart", restart_text(spec.restart))
        account.taken("grace", "--stop-timeout and TimeoutStopSec")
        account.left_out("update", "files are changed by hand: copy them, systemctl daemon-reload, systemctl restart")
        account.left_out("category", "it is for pages")
        account.left_out("actor", "it is for countingroom, which talks to the service")
        if self._service.copies > 1:
            account.taken("copies", "a file for each")
        sections = {
            "Unit": [("Description", self._title()), *self._after(), ("StartLimitIntervalSec", "0")],
            "Container": container,
            "Service": [
                ("Restart", UNIT_RESTART[spec.restart]),
                ("RestartSec", seconds(PAUSE_S)),
                ("TimeoutStopSec", seconds(spec.grace_s + 10)),
                ("TimeoutStartSec", "900s"),
            ],
            "Install": [("WantedBy", "multi-user.target default.target")],
        }
        return {f"{self._id.node}/{self._name}.container": unit_text(sections, _HEAD)} | self._volumes

    def _title(self) -> str:
        number = f" {self._id.index}" if self._service.copies > 1 else ""
        return f"{self._plan.title(self._service)}{number} of {self._plan.experiment}".replace("%", "%%")

    def _after(self) -> Lines:
        found: list[str] = []
        for name in self._service.depends_on:
            other = next(one for one in self._plan.revision.services if one.name == name)
            if self._id.node in other.nodes:
                copies = range(other.copies)
                found += [f"{unit_name(self._plan, name, index, other.copies)}.service" for index in copies]
                self._account.changed(
                    f"depends_on.{name}", "After and Wants: systemd waits for its start, not its health"
                )
            else:
                self._account.left_out(f"depends_on.{name}", f"it is not on {self._id.node}")
        return [("Wants", " ".join(found)), ("After", " ".join(found))] if found else []

    def _secrets(self) -> Lines:
        found: Lines = []
        for name, place in self._spec.secrets.items():
            secret = f"{unit_name(self._plan, self._service.name, 0, 1)}-{name}"
            found.append(("Secret", f"{secret},type=env,target={name}"))
            self._account.changed(f"secrets.{name}", f"on the node: podman secret create {secret} FILE ({place})")
        return found

    def _volume(self, one: Volume) -> str:
        key, tail = f"volumes.{one.target}", ":ro" if one.read_only else ""
        if one.source.startswith("/") or not (one.driver or one.options):
            self._account.taken(key, "Volume")
            return unit_raw(f"{one.source}:{one.target}{tail}")
        name = re.sub(r"[^A-Za-z0-9_.\-]+", "-", one.source)
        lines: Lines = [("VolumeName", unit_raw(one.source))]
        if one.driver:
            lines.append(("Driver", one.driver))
        words = {"type": "Type", "device": "Device", "o": "Options"}
        lines += [(words[option], unit_raw(value)) for option, value in one.options.items() if option in words]
        lines += [
            ("PodmanArgs", unit_word(f"--opt={option}={value}"))
            for option, value in one.options.items()
            if option not in words
        ]
        self._volumes[f"{self._id.node}/{name}.volume"] = unit_text({"Volume": lines}, _HEAD)
        self._account.taken(key, f"{name}.volume")
        return unit_raw(f"{name}.volume:{one.target}{tail}")

    def _rights(self) -> Lines:
        spec, account = self._spec, self._account
        found: Lines = []
        extra = [f"--stop-timeout={math.ceil(spec.grace_s)}"]
        for device in spec.devices:
            if device.startswith("/"):
                account.taken(f"devices.{device}", "AddDevice")
                found.append(("AddDevice", unit_word(device)))
            else:
                account.left_out(
                    f"devices.{device}", "give its path: countingroom looks it up when it starts the service"
                )
        for port in spec.ports:
            address, outer, inner = split_port(port)
            account.taken(f"ports.{port}", "PublishPort")
            found.append(("PublishPort", f"{address}:{outer}:{inner}" if address else f"{outer}:{inner}"))
        if spec.network:
            account.taken("network")
            found.append(("Network", unit_raw(spec.network)))
        if spec.user:
            account.taken("user", "User and Group")
            user, _, group = spec.user.partition(":")
            found += [("User", user), *([("Group", group)] if group else [])]
        if spec.directory:
            account.taken("directory", "WorkingDir")
            found.append(("WorkingDir", unit_raw(spec.directory)))
        if spec.privileged:
            account.taken("privileged", "PodmanArgs")
            extra.append("--privileged")
        if spec.limits.cpus:
            account.taken("limits.cpus", "PodmanArgs")
            extra.append(f"--cpus={spec.limits.cpus:g}")
        if spec.limits.memory_bytes:
            account.taken("limits.memory", "PodmanArgs")
            extra.append(f"--memory={spec.limits.memory_bytes}")
        return [*found, ("PodmanArgs", " ".join(extra))]

    def _check(self) -> Lines:
        check, account = self._spec.health, self._account
        if not check.kind:
            return []
        if check.kind != "exec":
            account.left_out("health", "Podman checks inside the container: give an exec check")
            account.left_out("health.failures", "there is no check")
            account.left_out("start_period", "there is no check")
            return []
        account.changed("health", "Podman shows it (podman ps) and does nothing more")
        account.taken("health.failures", "HealthRetries")
        account.taken("start_period", "HealthStartPeriod")
        return [
            ("HealthCmd", unit_raw(json.dumps(list(check.command), ensure_ascii=False))),
            ("HealthInterval", seconds(check.interval_s)),
            ("HealthTimeout", seconds(check.timeout_s)),
            ("HealthRetries", str(check.failures)),
            ("HealthStartPeriod", seconds(self._spec.start_period_s)),
        ]
