"""A simulator's process answers every line, names what it refuses, and ends with its parent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from countingroom.core.errors import Cause, LinkError, RequestError
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.simulators.run import serve


class Kettle:
    """A simulator that can only boil dry."""

    faults = (
        CommandSpec(name="boil_dry"),
        CommandSpec(name="slow", parameters=(Parameter(name="seconds", unit="s", low=0.0, high=60.0),)),
    )

    def __init__(self, parameters: Mapping[str, Any], *, broken: bool = False) -> None:
        self.parameters = parameters
        self.broken = broken
        self.stopped = False
        self.slow_s = 0.0

    async def start(self) -> Mapping[str, Any]:
        if self.broken:
            raise LinkError("no water")
        return {"port": 4711}

    async def fault(self, name: str, arguments: Mapping[str, Any]) -> None:
        if name == "slow":
            self.slow_s = arguments["seconds"]
        elif name != "boil_dry":
            raise RequestError(f"no such fault: {name}")

    async def stop(self) -> None:
        self.stopped = True


async def _conversation(lines: Sequence[bytes], *, broken: bool = False) -> tuple[int, list[Any], Kettle | None]:
    made: list[Kettle] = []
    answers: list[Any] = []

    def create(parameters: Mapping[str, Any]) -> Kettle:
        made.append(Kettle(parameters, broken=broken))
        return made[-1]

    reader = asyncio.StreamReader()
    for line in lines:
        reader.feed_data(line + b"\n")
    reader.feed_eof()
    status = await serve(create, reader, lambda message: answers.append(msgspec.to_builtins(message)))
    return status, answers, made[0] if made else None


async def test_it_takes_its_parameters_says_where_it_listens_and_stops_when_its_input_ends() -> None:
    status, answers, kettle = await _conversation([b'{"litres": 2}'])
    assert (status, answers) == (0, [{"ready": {"port": 4711}}])
    assert kettle is not None and kettle.parameters == {"litres": 2} and kettle.stopped


async def test_every_fault_line_is_answered_and_nonsense_does_not_end_it() -> None:
    lines = [b"{}", b'{"fault": "boil_dry"}', b'{"fault": "explode"}', b"boil_dry!", b'{"fault": "boil_dry"}']
    status, answers, _ = await _conversation(lines)
    assert status == 0
    assert [next(iter(answer)) for answer in answers] == ["ready", "done", "refused", "refused", "done"]
    assert msgspec.convert(answers[2]["refused"], Cause).message == "no such fault: explode"


@pytest.mark.parametrize("seconds", [b"1e308", b"-1", b"true", b'"long"', b"null"])
async def test_a_fault_outside_what_it_declares_does_not_reach_the_simulator(seconds: bytes) -> None:
    wrong = b'{"fault": "slow", "arguments": {"seconds": ' + seconds + b"}}"
    right = b'{"fault": "slow", "arguments": {"seconds": 2.5}}'
    _, answers, kettle = await _conversation([b"{}", right, wrong, b'{"fault": "slow", "arguments": {"minutes": 1}}'])
    assert [next(iter(answer)) for answer in answers] == ["ready", "done", "refused", "refused"]
    assert "seconds" in answers[3]["refused"]["suggestion"]
    assert kettle is not None and kettle.slow_s == 2.5


async def test_a_simulator_that_cannot_start_says_why_and_is_stopped() -> None:
    status, answers, kettle = await _conversation([b"{}"], broken=True)
    assert status == 1 and answers[0]["refused"]["message"] == "no water"
    assert kettle is not None and kettle.stopped


async def test_parameters_that_are_no_object_are_refused() -> None:
    status, answers, kettle = await _conversation([b"[1, 2]"])
    assert status == 1 and "no JSON object" in answers[0]["refused"]["message"]
    assert kettle is None
