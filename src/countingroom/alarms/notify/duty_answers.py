"""Answers the query `query.alarms.duty`: which persons are on duty."""

from __future__ import annotations

import asyncio

from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.admission import malformed
from countingroom.core.clock import Clock
from countingroom.core.messages import Malformed, MessageDecoder, encode
from countingroom.core.notify.duty import duties
from countingroom.core.notify.duty_query import MOST_TURNS, CalendarDuty, DutyAnswer, DutyQuery, DutyTurn
from countingroom.core.notify.routes import NotifySpec
from countingroom.core.series import QueryRefusal

_query = MessageDecoder(DutyQuery)


class DutyAnswers:
    """Answers from the calendars of the description."""

    def __init__(self, bus: Bus, clock: Clock, spec: NotifySpec) -> None:
        self._bus = bus
        self._clock = clock
        self._spec = spec

    async def run(self) -> None:
        """Answer until cancelled."""
        async with self._bus.respond(subjects.query("alarms", "duty"), self._answer):
            await asyncio.Event().wait()

    async def _answer(self, message: Message) -> bytes:
        try:
            question = _query.decode(message.data)
        except Malformed as error:
            return encode(QueryRefusal(cause=malformed("a question about duties", error, "alarms")))
        turns = max(1, min(question.turns, MOST_TURNS))
        directory, now_ns = self._spec.directory, self._clock.now_ns()
        return encode(
            DutyAnswer(
                calendars=tuple(
                    CalendarDuty(
                        calendar=name,
                        zone=str(calendar.zone),
                        turns=tuple(
                            DutyTurn(
                                person=one.person,
                                from_ns=one.from_ns,
                                until_ns=one.until_ns,
                                channels=directory.people.get(one.person, ()),
                            )
                            for one in duties(calendar, now_ns, turns)
                        ),
                    )
                    for name, calendar in directory.calendars.items()
                )
            )
        )
