"""Topics and identities that Home Assistant accepts, of names with any letters. Pure."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_.]+")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
SEPARATOR = "--"
STATE = "-state"
"""Stands for a point in the topics of the state of a device."""
SYSTEM = "_system"
"""Stands for a device in the topics of what is about the whole experiment."""


def slug(name: str) -> str:
    """The name with letters that a discovery topic may have. Two names that differ have different slugs."""
    if _PLAIN.fullmatch(name):
        return name.replace(".", "-")
    return f"{_OTHER.sub('_', name)[:40].strip('_')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class Topics:
    """All topics of one experiment."""

    def __init__(self, experiment: str, prefix: str, base: str) -> None:
        """`prefix`: of the discovery. `base`: of values; empty: `countingroom/<experiment>`."""
        self.experiment = experiment
        self.prefix = prefix
        self.base = base or f"countingroom/{experiment}"
        self.node = f"countingroom_{experiment}"
        self.status = f"{self.base}/status"
        self.errors = f"{self.base}/error"
        self.birth = f"{prefix}/status"
        self.configs = f"{prefix}/+/{self.node}/+/config"
        """Matches each description of an entity of this experiment."""
        self._config = re.compile(rf"{re.escape(prefix)}/\w+/{re.escape(self.node)}/([A-Za-z0-9_\-]+)/config")

    def config(self, component: str, device: str, name: str) -> str:
        """Where the description of an entity is published. `name`: the slug of the point or command."""
        return f"{self.prefix}/{component}/{self.node}/{device}{SEPARATOR}{name}/config"

    def of(self, device: str, name: str, what: str) -> str:
        """A topic of an entity: its `state`, `set` or `press`."""
        return f"{self.base}/{device}/{name}/{what}"

    def device(self, device: str) -> str:
        """The state of a device."""
        return f"{self.base}/{device}/device"

    def object_of(self, topic: str) -> str:
        """`<device>--<name>` of the topic of a description; empty: it is none of this experiment."""
        found = self._config.fullmatch(topic)
        return found[1] if found else ""

    def state_of_object(self, object_id: str) -> str:
        """The topic of its values."""
        device, _, name = object_id.partition(SEPARATOR)
        return self.device(device) if name == STATE else self.of(device, name, "state")
