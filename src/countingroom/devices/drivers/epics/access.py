"""Law: the one room that knows the Channel Access client library. Its addresses and its channels are counted here.

libca is one client for a whole process: it reads its addresses from the environment when it begins, and aioca, which
we use it through, keeps every channel for ever. So the addresses of all devices are gathered before the first channel
is made, and a channel that nobody holds any more is let go: the next search for it then begins at once, where libca's
own would by then ask once in a minute.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakSet

import aioca
from aioca import _catools  # pyright: ignore[reportPrivateUsage]  (its context and channel cache have no public name)

from countingroom.core.errors import ConfigurationError, DeviceError, LinkError

_aioca: Any = aioca  # its types are partly unknown
_library: Any = _catools
_SITE = {name: os.environ.get(name, "") for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_NAME_SERVERS")}
_AUTOMATIC = "EPICS_CA_AUTO_ADDR_LIST"
_SITE_AUTOMATIC = os.environ.get(_AUTOMATIC)
_SILENCE = "EPICS_CA_CONN_TMO"
_SILENCE_S = "5.0"
"""After this long without a word libca asks the server whether it lives, and gives it 5 s to say so."""

Callback = Callable[[Any], None]


@_library.cadef.exception_handler
def _quiet(details: Any) -> None:
    """libca prints every lost circuit; its channels tell us, and the device host says it once."""


class Addresses:
    """Where one device wants searches to go. In force for all devices of the process while this object lives."""

    _all: WeakSet[Addresses] = WeakSet()
    _in_force: dict[str, str] | None = None

    def __init__(self, address_list: Sequence[str], name_servers: Sequence[str]) -> None:
        self.address_list = tuple(address_list)
        self.name_servers = tuple(name_servers)
        self._all.add(self)

    @classmethod
    def _wanted(cls) -> dict[str, str]:
        def union(site: str, lists: Iterable[tuple[str, ...]]) -> str:
            return " ".join(sorted({*site.split(), *(address for each in lists for address in each)}))

        everybody = list(cls._all)
        explicit = all(each.address_list or each.name_servers for each in everybody)
        return {
            "EPICS_CA_ADDR_LIST": union(_SITE["EPICS_CA_ADDR_LIST"], (each.address_list for each in everybody)),
            "EPICS_CA_NAME_SERVERS": union(_SITE["EPICS_CA_NAME_SERVERS"], (each.name_servers for each in everybody)),
            _AUTOMATIC: _SITE_AUTOMATIC or ("NO" if explicit else "YES"),
        }

    @classmethod
    def _covers(cls, wanted: dict[str, str]) -> bool:
        """Whether searches already go everywhere that is wanted (a device that has left is no reason to begin anew)."""
        now = cls._in_force or {}
        known = all(set(wanted[name].split()) <= set(now.get(name, "").split()) for name in _SITE)
        return known and now.get(_AUTOMATIC) in (wanted[_AUTOMATIC], "YES")

    @classmethod
    def apply(cls) -> None:
        """Put them in force; ConfigurationError when channels made under other addresses are still held."""
        wanted = cls._wanted()
        if cls._in_force == wanted or (_holders and cls._covers(wanted)):
            return
        if _holders:
            raise ConfigurationError(
                "Channel Access is already in use with other addresses in this process",
                source="devices.epics",
                suggestion="build all EPICS devices of a host before the first connects, or host them apart",
            )
        if cls._in_force is not None:
            _library._Context._teardown()
        os.environ.update(wanted)
        os.environ.setdefault(_SILENCE, _SILENCE_S)
        cls._in_force = wanted
        _library._Context._ensure_context()
        _library.cadef.ca_add_exception_event(_quiet, None)


_holders: Counter[str] = Counter()


class Monitors:
    """The subscriptions of one device: made together, searched for in parallel, let go together."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._subscriptions: list[tuple[str, Any]] = []

    def add(self, pv: str, callback: Callback, *, datatype: int) -> None:
        """Begin to search; then the value, every change, and a value with `ok` false when the link goes."""
        subscription = _aioca.camonitor(
            pv, callback, datatype=datatype, format=aioca.FORMAT_TIME, notify_disconnect=True
        )
        _holders[pv] += 1
        self._subscriptions.append((pv, subscription))

    async def put(self, pv: str, value: float | int | str) -> None:
        """Write, and wait until the IOC has processed it."""
        try:
            await _aioca.caput(pv, value, wait=True, timeout=self._timeout_s)
        except aioca.CANothing as error:
            if error.errorcode in (_library.cadef.ECA_TIMEOUT, _library.cadef.ECA_DISCONN):
                raise LinkError(f"{pv}: no answer to a put within {self._timeout_s:g} s", source=pv) from error
            raise DeviceError(f"{pv}: the IOC refuses: {error}", source=pv) from error
        except _library.cadef.Disconnected as error:
            raise LinkError(f"{pv}: the link was lost during a put", source=pv) from error
        except (_library.cadef.CAException, ValueError, TypeError) as error:
            raise DeviceError(f"{pv}: the IOC does not take {value!r}: {error}", source=pv) from error

    async def close(self) -> None:
        """Let every channel go that no other device holds."""
        if not self._subscriptions:
            return
        subscriptions, self._subscriptions = self._subscriptions, []
        channels = _channels()
        tasks: list[asyncio.Task[None]] = []
        for pv, subscription in subscriptions:
            tasks.append(subscription._Subscription__task)
            subscription.close()
            _holders[pv] -= 1
            if not _holders[pv]:
                del _holders[pv]
                if channel := channels.pop(pv, None):
                    channel._purge()
        await asyncio.gather(*tasks, return_exceptions=True)


def _channels() -> dict[str, Any]:
    """aioca's channels of this event loop, by name."""
    return _library._Context.get_channel_cache()._ChannelCache__channels
