"""After any fault of its line the driver of a switchbox synchronises again, and takes no wrong line as an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from countingroom.core.errors import LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.switchbox.build import driver_of
from countingroom.devices.drivers.switchbox.description import SwitchboxSection
from countingroom.devices.port import Driver
from countingroom.devices.resources import SharedResources
from countingroom.simulators.request_line import RequestLine

OFF = b'{"lv": 0, "hv": 0, "channels": 0}\n'
ON = b'{"lv": 1, "hv": 1, "channels": 3}\n'

pytestmark = pytest.mark.server


@asynccontextmanager
async def box(*answers: bytes, timeout: float = 2.0) -> AsyncGenerator[Driver]:
    """A box that gives these answers in turn, the last one for ever, and its driver."""
    left = list(answers)
    async with peer(lambda _: left.pop(0) if len(left) > 1 else left[0], timeout) as driver:
        yield driver


@asynccontextmanager
async def peer(answer: Callable[[bytes], bytes | None], timeout: float = 2.0) -> AsyncGenerator[Driver]:
    line, resources = RequestLine({}, b"\r", answer), SharedResources()
    section = SwitchboxSection(port=await line.start(), timeout=timeout, read_gap=0.03, write_gap=0.0)
    driver, _ = driver_of(section, resources)
    await driver.connect()
    try:
        yield driver
    finally:
        await resources.close()
        await line.stop()


async def values(driver: Driver) -> tuple[object, ...]:
    found = {one.point: one for one in await driver.read()}
    return tuple(found[name].value for name in ("lv", "hv", "channels_on"))


@pytest.mark.parametrize(
    "first",
    [
        b'nnels": 3}\n' + OFF,  # the port was opened in the middle of a line
        b"\r\n" + OFF,
        b"STATUS?\r" + OFF,  # an echo
        b"\xff\xfe\n",
        b'{"lv": 1, "hv": 1}\n',
        b'{"error": "busy"}\n',
        b'{"lv": 0, "hv": 0, "channels": 281474976710656}\n',
    ],
)
async def test_a_line_that_is_no_status_is_asked_for_again(first: bytes) -> None:
    async with box(first, OFF) as driver:
        assert await values(driver) == (False, False, 0)


async def test_half_a_line_without_its_end_spoils_only_the_next_one() -> None:
    async with box(b'{"lv": 1, "h', OFF, ON, timeout=0.4) as driver:
        assert await values(driver) in ((False, False, 0), (True, True, 2))
        assert await values(driver) == (True, True, 2)


async def test_a_doubled_status_is_not_the_answer_to_the_next_question() -> None:
    async with box(OFF + OFF, ON + ON, OFF + OFF) as driver:
        assert await values(driver) == (False, False, 0)
        assert await values(driver) == (True, True, 2)
        assert await values(driver) == (False, False, 0)


async def test_a_lost_answer_is_asked_for_once_more() -> None:
    asked = 0

    def answer(_: bytes) -> bytes | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else ON

    async with peer(answer, timeout=0.4) as driver:
        assert await values(driver) == (True, True, 2)


async def test_nonsense_that_goes_on_is_bad_with_its_reason() -> None:
    async with box(b"#?@\n") as driver:
        found = await driver.read()
        assert all(one.quality is Quality.BAD and "no JSON" in one.reason for one in found)


async def test_silence_is_a_lost_link() -> None:
    async with peer(lambda _: None, timeout=0.4) as driver:
        with pytest.raises(LinkError, match="no answer"):
            await driver.read()


async def test_a_command_whose_status_comes_unasked_is_seen_in_the_next_one() -> None:
    said: list[bytes] = []

    def answer(request: bytes) -> bytes:
        said.append(request)
        return ON if b"LV|ON" in said else OFF

    async with peer(answer) as driver:
        assert await values(driver) == (False, False, 0)
        await driver.write("lv", True)
        assert await values(driver) == (True, True, 2)
        assert said == [b"STATUS?", b"LV|ON", b"STATUS?"]
