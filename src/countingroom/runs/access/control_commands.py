"""Commands that take, request, hand over and release the control lease of a target."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from countingroom.bus.command_request import CommandRequest, Completion, Handler
from countingroom.core.errors import OutOfRange
from countingroom.core.policy import Permission, Principal, decide
from countingroom.runs.access.control_lease import ControlLease


def control_commands(lease: ControlLease, principals: Callable[[str], Awaitable[Principal]]) -> dict[str, Handler]:
    """The commands of one target. `principals` finds the roles of a user there."""

    async def take(request: CommandRequest) -> Completion:
        await lease.take(request.by)

    async def request(request: CommandRequest) -> Completion:
        await lease.request(request.by)

    async def hand_over(request: CommandRequest) -> Completion:
        to = request.text("to")
        if cause := decide(
            await principals(to), Permission.TAKE_CONTROL, lease.target, now_ns=request.command.issued_ns
        ):
            raise OutOfRange(
                f"{to} cannot be in control of {lease.target}",
                code="wrong_argument",
                causes=(cause,),
                suggestion="give the name of a user who may",
            )
        await lease.hand_over(request.by, to)

    async def release(request: CommandRequest) -> Completion:
        await lease.release(request.by)

    return {
        "take_control": take,
        "force_control": take,
        "request_control": request,
        "hand_over": hand_over,
        "release_control": release,
    }
