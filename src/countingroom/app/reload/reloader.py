"""The reload of a changed description, inside `up`: checked by a process of its own, then taken by all or by none.

First everything that is new is made in every process that takes changes while it runs, without effect (prepare). Where
one refuses, all forget it, and the old description stays. Then the file of the description in force is replaced: from
there on a process that starts, also after it was killed, has the new one. Last the processes put it in force (commit),
and those that cannot do so while they run are started again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from msgspec import Struct

from countingroom.app.reload.candidate import ReloadCandidate
from countingroom.app.reload.in_force import SavedDescription
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, ConfigurationError, Conflict, CountingRoomError, LinkError, Refused
from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.messages import DescriptionInForce, ReloadAnswer, ReloadOrder, ReloadReply, ReloadStep
from countingroom.core.reload.plan import ReloadAction, ReloadPlan, plan
from countingroom.core.reload.refusals import SOURCE, ReloadSituation, refusals
from countingroom.core.yaml.located import mapping

_log = logging.getLogger(__name__)

SIMULATORS, ALARMS, DEVICES = "simulators", "alarms", "devices"
TAKERS = (SIMULATORS, ALARMS, DEVICES)
"""Processes that take changes while they run, in the order in which they prepare: devices connect to simulators, and
their alarms are in areas."""
COMMITS = (ALARMS, DEVICES, SIMULATORS)
"""The order in which they put it in force: a simulator ends when its device has left it."""
CONSOLE = "console"
ORDER = ("history", "agents", "tracker", "home_assistant", "doors", ALARMS, "runs", CONSOLE)
"""The order of restarts, by the first part of the names of processes; others come before the console."""
ANSWER_S = 20.0
"""Time for a process to prepare, or to put in force."""
IN_PLACE_S = 0.5
EACH_RESTART_S = 1.5
"""How long these take, about."""


class ReloadParts(Protocol):
    """What the reload needs from `up`."""

    @property
    def running(self) -> Mapping[str, int]:
        """Process -> the version of the description that it was started with, or has taken."""
        ...

    async def candidate(self) -> ReloadCandidate:
        """The description as it stands on disk, checked."""
        ...

    async def situation(self) -> ReloadSituation:
        """The present activity of the experiment."""
        ...

    async def ask(self, process: str, order: ReloadOrder) -> ReloadReply:
        """The answer of a process; LinkError where there is none."""
        ...

    async def restart(self, process: str) -> None:
        """End a process and start it again. LinkError if it is not ready in time."""
        ...

    def save(self, saved: SavedDescription) -> None:
        """Give this to every process that starts from now on. OSError."""
        ...

    def simulated(self, overrides: Mapping[str, dict[str, object]], devices: Collection[str]) -> None:
        """Point at these simulators from now on, beside those of earlier. `devices`: all that there are."""
        ...

    def taken(self, process: str, version: int) -> None:
        """A process has this version now."""
        ...

    def publish(self, state: DescriptionInForce) -> None:
        """Publish which description is in force."""
        ...


class Reloaded(Struct, frozen=True, kw_only=True):
    """The result of a reload."""

    version: int
    plan: ReloadPlan
    later: tuple[str, ...] = ()
    """Processes that are still to be started again: the one through which the request came."""
    troubles: tuple[str, ...] = ()
    """What did not go as planned after the description was in force, one sentence each."""


class Reloader:
    """One reload at a time."""

    def __init__(self, parts: ReloadParts, clock: Clock, content: ReloadContent, saved: SavedDescription) -> None:
        """`content`: of the description that is in force; `saved`: its version."""
        self._parts = parts
        self._clock = clock
        self._content = content
        self._saved = saved
        self._turn = asyncio.Lock()
        self._ids = itertools.count(1)
        self._count = 0
        """Of the reloads that were begun."""

    @property
    def state(self) -> DescriptionInForce:
        """The description in force, and which processes have it."""
        saved = self._saved
        return DescriptionInForce(
            version=saved.version,
            digest=saved.digest,
            since_ns=saved.since_ns,
            by=saved.by,
            processes=dict(self._parts.running),
        )

    async def answer(self) -> ReloadAnswer:
        """The plan of a reload now."""
        found = await self._parts.candidate()
        if found.content is None:
            return ReloadAnswer(plan=ReloadPlan(digest=""), mistakes=found.mistakes, warnings=found.warnings)
        made = plan(self._content, found.content)
        against = refusals(made, self._content, await self._parts.situation()) if made.differs else ()
        seconds = IN_PLACE_S + EACH_RESTART_S * len(made.restarts)
        return ReloadAnswer(
            plan=made, refusals=against, warnings=found.warnings, seconds=seconds if made.differs else 0.0
        )

    async def reload(self, by: str, digest: str = "") -> Reloaded:
        """Put the description on disk in force, whole, or raise and leave the present one. `digest`: of the plan that
        was shown; Conflict where the files have changed since. ConfigurationError with every mistake, Refused with
        every reason against it."""
        if self._turn.locked():
            raise Conflict(
                "another reload is under way", source=SOURCE, code="busy", suggestion="wait until it has ended"
            )
        async with self._turn:
            found = await self._parts.candidate()
            if found.content is None:
                count = len(found.mistakes)
                raise ConfigurationError(
                    f"the description has {count} mistake{'' if count == 1 else 's'}; the present one stays in force",
                    source=SOURCE,
                    suggestion="correct them, and reload",
                    causes=found.mistakes,
                )
            made = plan(self._content, found.content)
            if digest and digest != made.digest:
                raise Conflict(
                    "the files have changed since the plan was shown",
                    source=SOURCE,
                    code="changed_since",
                    suggestion="look at the plan again",
                )
            if not made.differs:
                return Reloaded(version=self._saved.version, plan=made)
            await self._check(made)
            self._count += 1
            return await self._apply(made, found, by)

    async def _check(self, made: ReloadPlan) -> None:
        if against := refusals(made, self._content, await self._parts.situation()):
            if len(against) == 1:
                raise Refused(against[0])
            message = "; ".join(one.message for one in against)
            cause = Cause(
                code=against[0].code,
                message=message,
                source=SOURCE,
                suggestion=against[0].suggestion,
                causes=against,
            )
            raise Refused(cause)

    async def _apply(self, made: ReloadPlan, found: ReloadCandidate, by: str) -> Reloaded:
        content = found.content
        if content is None:
            raise RuntimeError("a description with mistakes is not applied")
        takers = self._takers(made, content)
        overrides = await self._prepare(takers, made, found)
        saved = SavedDescription(
            version=self._saved.version + 1,
            digest=content.digest,
            since_ns=self._clock.now_ns(),
            by=by,
            value=found.value,
        )
        try:
            await self._check(made)  # a run may have begun meanwhile
            self._parts.save(saved)
        except BaseException as error:
            await self._cancel(takers)
            if isinstance(error, OSError):
                raise LinkError(
                    f"the description cannot be kept: {error.strerror or error}",
                    source=SOURCE,
                    suggestion="make room in the data folder, and reload",
                ) from error
            raise
        self._saved = saved
        self._content = content
        self._parts.simulated(overrides, content.devices)
        for process in self._parts.running:
            if process not in made.restarts and process not in takers:  # what differs does not concern it
                self._parts.taken(process, saved.version)
        self._parts.publish(self.state)
        # From here on it is in force, whatever happens: a process that does not take it is started again with it.
        return await asyncio.shield(asyncio.ensure_future(self._put_in_force(takers, made)))

    def _takers(self, made: ReloadPlan, content: ReloadContent) -> list[str]:
        """The processes that take a part of the plan while they run."""
        wanted: set[str] = set()
        if any(one.device for one in made.changes):
            wanted |= {SIMULATORS, DEVICES}
        if content.areas != self._content.areas:
            wanted.add(ALARMS)
        return [one for one in TAKERS if one in wanted and one in self._parts.running and one not in made.restarts]

    async def _prepare(
        self, takers: list[str], made: ReloadPlan, found: ReloadCandidate
    ) -> dict[str, dict[str, object]]:
        """Let them make what is new; the keys that point at new simulators."""
        written: dict[str, Any] = mapping((mapping(found.value) or {}).get("devices")) or {}
        mine = [one for one in made.changes if one.device]
        going = [one.device for one in mine if one.action is not ReloadAction.REMOVED]
        order = ReloadOrder(
            id=0,
            step=ReloadStep.PREPARE,
            devices={name: written[name] for name in going if name in made.touched},
            described={name: written[name] for name in going if name not in made.touched},
            removed=tuple(one.device for one in mine if one.action is ReloadAction.REMOVED),
            areas=found.content.areas if found.content else {},
        )
        overrides: dict[str, dict[str, object]] = {}
        try:
            for taker in takers:
                overrides |= (await self._ask(taker, order, overrides)).overrides
        except BaseException:
            await self._cancel(takers)
            raise
        return overrides

    async def _cancel(self, takers: list[str]) -> None:
        for taker in takers:
            try:
                await self._ask(taker, ReloadOrder(id=0, step=ReloadStep.CANCEL), {})
            except CountingRoomError as error:  # one that has ended has forgotten it
                _log.info("reload: %s", error)

    async def _put_in_force(self, takers: list[str], made: ReloadPlan) -> Reloaded:
        troubles: list[str] = []
        for taker in (one for one in COMMITS if one in takers):
            try:
                await self._ask(taker, ReloadOrder(id=0, step=ReloadStep.COMMIT), {})
                self._parts.taken(taker, self._saved.version)
            except CountingRoomError as error:
                troubles.append(f"{taker} was started again, because it did not take the change: {error.cause.message}")
                await self._restart(taker, troubles)
        restarts = sorted(made.restarts, key=_place)
        for process in (one for one in restarts if one != CONSOLE):
            await self._restart(process, troubles)
        self._parts.publish(self.state)
        later = (CONSOLE,) if CONSOLE in restarts else ()
        return Reloaded(version=self._saved.version, plan=made, later=later, troubles=tuple(troubles))

    async def _restart(self, process: str, troubles: list[str]) -> None:
        try:
            await self._parts.restart(process)
            self._parts.publish(self.state)
        except LinkError as error:
            troubles.append(error.cause.message)

    async def _ask(self, process: str, order: ReloadOrder, overrides: Mapping[str, dict[str, object]]) -> ReloadReply:
        given = ReloadOrder(
            id=next(self._ids),
            step=order.step,
            reload=self._count,
            devices=order.devices,
            described=order.described,
            removed=order.removed,
            overrides=dict(overrides),
            areas=order.areas,
        )
        reply = await self._parts.ask(process, given)
        if reply.refused:
            raise Refused(reply.refused)
        return reply


def _place(process: str) -> tuple[bool, int]:
    first = process.partition("-")[0]
    return process == CONSOLE, ORDER.index(first) if first in ORDER else len(ORDER)
