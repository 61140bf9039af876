"""Any bytes on any subject that the alarm department follows or answers: it goes on, and each question is answered."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.alarms.queries import DefinitionAnswer, DefinitionQuery, HistoryAnswer, HistoryQuery
from countingroom.core.alarms.states import AlarmState
from countingroom.core.messages import MessageDecoder, decode, encode
from countingroom.core.series import QueryRefusal
from tests.property.payloads import payload
from tests.scenario.alarm_stage import CHILLER, AlarmStage

KEYS = ("device.chiller", "device.x", "channel.chiller.1", "catalogue.x", "partition.a", "alarm.x", "alarm.point.a.b")
ANSWERS = {
    "definition": MessageDecoder(DefinitionAnswer | QueryRefusal),
    "history": MessageDecoder(HistoryAnswer | QueryRefusal),
}
QUESTIONS = {"definition": DefinitionQuery(ids=("a",)), "history": HistoryQuery(id="a")}


async def asked(stage: AlarmStage, what: str, data: bytes) -> object:
    asking = asyncio.create_task(stage.bus.request(subjects.query("alarms", what), data, timeout_s=5.0))
    while not asking.done():
        await stage.clock.advance(0.1)
    return decode((await asking).data, ANSWERS[what])


async def poisoned(bus: Bus, found: list[bytes]) -> None:
    for number, data in enumerate(found):
        await bus.put("state", KEYS[number % len(KEYS)], data)
        await bus.publish("presence.devices.main", data)
        await bus.publish(f"presence.x.{number}", data)
        await bus.append("readings.delta.chiller", data)
        await bus.publish("live.readings.chiller", data)


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(payload, min_size=14, max_size=30))
def test_the_alarm_department_goes_on(found: list[bytes]) -> None:
    async def case() -> None:
        stage = AlarmStage()
        await stage.prepare()
        async with stage.host("chiller"):
            await poisoned(stage.bus, found)
            async with stage.engine():
                await poisoned(stage.bus, found)
                await stage.clock.advance(1.0)
                for data in found:
                    for what in ANSWERS:
                        assert await asked(stage, what, data)
                await stage.put(CHILLER)  # a catalogue among the messages may have described another chiller
                await stage.read(bath=36.0)
                alarm = await stage.bus.get("state", subjects.alarm_key("point.chiller.bath"))
                assert alarm
                assert decode(alarm.data or b"", AlarmState).value == 36.0

    asyncio.run(case())


async def test_a_question_is_refused_and_not_left_open_while_the_database_is_away() -> None:
    stage = AlarmStage()
    await stage.prepare()
    async with stage.engine():
        assert isinstance(await asked(stage, "history", encode(QUESTIONS["history"])), HistoryAnswer)
        assert isinstance(await asked(stage, "definition", encode(QUESTIONS["definition"])), DefinitionAnswer)
        stage.store.is_away = True
        refused = await asked(stage, "history", encode(QUESTIONS["history"]))
        assert isinstance(refused, QueryRefusal)
        assert refused.cause.code == "disk_full"
