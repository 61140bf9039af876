"""For any answers of an instrument: a value is never that of another query, and a refusal is told with its text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.text.description import TextSection
from countingroom.devices.drivers.text.driver import TextDriver
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts
from countingroom.simulators.request_line import RequestLine
from countingroom.simulators.text import TextSimulator
from tests.contract.drivers.text import SUPPLY

pytestmark = pytest.mark.server

TWO = {"a": {"query": "A?"}, "b": {"query": "B?", "type": "string"}}


@asynccontextmanager
async def supply(**keys: Any) -> AsyncGenerator[tuple[TextDriver, TextSimulator]]:
    described = TextSection.model_validate({**SUPPLY, **keys})
    simulator, ports = TextSimulator(described.model_dump(mode="json")), SerialPorts()
    driver = TextDriver(described.model_copy(update=dict(await simulator.start())), ports)
    try:
        yield driver, simulator
    finally:
        await ports.close()
        await simulator.stop()


@asynccontextmanager
async def scripted(answer: Callable[[str], str | None], **keys: Any) -> AsyncGenerator[TextDriver]:
    """An instrument that answers as this function says, all lines with their ends."""

    def reply(request: bytes) -> bytes | None:
        said = answer(request.decode())
        return None if said is None else said.encode("latin-1")

    line, ports = RequestLine({}, b"\n", reply), SerialPorts()
    section = {"driver": "text", "port": await line.start(), "timeout": 2.0, "gap": 0.02, "values": TWO, **keys}
    driver = TextDriver(TextSection.model_validate(section), ports)
    try:
        yield driver
    finally:
        await ports.close()
        await line.stop()


async def read(driver: TextDriver) -> dict[str, Sample]:
    return {one.point: one for one in await driver.read()}


async def test_a_supply_is_read_set_and_identified() -> None:
    async with supply() as (driver, simulator):
        await driver.connect()
        first = await read(driver)
        assert first["identification"].value == "ACME,PS-12,0042,1.3" and first["error"].value == ""
        assert first["temperature"].value == pytest.approx(32.0) and first["1.mode"].value == 0
        await driver.write("1.set_voltage", 12.5)
        await driver.write("output", True)
        now = await read(driver)
        assert (now["1.voltage"].value, now["output"].value) == (12.5, True)
        await simulator.fault("value", {"name": "1.voltage", "text": "9.9E37"})
        assert (await read(driver))["1.voltage"].quality is Quality.BAD


async def test_a_value_with_a_poll_of_its_own_is_asked_seldom_and_at_once_where_a_command_waits() -> None:
    values = {"slow": {"query": "S?", "poll": "3 s", "set": "S {value}", "type": "bool"}, "fast": {"query": "F?"}}
    asked: list[str] = []

    def answer(request: str) -> str | None:
        asked.append(request)
        return "1\r\n" if request.endswith("?") else None

    async with scripted(answer, values=values, write_gap=0.0) as driver:
        await driver.connect()
        for _ in range(6):
            assert (await read(driver))["slow"].value is True
        assert asked.count("S?") == 2 and asked.count("F?") == 6
        await driver.write("slow", True)
        await read(driver)
        assert asked[-3:] == ["S 1", "S?", "F?"]


async def test_a_refused_command_fails_with_the_words_of_the_instrument() -> None:
    async with supply() as (driver, simulator):
        await driver.connect()
        await read(driver)
        await simulator.fault("refuse", {})
        with pytest.raises(DeviceError, match="Settings conflict") as caught:
            await driver.write("1.set_voltage", 3.0)
        assert caught.value.cause.code == "refused_by_device"
        with pytest.raises(DeviceError, match="refused OUTP 1: refused"):
            await driver.write("output", True)
        await simulator.fault("restore", {})
        seen = await read(driver)
        assert "Settings conflict" in str(seen["error"].value) and (await read(driver))["error"].value == ""


async def test_a_huge_answer_to_a_command_is_a_short_refusal() -> None:
    values = {"a": {"query": "A?", "set": "A {value}", "write_low": 0, "write_high": 9, "set_reply": ".*"}}
    async with scripted(lambda said: ("1" if "?" in said else "x" * 5000) + "\n", values=values, timeout=2) as driver:
        await driver.connect()
        with pytest.raises(DeviceError) as caught:
            await driver.write("a", 3.0)
        assert len(str(caught.value.cause)) < 500


async def test_a_query_that_the_instrument_does_not_know_is_one_bad_value() -> None:
    answers = {"*IDN?": "ACME,PS-12\n", "A?": "1.5\n"}
    async with scripted(answers.get, identify={"reply": "ACME"}) as driver:
        await driver.connect()
        for _ in range(2):
            found = await read(driver)
            assert found["a"].value == 1.5
            assert found["b"].quality is Quality.BAD and "does not answer B?" in found["b"].reason


async def test_a_doubled_answer_shifts_nothing() -> None:
    polls = 0

    def answer(request: str) -> str | None:
        nonlocal polls
        polls += request == "A?"
        text = {"*IDN?": "ACME,PS-12", "A?": f"{polls}", "B?": "text"}[request]
        return f"{text}\n{text}\n" if request == "A?" and polls == 2 else f"{text}\n"

    async with scripted(answer, identify={"reply": "ACME"}) as driver:
        await driver.connect()
        for _ in range(4):
            found = await read(driver)
            assert found["b"].value == "text" and found["a"].value == float(polls)


async def test_a_lost_answer_is_asked_for_again() -> None:
    lost = ["A?"]

    def answer(request: str) -> str | None:
        if request in lost:
            lost.remove(request)
            return None
        return {"*IDN?": "ACME,PS-12\n", "A?": "1\n", "B?": "text\n"}[request]

    async with scripted(answer, identify={"reply": "ACME"}) as driver:
        await driver.connect()
        found = await read(driver)
        assert (found["a"].value, found["b"].value) == (1.0, "text")


async def test_an_answer_that_cannot_be_read_is_bad_alone() -> None:
    async with scripted({"A?": "#?@\n", "B?": "text\n"}.get) as driver:
        await driver.connect()
        for _ in range(2):
            found = await read(driver)
            assert found["a"].quality is Quality.BAD and "is no float" in found["a"].reason
            assert found["b"].value == "text"


async def test_another_instrument_at_the_address_is_not_used() -> None:
    async with scripted(lambda _: "OTHER,DMM\n", identify={"reply": "ACME"}) as driver:
        with pytest.raises(LinkError, match="OTHER,DMM") as caught:
            await driver.connect()
        assert caught.value.cause.code == "wrong_device"


async def test_nonsense_makes_every_value_bad_and_ends_with_it() -> None:
    async with supply(timeout=0.2) as (driver, simulator):
        await driver.connect()
        assert (await read(driver))["1.mode"].quality is Quality.GOOD
        await simulator.fault("garbage", {})
        bad = await read(driver)
        assert all(one.quality is Quality.BAD and "attributed" in one.reason for one in bad.values())
        await simulator.fault("restore", {})
        assert (await read(driver))["1.mode"].quality is Quality.GOOD


async def test_an_errors_queue_that_never_ends_holds_nothing_up() -> None:
    answers = {"A?": "1\n", "B?": "x\n", "SYST:ERR?": '-100,"Command error"\n'}
    async with scripted(answers.get, errors={}, gap=0.0) as driver:
        await driver.connect()
        found = await read(driver)
        assert found["a"].value == 1.0 and str(found["error"].value).count("Command error") == 16
