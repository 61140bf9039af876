"""Law: control of anything is taken, asked for, handed over and given up with the same words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from countingroom.core.errors import OutOfRange
from countingroom.core.policy import Action, Principal, decide
from countingroom.runs.access.arguments import Asked, Rest, Word
from countingroom.runs.access.control_lease import ControlDesk


def control_words(desk: ControlDesk, people: Callable[[str], Awaitable[Principal]]) -> dict[str, Word]:
    """The words of one target. `people`: what somebody is trusted with there."""

    async def take(asked: Asked) -> Rest:
        await desk.take(asked.by)

    async def request(asked: Asked) -> Rest:
        await desk.request(asked.by)

    async def hand_over(asked: Asked) -> Rest:
        to = asked.text("to")
        if cause := decide(await people(to), Action.TAKE_CONTROL, desk.target, now_ns=asked.command.issued_ns):
            raise OutOfRange(
                f"{to} cannot be in control of {desk.target}",
                code="wrong_argument",
                causes=(cause,),
                suggestion="give the name of somebody who may",
            )
        await desk.hand_over(asked.by, to)

    async def release(asked: Asked) -> Rest:
        await desk.release(asked.by)

    return {
        "take_control": Word(take, of_control=True),
        "force_control": Word(take, of_control=True),
        "request_control": Word(request, of_control=True),
        "hand_over": Word(hand_over, of_control=True, takes=("to",)),
        "release_control": Word(release, of_control=True),
    }
