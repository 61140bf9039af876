"""The PVAccess client of one device. This is the only module of the driver that uses p4p (PVXS).

p4p calls back from a thread of PVXS when an empty queue has got an update. The queues are emptied in the event loop,
all that have something together. Each device has a client of its own, so each has its own addresses.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct
from p4p.client import raw  # pyright: ignore[reportMissingTypeStubs]

from countingroom.core.clock import timeout
from countingroom.core.errors import DeviceError, LinkError
from countingroom.devices.drivers.epics.client import Callback
from countingroom.devices.drivers.epics.convert import ENUM_AS_TEXT
from countingroom.devices.drivers.epics.pva_values import LostPv, description, update, words

_raw: Any = raw  # it has no types
_ADDRESS_LIST, _NAME_SERVERS = "EPICS_PVA_ADDR_LIST", "EPICS_PVA_NAME_SERVERS"
_AUTOMATIC, _SILENCE = "EPICS_PVA_AUTO_ADDR_LIST", "EPICS_PVA_CONN_TMO"
_SILENCE_S = "5.0"
"""PVXS ends a connection after 4/3 of this without a sign of life, and asks for one in time."""
_AT_ONCE = 64
"""Updates of one variable that are taken in one turn of the event loop."""
_REQUEST = "field()"
_EVERY_CHANGE = "record[queueSize=1000]field()"
"""The queue of a variable of which every change counts; the usual one holds 4, and then the newest."""
_PUT = "record[block=true,process=passive]field()"


class PvAccess:
    """The client of one device. Before `start` it has no effect."""

    def __init__(self) -> None:
        self._addresses: list[str] = []
        self._name_servers: list[str] = []
        self.context: Any = None

    def register(self, address_list: Sequence[str], name_servers: Sequence[str]) -> None:
        """Add the addresses of the device."""
        self._addresses += address_list
        self._name_servers += name_servers

    def start(self) -> None:
        """Make the client. Without addresses those of the environment hold, as for every EPICS program."""
        if self.context is not None:
            return
        conf = {_SILENCE: os.environ.get(_SILENCE, _SILENCE_S)}
        if self._addresses or self._name_servers:
            conf |= {
                _ADDRESS_LIST: " ".join(self._addresses),
                _NAME_SERVERS: " ".join(self._name_servers),
                _AUTOMATIC: "NO",
            }
        self.context = _raw.Context("pva", conf=conf, useenv=True, nt=False)

    def monitors(self, timeout_s: float) -> PvMonitors:
        """The subscriptions of the device."""
        return PvMonitors(self, timeout_s)

    def end(self) -> None:
        """End the client; the next `start` makes another."""
        context, self.context = self.context, None
        if context is not None:
            context.close()


class _PvMonitor(Struct, kw_only=True, eq=False):
    """One subscription, and what its updates are given to."""

    pv: str
    callback: Callback
    refused: Callable[[str], None]
    as_text: bool
    every_change: bool
    subscription: Any = None
    is_linked: bool = False


class PvMonitors:
    """The subscriptions of one device."""

    misses_first_change = False
    """A subscription of PVAccess begins with the value that it then follows."""

    def __init__(self, access: PvAccess, timeout_s: float) -> None:
        self._access = access
        self._timeout_s = timeout_s
        self._monitors: dict[str, list[_PvMonitor]] = {}
        self._ready: deque[_PvMonitor] = deque()
        self._is_woken = False

    @property
    def dropped(self) -> int:
        """PVXS does not count what it drops."""
        return 0

    def add(
        self,
        pv: str,
        callback: Callback,
        *,
        datatype: int | None,
        refused: Callable[[str], None],
        every_change: bool = False,
    ) -> None:
        """Start to search. `callback` receives every update, and `ok` false when the link is lost."""
        monitor = _PvMonitor(
            pv=pv,
            callback=callback,
            refused=refused,
            as_text=datatype == ENUM_AS_TEXT,
            every_change=every_change,
        )
        self._monitors.setdefault(pv, []).append(monitor)
        self._subscribe(monitor)

    def renew(self) -> None:
        """Subscribe again where the server has ended a subscription."""
        for monitor in self._each():
            if monitor.subscription is None:
                self._subscribe(monitor)

    def resubscribe(self, pvs: Collection[str]) -> None:
        """Close the subscriptions of these variables and make them anew."""
        for pv in pvs:
            for monitor in self._monitors.get(pv, ()):
                if monitor.subscription is not None:
                    self._end(monitor)
                self._subscribe(monitor)

    def server_of(self, pv: str) -> str:
        """p4p does not tell it."""
        return ""

    async def answers(self, pv: str) -> bool:
        """Whether its server answers a request for this variable in time. A refusal is an answer."""
        try:
            await self._get(pv)
        except (_raw.RemoteError, _raw.Finished):
            return True
        except (TimeoutError, LinkError, _raw.Disconnected, _raw.Cancelled):
            return False
        return True

    async def present(self, pv: str, datatype: int | None) -> Any:
        """Its value now, as an update has it; None where there is no answer."""
        try:
            return update(await self._get(pv), as_text=datatype == ENUM_AS_TEXT)
        except (TimeoutError, LinkError, _raw.RemoteError, _raw.Finished, _raw.Disconnected, _raw.Cancelled):
            return None

    async def describe(self, pv: str) -> Any:
        """Unit, precision and limits, or the words of an enum; None where the server does not tell them."""
        try:
            return description(await self._get(pv))
        except (TimeoutError, LinkError, _raw.RemoteError, _raw.Disconnected, _raw.Cancelled):
            return None

    async def put(self, pv: str, value: float | int | str) -> None:
        """Write, and wait until the IOC has processed it, as long as its server answers other requests.

        LinkError when the link is lost or the server falls silent; DeviceError when the IOC refuses.
        """
        builder = partial(_build, value)
        task = asyncio.ensure_future(
            self._call(lambda done: self._context().put(pv, done, builder=builder, request=_PUT))
        )
        try:
            while not (await asyncio.wait({task}, timeout=self._timeout_s))[0]:
                if not await self.answers(pv) and not task.done():
                    raise LinkError(f"{pv}: no answer to a put within {self._timeout_s:g} s", source=pv)
            await task
        except _raw.RemoteError as error:
            raise DeviceError(f"{pv}: the IOC refuses: {error}", code="refused_by_device", source=pv) from error
        except (_raw.Disconnected, _raw.Cancelled) as error:
            raise LinkError(f"{pv}: the link was lost during a put", source=pv) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DeviceError(f"{pv}: the IOC does not take {value!r}: {error}", source=pv) from error
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def close(self) -> None:
        """Close all subscriptions, and the client."""
        for monitor in self._each():
            if monitor.subscription is not None:
                monitor.subscription.close()
                monitor.subscription = None
        self._monitors.clear()
        self._ready.clear()
        self._access.end()

    def _each(self) -> list[_PvMonitor]:
        return [one for each in self._monitors.values() for one in each]

    def _context(self) -> Any:
        context = self._access.context
        if context is None:
            raise LinkError("the client of PVAccess is closed")
        return context

    def _subscribe(self, monitor: _PvMonitor) -> None:
        loop = asyncio.get_running_loop()
        request = _EVERY_CHANGE if monitor.every_change else _REQUEST
        monitor.subscription = self._context().monitor(
            monitor.pv, partial(self._arrived, loop, monitor), request=request
        )

    def _arrived(self, loop: asyncio.AbstractEventLoop, monitor: _PvMonitor) -> None:
        """Called in a thread of PVXS: the queue of this subscription is not empty any more."""
        self._ready.append(monitor)
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._is_woken = False  # before the queues are read: what comes from now on wakes it again
        again: list[_PvMonitor] = []
        while self._ready:
            monitor = self._ready.popleft()
            if self._has_more(monitor):
                again.append(monitor)
        if again:
            self._ready.extend(again)
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _has_more(self, monitor: _PvMonitor) -> bool:
        """Take some updates of a subscription; whether there may be more."""
        for _ in range(_AT_ONCE):
            if monitor.subscription is None or (given := monitor.subscription.pop()) is None:
                return False
            self._take(monitor, given)
        return True

    def _take(self, monitor: _PvMonitor, given: Any) -> None:
        if not isinstance(given, Exception):
            monitor.is_linked = True
            monitor.callback(update(given, as_text=monitor.as_text))
        elif isinstance(given, (_raw.RemoteError, _raw.Finished)):
            self._end(monitor)
            reason = str(given) if isinstance(given, _raw.RemoteError) else "it has ended the subscription"
            monitor.refused(f"the IOC refuses {monitor.pv}: {reason}")
        elif monitor.is_linked:  # Disconnected, Cancelled
            monitor.is_linked = False
            monitor.callback(LostPv())

    def _end(self, monitor: _PvMonitor) -> None:
        subscription, monitor.subscription = monitor.subscription, None
        monitor.is_linked = False
        subscription.close()

    async def _get(self, pv: str) -> Any:
        async with timeout(self._timeout_s):
            return await self._call(lambda done: self._context().get(pv, done))

    async def _call(self, begin: Callable[[Callable[[Any], None]], Any]) -> Any:
        """Begin an operation, and wait for its result; raises what it ended with."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()

        def finish(given: Any) -> None:
            if result.done():
                return
            if isinstance(given, Exception):
                result.set_exception(given)
            else:
                result.set_result(given)

        def done(given: Any) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(finish, given)

        operation = begin(done)
        try:
            return await result
        finally:
            operation.close()


def _build(given: float | int | str, value: Any) -> None:
    """Put a value into the structure that the server expects; called in a thread of PVXS."""
    inner = value["value"]
    if choices := words(inner):
        index = choices.index(given) if isinstance(given, str) else int(given)
        if not 0 <= index < len(choices):
            raise ValueError(f"{given} is none of {', '.join(choices)}")
        value["value.index"] = index
    elif isinstance(given, str) and getattr(getattr(inner, "dtype", None), "itemsize", 0) == 1:
        value["value"] = [byte - 256 if inner.dtype.kind == "i" and byte > 127 else byte for byte in given.encode()] + [
            0
        ]
    elif hasattr(inner, "shape"):
        raise ValueError("it is an array")
    else:
        value["value"] = given
