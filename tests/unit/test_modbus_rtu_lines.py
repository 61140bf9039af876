"""RTU lines as they are: adapters that echo, noise before and after answers, and answers that are cut off."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.modbus import pdu
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.drivers.modbus.rtu_answer import RtuAnswer

TIMEOUT_S = 0.5
"""Where something is not answered; 3 s elsewhere, because the machine of a test can be slow."""


class RtuLine(Struct):
    """A serial server with one unit behind it. Its registers hold their own address plus 1000."""

    echoes: bool = False
    """The adapter repeats what is sent."""
    before: bytes = b""
    """Noise before each answer, as of a transceiver that switches."""
    after: bytes = b""
    cut_at: int | None = None
    """Bytes of an answer that arrive."""
    writes_are_lost: bool = False
    answers_broadcasts: bool = False
    """Unit 0 is one of its own."""
    written: list[bytes] = field(default_factory=list[bytes])
    port: int = 0

    def answer(self, unit: int, request: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", request[:5])
        if unit == 0 and not self.answers_broadcasts:
            self.written.append(request)
            return b""
        if function in (3, 4):
            values = range(address + 1000, address + 1000 + count)
            answer = pdu.rtu_frame(1, struct.pack(f">BB{count}H", function, 2 * count, *values))
        else:
            if self.writes_are_lost:
                return b""
            self.written.append(request)
            answer = pdu.rtu_frame(1, request[:5])
        return self.before + answer[: self.cut_at] + self.after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.read(256):
                writer.write((request if self.echoes else b"") + self.answer(request[0], request[1:]))
        finally:
            writer.transport.abort()


@asynccontextmanager
async def served(line: RtuLine) -> AsyncGenerator[RtuLine]:
    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(loop.create_task(line.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def reading(line: RtuLine, timeout_s: float = 3.0, unit: int = 1) -> AsyncGenerator[ModbusDriver]:
    free = {"input": True, "write_low": 0, "write_high": 65535}
    section = {
        "host": "127.0.0.1",
        "port": line.port,
        "framing": "rtu",
        "timeout": timeout_s,
        "device_id": unit,
        "registers": {
            "near": {"address": 1},
            "far": {"address": 700},
            "one": {"address": 20, **free, "write_function": 6},
            "many": {"address": 21, **free, "type": "uint32"},
        },
    }
    driver = ModbusDriver(ModbusSection.model_validate(section))
    await driver.connect()
    try:
        yield driver
    finally:
        await driver.close()


async def good(driver: ModbusDriver) -> dict[str, object]:
    return {sample.point: sample.value for sample in await driver.read() if sample.quality is Quality.GOOD}


ALL = {"near": 1001, "far": 1700, "one": 1020, "many": 1021 * 65536 + 1022}


@pytest.mark.parametrize(
    "line",
    [
        RtuLine(),
        RtuLine(echoes=True),
        RtuLine(before=b"\0"),
        RtuLine(before=b"\xff\x00"),
        RtuLine(after=b"\0"),
        RtuLine(echoes=True, before=b"\0", after=b"\xff"),
        RtuLine(before=b"\x01\x03"),
        RtuLine(before=b"\x01\x03\xff"),
    ],
    ids=["plain", "echo", "zero", "two", "after", "echo and noise", "half a head", "a head"],
)
async def test_an_echo_and_noise_are_no_answer(line: RtuLine) -> None:
    async with served(line), reading(line) as driver:
        for _ in range(3):
            assert await good(driver) == ALL
        await driver.write("one", 7)
        await driver.write("many", 70000)
        await driver.write("one", 8)
        assert [request[0] for request in line.written] == [6, 16, 6]
        assert await good(driver) == ALL


async def test_an_echo_does_not_confirm_a_write() -> None:
    """The answer to function 6 is equal to the request. An adapter that echoes is known by the reads before."""
    line = RtuLine(echoes=True)
    async with served(line), reading(line, TIMEOUT_S) as driver:
        await good(driver)
        line.writes_are_lost = True
        for name, value in (("one", 7), ("many", 70000)):
            with pytest.raises(DeviceError, match="no answer within"):
                await driver.write(name, value)
            await driver.close()
            await driver.connect()


async def test_an_answer_that_is_cut_off_is_none_and_shifts_none_after_it() -> None:
    line = RtuLine(cut_at=6)
    async with served(line), reading(line, TIMEOUT_S) as driver:
        with pytest.raises(LinkError, match="no answer within"):
            await driver.read()
        line.cut_at = None
        await driver.close()
        await driver.connect()
        assert await good(driver) == ALL


async def test_a_wrong_check_sum_is_told_as_such() -> None:
    line = RtuLine(cut_at=6, after=b"\x55")
    async with served(line), reading(line, TIMEOUT_S) as driver:
        with pytest.raises(DeviceError, match="check sum"):
            await driver.read()


def test_coils_are_not_read_from_the_echo_of_their_request() -> None:
    """24 coils at 768: the request has the form of an answer of three bytes, with a right check sum."""
    request = pdu.read_request("coil", 768, 24)
    search = RtuAnswer(1, request)
    assert search.feed(pdu.rtu_frame(1, request)) is None
    answer = bytes((1, 3, 1, 2, 3))
    assert search.feed(pdu.rtu_frame(1, answer)) == answer
    assert search.is_echoed


@given(st.binary(max_size=40), st.binary(max_size=8), st.booleans())
def test_an_answer_is_found_in_any_noise(before: bytes, after: bytes, echo: bool) -> None:
    request = pdu.read_request("holding", 5, 2)
    answer = bytes((3, 4, 9, 8, 7, 6))
    came = (pdu.rtu_frame(17, request) if echo else b"") + before + pdu.rtu_frame(17, answer) + after
    search = RtuAnswer(17, request)
    assert next(filter(None, (search.feed(came[place : place + 1]) for place in range(len(came)))), None) == answer


@pytest.mark.parametrize("answers", [False, True])
async def test_a_broadcast_is_done_when_it_was_sent(answers: bool) -> None:
    async with served(RtuLine(answers_broadcasts=answers)) as line, reading(line, unit=0) as driver:
        await driver.write("one", 7)
        assert len(line.written) == 1
        if answers:  # a device that takes every number, alone on its line
            assert await good(driver) == ALL
