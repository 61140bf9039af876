"""The Compose file of a deployment. Pure.

The control room and the public site have no network in common, and of the volumes the site has that of the public store
alone.
"""

from __future__ import annotations

from typing import Any

import yaml

from countingroom.app.deploy.plan import (
    DATA,
    GRACE_S,
    HERE,
    PUBLIC,
    PUBLIC_FILE,
    RECEIVER_PORT,
    SECRETS,
    SITE_PORT,
    STORE_VARIABLE,
    UID,
    DeployPlan,
)

HEAD = "# Made by countingroom deploy compose\n"
Part = dict[str, Any]
LOG_FILES = {"max-size": "10m", "max-file": "10"}
"""What a container writes: ten files of 10 MB, then the oldest goes."""


def compose_file(plan: DeployPlan) -> str:
    """The text of `compose.yaml`."""
    services = {"control-room": _control_room(plan)}
    volumes: Part = {"data": {"name": f"{plan.slug}-data"}}
    networks: Part = {"inside": {}}
    if plan.has_site:
        services["site"] = _site(plan)
        networks["outside"] = {}
    if plan.has_public_file:
        volumes["public"] = {"name": f"{plan.slug}-public"}
    if not plan.is_open:
        del networks["inside"]
    return _text({"services": services, "volumes": volumes, **({"networks": networks} if networks else {})})


def outside_file(plan: DeployPlan) -> str:
    """The text of `outside.yaml`: the receiver of the feed and the site, for a computer outside."""
    plan = plan.of_the_outside()
    receiver: Part = {
        "image": plan.image,
        "command": plan.receiver_command(),
        **_common(plan.receiver_probe()),
        "environment": {STORE_VARIABLE: PUBLIC_FILE},
        "volumes": [_public(), {"type": "bind", "source": "./secrets", "target": SECRETS, "read_only": True}],
        "mem_limit": "512m",
        "cpus": 1.0,
        "pids_limit": 256,
        "networks": ["receiver"],
        "ports": [f"{RECEIVER_PORT}:{RECEIVER_PORT}"],
    }
    return _text(
        {
            "services": {"receiver": receiver, "site": _site(plan)},
            "volumes": {"public": {"name": f"{plan.slug}-public"}},
            "networks": {"receiver": {}, "outside": {}},
        }
    )


def _text(document: Part) -> str:
    return HEAD + yaml.dump(document, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=120)


def _public() -> Part:
    return {"type": "volume", "source": "public", "target": PUBLIC}


class PlainDumper(yaml.SafeDumper):
    """Writes what is twice in a document twice, in place of an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _control_room(plan: DeployPlan) -> Part:
    volumes: list[Part] = [
        {"type": "volume", "source": "data", "target": DATA},
        _bound(plan.folder, HERE),
        *(_bound(path, path) for path in (*plan.outside, *_outside_secrets(plan))),
    ]
    if plan.has_public_file:
        volumes.append(_public())
    service: Part = {"image": plan.image, "command": _words(plan.command()), **_common(plan.probe())}
    if plan.variables:
        # Without a value: Compose takes it from its own environment, or from the file .env beside this one.
        service["environment"] = dict.fromkeys(plan.variables)
    service["volumes"] = volumes
    service |= {"mem_limit": "4g", "pids_limit": 2048}
    if plan.is_open:
        service["networks"] = ["inside"]
        service["ports"] = [f"{port.number}:{port.number}" for port in plan.ports]
    else:
        service["network_mode"] = "host"
    return service


def _site(plan: DeployPlan) -> Part:
    # A database must be named; its URL is in no file.
    store = f"${{{STORE_VARIABLE}:?the URL of the public store}}" if plan.has_database else PUBLIC_FILE
    return {
        "image": plan.image,
        "command": _words(plan.site_command()),
        **_common(plan.site_probe()),
        "environment": {STORE_VARIABLE: store},
        "volumes": [] if plan.has_database else [_public()],
        "mem_limit": "512m",
        "cpus": 1.0,
        "pids_limit": 256,
        "networks": ["outside"],
        "ports": [f"{SITE_PORT}:{SITE_PORT}"],
    }


def _common(probe: list[str]) -> Part:
    """What each container may and may not."""
    return {
        "restart": "unless-stopped",
        "init": True,
        "user": f"{UID}:{UID}",
        "read_only": True,
        "tmpfs": ["/tmp:mode=1777"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{GRACE_S}s",
        "healthcheck": {
            "test": ["CMD", *_words(probe)],
            "interval": "30s",
            "timeout": "10s",
            "retries": 3,
            "start_period": "60s",
        },
        "logging": {"driver": "json-file", "options": dict(LOG_FILES)},
    }


def _bound(source: str, target: str) -> Part:
    return {"type": "bind", "source": _word(source), "target": _word(target), "read_only": True}


def _outside_secrets(plan: DeployPlan) -> list[str]:
    return [path for path in plan.secret_files if path.startswith("/")]


def _words(words: list[str]) -> list[str]:
    return [_word(word) for word in words]


def _word(text: str) -> str:
    """As Compose takes it: `$` begins a variable."""
    return text.replace("$", "$$")
