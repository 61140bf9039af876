"""A device host guards a simulated supply by a simulated chiller, without engine, and also without the bus."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.interlocks.host_state import HostInterlockState, host_key
from countingroom.core.messages import Command, DeviceState, Presence, Reply, decode, encode
from countingroom.simulators.caen import CaenSimulator
from countingroom.simulators.caen_physics import HighVoltage
from countingroom.simulators.julabo import JulaboSimulator
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CHANNELS = {
    "0": {
        "lv": {"board": 0, "chan": 0, "setV": 12.0},
        "hv": {"board": 12, "chan": 0, "setV": 60.0, "rampUpSpeed": 500.0, "rampDwnSpeed": 500.0},
        "module": "module_0",
    }
}
EFFECTS = {"hv_off": {"title": "HV off", "commands": [{"device": "caen", "channel": "0", "command": "hv_off"}]}}
COOLING = {
    "title": "Cooling lost",
    "causes": {
        "warm": {"title": "Bath too warm", "inputs": [{"limit": {"point": "chiller.internal_temp", "alarm_high": 35}}]}
    },
    "effects": EFFECTS,
    "matrix": {"warm": ["hv_off"]},
}
ELSEWHERE = {
    "title": "Partition",
    "causes": {"error": {"inputs": [{"state": {"of": "partition.mCBM", "in": ["Error"]}}]}},
    "effects": EFFECTS,
    "matrix": {"error": ["hv_off"]},
    "engine_silent": {"after": 3, "effects": ["hv_off"]},
}


class Stand:
    """The simulators, the server of the bus, and the host in a child process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.caen = CaenSimulator({"channels": CHANNELS, "tick_s": 0.02})
        self.chiller = JulaboSimulator({})
        self.server = EmbeddedServer(folder / "bus", description=BusSection())
        self.where: dict[str, dict[str, Any]] = {}

    @property
    def hv(self) -> HighVoltage:
        output = self.caen.outputs["0", "hv"]
        assert isinstance(output, HighVoltage)
        return output

    def switch_on(self) -> None:
        """At the front panel of the supply."""
        self.caen.outputs["0", "lv"].switch(on=True)
        self.hv.switch(on=True)

    @asynccontextmanager
    async def host(self, interlocks: dict[str, Any], **chiller: Any) -> AsyncGenerator[asyncio.subprocess.Process]:
        given = {
            "url": self.server.url_with_login(),
            "devices": {
                "caen": {"driver": "caen", "channels": CHANNELS, **self.where["caen"]},
                "chiller": {"driver": "julabo", "poll": "0.1 s", **self.where["chiller"], **chiller},
            },
            "interlocks": interlocks,
            "file": str(self.folder / "interlocks" / "devices.json"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.system.interlock_host_child", cwd=ROOT, stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin
        process.stdin.write(msgspec.json.encode(given) + b"\n")
        await process.stdin.drain()
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def until(self, true: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
        """Wait until it is true; the seconds that it took."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.005)
        return time.monotonic() - began


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncGenerator[Stand]:
    made = Stand(tmp_path)
    await made.server.start()
    made.where = {"caen": dict(await made.caen.start()), "chiller": dict(await made.chiller.start())}
    made.switch_on()
    yield made
    await made.caen.stop()
    await made.chiller.stop()
    await made.server.stop()


@asynccontextmanager
async def connected(server: EmbeddedServer) -> AsyncGenerator[Bus]:
    bus = await nats.connect(server.url_with_login(), name="test")
    await streams.prepare(bus, max_bytes=server.store_bytes)
    try:
        yield bus
    finally:
        await bus.close()


async def published(bus: Bus, name: str) -> HostInterlockState | None:
    with suppress(LinkError):
        entry = await bus.get(subjects.STATE_BUCKET, host_key(name, "main"))
        return decode(entry.data, HostInterlockState) if entry and entry.data else None
    return None


async def evaluates(bus: Bus, name: str, *, not_boot: str = "") -> HostInterlockState:
    """Wait until the host evaluates its part; another host than that of this boot."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await published(bus, name)
            if found and found.evaluates and found.boot != not_boot:
                return found
            await asyncio.sleep(0.05)


async def give(bus: Bus, action: str, channel: str) -> Reply:
    now_ns = SystemClock().now_ns()
    command = Command(
        id=uuid4().hex, action=action, channel=channel, issued_ns=now_ns, deadline_ns=now_ns + 10_000_000_000
    )
    subject = subjects.command("ann", "devices", "caen")
    return decode((await bus.request(subject, encode(command), timeout_s=PATIENCE_S)).data, Reply)


async def test_without_bus_and_engine_it_trips_and_it_stays_tripped_when_the_host_is_killed(stand: Stand) -> None:
    async with connected(stand.server) as bus:
        async with stand.host({"cooling": COOLING}) as host:
            now = await evaluates(bus, "cooling")
            assert now.is_whole
            assert stand.hv.switched_on
            await stand.server.stop()
            stand.chiller.bath.temperature = 60.0
            await stand.until(lambda: not stand.hv.switched_on)
            os.kill(host.pid, signal.SIGKILL)
            await host.wait()
        stand.chiller.bath.temperature = 20.0
        await stand.until(lambda: stand.hv.volts == 0.0)
        stand.hv.switch(on=True)  # at the front panel, while no host runs
        await stand.server.start()
    async with connected(stand.server) as bus, stand.host({"cooling": COOLING}):
        now = await evaluates(bus, "cooling", not_boot=now.boot)
        await stand.until(lambda: not stand.hv.switched_on)
        assert now.state
        assert (now.state.is_tripped, now.state.first_out) == (True, "warm")
        reply = await give(bus, "hv_on", "0")
        assert reply.cause
        assert reply.cause.code == "interlock"
        assert "HV off of the interlock Cooling lost, tripped by Bath too warm" in reply.cause.message


async def test_a_lost_input_trips_within_its_declared_staleness(stand: Stand) -> None:
    # Nothing else trips it: the link counts as lost only long after this test.
    chiller = {"points": {"internal_temp": {"stale_after": 2.0}}, "timeout": 2 * PATIENCE_S}
    async with connected(stand.server) as bus, stand.host({"cooling": COOLING}, **chiller):
        await evaluates(bus, "cooling")
        await stand.chiller.fault("freeze", {})
        await stand.until(lambda: not stand.hv.switched_on)
        async with asyncio.timeout(PATIENCE_S):
            while not ((now := await published(bus, "cooling")) and now.state and now.state.is_tripped):
                await asyncio.sleep(0.05)
        assert now.state.causes[0].is_unknown
        link = await bus.get(subjects.STATE_BUCKET, subjects.device_key("chiller"))
        assert link
        assert link.data
        assert decode(link.data, DeviceState).state != "DISCONNECTED"


async def test_a_silent_engine_makes_the_host_apply_the_safe_outputs(stand: Stand) -> None:
    async with connected(stand.server) as bus, stand.host({"elsewhere": ELSEWHERE}):
        beats = asyncio.create_task(beat(bus))
        async with asyncio.timeout(PATIENCE_S):
            while not await published(bus, "elsewhere"):
                await asyncio.sleep(0.05)
        await asyncio.sleep(5.0)
        assert stand.hv.switched_on
        beats.cancel()
        took_s = await stand.until(lambda: not stand.hv.switched_on)
        assert took_s > 1.5
        now = await published(bus, "elsewhere")
        assert now
        assert now.silent_effects == ("hv_off",)


async def beat(bus: Bus) -> None:
    """The heartbeats of an engine that is active."""
    while True:
        presence = Presence(
            role="alarms",
            instance="main",
            boot="b",
            host="h",
            pid=1,
            interval_s=1,
            sent_ns=SystemClock().now_ns(),
            targets=(subjects.ALARMS,),
        )
        await bus.publish(subjects.presence("alarms", "main"), encode(presence))
        await asyncio.sleep(0.5)
