"""The port of the EPICS clients: what the driver needs of Channel Access and of PVAccess alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

Callback = Callable[[Any], None]
"""Receives updates: `ok`, and where that is true `raw_stamp`, `severity`, `status` and the value itself."""


class EpicsMonitors(Protocol):
    """The subscriptions of one device: made together, searched for in parallel, closed together."""

    @property
    def dropped(self) -> int:
        """Changes that the client library dropped so far, as far as it counts them."""
        ...

    @property
    def misses_first_change(self) -> bool:
        """Whether a change in the moment of the subscription may never be sent."""
        ...

    def add(
        self,
        pv: str,
        callback: Callback,
        *,
        datatype: int | None,
        refused: Callable[[str], None],
        every_change: bool = False,
    ) -> None:
        """Start to search. `refused` receives the reason when the IOC refuses an update: no more come until `renew`."""
        ...

    def renew(self) -> None:
        """Make every subscription anew that a refused update has closed."""
        ...

    def resubscribe(self, pvs: Collection[str]) -> None:
        """Close the subscriptions of these variables and make them anew."""
        ...

    def server_of(self, pv: str) -> str:
        """The server that answers for this variable; empty where that is not known."""
        ...

    async def answers(self, pv: str) -> bool:
        """Whether its server answers a request for this variable in time. A refusal is an answer."""
        ...

    async def present(self, pv: str, datatype: int | None) -> Any:
        """Its value now, as an update has it; None where there is no answer."""
        ...

    async def describe(self, pv: str) -> Any:
        """A value with its control information (`completion.completed`); None where there is none."""
        ...

    async def put(self, pv: str, value: float | int | str) -> None:
        """Write, and wait until the IOC has processed it. LinkError without answer; DeviceError for a refusal."""
        ...

    async def close(self) -> None:
        """Close all subscriptions."""
        ...


class EpicsClient(Protocol):
    """A client of EPICS in one device host."""

    def register(self, address_list: Sequence[str], name_servers: Sequence[str]) -> None:
        """Add the addresses of one device."""
        ...

    def start(self) -> None:
        """Put all registered addresses in force."""
        ...

    def monitors(self, timeout_s: float) -> EpicsMonitors:
        """An empty set of subscriptions for one device."""
        ...
