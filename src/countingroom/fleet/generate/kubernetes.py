"""Manifests of Kubernetes for the services that are images. Pure.

Instances that are wanted alike are one workload, spread over its nodes. What ends by itself is a Job; what has devices,
rights or a named volume of its node is a StatefulSet, of which no pod runs twice, also where a node is lost; all else
is a Deployment, which is changed without ever having more pods than wanted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from countingroom.core.fleet.images import split_port
from countingroom.core.fleet.specs import HealthCheck, InstanceId, ServiceSpec, Volume, WantedService, digest
from countingroom.fleet.generate.account import Account, FilePlan, Generated, KeyVerdict

_HEAD = "# Made by countingroom fleet generate kubernetes\n"
_NO_SUCH = {
    "actor": "it is for countingroom, which talks to the service",
    "category": "it is for pages",
    "slurm": "it is for nodes with engine: slurm",
}
Manifest = dict[str, Any]


def kubernetes_files(plan: FilePlan) -> Generated:
    """A file for each service. Their pods run on the nodes whose names in Kubernetes are those of the description."""
    files: dict[str, str] = {}
    rows: list[KeyVerdict] = []
    for service in plan.services:
        account = Account(service)
        if not service.spec.image:
            rows += account.none("it is a program, not an image: generate systemd")
            continue
        groups: dict[str, list[tuple[InstanceId, ServiceSpec]]] = {}
        for id, spec in plan.specs(service):
            groups.setdefault(digest(spec), []).append((id, spec))
        manifests: list[Manifest] = []
        for group in groups.values():
            workload = _Workload(plan, service, group, account, has_own_name=len(groups) > 1)
            manifests += workload.manifests()
        text = yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        files[f"{_name(service.name)}.yaml"] = _HEAD + text
        rows += account.rows()
    return Generated(files, rows)


class _Dumper(yaml.SafeDumper):
    """Writes what is twice in a document twice, in place of an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Workload:
    """The pods of instances that are wanted alike."""

    def __init__(
        self,
        plan: FilePlan,
        service: WantedService,
        group: Sequence[tuple[InstanceId, ServiceSpec]],
        account: Account,
        *,
        has_own_name: bool,
    ) -> None:
        self._plan = plan
        self._service = service
        self._ids = [id for id, _ in group]
        self._spec = group[0][1]
        self._account = account
        self._nodes = list(dict.fromkeys(id.node for id in self._ids))
        first = self._ids[0]
        words = [plan.experiment, service.name]
        if has_own_name:
            words += [first.node] if len(self._nodes) == 1 else []
            words += [str(first.index)] if service.copies > 1 else []
        self._name = _name("-".join(words))
        self._labels = {"app.kubernetes.io/name": self._name, "app.kubernetes.io/part-of": _name(plan.experiment)}

    def manifests(self) -> list[Manifest]:
        spec, account = self._spec, self._account
        found: list[Manifest] = []
        if spec.environment:
            account.taken("environment", "a ConfigMap")
            found.append(self._manifest("v1", "ConfigMap", data=dict(spec.environment)))
        for key, why in _NO_SUCH.items():
            account.left_out(key, why)
        if self._service.copies > 1:
            account.taken("copies", "replicas, spread over the nodes")
        for name in self._service.depends_on:
            account.left_out(f"depends_on.{name}", "Kubernetes starts all at once: the service must wait by itself")
        if spec.restart != "always":
            return [*found, self._job()]
        account.taken("restart", "restartPolicy: Always, with a pause that doubles up to 5 min")
        template = {"metadata": {"labels": self._labels}, "spec": self._pod("Always")}
        common: Manifest = {
            "replicas": len(self._ids),
            "selector": {"matchLabels": self._labels},
            "template": template,
            "minReadySeconds": math.ceil(self._service.update.healthy_for_s),
        }
        parallel = min(self._service.update.max_parallel, len(self._ids))
        account.changed(
            "update",
            f"{parallel if not self._holds_its_node() else 1} away at a time, ready for minReadySeconds; canary,"
            " min_healthy and a rollback by itself are not there: kubectl rollout undo",
        )
        if self._holds_its_node():
            found.append(self._manifest("v1", "Service", spec={"clusterIP": "None", "selector": self._labels}))
            more: Manifest = {
                "serviceName": self._name,
                "podManagementPolicy": "Parallel",
                "updateStrategy": {"type": "RollingUpdate"},
            }
            return [*found, self._manifest("apps/v1", "StatefulSet", spec={**common, **more})]
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": parallel}}
        return [*found, self._manifest("apps/v1", "Deployment", spec={**common, "strategy": strategy})]

    def _holds_its_node(self) -> bool:
        spec = self._spec
        return bool(spec.devices or spec.privileged or any(not one.source.startswith("/") for one in spec.volumes))

    def _job(self) -> Manifest:
        policy = "OnFailure" if self._spec.restart == "on-failure" else "Never"
        self._account.taken("restart", f"a Job with restartPolicy: {policy}")
        self._account.left_out("update", "a Job is not changed: delete it, and apply it again")
        count = len(self._ids)
        job: Manifest = {
            "completions": count,
            "parallelism": count,
            "backoffLimit": 0 if policy == "Never" else 1_000_000,
            "template": {"metadata": {"labels": self._labels}, "spec": self._pod(policy)},
        }
        return self._manifest("batch/v1", "Job", spec=job)

    def _manifest(self, version: str, kind: str, **more: Any) -> Manifest:
        metadata: Manifest = {"name": self._name, "labels": self._labels}
        if title := self._plan.titles.get(self._service.name):
            metadata["annotations"] = {"countingroom/title": title}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}

    def _pod(self, restart: str) -> Manifest:
        spec, account = self._spec, self._account
        account.taken("grace", "terminationGracePeriodSeconds")
        pod: Manifest = {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": max(math.ceil(spec.grace_s), 1),
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": self._on_nodes()}},
        }
        if len(self._ids) > 1 and len(self._nodes) > 1:
            pod["topologySpreadConstraints"] = [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": self._labels},
                }
            ]
        if spec.network == "host":
            account.taken("network", "hostNetwork")
            pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
        elif spec.network:
            account.left_out(
                "network", f"{spec.network} is a network of Docker or Podman: pods have that of the cluster"
            )
        volumes = {f"volume-{index}": one for index, one in enumerate(spec.volumes)}
        pod["containers"] = [self._container(volumes)]
        if volumes:
            pod["volumes"] = [{"name": name, **self._volume(one)} for name, one in volumes.items()]
        return pod

    def _on_nodes(self) -> Manifest:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": self._nodes}
        return {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}

    def _container(self, volumes: Mapping[str, Volume]) -> Manifest:
        spec, account = self._spec, self._account
        account.taken("image")
        container: Manifest = {"name": _name(self._service.name), "image": spec.image}
        if spec.command:
            account.taken("command", "args: the entry point of the image stays")
            container["args"] = [word.replace("$(", "$$(") for word in spec.command]
        if spec.directory:
            account.taken("directory", "workingDir")
            container["workingDir"] = spec.directory
        if spec.environment:
            container["envFrom"] = [{"configMapRef": {"name": self._name}}]
        if spec.secrets:
            container["env"] = [self._secret(name, place) for name, place in spec.secrets.items()]
        if spec.ports:
            container["ports"] = [self._port(port) for port in spec.ports]
        limits: Manifest = {}
        if spec.limits.cpus:
            account.taken("limits.cpus", "resources")
            limits["cpu"] = f"{round(spec.limits.cpus * 1000)}m"
        if spec.limits.memory_bytes:
            account.taken("limits.memory", "resources")
            limits["memory"] = str(spec.limits.memory_bytes)
        if limits:
            container["resources"] = {"limits": limits}
        if rights := self._rights():
            container["securityContext"] = rights
        if volumes:
            container["volumeMounts"] = [
                {"name": name, "mountPath": one.target, **({"readOnly": True} if one.read_only else {})}
                for name, one in volumes.items()
            ]
        if probe := self._probe(spec.health):
            container["readinessProbe"] = probe
        return container

    def _secret(self, name: str, place: str) -> Manifest:
        self._account.changed(
            f"secrets.{name}", f"kubectl create secret generic {self._name} --from-file={name}=FILE ({place})"
        )
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": self._name, "key": name}}}

    def _port(self, port: str) -> Manifest:
        address, outer, inner = split_port(port)
        number, _, kind = inner.partition("/")
        self._account.taken(f"ports.{port}", "hostPort")
        found: Manifest = {"containerPort": int(number), "hostPort": int(outer), "protocol": kind.upper()}
        return {**found, "hostIP": address} if address else found

    def _rights(self) -> Manifest:
        spec, account = self._spec, self._account
        found: Manifest = {}
        if spec.privileged:
            account.taken("privileged")
            found["privileged"] = True
        for device in spec.devices:
            if spec.privileged and device.startswith("/"):
                account.taken(f"devices.{device}", "privileged: it has all devices of its node")
            else:
                account.left_out(f"devices.{device}", "it needs a device plugin of the cluster, or privileged: true")
        user, _, group = spec.user.partition(":")
        for name, value in (("runAsUser", user), ("runAsGroup", group)):
            if value.isdigit():
                account.taken("user", "securityContext")
                found[name] = int(value)
            elif value:
                account.left_out("user", "Kubernetes takes numbers only")
        return found

    def _volume(self, one: Volume) -> Manifest:
        key, options = f"volumes.{one.target}", one.options
        if one.source.startswith("/"):
            self._account.taken(key, "hostPath")
            return {"hostPath": {"path": one.source}}
        server = re.search(r"(?:^|,)addr=([^,]+)", options.get("o", ""))
        if options.get("type") in ("nfs", "nfs4") and server:
            self._account.changed(key, "nfs; its other options are those of the node: nfsmount.conf")
            return {"nfs": {"server": server[1], "path": options.get("device", "").removeprefix(":")}}
        claim = _name(one.source)
        self._account.changed(
            key, f"make a PersistentVolumeClaim {claim}: its size and class are not in the description"
        )
        return {"persistentVolumeClaim": {"claimName": claim}}

    def _probe(self, check: HealthCheck) -> Manifest:
        account = self._account
        if not check.kind:
            return {}
        if check.kind not in ("exec", "tcp", "http"):
            for key in ("health", "health.failures", "start_period"):
                account.left_out(key, f"only countingroom makes a check of the kind {check.kind}")
            return {}
        account.taken("health", "readinessProbe: a pod that fails is told, and not started again")
        account.taken("health.failures", "failureThreshold")
        account.taken("start_period", "a pod is not ready until a check has succeeded")
        how: Manifest = {"tcpSocket": {"port": check.port}}
        if check.kind == "exec":
            how = {"exec": {"command": list(check.command)}}
        elif check.kind == "http":
            how = {"httpGet": {"path": check.path, "port": check.port}}
        return {
            **how,
            "periodSeconds": max(math.ceil(check.interval_s), 1),
            "timeoutSeconds": max(math.ceil(check.timeout_s), 1),
            "failureThreshold": check.failures,
        }


def _name(text: str) -> str:
    """As a name of Kubernetes: small letters, digits and -, at most 63."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-") or "service"
