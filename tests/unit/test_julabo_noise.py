"""Noise on a serial line without check sums: it may cost a value, it never makes one, and the next polls are right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from countingroom.core.values import Quality
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.port import Sample
from tests.unit.test_julabo_dialects import TRUTH, Line, by_name, polled, with_driver, wrong

Noise = Callable[[bytes], bytes]

NOISES: dict[str, Noise] = {
    "a zero before": lambda line: b"\0" + line,
    "a byte of no script before": lambda line: b"\xff" + line,
    "a banner before": lambda line: b"JULABO bath, software 3.1\r\nready\r\n" + line,
    "a banner after": lambda line: line + b"JULABO bath, software 3.1\r\nready\r\n",
    "an empty line before": lambda line: b"\r\n" + line,
    "a degree sign in Latin-1": lambda line: line.replace(b".", b".\xb0"),
    "half of its terminator": lambda line: line.removesuffix(b"\n"),
    "no terminator": lambda line: line.removesuffix(b"\r\n"),
    "nothing but noise": lambda line: b"\x80\x00\xfe",
    "another number of arguments": lambda line: line.removesuffix(b"\r\n") + b" 17\r\n",
}


class NoisyLine(Line):
    """A bath one answer of which is spoilt."""

    def __init__(self, number: int, noise: Noise) -> None:
        super().__init__()
        self.number = number
        self.noise = noise
        self.said = 0

    def say(self, line: bytes) -> None:
        self.said += 1
        whole = line + self.end
        if isinstance(self._receiver, asyncio.Protocol):
            self._receiver.data_received(self.noise(whole) if self.said == self.number else whole)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("number", range(1, 13))
def test_a_spoilt_answer_is_no_wrong_value_and_shifts_none(
    number: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = with_driver(NoisyLine(number, NOISES[name]), monkeypatch, lambda driver: polled(driver, 5))
    assert [wrong(samples) for samples in polls] == [{}] * 5
    assert all(polls[-1][name].quality is Quality.GOOD for name in TRUTH)


class LateLine(Line):
    """A port that is opened while the end of an earlier answer is still on its way."""

    def __init__(self, rest: bytes, after_s: float) -> None:
        super().__init__()
        self.rest = rest
        self.after_s = after_s

    async def connect(
        self, loop: object, receiver: Callable[[], asyncio.Protocol], *_: object, **__: object
    ) -> tuple[Line, asyncio.Protocol]:
        made = await super().connect(loop, receiver)
        asyncio.get_running_loop().call_later(self.after_s, made[1].data_received, self.rest)  # type: ignore[attr-defined]
        return made


@pytest.mark.parametrize(
    ("rest", "after_s"),
    [
        *[(rest, after_s) for rest in (b"1.00\r\n", b"\r\n", b"17.5\r\n18.5\r\n") for after_s in (0.0, 0.01, 0.2)],
        (b"1", 0.0),
        (b"1", 0.01),  # later it stands before a number, and no line without check sums tells 121 from 21
    ],
)
def test_the_rest_of_an_answer_from_before_is_no_value(
    rest: bytes, after_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(driver: JulaboDriver) -> list[dict[str, Sample]]:
        polls = await polled(driver, 3)
        await driver.close()
        await driver.connect()
        return [*polls, *[by_name(list(await driver.read())) for _ in range(3)]]

    polls = with_driver(LateLine(rest, after_s), monkeypatch, use)
    assert [wrong(samples) for samples in polls] == [{}] * 6
    assert all(polls[-1][name].quality is Quality.GOOD for name in TRUTH)


def test_sensors_that_show_the_same_by_chance_are_no_fault_of_the_chiller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are in the same bath and differ by their noise alone."""
    line, dice = Line(), random.Random(1)
    line.bath.noisy = lambda value: value + dice.gauss(0.0, 0.01)  # type: ignore[method-assign]

    async def use(driver: JulaboDriver) -> list[dict[str, Sample]]:
        polls: list[dict[str, Sample]] = []
        for _ in range(60):
            polls += await polled(driver, 2)
            await driver.close()
        return polls

    polls = with_driver(line, monkeypatch, use)
    assert [samples["status_code"].value for samples in polls] == [2] * 120
    temperatures = [samples[name] for samples in polls for name in ("internal_temp", "external_temp")]
    good = [float(one.value or 0) for one in temperatures if one.quality is Quality.GOOD]
    assert len(good) >= 238
    assert all(abs(value - 21.0) < 0.1 for value in good)


def test_from_the_first_answer_that_may_be_of_another_question_on_none_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sensors show the same in each poll, and never the same as in the poll before."""
    line = Line()
    line.bath.noisy = lambda value: value + line.requests.count(b"IN_PV_00") / 10  # type: ignore[method-assign]
    (samples,) = with_driver(line, monkeypatch, polled)
    assert samples["status_code"].value == 2
    assert samples["power"].value == 0.0
    assert samples["internal_temp"].quality is Quality.GOOD
    assert {name for name in TRUTH if samples[name].quality is Quality.BAD} == set(TRUTH) - {"internal_temp", "power"}
    assert "another question" in samples["external_temp"].reason
