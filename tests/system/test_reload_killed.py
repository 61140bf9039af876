"""Kill -9 at steps of a reload: afterwards the old description is in force or the new one, whole, and it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from countingroom.app.child_process import fork_server, launch_by
from countingroom.app.reload.candidate import CandidateQuestion
from countingroom.app.reload.described import content_of
from countingroom.app.reload.in_force import SavedDescription
from countingroom.app.reload.under_up import UpReload
from countingroom.app.supervisor import Child, ChildChange
from countingroom.app.up import PROGRAM
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Catalogue, DeviceState, Link, decode
from countingroom.core.reload.messages import STATE_KEY, DescriptionInForce, ReloadOrder, ReloadReply
from countingroom.departments import roles
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import builder_module
from countingroom.experiment import load
from tests.patience import PATIENCE_S

ROLES = ("simulators", "devices")


class Kill(NamedTuple):
    """A process is killed at a step."""

    when: str
    victim: str
    is_back: bool = False
    """Whether the reload goes on when it runs again, and not at once."""


KILLS = (
    Kill("after prepare of devices", "devices"),
    Kill("after prepare of devices", "devices", is_back=True),
    Kill("after prepare of devices", "simulators", is_back=True),
    Kill("after save", "devices"),
)


class KilledReload(UpReload):
    """The reload of `up`, in which a process is killed at a step."""

    known: Mapping[str, Child]
    kill = Kill("", "")

    async def ask(self, process: str, order: ReloadOrder) -> ReloadReply:
        await self.reach(f"before {order.step} of {process}")
        reply = await super().ask(process, order)
        await self.reach(f"after {order.step} of {process}")
        return reply

    def save(self, saved: SavedDescription) -> None:
        super().save(saved)
        if self.kill.when == "after save":
            self.strike()

    async def reach(self, step: str) -> None:
        if self.kill.when == step:
            back = self.kill.is_back
            pid = self.strike()
            while back and self.known[self.kill.victim].pid in {None, pid}:
                await asyncio.sleep(0.005)

    def strike(self) -> int:
        pid = self.known[self.kill.victim].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        return pid


def description(number: int) -> dict[str, Any]:
    """One device is connected again, another changes in place, and there is a new one."""
    registers = {"t": {"address": 1, "type": "float32", "unit": "degC"}}
    modbus = {"driver": "modbus", "host": "127.0.0.1", "port": 502, "registers": registers}
    return {
        "experiment": {"name": "kills"},
        "devices": {
            "a": {**modbus, "poll": 0.5 + number / 100, "points": {"t": {"alarm_high": number}}},
            "b": {**modbus, "title": f"Title {number}"},
            f"n{number}": modbus,
        },
    }


class Stand:
    """A device host and simulators as processes, and what `up` does with them."""

    def __init__(self, bus: Bus, file: Path, reload: KilledReload) -> None:
        self.bus = bus
        self.file = file
        self.reload = reload

    async def runs_with(self, number: int, kill: Kill) -> None:
        """Wait until all that is served is of this description, is connected, and is told so."""
        version = self.reload.state.version
        wanted = {
            **dict.fromkeys(description(number)["devices"], Link.CONNECTED),
            "limit": float(number),
            "title": f"Title {number}",
            "processes": dict.fromkeys(ROLES, version),
        }
        last: object = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (last := await self.found()) != wanted:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{kill}: not description {number}, but {last}")

    async def found(self) -> dict[str, object]:
        """What the bus says of devices that a process serves now, and of the description."""
        found: dict[str, object] = {}
        held = await self.bus.holders()
        async with self.bus.watch(subjects.STATE_BUCKET) as entries:
            async for entry in entries:
                if isinstance(entry, Current):
                    break
                if not isinstance(entry, Entry) or entry.data is None:
                    continue
                if entry.key.startswith("device."):
                    state = decode(entry.data, DeviceState)
                    found[state.device] = state.link if f"device.{state.device}" in held else None
                elif entry.key == subjects.catalogue_key("a"):
                    (limit,) = {
                        one.limits.alarm_high for one in decode(entry.data, Catalogue).points if one.name == "t"
                    }
                    found["limit"] = limit
                elif entry.key == subjects.catalogue_key("b"):
                    found["title"] = decode(entry.data, Catalogue).title
                elif entry.key == STATE_KEY:
                    found["processes"] = decode(entry.data, DescriptionInForce).processes
        return found


@asynccontextmanager
async def stand(tmp_path: Path) -> AsyncGenerator[Stand]:
    file, data = tmp_path / "experiment.yaml", tmp_path / "data"
    file.write_text(yaml.safe_dump(description(0)))
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        section = load(file).section(DevicesSection)
        modules = [module for name in ROLES for module in roles()[name].modules]
        drivers = {builder_module(type(one)) for _, one in section.items()}
        forks = await stack.enter_async_context(fork_server([*PROGRAM, *modules, *drivers], file))
        server = EmbeddedServer(tmp_path / "bus", description=BusSection())
        await server.start()
        stack.push_async_callback(server.stop)
        bus = await nats.connect(server.url_with_login(), name="up")
        stack.push_async_callback(bus.close)
        await streams.prepare(bus, max_bytes=server.store_bytes)
        facts: dict[str, Any] = {}
        reloads: list[KilledReload] = []

        def made(role: str) -> Child:
            def told(change: ChildChange) -> None:
                if not change.running:
                    server.process_ended(change.pid)
                elif reloads:
                    reloads[0].started(role)

            words = (str(file), role, "--supervised", "--bus", server.url_with_login(), "--data", str(data))
            return Child(
                role,
                (sys.executable, "-m", "countingroom", "serve", *words, "--port", "0"),
                parameters=lambda: {
                    "overrides": facts,
                    "passwords": {},
                    "simulate": True,
                    "again": bool(reloads),
                    "fork_server": str(forks),
                    "description": reloads[0].given(role) if reloads else "",
                },
                clock=clock,
                launch=launch_by(forks),
                log=data / "logs" / f"{role}.log",
                on_change=told,
            )

        children = {role: made(role) for role in ROLES}
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for role, child in children.items():
            running = group.create_task(child.run())
            stack.callback(running.cancel)
            if role == "simulators":
                facts |= await child.ready()
        await children["devices"].ready()
        reload = KilledReload(
            bus,
            clock,
            children,
            launch_by(forks),
            CandidateQuestion(description=str(file), simulate=True),
            data,
            content_of(load(file), simulate=True),
            simulated=lambda overrides, devices: facts.update(overrides),
        )
        reload.known = children
        reloads.append(reload)
        serving = group.create_task(reload.run())
        stack.callback(serving.cancel)
        yield Stand(bus, file, reload)


async def test_a_kill_at_any_step_leaves_the_old_description_or_the_new_one_whole(tmp_path: Path) -> None:
    async with stand(tmp_path) as bench:
        present = 0
        await bench.runs_with(present, Kill("", ""))
        for number, kill in enumerate(KILLS, 1):
            before = bench.reload.state
            bench.file.write_text(yaml.safe_dump(description(number)))
            bench.reload.kill = kill
            try:
                done = await bench.reload.reload("anna")
            except CountingRoomError:
                assert bench.reload.state.version == before.version, kill
            else:
                assert done.version == bench.reload.state.version == before.version + 1, kill
                present = number
            await bench.runs_with(present, kill)
