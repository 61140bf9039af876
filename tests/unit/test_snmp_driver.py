"""The driver of SNMP agents before one that lacks values, is restarted, silent, slow or answers too little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.snmp import ber
from countingroom.core.snmp.pdu import GENERAL_ERROR, NO_SUCH_NAME, RESPONSE, TOO_BIG, Pdu, Varbind
from countingroom.core.values import Quality
from countingroom.devices.drivers.snmp.build import build
from countingroom.devices.drivers.snmp.description import SnmpSection
from countingroom.devices.drivers.snmp.driver import SnmpDriver
from countingroom.devices.drivers.snmp.questions import Questions
from countingroom.devices.port import Sample
from countingroom.simulators.snmp import SnmpSimulator
from countingroom.testing.clock import FakeClock

BASE = "1.3.6.1.4.1.9999"
TABLE: dict[str, Any] = {
    **{f"v{place}": {"oid": f"{BASE}.{place}.0", "type": "int"} for place in range(10)},
    "set": {"oid": f"{BASE}.20.0", "writable": True, "write_low": 0, "write_high": 10},
    "name": {"oid": f"{BASE}.21.0", "type": "string"},
}


@pytest_asyncio.fixture
async def agent() -> AsyncIterator[SnmpSimulator]:
    simulator = SnmpSimulator({"values": TABLE})
    yield simulator
    await simulator.stop()


async def _driver(agent: SnmpSimulator, **more: Any) -> SnmpDriver:
    keys = {"driver": "snmp", "values": TABLE, "timeout": 5.0, "retries": 0, **await agent.start(), **more}
    driver = build("one", SnmpSection.model_validate(keys)).driver
    assert isinstance(driver, SnmpDriver)
    await driver.connect()
    return driver


async def _read(driver: SnmpDriver) -> Mapping[str, Sample]:
    return {sample.point: sample for sample in await driver.read()}


def _bad(said: Mapping[str, Sample]) -> list[str]:
    return [name for name, sample in said.items() if sample.quality is not Quality.GOOD]


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_an_oid_that_is_not_there_is_bad_and_no_other(agent: SnmpSimulator, version: str) -> None:
    driver = await _driver(agent, version=version)
    assert _bad(await _read(driver)) == []
    await agent.fault("missing", {"name": "v3"})
    said = await _read(driver)
    assert _bad(said) == ["v3"]
    assert f"{BASE}.3.0: " in said["v3"].reason and "no such" in said["v3"].reason
    await agent.fault("restore", {})
    assert _bad(await _read(driver)) == []
    await driver.close()


async def test_a_table_is_read_in_few_questions_and_in_halves_where_they_are_too_big(agent: SnmpSimulator) -> None:
    driver = await _driver(agent)
    agent.requests = 0
    assert _bad(await _read(driver)) == []
    assert agent.requests == 1
    agent.agent.most_bytes = 100
    assert _bad(await _read(driver)) == []
    asked, agent.requests = agent.requests, 0
    assert _bad(await _read(driver)) == []
    assert 1 < agent.requests < asked  # it keeps to what the agent can answer
    agent.agent.most_bytes = 30
    said = await _read(driver)
    assert said["v1"].quality is Quality.BAD and "too big" in said["v1"].reason
    await driver.close()


async def test_a_restart_of_the_agent_ends_the_link_so_that_settings_are_applied() -> None:
    clock = FakeClock()
    agent = SnmpSimulator({"values": TABLE}, clock=clock)
    driver = await _driver(agent)
    await clock.advance(100.0)
    await driver.read()
    await agent.fault("restart", {})
    with pytest.raises(LinkError) as restarted:
        await driver.read()
    assert restarted.value.cause.code == "restarted"
    await driver.connect()
    await driver.read()
    await driver.close()
    await agent.stop()


async def test_a_refused_value_names_the_oid_and_the_error(agent: SnmpSimulator) -> None:
    driver = await _driver(agent)
    await agent.fault("refuse", {})
    with pytest.raises(DeviceError) as refused:
        await driver.write("set", 3.0)  # its type is asked for first
    assert f"{BASE}.20.0" in refused.value.cause.message
    assert refused.value.cause.evidence == {"error": "inconsistentValue"}
    assert (await _read(driver))["set"].value == 0.0
    await driver.close()


async def test_a_wrong_community_is_not_answered_and_the_error_says_so(
    agent: SnmpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMUNITY", "very-secret")
    with pytest.raises(LinkError) as silent:
        await _driver(agent, community={"env": "COMMUNITY"}, timeout=0.1)
    assert silent.value.cause.code == "timeout" and "wrong community" in silent.value.cause.suggestion
    assert "very-secret" not in str(silent.value.cause)
    driver = await _driver(agent, write_community={"env": "COMMUNITY"}, timeout=0.3, retries=3)
    with pytest.raises(DeviceError) as unanswered:
        await driver.write("set", 3.0)
    assert "in force or not" in unanswered.value.cause.message
    assert "write_community" in unanswered.value.cause.suggestion
    assert len(await driver.read()) == len(TABLE)  # the link is as it was
    await driver.close()


async def test_another_device_is_not_used(agent: SnmpSimulator) -> None:
    with pytest.raises(LinkError) as other:
        await _driver(agent, object_id="1.3.6.1.4.1.318")
    assert other.value.cause.code == "wrong_device" and "1.3.6.1.4.1.8072" in other.value.cause.message


async def test_a_lost_question_is_sent_again_and_a_late_answer_is_none(agent: SnmpSimulator) -> None:
    driver = await _driver(agent, timeout=0.3, retries=4)
    await agent.fault("freeze", {})
    asked = agent.requests
    task = asyncio.create_task(driver.read())
    while agent.requests == asked:
        await asyncio.sleep(0.001)
    await agent.fault("restore", {})
    assert len(await task) == len(TABLE)
    await agent.fault("slow", {"seconds": 0.4})  # the answer to the first comes while the second waits
    assert _bad(await _read(driver)) == []
    await driver.close()


async def test_an_agent_that_is_silent_is_lost(agent: SnmpSimulator) -> None:
    driver = await _driver(agent, timeout=0.1, retries=1)
    await agent.fault("freeze", {})
    with pytest.raises(LinkError) as lost:
        await driver.read()
    assert "did not answer within" in lost.value.cause.message
    await driver.close()
    with pytest.raises(LinkError):
        await driver.read()


OIDS = [ber.oid(f"{BASE}.{place}") for place in range(8)]


def _answer(chunk: tuple[ber.Oid, ...], error: int = 0, index: int = 0) -> Pdu:
    return Pdu(RESPONSE, 1, tuple(Varbind(one, ber.INTEGER, 1) for one in chunk), error, index)


def _poll(questions: Questions, silent: set[ber.Oid], most: int = 8) -> int:
    """A poll of an agent that is silent where one of these is asked for, or more than `most`; how often it was."""
    questions.begin()
    unanswered = 0
    while chunk := questions.following():
        if silent & set(chunk) or len(chunk) > most:
            unanswered += 1
            questions.unanswered(chunk)
        else:
            questions.answered(chunk, _answer(chunk))
    questions.end()
    return unanswered


def test_a_value_that_silences_the_agent_is_found_and_asked_seldom() -> None:
    questions = Questions(OIDS, 8)
    assert _poll(questions, {OIDS[5]}) == 4  # of 8, 4, 2 and 1
    assert set(questions.answers) == set(OIDS) - {OIDS[5]}
    assert questions.reasons == {OIDS[5]: "the agent does not answer it"}
    assert [_poll(questions, {OIDS[5]}) for _ in range(6)] == [1, 1, 0, 0, 0, 0]
    assert questions.most == 8
    assert sum(_poll(questions, set()) for _ in range(20)) == 0
    assert OIDS[5] in questions.answers


def test_an_agent_that_answers_few_at_a_time_is_asked_for_few() -> None:
    questions = Questions(OIDS, 8)
    assert _poll(questions, set(), most=3) > 0
    assert questions.most == 2 and len(questions.answers) == 8
    assert _poll(questions, set(), most=3) == 0


def test_an_error_without_place_is_looked_for_in_halves() -> None:
    questions = Questions(OIDS, 8)
    questions.begin()
    while chunk := questions.following():
        is_wrong = OIDS[2] in chunk
        questions.answered(chunk, _answer(chunk, GENERAL_ERROR if is_wrong else 0))
    assert set(questions.answers) == set(OIDS) - {OIDS[2]}
    assert questions.reasons == {OIDS[2]: "the agent answers genErr"}


def test_an_answer_with_another_oid_is_none() -> None:
    questions = Questions(OIDS[:2], 8)
    questions.begin()
    chunk = questions.following()
    questions.answered(chunk, _answer((OIDS[0], OIDS[7])))
    assert set(questions.answers) == {OIDS[0]}
    assert "another OID" in questions.reasons[OIDS[1]]
    questions.begin()
    questions.give_up("no time")
    assert questions.following() == () and questions.reasons[OIDS[0]] == "no time"


@given(
    st.sets(st.sampled_from(OIDS), max_size=3),
    st.sets(st.sampled_from(OIDS), max_size=3),
    st.integers(1, 8),
    st.integers(1, 8),
    st.booleans(),
)
def test_every_value_that_can_be_answered_is_answered_in_every_poll(
    silent: set[ber.Oid], refused: set[ber.Oid], most: int, at_once: int, says_too_big: bool
) -> None:
    """An agent that is silent for some OIDs, refuses others and answers a few at a time."""
    questions = Questions(OIDS, at_once)
    good = set(OIDS) - silent - refused
    for poll in range(25):
        questions.begin()
        asked = 0
        while chunk := questions.following():
            asked += 1
            assert asked <= 4 * len(OIDS), "it does not end"
            wrong = next((place for place, one in enumerate(chunk, 1) if one in refused), 0)
            if len(chunk) > most and says_too_big:
                questions.answered(chunk, _answer(chunk, TOO_BIG))
            elif len(chunk) > most or silent & set(chunk):
                questions.unanswered(chunk)
            elif wrong:
                questions.answered(chunk, _answer(chunk, NO_SUCH_NAME, wrong))
            else:
                questions.answered(chunk, _answer(chunk))
        questions.end()
        assert set(questions.answers) == good, poll
        assert set(questions.reasons) >= silent | refused
