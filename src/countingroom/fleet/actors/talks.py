"""Talks: one command to many actors at the same time. Each actor has a deadline, so every talk ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
from msgspec import Struct

from countingroom.bus.command_request import CommandRequest
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core.actor.messages import ActorReply
from countingroom.core.actor.words import check_body
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, LinkError, NotFound, OutOfRange, Refused
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.talk import (
    Speaker,
    TalkActor,
    TalkChoice,
    TalkOutcome,
    TalkPolicy,
    TalkReply,
    TalkState,
    choose,
    failure,
    file_names,
    labels_of,
    talk_key,
)
from countingroom.core.subjects import STATE_BUCKET
from countingroom.core.values import Scalar
from countingroom.fleet.actors.client import ActorClient

DEADLINE_S = 60.0
MOST_RUNNING = 64
KEPT = 20
"""Talks that are over, of which the state is still published."""
PAUSE_S = 0.1
"""Between two publications of one talk."""
_REPLY_BYTES, _ALL_BYTES = 16_384, 200_000
_FORGET_S = 10.0
_FILES = 1000
"""Of one actor."""

Reach = Callable[[InstanceId], ActorClient]
"""The client of an instance. CountingRoomError: it does not run, or has no port."""
PublishTalk = Callable[[str, TalkState | None], None]
"""Publishes the state of a talk under a key; None deletes it."""


class TalkOrder(Struct, frozen=True, kw_only=True):
    """What is to be sent, and to whom."""

    command: str
    choice: TalkChoice = TalkChoice()
    policy: TalkPolicy = TalkPolicy.ALL
    deadline_s: float = DEADLINE_S


def order_of(request: CommandRequest) -> TalkOrder:
    """The order of a command `talk`. OutOfRange, ActorSyntaxError."""
    command = request.text("command").strip()
    check_body(command)
    labels = labels_of(request.names("where")) if request.text("where", "") else {}
    if category := request.text("category", ""):
        labels["category"] = category
    policy = request.text("policy", TalkPolicy.ALL)
    if policy not in tuple(TalkPolicy):
        raise OutOfRange(f"{policy!r} is no policy", source="fleet", suggestion=f"one of {', '.join(TalkPolicy)}")
    deadline_s = request.number("deadline_s")
    if deadline_s is not None and not 0 < deadline_s <= 86_400:
        raise OutOfRange(f"a deadline of {deadline_s:g} s", source="fleet", suggestion="give 0.001 to 86400 s")
    return TalkOrder(
        command=command,
        choice=TalkChoice(
            services=request.names("services") if request.text("services", "") else (),
            nodes=request.names("nodes") if request.text("nodes", "") else (),
            labels=labels,
        ),
        policy=TalkPolicy(policy),
        deadline_s=deadline_s or DEADLINE_S,
    )


class Talks:
    """The talks of a keeper."""

    def __init__(self, clock: Clock, speakers: Callable[[], list[Speaker]], reach: Reach, publish: PublishTalk) -> None:
        self._clock = clock
        self._speakers = speakers
        self._reach = reach
        self._publish = publish
        self._running: dict[str, _Talk] = {}
        self._over: deque[str] = deque()

    @property
    def running(self) -> int:
        """Talks that are not over."""
        return len(self._running)

    def has(self, key: str) -> bool:
        """Whether this key is of one of these talks."""
        return any(talk_key(id) == key for id in (*self._running, *self._over))

    def begin(self, id: str, by: str, order: TalkOrder) -> None:
        """A talk that is to be run. NotFound, Conflict: there is no such actor, or too many talks run."""
        if len(self._running) >= MOST_RUNNING:
            raise Conflict(
                f"{MOST_RUNNING} talks are under way",
                source="fleet",
                code="too_many",
                suggestion="wait for their end: countingroom fleet talks",
            )
        chosen = choose(self._speakers(), order.choice)
        self._running[id] = _Talk(self._clock, id, by, order, chosen, lambda one: self._publish(talk_key(id), one))

    def stop(self, id: str, by: str) -> None:
        """End a talk that runs: it waits no longer for its actors, which go on with what they do. NotFound."""
        if id not in self._running:
            raise NotFound(f"no talk {id} runs", source="fleet", suggestion="list them: countingroom fleet talks")
        self._running[id].stop(by)

    async def run(self, id: str) -> Mapping[str, Scalar]:
        """Run a talk to its end: the data of its closing event. Refused where it failed."""
        talk = self._running[id]
        try:
            state = await talk.run(self._reach)
        finally:
            del self._running[id]
            self._over.append(id)
            while len(self._over) > KEPT:
                self._publish(talk_key(self._over.popleft()), None)
        if state.cause:
            raise Refused(state.cause)
        return {
            "actors": len(state.actors),
            "done": sum(one.outcome is TalkOutcome.DONE for one in state.actors),
            "files": len(state.files),
        }


async def forget_talks(bus: Bus, clock: Clock, talks: Talks, publisher: Publisher) -> None:
    """Delete the states of the talks of a keeper before this one: they have ended with it."""
    with suppress(LinkError, TimeoutError):  # then they stay until the next keeper
        async with within(clock, _FORGET_S), bus.watch(STATE_BUCKET, "talk.>") as entries:
            async for entry in entries:
                if isinstance(entry, Current):
                    break
                if isinstance(entry, Entry) and entry.data is not None and not talks.has(entry.key):
                    publisher.delete(entry.key)


class _Talk:
    """One talk."""

    def __init__(
        self,
        clock: Clock,
        id: str,
        by: str,
        order: TalkOrder,
        chosen: list[Speaker],
        publish: Callable[[TalkState], None],
    ) -> None:
        self._clock = clock
        self._order = order
        self._publish = publish
        self._actors = {
            one.id: TalkActor(node=one.id.node, service=one.id.service, index=one.id.index) for one in chosen
        }
        self._replies: deque[tuple[int, TalkReply]] = deque()
        """(bytes, reply)."""
        self._bytes = 0
        self._left_out = 0
        self._news = asyncio.Event()
        self._asking: list[asyncio.Task[None]] = []
        self._stopped_by = ""
        self._began_s = clock.monotonic()
        self._empty = TalkState(
            id=id,
            command=order.command,
            by=by,
            time_ns=clock.now_ns(),
            deadline_s=order.deadline_s,
            policy=order.policy,
        )

    async def run(self, reach: Reach) -> TalkState:
        """Ask all actors; the state at the end, which is published."""
        over = Cause(
            code="owner_stopped",
            message="the keeper of the fleet ended; what became of the command is not known",
            source="fleet",
            suggestion="look at the actors, then decide again",
        )
        showing = asyncio.create_task(self._show())
        try:
            async with asyncio.TaskGroup() as group:
                self._asking = [group.create_task(self._ask(id, reach)) for id in self._actors]
                if self._stopped_by:  # before it began
                    self.stop(self._stopped_by)
            over = failure(self._state())
        finally:
            showing.cancel()
            state = msgspec.structs.replace(self._state(), is_over=True, cause=over)
            self._publish(state)
        return state

    def stop(self, by: str) -> None:
        """Wait no longer for those that have not ended."""
        self._stopped_by = by
        for id, one in self._actors.items():
            if one.outcome is TalkOutcome.WAITING:
                took_s = round(self._clock.monotonic() - self._began_s, 4)
                self._actors[id] = msgspec.structs.replace(one, outcome=TalkOutcome.STOPPED, took_s=took_s)
        for task in self._asking:
            task.cancel()

    async def _ask(self, id: InstanceId, reach: Reach) -> None:
        outcome, cause = TalkOutcome.DONE, None
        try:
            await reach(id).command(self._order.command, self._order.deadline_s, lambda one: self._told(id, one))
        except LinkError as error:
            outcome = TalkOutcome.LATE if error.cause.code == "timeout" else TalkOutcome.LOST
            cause = error.cause
        except CountingRoomError as error:
            outcome, cause = TalkOutcome.FAILED, error.cause
        took_s = round(self._clock.monotonic() - self._began_s, 4)
        self._actors[id] = msgspec.structs.replace(self._actors[id], outcome=outcome, cause=cause, took_s=took_s)
        self._news.set()

    def _told(self, id: InstanceId, reply: ActorReply) -> None:
        keywords = dict(reply.keywords)
        if found := tuple(file_names(keywords)):
            one = self._actors[id]
            self._actors[id] = msgspec.structs.replace(one, files=(*one.files, *found)[-_FILES:])
        size = len(msgspec.json.encode(keywords))
        if size > _REPLY_BYTES:
            keywords = {"text": f"a reply of {size} bytes is not kept here", "keywords": sorted(keywords)[:20]}
            size = _REPLY_BYTES
        said = TalkReply(
            node=id.node,
            service=id.service,
            index=id.index,
            code=reply.code.value,
            keywords=keywords,
            time_ns=self._clock.now_ns(),
        )
        size += 100
        self._replies.append((size, said))
        self._bytes += size
        while self._bytes > _ALL_BYTES:
            self._bytes -= self._replies.popleft()[0]
            self._left_out += 1
        self._news.set()

    async def _show(self) -> None:
        """Publish what is new at once, and then not again for a while."""
        while True:
            self._publish(self._state())
            await self._clock.sleep(PAUSE_S)
            await self._news.wait()
            self._news.clear()

    def _state(self) -> TalkState:
        return msgspec.structs.replace(
            self._empty,
            actors=tuple(self._actors.values()),
            replies=tuple(one for _, one in self._replies),
            left_out=self._left_out,
            stopped_by=self._stopped_by,
        )
