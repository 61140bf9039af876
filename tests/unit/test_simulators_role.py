"""The role of the simulators says that it is ready when they have started, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from countingroom.app import roles
from countingroom.app.simulation import Overrides
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Bus
from countingroom.core.messages import Presence, decode
from countingroom.experiment import load
from countingroom.testing.clock import FakeClock

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"


async def test_simulators_that_have_not_started_yet_are_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that hangs was seen by nothing for a minute: /readyz said that all is ready."""
    started = asyncio.Event()

    class Slow:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def run(self, on_ready: Callable[[Overrides], None]) -> None:
            await started.wait()
            on_ready({})
            await asyncio.Event().wait()

    monkeypatch.setattr(roles, "Simulators", Slow)
    clock = FakeClock()
    bus = MemoryBus(clock)
    facts: list[object] = []

    async def connect(_: str) -> Bus:
        return bus

    setting = roles.Setting(
        experiment=load(DEMO), directory=Path(), clock=clock, data=Path(), port=0, connect=connect, overrides={}
    )
    async with bus.subscribe("presence.simulators.*") as heard:
        playing = asyncio.ensure_future(roles.simulators(setting)(roles.Platform(bus=bus, ready=facts.append)))
        await clock.advance(1)
        assert decode((await anext(heard)).data, Presence).troubles == ("the simulators are starting",)
        assert not facts
        started.set()
        await clock.advance(2)
        beats = [decode((await anext(heard)).data, Presence) for _ in range(3)]
        assert beats[-1].troubles == ()
        assert facts == [{}]
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
