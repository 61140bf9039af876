"""What a device host keeps of its interlocks in its file, and how long it waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace

from countingroom.bus import streams
from countingroom.core import subjects
from countingroom.core.interlocks.chart import initial
from countingroom.core.interlocks.host_state import host_key
from countingroom.core.values import Scalar
from tests.scenario.test_interlock_host import LOCAL, Room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncGenerator[Room]:
    made = Room(tmp_path)
    await streams.prepare(made.bus)
    made.supply.values["temperature"] = 20.0
    yield made


async def test_a_reset_is_kept_too(room: Room) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
        room.supply.put("temperature", 20.0)
        await room.settle()
        await room.engine_says(replace(initial(LOCAL), reset_ns=room.clock.now_ns(), reset_by="ann"))
        assert not (await room.local()).is_tripped
    for key in (host_key("cooling", "main"), subjects.interlock_key("cooling")):
        await room.bus.delete(subjects.STATE_BUCKET, key)
    async with room.host():
        await room.settle(1.0)
        assert not (await room.local()).is_tripped


async def test_a_trip_is_in_the_file_before_its_effect_acts(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    take, pwrite = room.supply.take, os.pwrite

    def written(opened: int, data: bytes, offset: int) -> int:
        steps.append("saved" if b'"first_out":"hot"' in data else "other")
        return pwrite(opened, data, offset)

    def commanded(point: str, value: Scalar) -> None:
        steps.append(point)
        take(point, value)

    async with room.host():
        steps.clear()
        monkeypatch.setattr(os, "pwrite", written)
        monkeypatch.setattr(room.supply, "take", commanded)
        room.supply.put("temperature", 36.0)
        await room.settle()
    assert steps[:3] == ["saved", "a.on", "b.on"]


async def test_a_disk_that_hangs_does_not_keep_an_effect_back(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    pwrite = os.pwrite

    def hangs(opened: int, data: bytes, offset: int) -> int:
        answers.wait(30)
        return pwrite(opened, data, offset)

    async with room.host():
        monkeypatch.setattr(os, "pwrite", hangs)
        room.supply.put("temperature", 36.0)
        await room.settle(0.5)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
        answers.set()


async def test_a_disk_that_takes_nothing_is_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(opened: int, data: bytes, offset: int) -> int:
        raise OSError(5, "input/output error")

    async with room.host():
        monkeypatch.setattr(os, "pwrite", fails)
        room.supply.put("temperature", 36.0)
        await room.settle(0.5)
        assert room.supply.writes == [("a.on", False), ("b.on", False)]
        for _ in range(200):  # a real thread writes
            if (await room.published()).problem:
                break
            await room.settle()
        assert "input/output error" in (await room.published()).problem


@pytest.mark.parametrize("is_damaged", [True, False])
async def test_what_could_not_be_read_is_told_until_the_process_ends(room: Room, is_damaged: bool) -> None:
    async with room.host():
        room.supply.put("temperature", 36.0)
        await room.settle()
    file = room.file
    if is_damaged:
        file.write_bytes(b"{")
    else:
        file.unlink()
        file.mkdir()
    async with room.host():
        room.supply.put("temperature", 36.5)
        await room.settle(1.0)
        assert "cannot be read" in (await room.published()).problem
    assert file.is_dir() is not is_damaged
