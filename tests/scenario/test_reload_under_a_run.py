"""Fifty random edits of a description while a run is taken: each is applied exactly, or refused whole.

Real run control takes the run; the device host is real too, with the points of the real drivers and devices that answer
at once. After each edit the host is compared with one that was started fresh with the same description.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import yaml

from countingroom.app.reload.candidate import CandidateQuestion, ReloadCandidate
from countingroom.app.reload.in_force import SavedDescription, experiment_of, write
from countingroom.app.reload.orders import ReloadOrders
from countingroom.app.reload.reloader import Reloader
from countingroom.app.reload.situation import situation
from countingroom.app.reload.taking import DeviceReload
from countingroom.bus import streams
from countingroom.bus.ask import stored_state
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Bus
from countingroom.cli.reload_candidate import made
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError, Refused
from countingroom.core.messages import Catalogue
from countingroom.core.points import Point, Type
from countingroom.core.reload.messages import DescriptionInForce, ReloadOrder, ReloadReply
from countingroom.core.reload.refusals import ReloadSituation
from countingroom.core.values import Scalar
from countingroom.devices.description import DevicesSection
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.host.reload import HostReload
from countingroom.devices.port import Sample
from countingroom.devices.registry import Hosted, build
from countingroom.devices.resources import SharedResources
from countingroom.devices.section import DeviceSection
from countingroom.experiment import load
from countingroom.testing.clock import FakeClock
from tests.scenario.experiment import World, description, experiment

Description = dict[str, Any]
EDITS = 50
_APPLIED = (
    *("add", "add", "remove", "rename", "limit", "limit", "limit of the run's device", "title", "poll", "alarm"),
    *("area", "keep"),
)
_REFUSED: dict[str, type[Exception]] = {
    **dict.fromkeys(("syntax", "driver", "key", "order of limits"), ConfigurationError),
    **dict.fromkeys(("the run's device", "system", "port", "storage"), Refused),
}
_VALUES: dict[Type, Scalar] = {Type.BOOL: False, Type.INT: 0, Type.FLOAT: 0.0, Type.STRING: ""}


class QuietDriver:
    """A device that has the points of a real driver, and answers at once."""

    def __init__(self, points: tuple[Point, ...]) -> None:
        self.points = points
        self.connections = 0
        self.reads = 0

    async def connect(self) -> None:
        self.connections += 1

    async def read(self) -> list[Sample]:
        self.reads += 1
        return [Sample(point=one.name, value=_VALUES[one.type]) for one in self.points]

    async def write(self, point: str, value: float | int | str | bool) -> None: ...

    async def close(self) -> None: ...


class Hosting:
    """A device host with quiet drivers, on a bus."""

    def __init__(self, bus: Bus, clock: Clock, sections: Iterable[tuple[str, DeviceSection]]) -> None:
        self.bus = bus
        self.drivers: dict[str, QuietDriver] = {}
        self._resources = SharedResources()
        self.host = DeviceHost(bus, clock, [self.built(name, section) for name, section in sections])
        self.reload = HostReload(self.host, self.built)

    def built(self, name: str, section: DeviceSection) -> Hosted:
        hosted = build(name, section, resources=self._resources)
        driver = self.drivers.setdefault(name, QuietDriver(hosted.driver.points))
        return msgspec.structs.replace(hosted, driver=driver)

    async def catalogues(self) -> dict[str, Catalogue]:
        found = {
            name: await stored_state(self.bus, subjects.catalogue_key(name), Catalogue) for name in self.host.devices
        }
        return {name: msgspec.structs.replace(one, boot="") for name, one in found.items() if one}

    async def published(self) -> set[str]:
        """The devices of which the bus has a catalogue."""
        return {
            name
            for name in [*self.drivers, *self.host.devices]
            if await stored_state(self.bus, subjects.catalogue_key(name), Catalogue)
        }


class Parts:
    """What the reload needs of `up`, with one process that takes changes, and others that are only counted."""

    def __init__(self, file: Path, data: Path, world: World, hosting: Hosting) -> None:
        self.file = file
        self.data = data
        self.world = world
        self.running: dict[str, int] = dict.fromkeys(("devices", "alarms", "history", "console", "runs", "agents"), 1)
        self.orders = ReloadOrders()
        self.orders.serve(DeviceReload(hosting.reload, {}, file.parent))
        self.others = ReloadOrders()
        self.restarted: list[str] = []
        self.known = "", ReloadCandidate()

    async def candidate(self) -> ReloadCandidate:
        text = self.file.read_text()
        if self.known[0] != text:  # asked twice: for the plan, and for the reload
            self.known = text, made(CandidateQuestion(description=str(self.file), simulate=False))
        return self.known[1]

    async def situation(self) -> ReloadSituation:
        return await situation(self.world.bus, self.world.clock)

    async def ask(self, process: str, order: ReloadOrder) -> ReloadReply:
        sent = msgspec.json.decode(msgspec.json.encode(order), type=ReloadOrder)
        return await self.orders.carried_out(sent) if process == "devices" else ReloadReply(id=order.id)

    async def restart(self, process: str) -> None:
        self.restarted.append(process)

    def save(self, saved: SavedDescription) -> None:
        write(self.data, saved)

    def simulated(self, overrides: Mapping[str, Any], devices: Collection[str]) -> None: ...
    def taken(self, process: str, version: int) -> None:
        self.running[process] = version

    def publish(self, state: DescriptionInForce) -> None: ...


@asynccontextmanager
async def served(hosting: Hosting, clock: FakeClock) -> AsyncGenerator[None]:
    task = asyncio.create_task(hosting.host.run())
    await clock.advance(0.3)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def device(number: int, **more: Any) -> Description:
    registers = {"t": {"address": 1, "type": "float32", "unit": "degC"}, "on": {"address": 3, "type": "bool"}}
    return {"driver": "modbus", "host": "127.0.0.1", "port": 20000 + number, "registers": registers, **more}


def first() -> Description:
    return {
        "experiment": {"name": "bench"},
        "devices": {f"d{number}": device(number) for number in range(6)},
        "runs": {
            "systems": {
                "DCS": {
                    "kind": "global",
                    "agent": {"kind": "slow-control", "device": "d0", "states": {"CONNECTED": "Active"}},
                },
                "STS": {"kind": "detector", "agent": {"kind": "simulated"}},
                **{name: {"kind": "global", "agent": {"kind": "simulated"}} for name in ("TFC", "FLES", "QA")},
            },
            "partitions": {"A": {"detectors": ["STS"]}},
        },
    }


class Edits:
    """Random edits, each with what must become of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = itertools.count(100)

    def next(self, old: Description) -> tuple[str, str, type[Exception] | None]:
        """(what was edited, the new text, the error that refuses it; None: it is applied)."""
        new = deepcopy(old)
        name = self.random.choice([name for name in new["devices"] if name != "d0"])
        kind = self.random.choice((*_APPLIED, *_REFUSED))
        number = next(self.numbers)
        if kind in _APPLIED:
            self.apply(kind, new, name, number)
        else:
            self.spoil(kind, new, name, number)
        text = yaml.safe_dump(new, sort_keys=False)
        return kind, f"{text}\n  broken: [" if kind == "syntax" else text, _REFUSED.get(kind)

    def apply(self, kind: str, new: Description, name: str, number: int) -> None:
        devices = new["devices"]
        match kind:
            case "add":
                devices[f"d{number}"] = device(number, poll=self.random.choice((0.5, 1, 2)))
            case "remove" if len(devices) > 3:
                del devices[name]
            case "rename":
                devices[f"r{number}"] = devices.pop(name)
            case "limit" | "limit of the run's device":
                devices[name if kind == "limit" else "d0"]["points"] = {"t": {"alarm_high": number}}
            case "title":
                devices[name]["title"] = f"Title {number}"
            case "poll":
                devices[name]["poll"] = number / 100
            case "alarm":
                warm = {"title": "Warm", "limit": {"point": "d0.t", "alarm_high": number}}
                new.setdefault("alarms", {}).setdefault("custom", {})["warm"] = warm
            case "area":
                new.setdefault("alarms", {}).setdefault("areas", {})[f"a{number}"] = {"title": f"Area {number}"}
                devices[name]["area"] = f"a{number}"
            case _:
                new["history"] = {"keep": {"raw": f"{number} d"}}

    def spoil(self, kind: str, new: Description, name: str, number: int) -> None:
        match kind:
            case "driver":
                new["devices"][name]["driver"] = "no_such_driver"
            case "key":
                new["devices"][name]["polll"] = 3
            case "order of limits":
                new["devices"][name]["points"] = {"t": {"alarm_high": 1, "warning_high": 2}}
            case "the run's device":
                new["devices"]["d0"]["poll"] = number / 100
            case "system":
                new["runs"]["systems"]["STS"]["title"] = f"System {number}"
            case "port":
                new["console"] = {"port": number}
            case _:
                new["storage"] = {"url": f"sqlite:////tmp/{number}.sqlite"}


async def fresh(file: Path) -> dict[str, Catalogue]:
    """What a host publishes that is started with this description."""
    clock = FakeClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    one = Hosting(bus, clock, load(file).section(DevicesSection).items())
    async with served(one, clock):
        return await one.catalogues()


class Bench:
    """A run that is taken, a host, and the reload of its description."""

    def __init__(self, world: World, file: Path, data: Path, hosting: Hosting) -> None:
        self.world = world
        self.file = file
        self.data = data
        self.hosting = hosting
        self.parts = Parts(file, data, world, hosting)
        self.present = first()
        self.reloader: Reloader

    async def begin(self) -> None:
        started = (await self.parts.candidate()).content
        assert started is not None
        saved = SavedDescription(version=1, digest=started.digest, since_ns=0)
        self.reloader = Reloader(self.parts, self.world.clock, started, saved)

    async def edit(self, kind: str, text: str, error: type[Exception] | None) -> None:
        """Write this text, reload, and look at what became of it."""
        good = self.file.read_text()
        self.file.write_text(text)
        drivers = self.hosting.drivers
        before = {name: (one.connections, one.reads) for name, one in drivers.items()}
        catalogues, version = await self.hosting.catalogues(), self.reloader.state.version
        answer = await self.reloader.answer()
        touched: frozenset[str] = frozenset()
        try:
            done = await self.reloader.reload("anna")
        except (ConfigurationError, Refused) as refused:
            assert error, f"{kind}: {refused.cause}"
            assert isinstance(refused, error), f"{kind}: {refused.cause}"
            assert answer.refusals or answer.mistakes, "the plan has told it"
            assert await self.hosting.catalogues() == catalogues
            assert self.reloader.state.version == version
            self.file.write_text(good)
        else:
            assert error is None, f"{kind} was applied"
            touched = done.plan.touched
            self.present = yaml.safe_load(text)
            await self.is_in_force(kind)
        await self.world.clock.advance(2.1)
        for name in before.keys() & set(self.hosting.host.devices) - touched:
            connections, reads = before[name]
            assert drivers[name].connections == connections, f"{kind}: {name} was connected again"
            poll = self.present["devices"][name].get("poll", 1)
            assert drivers[name].reads >= reads + int(2.0 / poll), f"{kind}: a gap of {name}"

    async def is_in_force(self, kind: str) -> None:
        """Whether all is as after a fresh start."""
        await self.world.clock.advance(0.3)
        assert await self.hosting.catalogues() == await fresh(self.file), kind
        assert await self.hosting.published() == set(self.hosting.host.devices) == set(self.present["devices"])
        if self.reloader.state.version > 1:
            kept = experiment_of(self.data / "description" / "in-force.json", self.file.parent)
            assert kept == load(self.file), "a process that starts now has the same"


async def test_each_edit_is_applied_exactly_or_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(first(), sort_keys=False))
    edits = Edits(7)
    seen: set[str] = set()
    async with experiment(description(A=("STS",))) as world:
        await world.does("goal", "A", state="Recording")
        run = (await world.reaches("Recording")).run
        hosting = Hosting(world.bus.client(), world.clock, load(file).section(DevicesSection).items())
        bench = Bench(world, file, tmp_path / "data", hosting)
        await bench.begin()
        async with served(hosting, world.clock):
            for _ in range(EDITS):
                kind, text, error = edits.next(bench.present)
                await bench.edit(kind, text, error)
                seen.add(kind)
        found = await world.partition()
        assert found is not None
        assert (found.state, found.run) == ("Recording", run), "the run went on"
        assert "runs" not in bench.parts.restarted
    assert len(seen) > 12, seen
