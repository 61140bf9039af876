"""The Channel Access client of one device host. This is the only module that uses the client library (libca by aioca).

libca is one client for a whole process. It reads its addresses from the environment when it starts, so the addresses of
all devices are registered before the first channel is made. aioca keeps every channel for ever, so a channel without
subscriptions is cleared here: the next search for it then starts at once, while libca's own repeated search has by then
slowed down to one packet a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from countingroom.core.lean_imports import without_init

with without_init("setuptools_dso", names_of="runtime"):  # its `__init__` loads setuptools: 6 MiB, 0.1 s
    import aioca
    from aioca import _catools  # pyright: ignore[reportPrivateUsage]  (its context and cache have no public name)
    from epicscorelibs.ca import py23
from msgspec import Struct

from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.devices.drivers.epics.convert import TEXT_AS_BYTES, decoded
from countingroom.devices.drivers.epics.fast_update import ThreadStates, fast

_aioca: Any = aioca  # its types are partly unknown
_library: Any = _catools
_texts: Any = py23
_texts.decode = decoded
"""How the library reads texts: values, words, units. Its own way loses what is no UTF-8, such as the degree sign of
Latin-1."""
_ADDRESS_LIST = "EPICS_CA_ADDR_LIST"
_NAME_SERVERS = "EPICS_CA_NAME_SERVERS"
_AUTOMATIC = "EPICS_CA_AUTO_ADDR_LIST"
_SILENCE = "EPICS_CA_CONN_TMO"
_SILENCE_S = "5.0"
"""After this silence libca sends the server an echo request, and waits 5 s for the answer."""
_OURS = (_ADDRESS_LIST, _NAME_SERVERS, _AUTOMATIC, _SILENCE)
"""The variables of the environment that are set here."""

TEXT, ENUM, CHARACTERS, DOUBLE = 0, 3, 4, 6
"""Types of process variables: DBR codes of db_access.h."""
_STATUS = re.compile(r"bad status (\d+)")
"""The status in the text of the exception with which aioca closes a subscription."""

_TWO_SERVERS = 200
"""ECA_DBLCHNL of caerr.h."""
_MOST_TOLD = 1000
"""Variables on two servers; more are not told."""
_log = logging.getLogger(__name__)

Callback = Callable[[Any], None]


class _Subscription(_library.Subscription):  # pyright: ignore[reportUntypedBaseClass]
    """A subscription that reports it when a refused update closes it; aioca itself only prints that on stderr."""

    def __init__(
        self,
        pv: str,
        callback: Callback,
        datatype: int | None,
        refused: Callable[[str], None],
        every_change: bool,
        states: ThreadStates,
    ) -> None:
        self._states = states
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            pv,
            callback,
            events=None,
            datatype=datatype,
            format=aioca.FORMAT_TIME,
            count=0,
            all_updates=every_change,
            notify_disconnect=True,
            connect_timeout=None,
        )
        self._refused = refused

    @property
    def dbr_to_value(self) -> Any:
        """How aioca's callback reads an update. aioca sets it before it subscribes."""
        return self._convert

    @dbr_to_value.setter
    def dbr_to_value(self, slow: Any) -> None:
        # An array may have one value at times, and stays an array.
        self._convert = fast(slow, self._states, is_scalar=_library.cadef.ca_element_count(self.channel) == 1)

    @property
    def is_closed(self) -> bool:
        """Whether it brings no more updates."""
        return bool(self.state == self.CLOSED)

    def close(self, exc_info: Any = None) -> None:
        """Called by aioca with `exc_info` where an update was refused or cannot be converted."""
        was_open = not self.is_closed
        if self.state == self.OPEN and not hasattr(self, "_as_parameter_"):
            # The link was lost between its search and the subscription: the server has nothing that aioca could clear.
            self.channel._remove_subscription(self)
            self.state = self.OPENING
        super().close()  # pyright: ignore[reportUnknownMemberType]
        if exc_info is not None and was_open:
            self._refused(f"the IOC refuses {self.name}: {_words(exc_info[1])}")


def _words(error: BaseException) -> str:
    """The status of libca in words, where the exception names one."""
    if found := _STATUS.search(str(error)):
        return str(_library.cadef.ca_message(int(found.group(1))))
    return f"{type(error).__name__}: {error}"


class _Exceptions:
    """What libca would print on stderr. It prints every lost circuit, which channels report as well, and the device
    host logs. That two servers have a variable is told here, once, as only one of them is heard."""

    def __init__(self) -> None:
        self._told: set[bytes] = set()
        """The variable, the server that is heard, the one that is ignored."""

    def __call__(self, details: Any) -> None:
        """Called by threads of libca."""
        what = bytes(details.ctx or b"")
        if details.stat != _TWO_SERVERS or what in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(what)
        _log.warning("two servers have one variable, and which of them is heard is left to chance: %s", decoded(what))


class ChannelAccess:
    """The client of a device host: where it searches and which channels it holds. Get it by `resources.get`.

    Before `start` it changes neither the environment nor libca. A process may use only one, because libca keeps its
    state per process.
    """

    def __init__(self) -> None:
        self._address_lists: list[tuple[str, ...]] = []
        self._name_servers: list[tuple[str, ...]] = []
        self._site: dict[str, str | None] = {name: os.environ.get(name) for name in _OURS}
        """The environment as the site has set it."""
        self._in_force: dict[str, str] | None = None
        self._monitors: list[Monitors] = []

    def register(self, address_list: Sequence[str], name_servers: Sequence[str]) -> None:
        """Add the addresses of one device. They come into force at the next `start`."""
        self._address_lists.append(tuple(address_list))
        self._name_servers.append(tuple(name_servers))

    def monitors(self, timeout_s: float) -> Monitors:
        """An empty set of subscriptions for one device."""
        made = Monitors(timeout_s)
        self._monitors.append(made)
        return made

    def start(self) -> None:
        """Put all registered addresses in force; ConfigurationError while channels found by other addresses are held.

        libca reads the environment once, when its context is made. New addresses need a new context, and destroying the
        old one would cut off the devices that still hold channels in it.
        """
        wanted = self._wanted()
        held = _has_channels()
        if self._in_force == wanted or (held and self._covers(wanted)):
            return
        if held:
            raise ConfigurationError(
                "Channel Access is already in use with other addresses in this process",
                source="devices.epics",
                suggestion="build all EPICS devices of a host before the first connects, or host them apart",
            )
        _destroy_context()
        os.environ.update(wanted)
        os.environ.setdefault(_SILENCE, _SILENCE_S)
        self._in_force = wanted
        _library._Context._ensure_context()
        handler = _library.cadef.exception_handler(_Exceptions())
        _library.cadef.ca_add_exception_event(handler, None)
        _library._Context.exception_handler = handler  # kept as long as libca may call it

    async def close(self) -> None:
        """Release every channel and the client, and give the environment back as it was."""
        for monitors in self._monitors:
            await monitors.close()
        self._monitors.clear()
        if self._in_force is None:
            return
        self._in_force = None
        _destroy_context()
        for name, value in self._site.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _wanted(self) -> dict[str, str]:
        explicit = all(map(any, zip(self._address_lists, self._name_servers, strict=True)))
        return {
            _ADDRESS_LIST: _union(self._site[_ADDRESS_LIST], self._address_lists),
            _NAME_SERVERS: _union(self._site[_NAME_SERVERS], self._name_servers),
            _AUTOMATIC: self._site[_AUTOMATIC] or ("NO" if explicit else "YES"),
        }

    def _covers(self, wanted: dict[str, str]) -> bool:
        """Whether the searches already reach every wanted address."""
        now = self._in_force or {}
        reached = all(
            set(wanted[name].split()) <= set(now.get(name, "").split()) for name in (_ADDRESS_LIST, _NAME_SERVERS)
        )
        return reached and now.get(_AUTOMATIC) in (wanted[_AUTOMATIC], "YES")


class _Monitor(Struct, kw_only=True):
    """A subscription, and how to make it anew."""

    pv: str
    make: Callable[[], _Subscription]
    subscription: _Subscription


class Monitors:
    """The subscriptions of one device: made together, searched for in parallel, closed together."""

    misses_first_change = True
    """A server sends the first value of a subscription before it lets changes through: one that comes between the two
    is never sent."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._monitors: list[_Monitor] = []
        self._dropped = 0
        self._states = ThreadStates()

    def add(
        self,
        pv: str,
        callback: Callback,
        *,
        datatype: int | None,
        refused: Callable[[str], None],
        every_change: bool = False,
    ) -> None:
        """Start to search. `callback` receives the value, every change, and `ok` false when the link is lost. `refused`
        receives the reason when the IOC refuses an update: then no more come until `renew`. Unless `every_change`,
        aioca drops a change when a newer one comes before the callback was called."""
        make = partial(_Subscription, pv, callback, datatype, refused, every_change, self._states)
        self._monitors.append(_Monitor(pv=pv, make=make, subscription=make()))

    @property
    def dropped(self) -> int:
        """Changes that aioca dropped so far."""
        return self._dropped + sum(one.subscription.dropped_callbacks for one in self._monitors)

    def renew(self) -> None:
        """Make every subscription anew that a refused update has closed."""
        for one in self._monitors:
            if one.subscription.is_closed:
                self._dropped += one.subscription.dropped_callbacks
                one.subscription = one.make()

    def resubscribe(self, pvs: Collection[str]) -> None:
        """Close the subscriptions of these variables and make them anew."""
        for one in self._monitors:
            if one.pv in pvs:
                self._dropped += one.subscription.dropped_callbacks
                one.subscription.close()
                one.subscription = one.make()

    def server_of(self, pv: str) -> str:
        """`host:port` of the server that answers for this variable, which must be linked."""
        channel = _channels().get(pv)
        return "" if channel is None else str(_library.cadef.ca_host_name(channel))

    async def answers(self, pv: str) -> bool:
        """Whether its server answers a request for this variable in time. A refusal is an answer."""
        try:
            await _aioca.caget(pv, count=1, timeout=self._timeout_s)
        except aioca.CANothing as error:
            return error.errorcode not in (_library.cadef.ECA_TIMEOUT, _library.cadef.ECA_DISCONN)
        except (_library.cadef.CAException, _library.cadef.Disconnected):
            return False
        return True

    async def present(self, pv: str, datatype: int | None) -> Any:
        """Its value now, with its time stamp; None where there is no answer. A server answers it after the first value
        of a subscription that was made before, and after the changes that it has sent until then."""
        try:
            return await _aioca.caget(pv, datatype=datatype, format=aioca.FORMAT_TIME, count=0, timeout=self._timeout_s)
        except (aioca.CANothing, _library.cadef.CAException, _library.cadef.Disconnected):
            return None

    async def describe(self, pv: str) -> Any:
        """A value with its control information: unit, precision and limits, or the words of an enum. None where the
        variable has none or its server does not answer."""
        channel = _channels().get(pv)
        try:
            field = TEXT if channel is None or not channel.connected() else _library.cadef.ca_field_type(channel)
            if field == TEXT:
                return None
            # As a double, in which an IOC says of a limit that it has none; as a whole number it would be 0.
            datatype = None if field == ENUM else DOUBLE
            return await _aioca.caget(pv, datatype=datatype, format=aioca.FORMAT_CTRL, count=1, timeout=self._timeout_s)
        except (aioca.CANothing, _library.cadef.CAException, _library.cadef.Disconnected):
            return None

    async def put(self, pv: str, value: float | int | str) -> None:
        """Write, and wait until the IOC has processed it, as long as its server answers other requests.

        LinkError when the link is lost or the server falls silent; DeviceError when the IOC refuses.
        """
        as_bytes = isinstance(value, str) and _is_text_array(pv)
        # A string of EPICS ends with a zero byte: without it the end of a longer text before would stay.
        given = f"{value}\0" if as_bytes else value
        datatype = TEXT_AS_BYTES if as_bytes else None
        task = asyncio.ensure_future(_aioca.caput(pv, given, datatype=datatype, wait=True, timeout=None))
        try:
            while not (await asyncio.wait({task}, timeout=self._timeout_s))[0]:
                # A motor completes a put when it has arrived: the server must answer, the put may take its time.
                if not await self.answers(pv) and not task.done():
                    raise LinkError(f"{pv}: no answer to a put within {self._timeout_s:g} s", source=pv)
            await task
        except aioca.CANothing as error:
            if error.errorcode in (_library.cadef.ECA_TIMEOUT, _library.cadef.ECA_DISCONN):
                raise LinkError(f"{pv}: the link was lost during a put", source=pv) from error
            raise DeviceError(f"{pv}: the IOC refuses: {error}", source=pv) from error
        except _library.cadef.Disconnected as error:
            raise LinkError(f"{pv}: the link was lost during a put", source=pv) from error
        except (_library.cadef.CAException, ValueError, TypeError) as error:
            raise DeviceError(f"{pv}: the IOC does not take {value!r}: {error}", source=pv) from error
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def close(self) -> None:
        """Close all subscriptions, and clear every channel that no other device uses."""
        if not self._monitors:
            return
        self._dropped = self.dropped
        monitors = self._monitors
        self._monitors = []
        channels = _channels()
        tasks: list[asyncio.Task[None]] = []
        for one in monitors:
            tasks.append(one.subscription._Subscription__task)
            one.subscription.close()
            # aioca would keep the channel, and libca would go on to search for it at its slowest pace.
            channel = channels.get(one.pv)
            if channel is not None and not channel.count_subscriptions():
                del channels[one.pv]
                channel._purge()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_text_array(pv: str) -> bool:
    """Whether it is an array of characters: the field of a text named with `$`, or a waveform of them."""
    channel = _channels().get(pv)
    if channel is None or not channel.connected():
        return pv.endswith("$")
    return bool(_library.cadef.ca_field_type(channel) == CHARACTERS and _library.cadef.ca_element_count(channel) > 1)


def _union(site: str | None, lists: Iterable[tuple[str, ...]]) -> str:
    return " ".join(sorted({*(site or "").split(), *(address for each in lists for address in each)}))


def _channels() -> dict[str, Any]:
    """aioca's channels of this event loop, by name."""
    return _library._Context.get_channel_cache()._ChannelCache__channels


def _has_channels() -> bool:
    """Whether this process holds a channel in an event loop that still runs."""
    caches = _library._Context._channel_caches
    return any(cache.get_channels() for loop, cache in caches.items() if not loop.is_closed())


def _destroy_context() -> None:
    if _library._Context._ca_context is not None:
        _library._Context._teardown()
