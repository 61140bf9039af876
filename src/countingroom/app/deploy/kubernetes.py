"""Manifests of Kubernetes of a deployment. Pure.

The control room is a StatefulSet of one pod: no second one ever runs on its data. The public site is a Deployment that
may open no connections; if the public store is a file, it runs on the node of the control room, which has the volume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from countingroom.app.deploy.compose import PlainDumper
from countingroom.app.deploy.plan import (
    DATA,
    GRACE_S,
    HERE,
    PUBLIC,
    PUBLIC_FILE,
    RECEIVER_FILES,
    RECEIVER_PORT,
    SECRETS,
    SITE_PORT,
    STORE_VARIABLE,
    UID,
    DeployPlan,
    OpenPort,
)

HEAD = "# Made by countingroom deploy kubernetes\n"
SIZE = "20Gi"
"""Of the volume of the control room."""
PUBLIC_SIZE = "5Gi"
_COMPONENT = "app.kubernetes.io/component"
_ROOM, _SITE, _RECEIVER = "control-room", "site", "receiver"
Manifest = dict[str, Any]


def control_room_file(plan: DeployPlan, texts: Mapping[str, str]) -> str:
    """The manifests of the control room. `texts`: path of each file of the description, as it is in the container ->
    its content."""
    manifests = [
        _manifest(plan, "v1", "ConfigMap", "description", data={_key(path): text for path, text in texts.items()}),
        _claim(plan, "data", SIZE),
    ]
    if plan.has_public_file:
        manifests.append(_claim(plan, "public", PUBLIC_SIZE))
    manifests += [_room(plan, texts), _service(plan, _ROOM, plan.ports), _room_policy(plan)]
    return _text(manifests)


def site_file(plan: DeployPlan) -> str:
    """The manifests of the public site."""
    port = OpenPort(name="site", number=SITE_PORT)
    return _text([_site(plan), _service(plan, _SITE, [port]), _site_policy(plan)])


def outside_file(plan: DeployPlan) -> str:
    """The manifests of the receiver of the feed and the site, for a cluster outside."""
    plan = plan.of_the_outside()
    own, port = OpenPort(name="feed", number=RECEIVER_PORT), OpenPort(name="site", number=SITE_PORT)
    receiver = [_claim(plan, "public", PUBLIC_SIZE), _receiver(plan), _service(plan, _RECEIVER, [own])]
    site = [_site(plan, _RECEIVER), _service(plan, _SITE, [port]), _site_policy(plan)]
    return _text([*receiver, _closed_policy(plan, _RECEIVER, RECEIVER_PORT, []), *site])


def outside_secret_command(plan: DeployPlan) -> str:
    """How the Secret is made that the receiver names."""
    words = " ".join(f"--from-file={name}" for name in RECEIVER_FILES)
    return f"kubectl create secret generic {plan.slug}-{_RECEIVER} {words}"


def secret_command(plan: DeployPlan) -> str:
    """How the Secret is made that the manifests name; empty where there is none."""
    commands: list[str] = []
    words = [f"--from-file={_key(path)}={path}" for path in plan.secret_files]
    words += [f"--from-literal={name}=…" for name in plan.variables]
    if words:
        commands.append(f"kubectl create secret generic {plan.slug}-secrets {' '.join(words)}")
    if plan.has_site and plan.has_database:
        commands.append(f"kubectl create secret generic {plan.slug}-site --from-literal={STORE_VARIABLE}=…")
    return " && ".join(commands)


def _room(plan: DeployPlan, texts: Mapping[str, str]) -> Manifest:
    mounts: list[Manifest] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
        {"name": "data", "mountPath": DATA},
        {"name": "description", "mountPath": HERE, "readOnly": True},
    ]
    volumes: list[Manifest] = [_temporary(), _claimed(plan, "data"), _description(plan, texts)]
    for path in (*texts, *plan.secret_files):
        if path.startswith("/"):  # not below the folder of the description
            inner = f".outside{path}"
            mounts.append({"name": "description", "mountPath": path, "subPath": inner, "readOnly": True})
    if plan.has_public_file:
        mounts.append({"name": "public", "mountPath": PUBLIC})
        volumes.append(_claimed(plan, "public"))
    secret = f"{plan.slug}-secrets"
    container: Manifest = {
        **_container(plan, _ROOM, plan.command(), plan.probe()),
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}} for name in plan.variables
        ],
        "ports": [{"name": port.name, "containerPort": port.number} for port in plan.ports],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "volumeMounts": mounts,
    }
    spec = {
        "replicas": 1,
        "serviceName": f"{plan.slug}-{_ROOM}",
        "selector": {"matchLabels": _labels(plan, _ROOM)},
        "template": {"metadata": {"labels": _labels(plan, _ROOM)}, "spec": _pod(container, volumes)},
    }
    return _manifest(plan, "apps/v1", "StatefulSet", _ROOM, spec=spec)


def _receiver(plan: DeployPlan) -> Manifest:
    """One pod: a second one never runs on its file."""
    container: Manifest = {
        **_container(plan, _RECEIVER, plan.receiver_command(), plan.receiver_probe()),
        "env": [_store(plan)],
        "ports": [{"name": "feed", "containerPort": RECEIVER_PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
            {"name": "public", "mountPath": PUBLIC},
            {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        ],
    }
    items = [{"key": name, "path": name} for name in RECEIVER_FILES]
    secret = {"secretName": f"{plan.slug}-{_RECEIVER}", "defaultMode": 0o440, "items": items}
    pod = _pod(container, [_temporary(), _claimed(plan, "public"), {"name": "secrets", "secret": secret}])
    spec = {
        "replicas": 1,
        "serviceName": f"{plan.slug}-{_RECEIVER}",
        "selector": {"matchLabels": _labels(plan, _RECEIVER)},
        "template": {"metadata": {"labels": _labels(plan, _RECEIVER)}, "spec": pod},
    }
    return _manifest(plan, "apps/v1", "StatefulSet", _RECEIVER, spec=spec)


def _site(plan: DeployPlan, writer: str = _ROOM) -> Manifest:
    """`writer`: the component that has the volume of the public store."""
    container: Manifest = {
        **_container(plan, _SITE, plan.site_command(), plan.site_probe()),
        "env": [_store(plan)],
        "ports": [{"name": "site", "containerPort": SITE_PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
            *([{"name": "public", "mountPath": PUBLIC}] if plan.has_public_file else []),
        ],
    }
    pod = _pod(container, [_temporary(), *([_claimed(plan, "public")] if plan.has_public_file else [])])
    if plan.has_public_file:
        beside = {"labelSelector": {"matchLabels": _labels(plan, writer)}, "topologyKey": "kubernetes.io/hostname"}
        pod["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside]}}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": _labels(plan, _SITE)},
        "template": {"metadata": {"labels": _labels(plan, _SITE)}, "spec": pod},
    }
    return _manifest(plan, "apps/v1", "Deployment", _SITE, spec=spec)


def _store(plan: DeployPlan) -> Manifest:
    if not plan.has_database:
        return {"name": STORE_VARIABLE, "value": PUBLIC_FILE}
    key = {"name": f"{plan.slug}-site", "key": STORE_VARIABLE}
    return {"name": STORE_VARIABLE, "valueFrom": {"secretKeyRef": key}}


def _pod(container: Manifest, volumes: Sequence[Manifest]) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": True,  # the pause container takes the processes that lost their parent
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": list(volumes),
    }


def _container(plan: DeployPlan, name: str, words: Sequence[str], probe: Sequence[str]) -> Manifest:
    ask = {"exec": {"command": list(probe)}, "timeoutSeconds": 10}
    return {
        "name": name,
        "image": plan.image,
        "args": [word.replace("$(", "$$(") for word in words],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": {**ask, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**ask, "periodSeconds": 30, "failureThreshold": 2},
        # Longer than the console needs to start again by itself.
        "livenessProbe": {**ask, "periodSeconds": 60, "failureThreshold": 5},
    }


def _description(plan: DeployPlan, texts: Mapping[str, str]) -> Manifest:
    """The description and its secrets as one folder."""
    sources: list[Manifest] = [
        {"configMap": {"name": f"{plan.slug}-description", "items": [_item(path) for path in texts]}}
    ]
    if plan.secret_files:
        items = [_item(path) for path in plan.secret_files]
        sources.append({"secret": {"name": f"{plan.slug}-secrets", "items": items}})
    return {"name": "description", "projected": {"defaultMode": 0o440, "sources": sources}}


def _item(path: str) -> Manifest:
    return {"key": _key(path), "path": f".outside{path}" if path.startswith("/") else path}


def _key(path: str) -> str:
    """A path as a key: letters, digits, `-`, `_` and `.`; another path has another key."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-.") else f"_{ord(one):02x}_" for one in path)


def _service(plan: DeployPlan, name: str, ports: Sequence[OpenPort]) -> Manifest:
    spec: Manifest = {"selector": _labels(plan, name)}
    if ports:
        spec["ports"] = [{"name": port.name, "port": port.number, "targetPort": port.name} for port in ports]
    else:  # a StatefulSet needs its name
        spec["clusterIP"] = "None"
    return _manifest(plan, "v1", "Service", name, spec=spec)


def _room_policy(plan: DeployPlan) -> Manifest:
    """Every pod but the site reaches its ports; it reaches the devices."""
    others = {"matchExpressions": [{"key": _COMPONENT, "operator": "NotIn", "values": [_SITE]}]}
    rules: list[Manifest] = []
    if plan.ports:
        ports = [{"port": port.number, "protocol": "TCP"} for port in plan.ports]
        rules.append({"from": [{"namespaceSelector": {}, "podSelector": others}], "ports": ports})
    spec = {"podSelector": {"matchLabels": _labels(plan, _ROOM)}, "policyTypes": ["Ingress"], "ingress": rules}
    return _manifest(plan, "networking.k8s.io/v1", "NetworkPolicy", _ROOM, spec=spec)


def _site_policy(plan: DeployPlan) -> Manifest:
    """The network policy of the public site: all clients reach its one port, and it reaches only a database."""
    database = [
        {"ports": [{"port": 5432, "protocol": "TCP"}, *({"port": 53, "protocol": one} for one in ("TCP", "UDP"))]}
    ]
    return _closed_policy(plan, _SITE, SITE_PORT, database if plan.has_database else [])


def _closed_policy(plan: DeployPlan, name: str, port: int, reaches: Sequence[Manifest]) -> Manifest:
    spec = {
        "podSelector": {"matchLabels": _labels(plan, name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": port, "protocol": "TCP"}]}],
        "egress": list(reaches),
    }
    return _manifest(plan, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _claim(plan: DeployPlan, name: str, size: str) -> Manifest:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return _manifest(plan, "v1", "PersistentVolumeClaim", name, spec=spec)


def _claimed(plan: DeployPlan, name: str) -> Manifest:
    return {"name": name, "persistentVolumeClaim": {"claimName": f"{plan.slug}-{name}"}}


def _temporary() -> Manifest:
    return {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}}


def _labels(plan: DeployPlan, component: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": plan.slug, _COMPONENT: component}


def _manifest(plan: DeployPlan, version: str, kind: str, name: str, **more: Any) -> Manifest:
    metadata: Manifest = {"name": f"{plan.slug}-{name}", "labels": _labels(plan, name)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _text(manifests: Sequence[Manifest]) -> str:
    return HEAD + yaml.dump_all(manifests, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=120)
