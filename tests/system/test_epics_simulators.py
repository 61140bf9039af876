"""The simulated IOCs run as children like all simulators, fail on command, and come back where they were."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psutil
import pytest

from countingroom.core.errors import NotFound
from countingroom.simulators.caen import CaenSimulator
from countingroom.simulators.epics import EpicsSimulator
from tests.patience import PATIENCE_S


@asynccontextmanager
async def child(kind: str, parameters: dict[str, Any]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "countingroom.simulators.run",
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(parameters) + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        answer = msgspec.json.decode(await process.stdout.readline())
    try:
        yield process, answer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, fault: str, **arguments: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode({"fault": fault, "arguments": arguments}) + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        return msgspec.json.decode(await process.stdout.readline())


async def gone(processes: list[psutil.Process]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["caen", "epics"])
async def test_it_says_where_it_is_and_takes_its_server_along_when_it_is_killed(kind: str) -> None:
    async with child(kind, {}) as (process, answer):
        (address,) = answer["ready"]["address_list"]
        assert address.startswith("127.0.0.1:")
        servers = psutil.Process(process.pid).children(recursive=True)
        assert servers
        os.kill(process.pid, 9)
        await gone(servers)


async def test_a_drop_is_a_real_one_and_what_comes_back_is_at_the_same_place() -> None:
    async with child("caen", {}) as (process, _):
        (before,) = psutil.Process(process.pid).children(recursive=True)
        assert (await ask(process, "drop")) == {"done": "drop"}
        await gone([before])
        assert psutil.Process(process.pid).children(recursive=True) == []
        assert (await ask(process, "restore")) == {"done": "restore"}
        assert len(psutil.Process(process.pid).children(recursive=True)) == 1


@pytest.mark.parametrize("kind", ["caen", "epics"])
async def test_a_server_that_is_killed_is_there_again(kind: str) -> None:
    async with child(kind, {}) as (process, _):
        (before,) = psutil.Process(process.pid).children(recursive=True)
        before.kill()
        await gone([before])
        async with asyncio.timeout(PATIENCE_S):
            while not [one for one in psutil.Process(process.pid).children(recursive=True) if one.pid != before.pid]:
                await asyncio.sleep(0.02)
        assert (await ask(process, "drop")) == {"done": "drop"}


@pytest.mark.parametrize("kind", ["caen", "epics"])
async def test_a_restarted_simulator_listens_where_it_listened(kind: str) -> None:
    async with child(kind, {}) as (_, answer):
        ready = answer["ready"]
    async with child(kind, {"again": ready}) as (_, answer):
        assert answer["ready"] == ready


async def test_an_unknown_fault_or_output_is_refused_with_what_there_is() -> None:
    caen, epics = CaenSimulator({}), EpicsSimulator({})
    with pytest.raises(NotFound) as refused:
        await caen.fault("explode", {})
    assert "trip" in refused.value.cause.suggestion
    with pytest.raises(NotFound):
        await caen.fault("trip", {"channel": "99"})
    with pytest.raises(NotFound):
        await epics.fault("nan", {"value": "colour"})


async def test_an_output_starts_as_its_channel_file_says() -> None:
    made = CaenSimulator(
        {
            "channels": {"0": {"lv": {"board": 1, "chan": 2, "setV": 13.0}, "hv": {"board": 12, "chan": 0}}},
            "global": {"lv": {"setV": 12.0, "tripExt": "0b10001"}, "hv": {"imRange": "High", "tripMode": "Ramp"}},
        }
    )
    lv, hv = made.outputs["0", "lv"], made.outputs["0", "hv"]
    assert (lv.settings["V0Set"], lv.settings["TripExt"]) == (13.0, 17)
    assert (hv.settings["ImRange"], hv.settings["PDwn"]) == (1, 1)
    assert not lv.switched_on
