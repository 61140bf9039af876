"""The role `console` ends when one of its background tasks fails, so that its supervisor starts it again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from countingroom.app import roles
from countingroom.app.database import opened
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Bus
from countingroom.bus.streams import prepare
from countingroom.console.context import FollowerFailed
from countingroom.console.present.latest import Latest
from countingroom.core.clock import SystemClock
from countingroom.experiment import load
from tests.patience import PATIENCE_S

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"


async def test_a_console_whose_follower_fails_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    fail = asyncio.Event()

    async def broken(_: Latest) -> None:
        await fail.wait()
        raise IndexError("a mistake")

    monkeypatch.setattr(Latest, "_sweep", broken)
    experiment = load(DEMO)

    async def connect(name: str) -> Bus:
        return bus.client(name)

    setting = roles.Setting(
        experiment=experiment,
        directory=DEMO.parent,
        clock=clock,
        data=tmp_path,
        port=0,
        connect=connect,
        overrides={},
    )
    role = roles.console(setting)
    facts: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
    async with opened(experiment.storage, tmp_path, clock) as database, bus.subscribe("presence.console.*") as beats:
        running = asyncio.create_task(role(roles.Platform(bus=bus.client(), ready=facts.set_result, opened=database)))
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=(await facts)["address"]) as web:
            await anext(beats)
            answer = await web.get("/readyz")
            assert answer.status_code == 503
            named = {one["source"] for one in answer.json()["cause"]["causes"]}
            assert named == {"agents", "alarms", "runs", "devices", "history"}
            fail.set()
            with pytest.raises(ExceptionGroup) as caught:
                await running
    assert caught.group_contains(FollowerFailed)
    await bus.close()
