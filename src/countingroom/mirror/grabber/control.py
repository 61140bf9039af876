"""Actions at an upstream: planned, checked, sent once over the link of the grabber, and their answers kept in memory.

A command carries the mark of a plan that its user was shown before. A mark counts once and for two minutes, so what is
sent is what was shown, and a request that is sent again has no effect.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from uuid import uuid4

from msgspec import Struct, structs

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus, Message
from countingroom.bus.publisher import Publisher
from countingroom.core import command_permissions, subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.commands.upstreams import PLAN, UPSTREAMS
from countingroom.core.errors import Cause, Conflict, CountingRoomError, Denied, DeviceError, LinkError, NotFound
from countingroom.core.messages import Command, Malformed, decode, encode
from countingroom.core.mirror.control import (
    ANSWER_QUERY,
    CONTROL_KEY,
    DEPARTMENT,
    KEPT,
    PLAN_QUERY,
    PLAN_S,
    ActionAnswer,
    ActionPlan,
    ActionPlanQuery,
    AnswerQuery,
    SentAction,
    UpstreamControl,
    UpstreamControlState,
)
from countingroom.core.mirror.upstream_actions import ActionRequest, answer_text, checked, request_of
from countingroom.core.policy import Permission
from countingroom.core.series import QueryRefusal
from countingroom.core.values import Scalar
from countingroom.mirror.grabber.link import COOKIE, UpstreamLink

_MOST_PLANS = 256
"""Of one upstream; the oldest are void first."""
_MARK = 16
"""Letters of a mark. It stands in events, and is of no use to another user."""
_MINUTE_S = 60.0
_OK = 200


class ControlPlan(Struct, frozen=True, kw_only=True):
    """An upstream that can be controlled, as the description has it."""

    told: UpstreamControl
    link: UpstreamLink
    secret: str


class _Planned(Struct, frozen=True):
    plan: ActionPlan
    request: ActionRequest
    by: str
    until_s: float


class ControlTarget:
    """One upstream, the target of commands."""

    def __init__(self, plan: ControlPlan, clock: Clock, publisher: Publisher, publish_all: Callable[[], None]) -> None:
        """`publish_all`: publishes the state of all upstreams."""
        self._plan = plan
        self._clock = clock
        self._publisher = publisher
        self._publish_all = publish_all
        self._plans: OrderedDict[str, _Planned] = OrderedDict()
        self._sent_s: deque[float] = deque()
        self._answers: OrderedDict[str, ActionAnswer] = OrderedDict()
        self._handlers = {
            name: CommandHandler(self._begin, takes=(*row.takes, PLAN)) for name, row in UPSTREAMS.items()
        }

    @property
    def name(self) -> str:
        """In the description."""
        return self._plan.told.name

    def told(self) -> UpstreamControl:
        """As it is published."""
        return structs.replace(self._plan.told, last=tuple(one.sent for one in reversed(self._answers.values())))

    def make_plan(self, query: ActionPlanQuery) -> ActionPlan:
        """What would be sent. Raises RequestError where it would be refused for what it is."""
        arguments = self._checked(query.action, query.arguments)
        request = request_of(query.action, arguments)
        plan = ActionPlan(
            mark=uuid4().hex[:_MARK],
            upstream=self.name,
            action=query.action,
            arguments=arguments,
            method=request.method,
            address=self._plan.told.url.rstrip("/") + request.target,
            secret=f"as the cookie {COOKIE}" if self._plan.secret else "",
            is_change=UPSTREAMS[query.action].dangerous,
            until_ns=self._clock.now_ns() + round(PLAN_S * 1e9),
            left=self._left(),
        )
        self._plans[plan.mark] = _Planned(plan, request, query.by, self._clock.monotonic() + PLAN_S)
        while len(self._plans) > _MOST_PLANS:
            self._plans.popitem(last=False)
        return plan

    def answer(self, id: str) -> ActionAnswer:
        """The answer to a command; NotFound where it is not kept."""
        if id not in self._answers:
            raise NotFound(
                f"there is no answer to {id} of {self.name}",
                source=self._source,
                suggestion=f"the last {KEPT} are kept while the mirror runs; send the action again",
            )
        return self._answers[id]

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, self.name)

    def permission(self, command: Command) -> Permission:
        return command_permissions.of_upstream(command.action)

    def present(self, command: Command) -> str:
        return ""

    def refusal(self, request: CommandRequest) -> Cause | None:
        """Checked before anything is forwarded."""
        command = request.command
        try:
            arguments = self._checked(command.action, command.arguments)
            self._check_planned(request.text(PLAN), command.action, arguments, request.by)
        except CountingRoomError as error:
            return error.cause
        if self._left():
            return None
        wait_s = round(max(1.0, self._sent_s[0] + _MINUTE_S - self._clock.monotonic()))
        return Cause(
            code="too_often",
            message=f"{len(self._sent_s)} actions were sent to {self.name} within a minute, and no more are permitted",
            source=self._source,
            evidence={"per_minute": self._plan.told.per_minute, "retry_after_s": wait_s},
            suggestion=f"wait {wait_s} s, then ask for the plan again",
        )

    async def settle(self) -> Mapping[str, int]:
        self._publish_all()
        await self._publisher.flush()
        return {}

    @property
    def _source(self) -> str:
        return f"mirror.upstreams.{self.name}"

    def _checked(self, action: str, arguments: Mapping[str, Scalar | None]) -> dict[str, str]:
        found = checked(action, arguments, self._plan.told.hosts)
        if action not in self._plan.told.actions:
            permitted = ", ".join(self._plan.told.actions)
            raise Denied(
                f"the description does not permit {action} at {self.name}",
                code="not_permitted",
                source=self._source,
                suggestion=f"choose one of {permitted}, or add it to control.allow of the upstream",
            )
        return found

    def _check_planned(self, mark: str, action: str, arguments: Mapping[str, str], by: str) -> None:
        planned = self._plans.get(mark)
        if planned is None or self._clock.monotonic() > planned.until_s or planned.by != by:
            why = "is not known: it was used before, is of another user, or too old"
        elif (planned.plan.action, planned.plan.arguments) != (action, arguments):
            why = "is of another action, or of other arguments"
        else:
            return
        raise Conflict(
            f"the plan of {action} {why}",
            code="plan_void",
            source=self._source,
            suggestion="ask what would be sent, look at it, and send that",
        )

    def _left(self) -> int:
        since_s = self._clock.monotonic() - _MINUTE_S
        while self._sent_s and self._sent_s[0] <= since_s:
            self._sent_s.popleft()
        return max(0, self._plan.told.per_minute - len(self._sent_s))

    async def _begin(self, request: CommandRequest) -> Completion:
        planned = self._plans.pop(request.text(PLAN))
        self._sent_s.append(self._clock.monotonic())  # also where it fails: the upstream was asked
        sent = SentAction(
            id=request.command.id,
            action=planned.plan.action,
            arguments=planned.plan.arguments,
            by=request.by,
            time_ns=self._clock.now_ns(),
        )
        self._keep(sent, "")
        self._publish_all()
        return self._send(sent, planned.request)

    async def _send(self, sent: SentAction, request: ActionRequest) -> Mapping[str, Scalar]:
        began_s = self._clock.monotonic()
        failed: CountingRoomError | None = self._not_known(sent, "the mirror was stopped before the answer")
        text, ended = "", structs.replace(sent, is_over=True)
        try:
            status, body = await self._plan.link.act(request, self._plan.told.timeout_s)
            text, is_cut = answer_text(body, self._plan.secret)
            ended = structs.replace(ended, status=status, bytes=len(text.encode()), is_cut=is_cut)
            failed = None if status == _OK else self._bad_status(sent, status)
        except LinkError as error:
            failed = self._not_known(sent, error.cause.message, error.cause) if _changes(sent) else error
        finally:
            took_s = round(self._clock.monotonic() - began_s, 3)
            self._keep(structs.replace(ended, took_s=took_s, cause=failed and failed.cause), text)
        if failed:
            raise failed
        return {"status": ended.status, "bytes": ended.bytes}

    def _bad_status(self, sent: SentAction, status: int) -> DeviceError:
        return DeviceError(
            f"{self.name} answered {sent.action} with the status {status}",
            source=self._source,
            code="upstream_failed",
            evidence={"status": status},
            suggestion="look at its answer, and at the upstream itself",
        )

    def _not_known(self, sent: SentAction, why: str, cause: Cause | None = None) -> LinkError:
        return LinkError(
            f"whether {sent.action} was carried out is not known: {why}",
            source=self._source,
            code=cause.code if cause else "no_answer",
            suggestion="look at the upstream before it is sent again: it is not repeated by itself",
            causes=(cause,) if cause else (),
        )

    def _keep(self, sent: SentAction, text: str) -> None:
        self._answers[sent.id] = ActionAnswer(sent=sent, text=text)
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        self._publish_all()


def _changes(sent: SentAction) -> bool:
    return UPSTREAMS[sent.action].dangerous


class ControlService:
    """All upstreams that can be controlled. Runs until cancelled."""

    def __init__(self, bus: Bus, clock: Clock, publisher: Publisher, plans: Sequence[ControlPlan]) -> None:
        self._bus = bus
        self._clock = clock
        self._publisher = publisher
        self._targets = {one.told.name: ControlTarget(one, clock, publisher, self._publish) for one in plans}

    async def run(self) -> None:
        """Answer commands and queries. The links belong to the grabber, which ends them."""
        self._publish()
        async with AsyncExitStack() as stack:
            for what, answer in ((PLAN_QUERY, self._answer_plan), (ANSWER_QUERY, self._answer_text)):
                subject = subjects.query(DEPARTMENT, what)
                await stack.enter_async_context(self._bus.respond(subject, answer))
            for name, target in self._targets.items():
                server = CommandServer(self._bus, self._clock, DEPARTMENT, name, target, self._publisher)
                await stack.enter_async_context(server.serving())
            await asyncio.Event().wait()

    def _publish(self) -> None:
        told = tuple(one.told() for one in self._targets.values())
        self._publisher.state(CONTROL_KEY, UpstreamControlState(upstreams=told))

    async def _answer_plan(self, message: Message) -> bytes:
        try:
            query = decode(message.data, ActionPlanQuery)
            return encode(self._target(query.upstream).make_plan(query))
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question for a plan", error, DEPARTMENT)))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    async def _answer_text(self, message: Message) -> bytes:
        try:
            query = decode(message.data, AnswerQuery)
            return encode(self._target(query.upstream).answer(query.id))
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question for an answer", error, DEPARTMENT)))
        except CountingRoomError as error:
            return encode(QueryRefusal(cause=error.cause))

    def _target(self, name: str) -> ControlTarget:
        if name not in self._targets:
            known = ", ".join(self._targets) or "none"
            raise NotFound(
                f"no upstream {name!r} can be controlled", source=DEPARTMENT, suggestion=f"there is: {known}"
            )
        return self._targets[name]
