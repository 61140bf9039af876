"""The interlocks as a part of the active alarm engine: evaluation, states on the bus, and commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from countingroom.alarms.engine.finding import Found
from countingroom.alarms.engine.requests import AlarmPolicy
from countingroom.alarms.interlocks.described import interlock_spec
from countingroom.alarms.interlocks.interlock_commands import InterlockAnswers, InterlockRequests
from countingroom.alarms.interlocks.interlock_keeper import InterlockKeeper, InterlockStore
from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.bus.command_server import CommandServer
from countingroom.bus.follow import BucketFollower
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.interlocks.host_state import HOST_KEYS, HostInterlockState
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Malformed, MessageDecoder, decode
from countingroom.core.policy import Principal

_hosts = MessageDecoder(HostInterlockState)
_states = MessageDecoder(InterlockState)


class InterlockService:
    """Runs the described interlocks. Without interlocks in the description it is idle."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        sections: Mapping[str, InterlockSection],
        store: InterlockStore | None,
        principal: Callable[[str, str], Awaitable[Principal]],
    ) -> None:
        """`store`: the saved states; None: interlocks are not evaluated. `principal`: (user, target) -> the principal
        with its roles."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._principal = principal
        self._keeper: InterlockKeeper | None = None
        self._problems: list[str] = []
        self._specs: list[InterlockSpec] = []
        for name, section in sections.items():
            try:
                self._specs.append(interlock_spec(name, section))
            except (ValueError, ConfigurationError) as error:
                self._problems.append(f"the interlock {name} cannot be evaluated: {error}")

    def troubles(self) -> list[str]:
        """Why interlocks do not work as described, one sentence each."""
        return [*self._problems, *(self._keeper.troubles() if self._keeper else ())]

    def warnings(self) -> list[str]:
        """Overdue proof tests, one sentence each."""
        return self._keeper.warnings() if self._keeper else []

    async def take_over(
        self, writer: int | None, publisher: Publisher, find: Callable[[Iterable[Found]], None]
    ) -> tuple[InterlockKeeper, ...]:
        """Load saved and published states. Returns the keeper that must get the inputs from the bus; empty without
        interlocks. LinkError if the database does not answer."""
        published = await self._published()
        if self._store is None or not (self._specs or published):
            return ()
        keeper = InterlockKeeper(self._bus, self._clock, self._specs, self._store, publisher, find)
        await keeper.take_over(writer, published)
        self._keeper = keeper
        return (keeper,)

    async def run(self, publisher: Publisher) -> None:
        """Until cancelled, or until another process has taken over (Conflict, in a group)."""
        keeper, store = self._keeper, self._store
        if keeper is None or store is None:
            return
        commands = InterlockRequests(keeper, publisher, self._clock, self._principal)
        server = CommandServer(
            self._bus,
            self._clock,
            "alarms",
            subjects.INTERLOCKS,
            commands,
            publisher,
            policy=AlarmPolicy(self._clock, self._principal),
        )
        try:
            async with InterlockAnswers(self._bus, store).serving(), asyncio.TaskGroup() as group:
                group.create_task(keeper.run())
                group.create_task(server.run())
                group.create_task(BucketFollower(self._bus, self._clock, f"{HOST_KEYS}.*.*", self._adopt).run())
        finally:
            self._keeper = None

    def _adopt(self, entry: Entry) -> None:
        """Take over the trips of a device host: they stay tripped in this engine as well."""
        if entry.data is None or self._keeper is None:
            return
        host = decode(entry.data, _hosts)
        for cause in host.state.causes if host.state else ():
            # `adopt` ignores a trip that is not later than the last reset: the host may not have received it yet.
            if cause.tripped_ns is not None:
                self._keeper.adopt(host.name, cause.name, cause.tripped_ns, f"device host {host.instance}")

    async def _published(self) -> dict[str, InterlockState]:
        """Name -> state of each interlock that the state bucket holds."""
        found: dict[str, InterlockState] = {}
        async with self._bus.watch(subjects.STATE_BUCKET, "interlock.*") as items:
            async for item in items:
                match item:
                    case Entry(data=bytes() as data):
                        try:
                            state = _states.decode(data)
                        except Malformed as error:
                            self._bus.dead_letters.add(item.key, data, error)
                        else:
                            found[state.name] = state
                    case Current():
                        break
                    case _:
                        pass
        return found
