"""Units of systemd for the services that are programs. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from countingroom.core.fleet.specs import InstanceId, ServiceSpec, WantedNode, WantedService
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
    unit_text,
    unit_word,
)

_HEAD = "Made by countingroom fleet generate systemd"


def systemd_files(plan: FilePlan) -> Generated:
    """A folder for each node, with a unit for each instance and two for its check."""
    files: dict[str, str] = {}
    rows: list[KeyVerdict] = []
    for service in plan.services:
        account = Account(service)
        if service.spec.image:
            rows += account.none("it is an image: generate quadlet or kubernetes")
            continue
        if not service.spec.command:
            rows += account.none("its command is made by countingroom when the fleet is applied")
            continue
        engines = {node: plan.node(node).engine for node in service.nodes}
        if all(engine == "slurm" for engine in engines.values()):
            rows += account.none("it is a batch job of a cluster with Slurm")
            continue
        for id, spec in plan.specs(service):
            if engines[id.node] == "slurm":
                account.left_out(f"nodes.{id.node}", "a cluster with Slurm has no units of ours")
            else:
                files |= _Unit(plan, service, id, spec, account).files()
        rows += account.rows()
    return Generated(files, rows)


class _Unit:
    """The unit of one instance."""

    def __init__(
        self, plan: FilePlan, service: WantedService, id: InstanceId, spec: ServiceSpec, account: Account
    ) -> None:
        self._plan = plan
        self._service = service
        self._id = id
        self._spec = spec
        self._node: WantedNode = plan.node(id.node)
        self._account = account
        self._name = unit_name(plan, service.name, id.index, service.copies)

    def files(self) -> dict[str, str]:
        spec, account = self._spec, self._account
        python = self._node.ssh.python if self._node.engine == "ssh" else self._plan.python
        words = [python if word == "{python}" else word for word in spec.command]
        account.taken("command")
        account.changed("restart", restart_text(spec.restart))
        account.taken("grace", "TimeoutStopSec")
        account.left_out("update", "units are changed by hand: copy them, systemctl daemon-reload, systemctl restart")
        account.left_out("category", "it is for pages")
        account.left_out("slurm", "it is for nodes with engine: slurm")
        account.left_out("actor", "it is for countingroom, which talks to the service")
        for device in spec.devices:
            account.left_out(f"devices.{device}", "countingroom looks up its path when it starts the service")
        service: Lines = [
            ("Type", "exec"),
            ("ExecStart", " ".join(unit_word(word) for word in words)),
            *self._common(),
            ("Restart", UNIT_RESTART[spec.restart]),
            ("RestartSec", seconds(PAUSE_S)),
            ("TimeoutStopSec", seconds(spec.grace_s)),
            ("KillMode", "control-group"),
        ]
        if spec.limits.cpus:
            account.taken("limits.cpus", "CPUQuota")
            service.append(("CPUQuota", f"{spec.limits.cpus * 100:g}%"))
        if spec.limits.memory_bytes:
            account.taken("limits.memory", "MemoryMax")
            service.append(("MemoryMax", str(spec.limits.memory_bytes)))
        if self._service.copies > 1:
            account.taken("copies", "a unit for each")
        sections = {
            "Unit": [("Description", self._title()), *self._after(), ("StartLimitIntervalSec", "0")],
            "Service": service,
            "Install": [("WantedBy", "multi-user.target")],
        }
        folder = f"{self._id.node}/{self._name}"
        return {f"{folder}.service": unit_text(sections, _HEAD)} | self._check(folder)

    def _title(self) -> str:
        number = f" {self._id.index}" if self._service.copies > 1 else ""
        return f"{self._plan.title(self._service)}{number} of {self._plan.experiment}".replace("%", "%%")

    def _after(self) -> Lines:
        found = ["network-online.target"]
        for name in self._service.depends_on:
            other = next(one for one in self._plan.revision.services if one.name == name)
            if self._id.node in other.nodes and not other.spec.image:
                copies = range(other.copies)
                found += [f"{unit_name(self._plan, name, index, other.copies)}.service" for index in copies]
                self._account.changed(
                    f"depends_on.{name}", "After and Wants: systemd waits for its start, not its health"
                )
            else:
                self._account.left_out(f"depends_on.{name}", f"it is no unit of {self._id.node}")
        return [("Wants", " ".join(found)), ("After", " ".join(found))]

    def _common(self) -> Lines:
        """Account, folder and environment: the same for the service and its check."""
        spec, account = self._spec, self._account
        found: Lines = []
        user, _, group = (self._plan.user or spec.user).partition(":")
        if user:
            account.taken("user")
            found.append(("User", user))
        else:
            account.changed("user", "none is given: the unit runs as root. Give --user")
        if group:
            found.append(("Group", group))
        account.taken("directory", "WorkingDirectory")
        found.append(("WorkingDirectory", _path(PurePosixPath(self._plan.directory) / spec.directory)))
        account.taken("environment", "Environment")
        found += [
            ("Environment", unit_word(f"{name}={value}", is_expanded=False)) for name, value in spec.environment.items()
        ]
        if spec.secrets:
            file = f"/etc/{unit_name(self._plan, self._service.name, 0, 1)}.secrets"
            found.append(("EnvironmentFile", _path(PurePosixPath(file))))
            for name, place in spec.secrets.items():
                account.changed(
                    f"secrets.{name}", f"write the line {name}=… ({place}) into {file}, readable for root alone"
                )
        return found

    def _check(self, folder: str) -> dict[str, str]:
        """A unit that fails where the check fails, and its timer."""
        check, account = self._spec.health, self._account
        host = self._node.address or "127.0.0.1"
        if check.kind == "exec":
            words = list(check.command)
        elif check.kind == "http":
            words = ["/usr/bin/curl", "--fail", "--silent", "--show-error", "--output", "/dev/null"]
            words.append(f"http://{host}:{check.port}{check.path}")
        elif check.kind == "tcp":
            words = ["/bin/bash", "-c", f"exec 3<>/dev/tcp/{host}/{check.port}"]
        elif check.kind:
            account.left_out("health", f"only countingroom makes a check of the kind {check.kind}")
            return {}
        else:
            return {}
        name = f"{self._name}.service"
        account.changed("health", "its unit …-health fails where its check fails: systemctl --failed")
        account.left_out("health.failures", "each failed check is told")
        account.taken("start_period", "before the first check")
        unit = {
            "Unit": [("Description", f"Check of {self._title()}"), ("After", name), ("Requisite", name)],
            "Service": [
                ("Type", "oneshot"),
                ("ExecStart", " ".join(unit_word(word) for word in words)),
                *self._common(),
                ("TimeoutStartSec", seconds(check.timeout_s)),
            ],
        }
        timer = {
            "Unit": [("Description", f"Timer of the check of {self._title()}"), ("BindsTo", name), ("After", name)],
            "Timer": [
                ("OnActiveSec", seconds(max(self._spec.start_period_s, 1.0))),
                ("OnUnitInactiveSec", seconds(check.interval_s)),
                ("AccuracySec", "1s"),
            ],
            "Install": [("WantedBy", name)],
        }
        return {
            f"{folder}-health.service": unit_text(unit, _HEAD),
            f"{folder}-health.timer": unit_text(timer, _HEAD),
        }


def _path(path: PurePosixPath) -> str:
    return str(path).replace("%", "%%")
