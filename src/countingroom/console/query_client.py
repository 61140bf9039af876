"""Asks another department a question over the bus. The result is its answer, its refusal, or a LinkError."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from countingroom.bus.ask import ask as bus_ask
from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.errors import LinkError, Refused
from countingroom.core.messages import MessageDecoder
from countingroom.core.series import QueryRefusal
from countingroom.departments import DEPARTMENTS

_ANSWER_S = 20.0
_TITLES = {department.name: department.title for department in DEPARTMENTS}

Answer = TypeVar("Answer", bound=Struct)


async def ask(bus: Bus, department: str, what: str, question: Struct, kind: type[Answer]) -> Answer:
    """The answer; Refused with the department's cause, or LinkError where there is no answer."""
    decoder: MessageDecoder[Answer | QueryRefusal] = MessageDecoder(kind | QueryRefusal)
    try:
        answer = await bus_ask(bus, subjects.query(department, what), question, decoder, timeout_s=_ANSWER_S)
    except LinkError as error:
        is_absent = error.cause.code == "no_responders"
        title = _TITLES.get(department, department)
        raise LinkError(
            f"{title} is not running" if is_absent else f"{title} gave no answer",
            code="unreachable" if is_absent else "timeout",
            source=department,
            suggestion=f"start it: countingroom serve … {department}" if is_absent else "ask for less at once",
            causes=(error.cause,),
        ) from error
    if isinstance(answer, QueryRefusal):
        raise Refused(answer.cause)
    return answer
