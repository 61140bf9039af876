"""For each dialect of a bath and each lost or doubled answer: a value belongs to its question, or it is not GOOD."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.port import Sample
from countingroom.devices.serial.line import SerialPorts
from countingroom.simulators.julabo_bath import Bath, Trouble
from countingroom.simulators.julabo_protocol import answer
from tests.unit.virtual_time import LoopClock, VirtualTime

T = TypeVar("T")

TRUTH = {
    "internal_temp": 21.0,
    "external_temp": 21.0,
    "power": 0.0,
    "setpoint_1": 11.0,
    "setpoint_2": 22.0,
    "setpoint_3": 33.0,
    "used_setpoint": 3,
    "ext_is_used": False,
    "running": False,
}


class Line(asyncio.Transport):
    """A bath with its dialect, behind a line with its faults."""

    def __init__(
        self,
        *,
        end: bytes = b"\r\n",
        echo: bool = False,
        latency_s: float = 0.03,
        loss: float = 0.0,
        lost: Callable[[int], bool] = lambda number: False,
        doubled: Callable[[int], bool] = lambda number: False,
        doubled_after_s: float = 0.04,
        silent: tuple[bytes, ...] = (),
        unknown: tuple[bytes, ...] = (),
        status: bytes = b"",
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.bath = Bath()
        self.bath.noisy = lambda value: value  # type: ignore[method-assign]
        self.bath.setpoints[:] = [11.0, 22.0, 33.0]
        self.bath.used = 2
        self.end = end
        self.echo = echo
        self.latency_s = latency_s
        self.loss = loss
        self.lost = lost
        self.doubled = doubled
        self.doubled_after_s = doubled_after_s
        self.silent = silent
        self.unknown = unknown
        self.status = status
        self.requests: list[bytes] = []
        self._dice = random.Random(seed)
        self._asked: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver: asyncio.BaseProtocol | None = None

    async def connect(
        self, loop: object, receiver: Callable[[], asyncio.Protocol], *_: object, **__: object
    ) -> tuple[Line, asyncio.Protocol]:
        made = receiver()
        self._receiver = made
        return self, made

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.echo:
            self.say(bytes(data).removesuffix(b"\r"))
        self._asked.put_nowait(bytes(data).removesuffix(b"\r"))

    def say(self, line: bytes) -> None:
        if isinstance(self._receiver, asyncio.Protocol):
            self._receiver.data_received(line + self.end)

    def _lose(self) -> bool:
        return self._dice.random() < self.loss or self.lost(len(self.requests))

    def abort(self) -> None:
        self._receiver = None

    async def wait_closed(self) -> None: ...

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            request = await self._asked.get()
            self.requests.append(request)
            await asyncio.sleep(self.latency_s)
            said = answer(self.bath, request) if request not in self.unknown else b"-08 INVALID COMMAND"
            if self.status and request == b"STATUS":
                said = self.status
            if said is None or request in self.silent or self._lose():
                continue
            self.say(said)
            if self.doubled(len(self.requests)):
                loop.call_later(self.doubled_after_s, self.say, said)


def with_driver(
    line: Line, monkeypatch: pytest.MonkeyPatch, use: Callable[[JulaboDriver], Awaitable[T]], **section: object
) -> T:
    """Run it in virtual time."""
    monkeypatch.setattr("serialx.create_serial_connection", line.connect)

    async def run() -> T:
        bath = asyncio.create_task(line.run())
        driver = JulaboDriver(JulaboSection.model_validate({"port": "/dev/x", **section}), SerialPorts(LoopClock()))
        try:
            return await use(driver)
        finally:
            await driver.close()
            bath.cancel()

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(run())


def by_name(samples: list[Sample]) -> dict[str, Sample]:
    return {sample.point: sample for sample in samples}


async def polled(driver: JulaboDriver, times: int = 1) -> list[dict[str, Sample]]:
    await driver.connect()
    return [by_name(list(await driver.read())) for _ in range(times)]


def wrong(samples: dict[str, Sample], **changed: float) -> dict[str, object]:
    """The values that are shown as good and are not the bath's, which are TRUTH or `changed`."""
    return {
        name: samples[name].value
        for name, value in {**TRUTH, **changed}.items()
        if samples[name].quality is Quality.GOOD and samples[name].value != value
    }


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\n\r"])
@pytest.mark.parametrize("echo", [False, True])
def test_every_line_end_and_an_echo_are_recognised(end: bytes, echo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    (samples,) = with_driver(Line(end=end, echo=echo), monkeypatch, polled)
    assert {name: samples[name].value for name in TRUTH} == TRUTH
    assert samples["status_code"].value == 2 and "JULABO" in str(samples["version"].value)


def test_a_bath_that_answers_only_some_questions_is_connected_with_the_points_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(silent=(b"IN_SP_01", b"IN_SP_02", b"IN_MODE_01", b"IN_MODE_04"))
    polls = with_driver(line, monkeypatch, lambda driver: polled(driver, 12))
    absent = ("setpoint_2", "setpoint_3", "used_setpoint", "ext_is_used")
    for samples in polls:
        assert not wrong(samples)
        assert all(samples[name].quality is Quality.GOOD for name in TRUTH if name not in absent)
        assert all(samples[name].quality is Quality.BAD for name in absent)
        assert "IN_SP_01" in samples["setpoint_2"].reason
    assert line.requests.count(b"IN_SP_01") < 8, "a question that is never answered is asked seldom"


def test_a_question_that_the_bath_does_not_know_is_a_point_without_value_and_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (samples,) = with_driver(Line(unknown=(b"IN_MODE_04", b"IN_MODE_05")), monkeypatch, polled)
    assert samples["running"].quality is Quality.BAD and "INVALID COMMAND" in samples["running"].reason
    assert samples["status_code"].value == 2 and samples["setpoint_3"].value == 33.0


@pytest.mark.parametrize("silent", [b"STATUS", b"VERSION"])
def test_a_bath_without_one_of_the_probes_is_connected(silent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for samples in with_driver(Line(silent=(silent,)), monkeypatch, lambda driver: polled(driver, 3)):
        assert {name: samples[name].value for name in TRUTH} == TRUTH


def test_a_status_of_words_is_shown_and_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(status=b"Hello from the bath")
    for samples in with_driver(line, monkeypatch, lambda driver: polled(driver, 3)):
        assert {name: samples[name].value for name in TRUTH} == TRUTH
        assert samples["status_text"].value == "Hello from the bath"
        assert samples["status_code"].quality is Quality.BAD


@pytest.mark.parametrize("number", range(1, 14))
def test_one_doubled_answer_shifts_no_value(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(latency_s=0.14, doubled=lambda count: count == number)
    polls = with_driver(line, monkeypatch, lambda driver: polled(driver, 4))
    assert [wrong(samples) for samples in polls] == [{}] * 4
    assert all(sample.quality is Quality.GOOD for name, sample in polls[-1].items() if name in TRUTH)


@pytest.mark.parametrize("after_s", [0.0, 0.04, 0.15, 0.3])
def test_a_line_that_doubles_every_answer_gives_the_right_values_or_none(
    after_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(latency_s=0.14, doubled=lambda count: True, doubled_after_s=after_s)
    polls = with_driver(line, monkeypatch, lambda driver: polled(driver, 6))
    assert [wrong(samples) for samples in polls] == [{}] * 6
    assert all(polls[-1][name].quality is Quality.GOOD for name in TRUTH)


@pytest.mark.parametrize("doubled", range(2, 28))
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_doubled_and_a_lost_answer_together_shift_no_value(
    doubled: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss takes the surplus answer away again, so that the end of the poll is in step."""
    lost = doubled + after
    line = Line(latency_s=0.14, doubled=lambda count: count == doubled, lost=lambda count: count == lost)
    line.bath.setpoints[:] = [11.0, 11.0, 33.0]  # equal answers do not hide it

    async def use(driver: JulaboDriver) -> list[dict[str, object]]:
        found = [wrong(samples, setpoint_2=11.0) for samples in await polled(driver, 2)]
        line.bath.temperature += 0.7  # so that its answer is not that of the poll before
        line.bath.external += 0.3
        samples = by_name(list(await driver.read()))
        return [*found, wrong(samples, setpoint_2=11.0, internal_temp=21.7, external_temp=21.3)]

    assert with_driver(line, monkeypatch, use) == [{}] * 3


@pytest.mark.parametrize("seed", range(12))
def test_a_line_that_doubles_and_loses_shows_no_wrong_value(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    line = Line(latency_s=0.14, loss=0.2, seed=seed, doubled=lambda count: dice.random() < 0.1)
    polls = with_driver(line, monkeypatch, lambda driver: polled(driver, 60))
    assert [wrong(samples) for samples in polls] == [{}] * 60


@pytest.mark.parametrize("seed", range(10))
def test_a_line_that_loses_every_fifth_answer_is_connected_and_stays_so(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(loss=0.2, seed=seed)
    polls = with_driver(line, monkeypatch, lambda driver: polled(driver, 100))
    assert all(not wrong(samples) for samples in polls)
    good = sum(samples[name].quality is Quality.GOOD for samples in polls for name in TRUTH)
    assert good > 0.85 * len(TRUTH) * len(polls)
    assert all(samples[name].quality is not Quality.BAD for samples in polls[5:] for name in TRUTH)


def test_a_line_that_falls_silent_is_a_lost_link(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()

    async def use(driver: JulaboDriver) -> float:
        await polled(driver)
        line.loss = 1.0
        began = asyncio.get_running_loop().time()
        with pytest.raises(LinkError, match="no answer"):
            await driver.read()
        return asyncio.get_running_loop().time() - began

    assert with_driver(line, monkeypatch, use) < 5.0


def test_a_value_that_no_bath_has_is_asked_again_and_then_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    line.bath.temperature = 2100.0
    (samples,) = with_driver(line, monkeypatch, polled)
    assert samples["internal_temp"].quality is Quality.BAD and "2100" in samples["internal_temp"].reason
    # Once for the nonsense, and once because two switches have the same answer in the first poll.
    assert samples["setpoint_1"].value == 11.0 and line.requests.count(b"IN_PV_00") == 3


@pytest.mark.parametrize(("value", "words"), [(-60.0, "-10 VALUE TOO SMALL"), (300.0, "-11 VALUE TOO LARGE")])
def test_a_refused_setpoint_fails_with_the_reason_of_the_bath_and_is_no_fault(
    value: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(driver: JulaboDriver) -> dict[str, Sample]:
        await driver.connect()
        with pytest.raises(DeviceError, match=words):
            await driver.write("setpoint_1", value)
        return by_name(list(await driver.read()))

    samples = with_driver(Line(), monkeypatch, use)
    assert (samples["status_code"].value, samples["setpoint_1"].value) == (2, 11.0)


def test_a_refusal_that_another_program_caused_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()

    async def use(driver: JulaboDriver) -> Sample:
        await driver.connect()
        line.bath.refusal = Trouble(-10, "VALUE TOO SMALL")
        return by_name(list(await driver.read()))["status_code"]

    assert with_driver(line, monkeypatch, use).value == 2
