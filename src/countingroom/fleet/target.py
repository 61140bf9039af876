"""The fleet as a target of commands, and its answers to questions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler, from_rows
from countingroom.bus.port import Message
from countingroom.bus.publisher import Publisher
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.fleet import FLEET
from countingroom.core.errors import Cause, Conflict, CountingRoomError, NotFound
from countingroom.core.fleet.plan import FleetPlan
from countingroom.core.fleet.queries import (
    LONGEST_TAIL,
    FleetPlanAnswer,
    FleetPlanQuery,
    LogAnswer,
    LogFollowQuery,
    LogQuery,
)
from countingroom.core.fleet.record import FleetRecord, SetAside
from countingroom.core.fleet.registry import RegistryQuery
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.core.messages import Command, decode, encode
from countingroom.core.policy import Permission
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar
from countingroom.fleet.actors.talks import Talks, order_of
from countingroom.fleet.engines.port import LogLine
from countingroom.fleet.keeper import Keeper
from countingroom.fleet.log_sessions import LogSessions
from countingroom.fleet.power_cuts import show_in
from countingroom.fleet.reboot import Reboots
from countingroom.fleet.reconciler import apply as records
from countingroom.fleet.registry_check import check_registry

Describe = Callable[[], Awaitable[Revision]]
"""What the description wants as it is on disk now. ConfigurationError with every mistake."""


class FleetTarget:
    """Carries out the commands of the table `FLEET`."""

    def __init__(
        self,
        clock: Clock,
        keeper: Keeper,
        describe: Describe,
        publisher: Publisher,
        talks: Talks,
        reboots: Reboots,
        directory: Path = Path(),
    ) -> None:
        """`directory`: of the description, for relative paths."""
        self._clock = clock
        self._directory = directory
        self._keeper = keeper
        self._describe = describe
        self._publisher = publisher
        self._reboots = reboots
        self._logs = LogSessions(clock, self._read_log, lambda node: keeper.node(node).looked)
        self._talks = talks
        self._handlers = from_rows(
            FLEET,
            {
                "apply": self._apply,
                "rollback": self._rollback,
                "halt": self._halt,
                "resume": self._resume,
                "restart": self._restart,
                "talk": self._talk,
                "stop_talk": self._stop_talk,
                "cordon": self._cordon,
                "drain": self._drain,
                "uncordon": self._uncordon,
                "reboot": self._reboot,
                "disable": self._disable,
                "enable": self._enable,
            },
        )

    # What the command server asks.

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, "the fleet")

    def permission(self, command: Command) -> Permission:
        return FLEET[command.action].permission

    def present(self, command: Command) -> str:
        return f"r{self._keeper.record.revision}"

    def refusal(self, request: CommandRequest) -> Cause | None:
        return None

    async def settle(self) -> Mapping[str, int]:
        self._keeper.publish()
        await self._publisher.flush()
        revision = self._publisher.revision
        return {"state": revision} if revision else {}

    # Questions.

    async def answer_plan(self, message: Message) -> bytes:
        """The answer to `query.fleet.plan`."""
        try:
            query = decode(message.data, FleetPlanQuery)
        except msgspec.DecodeError as error:
            return encode(QueryRefusal(cause=malformed("a query of the plan", error, "fleet")))
        try:
            await self._keeper.ready()
            plan = self._keeper.plan(await self._wanted(query.revision))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))
        return encode(FleetPlanAnswer(plan=plan, mark=_mark(plan)))

    async def answer_registry(self, message: Message) -> bytes:
        """The answer to `query.fleet.registry`."""
        try:
            decode(message.data, RegistryQuery)
        except msgspec.DecodeError as error:
            return encode(QueryRefusal(cause=malformed("a query of registries", error, "fleet")))
        try:
            return encode(await check_registry(await self._describe(), self._keeper.node, self._directory))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    async def answer_logs(self, message: Message) -> bytes:
        """The answer to `query.fleet.logs`."""
        try:
            query = decode(message.data, LogQuery)
        except msgspec.DecodeError as error:
            return encode(QueryRefusal(cause=malformed("a query of a log", error, "fleet")))
        id = InstanceId(query.service, query.node, query.index)
        try:
            tail = max(1, min(query.tail, LONGEST_TAIL))
            async with aclosing(self._keeper.node(id.node).logs(id, tail, query.since_ns)) as lines:
                found = [line async for line in lines]
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))
        texts, times = tuple(line.text for line in found), tuple(line.time_ns for line in found)
        return encode(LogAnswer(lines=texts, times_ns=times))

    async def answer_log_lines(self, message: Message) -> bytes:
        """The answer to `query.fleet.log_lines`, as soon as there are lines."""
        try:
            query = decode(message.data, LogFollowQuery)
        except msgspec.DecodeError as error:
            return encode(QueryRefusal(cause=malformed("a query of lines of logs", error, "fleet")))
        try:
            for one in query.of:
                self._keeper.check_node(one.node)
            return encode(await self._logs.next(query))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    async def close(self) -> None:
        """End what readers of logs have begun."""
        await self._logs.close()

    def _read_log(self, id: InstanceId, tail: int, since_ns: int) -> AsyncGenerator[LogLine]:
        return self._keeper.node(id.node).logs(id, tail, since_ns, follow=True)

    async def _wanted(self, revision: int) -> Revision:
        if not revision:
            return await self._describe()
        return msgspec.structs.replace(await self._keeper.revision(revision), number=0)

    # Commands.

    async def _apply(self, request: CommandRequest) -> Completion:
        await self._keeper.ready()
        wanted = await self._wanted(0)
        self._check_seen(request, wanted)
        return await self._begin(wanted, request.by, request.text("comment", ""))

    async def _rollback(self, request: CommandRequest) -> Completion:
        await self._keeper.ready()
        number = request.whole("revision") or 0
        wanted = await self._wanted(number)
        self._check_seen(request, wanted)
        return await self._begin(wanted, request.by, request.text("comment", "") or f"as r{number}")

    def _check_seen(self, request: CommandRequest, wanted: Revision) -> None:
        if (seen := request.text("plan", "")) and seen != _mark(self._keeper.plan(wanted)):
            raise Conflict(
                "the plan is another one than that which was seen",
                source="fleet",
                code="plan_changed",
                suggestion="look at the plan again, then apply it",
            )

    async def _begin(self, wanted: Revision, by: str, comment: str) -> Completion:
        made = await self._keeper.apply(msgspec.structs.replace(wanted, by=by, comment=comment))
        return _told(revision=made.number)

    async def _halt(self, request: CommandRequest) -> Completion:
        service = request.text("service")
        await self._changed(lambda record: records.halt(record, service, self._clock.now_ns()))
        return None

    async def _resume(self, request: CommandRequest) -> Completion:
        service = request.text("service")
        await self._changed(lambda record: records.resume(record, service, self._clock.now_ns()))
        return None

    async def _restart(self, request: CommandRequest) -> Completion:
        await self._keeper.ready()
        nodes = request.names("nodes") if request.text("nodes", "") else ()
        return _told(instances=await self._keeper.restart(request.text("service"), nodes, request.by))

    async def _talk(self, request: CommandRequest) -> Completion:
        await self._keeper.ready()
        id = request.command.id
        self._talks.begin(id, request.by, order_of(request))
        return self._talks.run(id)

    async def _stop_talk(self, request: CommandRequest) -> Completion:
        self._talks.stop(request.text("talk"), request.by)
        return None

    async def _cordon(self, request: CommandRequest) -> Completion:
        return await self._set_aside_node(request, drain=False)

    async def _drain(self, request: CommandRequest) -> Completion:
        return await self._set_aside_node(request, drain=True)

    async def _set_aside_node(self, request: CommandRequest, *, drain: bool) -> Completion:
        node, aside = request.text("node"), self._aside(request, drain=drain)
        self._keeper.check_node(node)
        await self._changed(lambda record: msgspec.structs.replace(record, cordons={**record.cordons, node: aside}))
        return None

    async def _uncordon(self, request: CommandRequest) -> Completion:
        node = request.text("node")
        self._keeper.check_node(node)
        await self._changed(
            lambda record: msgspec.structs.replace(
                record, cordons={name: one for name, one in record.cordons.items() if name != node}
            )
        )
        return None

    async def _reboot(self, request: CommandRequest) -> Completion:
        await self._keeper.ready()
        name, hard = request.text("node"), request.flag("hard")
        self._keeper.check_node(name)
        node = self._keeper.wanted_nodes[name]
        self._reboots.check(node, hard=hard)
        return self._restarted(node, request.by, hard=hard)

    async def _restarted(self, node: WantedNode, by: str, *, hard: bool) -> Mapping[str, Scalar]:
        show = show_in(self._keeper, node.name)
        return {"result": await self._reboots.restart(node, by, show, hard=hard)}

    async def _disable(self, request: CommandRequest) -> Completion:
        service, aside = request.text("service"), self._aside(request)
        await self._changed(
            lambda record: msgspec.structs.replace(
                _known(record, service), disabled={**record.disabled, service: aside}
            )
        )
        return None

    async def _enable(self, request: CommandRequest) -> Completion:
        service = request.text("service")
        await self._changed(
            lambda record: msgspec.structs.replace(
                _known(record, service),
                disabled={name: one for name, one in record.disabled.items() if name != service},
            )
        )
        return None

    async def _changed(self, change: Callable[[FleetRecord], FleetRecord]) -> None:
        await self._keeper.ready()
        await self._keeper.change(change)

    def _aside(self, request: CommandRequest, *, drain: bool = False) -> SetAside:
        now_ns = self._clock.now_ns()
        for_s = request.number("for_s")
        until_ns = None if not for_s else now_ns + int(for_s * 1e9)
        return SetAside(reason=request.text("reason"), by=request.by, since_ns=now_ns, until_ns=until_ns, drain=drain)


def _known(record: FleetRecord, service: str) -> FleetRecord:
    if service not in record.changes:
        raise NotFound(f"there is no service {service!r}", source="fleet", suggestion="list them: fleet status")
    return record


async def _told(**data: int) -> Mapping[str, Scalar]:
    """The data of the closing event."""
    return data


def _mark(plan: FleetPlan) -> str:
    return hashlib.blake2b(msgspec.json.encode(plan), digest_size=8).hexdigest()
