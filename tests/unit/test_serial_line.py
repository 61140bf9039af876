"""With any delays of a device each user of a line gets the answer to its own question, or none."""

from __future__ import annotations

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError, DeviceError, LinkError
from countingroom.devices.serial.line import SerialLine, SerialPorts, Settings
from countingroom.devices.serial.pending_answers import Probe
from countingroom.testing.clock import FakeClock
from tests.unit.virtual_time import LoopClock, VirtualTime

PROBES = (Probe(b"who\r", lambda answer: answer == b"I am the echo"), Probe(b"how\r", lambda answer: answer == b"well"))
FIXED = {b"who": b"I am the echo", b"how": b"well"}


class Echo:
    """A device on a pseudo terminal that answers `x` with `x!`, in order, each after the test lets it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.ports = SerialPorts(clock)
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.asked: list[bytes] = []
        self.delay: Callable[[bytes], Awaitable[object]] | None = None
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        self._buffer = b""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.master, self._arrived)
        try:
            while True:
                request = await self._requests.get()
                if self.delay is not None:
                    await self.delay(request)
                if request != b"hush":
                    os.write(self.master, FIXED.get(request, request + b"!") + b"\r\n")
        finally:
            loop.remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)

    def _arrived(self) -> None:
        *requests, self._buffer = (self._buffer + os.read(self.master, 4096)).split(b"\r")
        for request in requests:
            self.asked.append(request)
            self._requests.put_nowait(request)

    def line(self) -> SerialLine:
        settings = Settings(
            address=self.path, baudrate=4800, bits=7, parity="E", rtscts=True, terminator=b"\r\n", probes=PROBES
        )
        return self.ports.line(settings)


@asynccontextmanager
async def echo(clock: Clock | None = None) -> AsyncIterator[Echo]:
    device = Echo(clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(device.run())
        try:
            yield device
        finally:
            await device.ports.close()
            task.cancel()


async def test_two_clients_of_a_line_that_delays_never_get_each_others_answers() -> None:
    delays = iter([0.004, 0.0, 0.002, 0.001, 0.003] * 100)

    async def client(line: SerialLine, name: str) -> None:
        await line.open(2.0)
        for number in range(40):
            asked = f"{name}{number}".encode()
            assert await line.query(asked + b"\r", timeout_s=2.0) == asked + b"!"
        await line.close()

    async with echo() as device:
        device.delay = lambda _: asyncio.sleep(next(delays))
        async with asyncio.TaskGroup() as group:
            group.create_task(client(device.line(), "reader"))
            group.create_task(client(device.line(), "writer"))
        assert len([one for one in device.asked if one not in FIXED]) == 80


async def test_a_late_answer_is_never_taken_for_the_next_ones() -> None:
    release = asyncio.Event()

    async def hold_the_first(request: bytes) -> None:
        if request == b"slow":
            await release.wait()

    async with echo() as device:
        device.delay = hold_the_first
        one, other = device.line(), device.line()
        await one.open(2.0)
        await other.open(2.0)
        with pytest.raises(LinkError, match="no answer"):
            await one.query(b"slow\r", timeout_s=0.05)
        release.set()  # the answer to `slow` is now on its way
        assert await other.query(b"quick\r", timeout_s=2.0) == b"quick!"
        assert await one.query(b"again\r", timeout_s=2.0) == b"again!"
        await one.close()
        await other.close()


async def test_a_frozen_line_catches_up_in_step_even_after_probes_were_left_unanswered() -> None:
    thaw = asyncio.Event()

    async with echo() as device:
        line = device.line()
        await line.open(2.0)
        assert await line.query(b"before\r", timeout_s=1.0) == b"before!"
        device.delay = lambda _: thaw.wait()
        for _ in range(4):  # what a host does: ask, time out, close, open, ask
            await line.open(2.0)
            with pytest.raises(LinkError):
                await line.query(b"temperature\r", timeout_s=0.03)
            await line.close()
        assert device.asked.count(b"temperature") == 1 and {b"who", b"how"} < set(device.asked)
        thaw.set()
        await line.open(2.0)
        assert await line.query(b"now\r", timeout_s=1.0) == b"now!"
        assert await line.query(b"then\r", timeout_s=1.0) == b"then!"
        await line.close()


async def test_a_lost_answer_does_not_shift_the_ones_after_it() -> None:
    async with echo() as device:
        line = device.line()
        await line.open(2.0)
        with pytest.raises(LinkError):
            await line.query(b"hush\r", timeout_s=0.03)
        assert await line.query(b"next\r", timeout_s=2.0) == b"next!"
        await line.close()


async def test_a_cancelled_question_leaves_the_line_in_step() -> None:
    gate = asyncio.Event()
    asked = asyncio.Event()

    async def hold(request: bytes) -> None:
        if request == b"first":
            asked.set()
            await gate.wait()

    async with echo() as device:
        device.delay = hold
        line = device.line()
        await line.open(2.0)
        async with asyncio.TaskGroup() as group:
            question = group.create_task(line.query(b"first\r", timeout_s=5.0))
            await asked.wait()
            question.cancel()
        gate.set()
        assert await line.query(b"second\r", timeout_s=2.0) == b"second!"
        await line.close()


async def test_nothing_is_sent_before_the_quiet_time_is_over() -> None:
    clock = FakeClock()
    async with echo(clock) as device:
        line = device.line()
        await line.open(2.0)
        await line.send(b"hush\r", quiet_s=0.25)
        async with asyncio.TaskGroup() as group:
            question = group.create_task(line.query(b"after\r", timeout_s=2.0))
            await clock.advance(0.24)
            assert b"after" not in device.asked
            await clock.advance(0.02)
            assert await question == b"after!"
        await line.close()


async def test_the_port_stays_open_until_its_last_user_goes() -> None:
    async with echo() as device:
        one, other = device.line(), device.line()
        await one.open(2.0)
        await other.open(2.0)
        await one.close()
        await one.close()
        assert await other.query(b"still\r", timeout_s=2.0) == b"still!"
        with pytest.raises(LinkError, match="closed"):
            await one.query(b"mine\r", timeout_s=2.0)
        await other.close()


async def test_two_hosts_of_one_process_share_no_port() -> None:
    async with echo() as device:
        line = device.line()
        await line.open(2.0)
        other = SerialPorts().line(Settings(address=device.path))
        with pytest.raises(LinkError, match="closed"):
            await other.query(b"mine\r", timeout_s=2.0)


async def test_closing_the_ports_closes_the_line_of_every_user() -> None:
    async with echo() as device:
        line = device.line()
        await line.open(2.0)
        await device.ports.close()
        with pytest.raises(LinkError, match="closed"):
            await line.query(b"mine\r", timeout_s=2.0)


async def test_two_devices_on_one_line_must_agree_on_its_settings() -> None:
    async with echo() as device:
        line = device.line()
        with pytest.raises(ConfigurationError, match="other settings"):
            device.ports.line(Settings(address=device.path, baudrate=9600))
        await line.close()


async def test_a_port_that_is_not_there_is_a_link_error_with_advice() -> None:
    line = SerialPorts().line(Settings(address="/dev/no-such-port"))
    with pytest.raises(LinkError, match="no-such-port") as caught:
        await line.open(1.0)
    assert "cable" in caught.value.cause.suggestion
    await line.close()


async def test_a_socket_that_closes_is_a_link_error_and_can_be_opened_again() -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await reader.readuntil(b"\r") + b"\n")
            await reader.readuntil(b"\r")
        except asyncio.IncompleteReadError:
            pass  # the second connection asks nothing
        finally:
            writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = SerialPorts().line(Settings(address=f"socket://127.0.0.1:{port}", terminator=b"\r\n"))
    async with server:
        await line.open(2.0)
        assert await line.query(b"hello\r", timeout_s=2.0) == b"hello"
        with pytest.raises(LinkError):
            await line.query(b"bye\r", timeout_s=2.0)
        await line.close()
        await line.open(2.0)
        await line.close()


class Wire(asyncio.Transport):
    """A device that answers `x` with `x!`, in order, late or never, also after the port was closed and opened."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._asked: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver: asyncio.BaseProtocol | None = None

    async def connect(
        self, loop: object, receiver: Callable[[], asyncio.Protocol], *_: object, **__: object
    ) -> tuple[Wire, asyncio.Protocol]:
        self._receiver = receiver()
        return self, self._receiver

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._asked.put_nowait(bytes(data).removesuffix(b"\r"))

    def abort(self) -> None:
        self._receiver = None

    async def wait_closed(self) -> None: ...

    async def run(self) -> None:
        while True:
            asked = await self._asked.get()
            await asyncio.sleep(self._dice.choice([0.0] * 12 + [0.01, 0.015, 0.03, 0.05]))
            if self._receiver is not None and self._dice.random() >= 0.05:
                self._receiver.data_received(FIXED.get(asked, asked + b"!") + b"\r\n")


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_late_lost_or_given_up_no_answer_is_another_questions(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    wire = Wire(dice)
    monkeypatch.setattr("serialx.create_serial_connection", wire.connect)
    ports = SerialPorts()
    right = 0

    async def client(name: str) -> None:
        nonlocal right
        line = ports.line(Settings(address="/dev/wire", terminator=b"\r\n", probes=PROBES))
        for number in range(30):
            asked = f"{name}{number}".encode()
            try:
                async with asyncio.timeout(dice.choice([1.0, 1.0, 0.004])):
                    await line.open(1.0)
                    assert await line.query(asked + b"\r", timeout_s=0.02) == asked + b"!"
                    right += 1
            except (LinkError, TimeoutError):
                if dice.random() < 0.5:
                    await line.close()
        await line.close()

    async def run() -> None:
        device = asyncio.create_task(wire.run())
        async with asyncio.TaskGroup() as group:
            for name in ("a", "b", "c"):
                group.create_task(client(name))
        device.cancel()

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(run())
    assert right > 20


class FaultyWire(Wire):
    """Answers at once; with `instead` where it is given, and not at all where that is empty."""

    def __init__(self, instead: bytes) -> None:
        super().__init__(random.Random(0))
        self.instead: bytes | None = instead

    async def run(self) -> None:
        while True:
            asked = await self._asked.get()
            await asyncio.sleep(0.01)
            answer = FIXED.get(asked, asked + b"!") if self.instead is None else self.instead
            if self._receiver is not None and answer:
                self._receiver.data_received(answer + b"\r\n")


@pytest.mark.parametrize("instead", [b"", b"?#!"])
@pytest.mark.parametrize("faulty_s", [5, 200, 3600, 40_000])
def test_a_line_that_was_silent_or_sent_garbage_for_long_is_in_step_soon_after(
    faulty_s: float, instead: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = FaultyWire(instead)
    monkeypatch.setattr("serialx.create_serial_connection", wire.connect)

    async def connect(line: SerialLine, until_s: float) -> bool:
        """Try again with growing pauses, as a device host does."""
        time, pause_s = asyncio.get_running_loop().time, 0.5
        while time() < until_s:
            try:
                await line.open(1.0)
                assert await line.ask(b"now\r", timeout_s=1.0) == b"now!"
            except (LinkError, DeviceError):
                await line.close()
                await asyncio.sleep(pause_s)
                pause_s = min(30.0, 2 * pause_s)
            else:
                return True
        return False

    async def run() -> None:
        device = asyncio.create_task(wire.run())
        time = asyncio.get_running_loop().time
        line = SerialPorts(LoopClock()).line(Settings(address="/dev/wire", terminator=b"\r\n", probes=PROBES))
        assert not await connect(line, faulty_s)
        wire.instead = None
        assert await connect(line, time() + 35)
        await line.close()
        device.cancel()

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(run())
