"""The published state of the fleet: its nodes, its services, and the whole. Pure."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Health, ImagePull
from countingroom.core.fleet.record import Phase, SetAside
from countingroom.core.fleet.usb import UsbDevice


class InstanceState(Struct, frozen=True, kw_only=True):
    """One instance, in the state of its service."""

    node: str
    index: int = 0
    health: Health | None = None
    """None: it is not there, or nothing is known of it now (`is_known`)."""
    is_known: bool = True
    """False: its node does not answer; the other fields are as they were last seen."""
    since_ns: int = 0
    revision: int = 0
    is_current: bool = True
    """Whether it is as its service is wanted now."""
    version: str = ""
    """The tag of its image."""
    crashes: int = 0
    exit_status: int | None = None
    reason: str = ""
    drift: tuple[str, ...] = ()
    is_over: bool = False
    """It ended, and `restart` of its service says that it is not started again."""
    doing: str = ""
    """What the keeper does to it now: `replace`."""
    engine_id: str = ""
    host: str = ""
    """The computer on which it runs, where its node is more than one."""


class ServiceState(Struct, frozen=True, kw_only=True):
    """A service, at the key `service.<service>` of the bucket `state`."""

    service: str
    title: str = ""
    category: str = ""
    runs: str = ""
    """What of this experiment it is: `system.STS`, the agent of that system; `role.devices`."""
    is_actor: bool = False
    """Whether its instances speak the actor protocol."""
    is_wanted: bool = True
    """False: no revision wants it any more; its last instances are being ended."""
    version: str = ""
    """The tag of the image, or the program, that is wanted now."""
    phase: Phase = Phase.DONE
    target: int = 0
    """The revision that was applied."""
    revision: int = 0
    """The revision that instances are made from now; another one while it is rolled back."""
    since_ns: int = 0
    cause: Cause | None = None
    disabled: SetAside | None = None
    instances: tuple[InstanceState, ...] = ()
    waiting: tuple[str, ...] = ()
    """Why nothing is done at present."""
    volumes: dict[str, str] = {}
    """Named volume of its containers -> the device of its options; empty: none, or another one on each node."""
    log: tuple[str, ...] = ()
    """The last steps of its change, newest last: `14:28:10 canary cam-01 replaced`."""

    @property
    def healthy(self) -> int:
        """Instances that work."""
        return sum(one.health is Health.HEALTHY and one.is_known for one in self.instances)


class NodeReboot(Struct, frozen=True, kw_only=True):
    """The last restart of a node that a user asked for."""

    is_hard: bool = False
    """By its power."""
    by: str = ""
    since_ns: int = 0
    step: str = "asked"
    """`asked`, `off`, `on`, `waits` (for another boot id), `done`, `failed`."""
    cause: Cause | None = None


class NodeState(Struct, frozen=True, kw_only=True):
    """A node, at the key `node.<node>` of the bucket `state`."""

    node: str
    address: str = ""
    engine: str = ""
    url: str = ""
    """Where its engine answers; empty: programs of the computer of the keeper."""
    category: str = ""
    labels: dict[str, str] = {}
    is_reachable: bool = False
    since_ns: int = 0
    cause: Cause | None = None
    cordon: SetAside | None = None
    instances: int = 0
    healthy: int = 0
    warning: str = ""
    """What is dangerous in how it is reached."""
    pulls: tuple[ImagePull, ...] = ()
    """Images that it gets at present."""
    usb: tuple[UsbDevice, ...] = ()
    """Its USB devices with a serial number."""
    boot: str = ""
    """The boot id of the computer: another one after each start. Empty: not known."""
    restarts: tuple[str, ...] = ()
    """How it can be restarted: `soft` by ssh, `hard` by its power."""
    reboot: NodeReboot | None = None


class FleetState(Struct, frozen=True, kw_only=True):
    """The whole, at the key `fleet.main` of the bucket `state`."""

    revision: int = 0
    by: str = ""
    time_ns: int = 0
    comment: str = ""
    keeper: str = ""
    """The process that keeps the fleet."""
    cause: Cause | None = None
    """Why nothing is done at all: the database is away."""


FLEET_KEY = "fleet.main"


def node_key(node: str) -> str:
    """Key in `state` of a node."""
    return f"node.{node}"


def service_key(service: str) -> str:
    """Key in `state` of a service."""
    return f"service.{service}"
