"""Resources that the drivers of one device host share: serial ports, the Channel Access client.

The process of the host makes one `SharedResources`, and the builders of drivers get their resources from it. The host
closes all of them when it ends. No resource is a module variable, so two hosts, or two tests, never share one.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar


class Resource(Protocol):
    """An object that several drivers share, such as a serial port. It is made without arguments, and without effect
    until a driver uses it."""

    async def close(self) -> None:
        """Release everything. May be called twice; never raises."""
        ...


R = TypeVar("R", bound=Resource)


class SharedResources:
    """One object of each kind of resource, made when a driver's builder first asks for it."""

    def __init__(self) -> None:
        self._made: dict[type[Any], Resource] = {}

    def get(self, kind: type[R]) -> R:
        """The one resource of this kind: `resources.get(SerialPorts)`."""
        made = self._made.get(kind)
        if not isinstance(made, kind):
            made = kind()
            self._made[kind] = made
        return made

    def made(self, kind: type[R]) -> R | None:
        """The resource of this kind; None: no driver has asked for it."""
        made = self._made.get(kind)
        return made if isinstance(made, kind) else None

    async def close(self) -> None:
        """Close every resource, the youngest first. May be called twice."""
        while self._made:
            _, made = self._made.popitem()
            await made.close()
