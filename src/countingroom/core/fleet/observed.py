"""What is seen of the fleet: nodes, the instances on them, and the actions that are under way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.usb import UsbDevice


class Health(StrEnum):
    """Of one instance."""

    STARTING = "starting"
    """It runs; no check has succeeded yet, or its start period is not over. Or it waits in the queue of its engine."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    """It runs, and its checks failed `HealthCheck.failures` times in a row."""
    EXITED = "exited"
    """It ended, or was never started after it was made."""


class ObservedInstance(Struct, frozen=True, kw_only=True, gc=False):
    """One instance that exists on a node that answers."""

    id: InstanceId
    digest: str
    """Of the spec that it was made from; empty: it was not made by countingroom."""
    revision: int = 0
    """The revision that it was made for."""
    change: str = ""
    """`Change.token` of the change that made it."""
    health: Health = Health.STARTING
    since_ns: int = 0
    """Since when it has this health."""
    started_ns: int = 0
    exit_status: int | None = None
    crashes: int = 0
    """Ends in a row without being healthy for long enough in between."""
    reason: str = ""
    """The last failed check or the last line before its end."""
    drift: tuple[str, ...] = ()
    """What was changed by hand since it was made: `limits.memory 3 GiB → 4 GiB`."""
    engine_id: str = ""
    host: str = ""
    """The computer on which it runs, where its node is more than one."""
    grace_s: float = 10.0
    """Of the spec that it was made from: its time between the request to end and SIGKILL."""


class ImagePull(Struct, frozen=True, kw_only=True):
    """An image that a node gets at present."""

    image: str
    done_bytes: int = 0
    whole_bytes: int = 0
    """As far as it is known: it grows with each layer that begins. 0: nothing is known yet."""
    since_ns: int = 0


class ObservedNode(Struct, frozen=True, kw_only=True):
    """A node as its engine shows it."""

    name: str
    is_reachable: bool
    since_ns: int = 0
    """Since when it answers, or does not."""
    instances: Mapping[InstanceId, ObservedInstance] = {}
    """While the node does not answer: as they were last seen. Nothing is known of them now."""
    images: frozenset[str] = frozenset()
    """Images that are on the node, as `name:tag` or `name@digest`."""
    cause: Cause | None = None
    """Why it does not answer."""
    pulls: tuple[ImagePull, ...] = ()
    usb: tuple[UsbDevice, ...] | None = None
    """Its USB devices with a serial number; None: not known."""


class Attempt(Struct, frozen=True, kw_only=True):
    """An action that failed."""

    cause: Cause
    at_ns: int
    count: int = 1
    """Failures in a row."""


class Observed(Struct, frozen=True, kw_only=True):
    """The whole fleet at one moment."""

    nodes: Mapping[str, ObservedNode] = {}
    busy: frozenset[InstanceId] = frozenset()
    """Instances that an action works on at present."""
    interrupted: frozenset[InstanceId] = frozenset()
    """Instances that an action worked on when their node was lost: whether they run is not known."""
    pulling: frozenset[tuple[str, str]] = frozenset()
    """(node, image) that are being pulled."""
    failed_pulls: Mapping[tuple[str, str], Attempt] = {}
    """(node, image) -> the last attempt, where it failed. Forgotten when a revision is applied anew."""
    failed_actions: Mapping[InstanceId, Attempt] = {}
    """The last attempt to make or end an instance, where it failed. Forgotten when one succeeds or a revision is
    applied."""
