"""The driver of EPICS devices: monitors for reading, puts for writing.

All variables are searched for at once. Values that arrive in one turn of the event loop reach the host as one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from countingroom.core.clock import timeout
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.epics.client import EpicsClient
from countingroom.devices.drivers.epics.completion import Unsaid, completed
from countingroom.devices.drivers.epics.convert import Variable, not_found, sample
from countingroom.devices.drivers.epics.description import ChannelAccessSection
from countingroom.devices.drivers.epics.silent import SilentVariables
from countingroom.devices.port import LinkReport, Sample, Sink

ASKED_AT_ONCE = 500
"""Variables whose unit, precision and limits, or values, are asked for together."""
ASKED_AGAIN = 50
"""Setpoints that are asked again for their limits at each `prove`, in turn: an operator of the IOC may change them."""

MOST_SHOWN = 5
"""Variables that a report names."""


class EpicsDriver:
    """Process variables as points: a ProvingDriver.

    A variable that has lost its link is STALE. When all are lost, `read` raises LinkError, so that the host closes the
    driver and searches again. Where the IOC refuses to send an update, the variable is BAD until the next `prove`
    subscribes again.
    """

    def __init__(
        self, variables: Iterable[Variable], section: ChannelAccessSection, access: EpicsClient, *, source: str
    ) -> None:
        self._variables = {variable.point.name: variable for variable in variables}
        self._source = source
        self._timeout_s = section.timeout
        self._access = access
        self._monitors = access.monitors(section.timeout)
        access.register(section.address_list, section.name_servers)
        self._sink: Sink = _discard
        self._latest: dict[str, Sample] = {}
        self._pending: list[Sample] = []
        self._linked: set[str] = set()
        self._refused: set[str] = set()
        """Points without a subscription."""
        self._unconfirmed: set[str] = set()
        """Points that were linked since, and whose first change may have been missed."""
        self._servers: dict[str, str] = {}
        """Point -> the server that answers for it."""
        self.missing: set[str] = set()
        """Points whose variable does not answer, while others do."""
        self._undescribed = {name for name, variable in self._variables.items() if variable.unsaid}
        """Points of which the IOC was not asked yet."""
        self._limited = [name for name, variable in self._variables.items() if Unsaid.WRITE_LIMITS in variable.unsaid]
        """Setpoints in the order in which they are asked again for their limits."""
        self._points = tuple(variable.point for variable in self._variables.values())
        self._silent = SilentVariables(self._variables, section.refresh)
        self._told: set[str] = set()
        """Points of which it was told that the server did not send their changes."""
        self._reports: list[LinkReport] = []
        self._turn = 0
        self._all_linked = asyncio.Event()

    @property
    def points(self) -> tuple[Point, ...]:
        """One point for each process variable. `prove` completes them by what the IOC says."""
        return self._points

    @property
    def thinned(self) -> int:
        """Changes that the client library dropped, because a newer one came before they were taken."""
        return self._monitors.dropped

    def monitor(self, sink: Sink) -> None:
        """Pass every batch of samples to the sink."""
        self._sink = sink

    async def connect(self) -> None:
        """Search for all variables at once. Returns when every variable has a value, or at the timeout when at least
        one has: the others are STALE until they are found. LinkError when none answers."""
        await self._monitors.close()
        self._access.start()
        self._all_linked.clear()
        for variable in self._variables.values():
            self._monitors.add(
                variable.pv,
                self._receiver(variable),
                datatype=variable.datatype,
                refused=partial(self._refuse, variable.point.name),
                every_change=variable.point.every_change,
            )
        try:
            async with timeout(self._timeout_s):
                await self._all_linked.wait()
        except TimeoutError:
            if not self._linked:
                await self.close()
                raise LinkError(
                    f"none of the {len(self._variables)} process variables was found",
                    source=self._source,
                    evidence={"searched_for_s": self._timeout_s},
                    suggestion="check that the IOC runs and that address_list or name_servers reach it",
                ) from None
            for name in sorted(self._variables.keys() - self._linked - self._refused):
                self.missing.add(name)
                self._take(not_found(self._variables[name]))

    async def read(self) -> Sequence[Sample]:
        """The last sample of every variable; LinkError when no variable is linked."""
        if not self._linked:
            raise LinkError("the link to every process variable is lost", source=self._source)
        return list(self._latest.values())

    async def prove(self) -> Collection[str]:
        """Ask every server for one of its variables. Where it answers, the values of all its variables hold: it sends
        each change over the same circuit. The variable asked for changes from call to call."""
        self._monitors.renew()
        await self._confirm()
        by_server: dict[str, list[str]] = {}
        for name in self._linked:
            by_server.setdefault(self._servers.get(name, ""), []).append(name)
        await self._complete_points()
        self._turn += 1
        asked = [names[self._turn % len(names)] for names in by_server.values()]
        answered = await asyncio.gather(*(self._monitors.answers(self._variables[name].pv) for name in asked))
        proven = {
            name
            for names, is_answered in zip(by_server.values(), answered, strict=True)
            if is_answered
            for name in names
        }
        await self._ask_silent(proven)
        return proven & self._linked

    def reports(self) -> Sequence[LinkReport]:
        """Subscriptions that servers have lost, since the last call."""
        reports, self._reports = self._reports, []
        return reports

    async def _ask_silent(self, proven: set[str]) -> None:
        """Ask for some variables without an update, of servers that answer, and subscribe to those again of which a
        change was not sent."""
        asked = self._silent.due(self._latest, proven & self._linked, asyncio.get_running_loop().time())
        before = {name: self._latest[name] for name in asked}
        variables = [self._variables[name] for name in asked]
        found = await asyncio.gather(*(self._monitors.present(one.pv, one.datatype) for one in variables))
        forgotten: list[str] = []
        for name, variable, given in zip(asked, variables, found, strict=True):
            last = before[name]
            if name not in self._linked or self._latest[name] is not last:
                continue  # an update has come meanwhile
            news = None if given is None else sample(variable, given)
            if not self._silent.is_forgotten(name, last, news):
                continue
            forgotten.append(name)
            if news is not None:
                self._take(news)
            else:
                self._linked.discard(name)
                self.missing.add(name)
                reason = f"{variable.pv}: its server answers for other variables, but not for this one"
                self._take(replace(last, quality=Quality.STALE, reason=reason))
        if forgotten:
            self._monitors.resubscribe({self._variables[name].pv for name in forgotten})
            self._report(forgotten)

    def _report(self, forgotten: Collection[str]) -> None:
        """Each point once for each link: a record with a deadband (MDEL) never sends its small changes."""
        news = [name for name in forgotten if name not in self._told]
        self._told.update(news)
        if news:
            shown = ", ".join(self._variables[name].pv for name in news[:MOST_SHOWN])
            rest = len(news) - MOST_SHOWN
            others = f" and {rest} others" if rest > 0 else ""
            message = f"changes of {shown}{others} were not sent by the server; subscribed again"
            self._reports.append(LinkReport(code="subscription_lost", message=message, points=tuple(news)))

    async def _confirm(self) -> None:
        """Ask once for the values of what was linked, of some variables at a time, and take those that are newer."""
        if not self._monitors.misses_first_change:
            self._unconfirmed.clear()
        asked = sorted(self._unconfirmed & self._linked)[:ASKED_AT_ONCE]
        self._unconfirmed.difference_update(asked)
        variables = [self._variables[name] for name in asked]
        found = await asyncio.gather(*(self._monitors.present(one.pv, one.datatype) for one in variables))
        for name, variable, given in zip(asked, variables, found, strict=True):
            if given is None or name not in self._linked:
                continue
            news, last = sample(variable, given), self._latest[name]
            if news.device_ns and last.device_ns and news.device_ns > last.device_ns:
                self._take(news)

    async def _complete_points(self) -> None:
        """Ask for what the table does not say, of some variables at a time."""
        asked = sorted(self._undescribed & self._linked)[:ASKED_AT_ONCE] or self._limited_next()
        if not asked:
            return
        variables = [self._variables[name] for name in asked]
        found = await asyncio.gather(*(self._monitors.describe(variable.pv) for variable in variables))
        self._undescribed.difference_update(asked)
        points = {
            variable.point.name: completed(variable.point, variable.unsaid, given)
            for variable, given in zip(variables, found, strict=True)
            if given is not None
        }
        self._points = tuple(points.get(point.name, point) for point in self._points)

    def _limited_next(self) -> list[str]:
        turn, rest = self._limited[:ASKED_AGAIN], self._limited[ASKED_AGAIN:]
        self._limited = rest + turn
        return [name for name in turn if name in self._linked]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Put, and wait until the IOC has processed it."""
        variable = self._variables[point]
        if not self._linked:
            raise LinkError("the link to every process variable is lost", source=self._source)
        if point not in self._linked:
            raise DeviceError(
                f"{variable.pv} does not answer, but other variables of the device do", source=self._source
            )
        await self._monitors.put(variable.pv, variable.to_send(value))

    async def close(self) -> None:
        """Close all channels."""
        self._linked.clear()
        self._refused.clear()
        self._unconfirmed.clear()
        self.missing.clear()
        self._undescribed = {name for name, variable in self._variables.items() if variable.unsaid}
        self._servers.clear()
        self._silent.clear()
        self._told.clear()
        self._latest.clear()
        self._pending.clear()
        await self._monitors.close()

    def _receiver(self, variable: Variable) -> Callable[[Any], None]:
        name = variable.point.name

        def receive(given: Any) -> None:
            news = sample(variable, given)
            # Before `connect` is woken, so that the sink has every value when `connect` returns (Python 3.12 wakes it
            # one turn of the loop earlier than 3.11).
            self._take(news)
            if news.quality is Quality.STALE:
                self._linked.discard(name)
                self.missing.add(name)
            else:
                self._refused.discard(name)
                self.missing.discard(name)
                if name not in self._linked:
                    self._linked.add(name)
                    self._unconfirmed.add(name)
                    self._servers[name] = self._monitors.server_of(variable.pv)
                self._wake_when_complete()

        return receive

    def _refuse(self, name: str, reason: str) -> None:
        """The subscription of this variable was closed: it has no evidence any more, not even that of its link."""
        self._linked.discard(name)
        self.missing.discard(name)
        self._refused.add(name)
        self._take(Sample(point=name, value=None, quality=Quality.BAD, reason=reason))
        self._wake_when_complete()

    def _wake_when_complete(self) -> None:
        if len(self._linked) + len(self._refused) == len(self._variables):
            self._all_linked.set()

    def _take(self, news: Sample) -> None:
        self._latest[news.point] = news
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(news)

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        if batch:
            self._sink(batch)


def _discard(batch: Sequence[Sample]) -> None:
    """The sink before `monitor` is called."""
