"""`talk` of a door: the talk of the fleet, told in the words of fliswarm while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

from countingroom.bus.port import Bus, Entry
from countingroom.core.actor.messages import MessageCode
from countingroom.core.actor.words import join_words
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, LinkError, NotFound, OutOfRange, Refused
from countingroom.core.fleet.talk import TalkOutcome, TalkReply, TalkState, talk_key
from countingroom.core.subjects import STATE_BUCKET
from countingroom.doors.node_choice import choose, listed
from countingroom.doors.orders import FleetOrders
from countingroom.doors.published_fleet import DoorView
from countingroom.doors.running import RunningCommand

END_S = 5.0
"""So long after its end the last state of a talk may come."""
MORE_S = 10.0
"""The keeper has so much longer than the actors to tell the end."""
_CODES = {
    MessageCode.STARTED: MessageCode.DEBUG,
    MessageCode.DONE: MessageCode.INFO,
    MessageCode.FAILED: MessageCode.WARNING,
    MessageCode.ERROR: MessageCode.WARNING,
    MessageCode.CRITICAL: MessageCode.WARNING,
}
"""What an actor says of its own command says nothing of the whole."""


class DoorTalk:
    """The command `talk` of one door."""

    def __init__(self, bus: Bus, clock: Clock, view: DoorView, orders: FleetOrders, deadline_s: float) -> None:
        """`deadline_s`: of each actor."""
        self._bus = bus
        self._clock = clock
        self._view = view
        self._orders = orders
        self._deadline_s = deadline_s

    def run(self, command: RunningCommand, values: Mapping[str, Any]) -> Awaitable[None]:
        """Send a command to actors; what they say is passed on at once. It fails where one of them does not do it."""
        command.more_s = MORE_S
        return self._talk(command, values)

    async def _talk(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        if not values["camera_command"]:
            raise OutOfRange("No command for the cameras is given.", suggestion="talk status")
        services, nodes = self._actors(values["names"], values["category"])
        id = uuid4().hex
        told = _Telling(command)
        following = asyncio.create_task(self._follow(id, told))
        cause: Cause | None = None
        try:
            try:
                await self._orders.give(
                    command,
                    "talk",
                    {
                        "command": join_words(values["camera_command"]),
                        "services": ",".join(services),
                        "nodes": ",".join(nodes),
                        "deadline_s": self._deadline_s,
                    },
                    id=id,
                )
            except Refused as error:
                cause = error.cause
                if cause.code != "talk_failed":
                    raise
            await self._last_state(following)
        finally:
            following.cancel()
        if files := told.files:
            command.info(filename_bundle=list(files))
        if cause:
            for line in told.failures:
                command.warning(line)
            raise Refused(cause)

    async def _last_state(self, following: asyncio.Task[None]) -> None:
        try:
            async with within(self._clock, END_S):
                await asyncio.wait([following])
        except TimeoutError:
            return

    def _actors(self, names: str | None, category: str | None) -> tuple[list[str], list[str]]:
        """(services, nodes) that are meant. NotFound where a node that is named has no actor, or none has."""
        services = [name for name, one in self._view.services.items() if one.is_actor]
        there = {one.node for name in services for one in self._view.services[name].instances}
        nodes = [one.node for one in choose(self._view.nodes, names, category)]
        if missing := [name for name in listed(names) if name not in there]:
            raise NotFound(
                f"No actor runs on {', '.join(missing)}.", suggestion=f"actors: {', '.join(sorted(there)) or 'none'}"
            )
        if not (nodes := [name for name in nodes if name in there]):
            raise NotFound("No actor runs on these nodes.", suggestion="give a service of the fleet the key actor")
        return services, nodes

    async def _follow(self, id: str, told: _Telling) -> None:
        async with self._bus.watch(STATE_BUCKET, talk_key(id)) as entries:
            async for entry in entries:
                if isinstance(entry, Entry) and entry.data is not None:
                    state = self._bus.dead_letters.read(f"$KV.{STATE_BUCKET}.{entry.key}", entry.data, TalkState)
                    if state is not None and told.tell(state):
                        return
        raise LinkError("the watch ended", source="bus")


class _Telling:
    """Tells each reply once."""

    def __init__(self, command: RunningCommand) -> None:
        self._command = command
        self._seen = 0
        self.files: Sequence[str] = ()
        self.failures: list[str] = []

    def tell(self, state: TalkState) -> bool:
        """Tell what is new; whether it is over."""
        first = state.left_out
        if first > self._seen:
            self._command.warning(f"{first - self._seen} replies came too fast and are left out.")
            self._seen = first
        for one in state.replies[self._seen - first :]:
            for code, keywords in _replies(one):
                self._command.reply(code, keywords)
        self._seen = first + len(state.replies)
        self.files = state.files
        self.failures = list(_failures(state))
        return state.is_over


def _replies(reply: TalkReply) -> Iterator[tuple[MessageCode, dict[str, Any]]]:
    """A reply of an actor as fliswarm passes it on: the node first in each keyword, help one line each."""
    if not reply.keywords:
        return
    code = _CODES.get(MessageCode(reply.code), MessageCode(reply.code))
    keywords = {name: [reply.node, *_listed(value)] for name, value in reply.keywords.items()}
    if "help" in keywords:
        for line in keywords["help"]:
            yield code, {"help": line}
        return
    yield code, keywords


def _listed(value: Any) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else [value]


def _failures(state: TalkState) -> Iterator[str]:
    for one in state.actors:
        if one.outcome is TalkOutcome.LOST:
            yield f"Failed connecting to {one.node}."
        if one.outcome is not TalkOutcome.DONE and one.cause:
            yield f"{one.node}: {one.cause.message}"
