"""Fifty random edits of a description while a run is taken: each is applied exactly, or refused whole.

An edit changes one to three things; one that is refused has a wrong or a forbidden change beside good ones. Real run
control takes the run; the device host is real too, with the points of the real drivers and devices that answer at once.
After each edit the host is compared with one that was started fresh with the same description.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

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
from countingroom.core.reload.messages import DescriptionInForce, ReloadOrder, ReloadReply, ReloadStep
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
_RESTARTED = {"alarm": "alarms", "area": "alarms", "keep": "history"}
"""Kind of edit -> the process that starts again for it."""
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
        self.asked = 0
        """The last reload that a process was asked for."""

    async def candidate(self) -> ReloadCandidate:
        text = self.file.read_text()
        if self.known[0] != text:  # asked twice: for the plan, and for the reload
            self.known = text, made(CandidateQuestion(description=str(self.file), simulate=False))
        return self.known[1]

    async def situation(self) -> ReloadSituation:
        return await situation(self.world.bus, self.world.clock)

    async def ask(self, process: str, order: ReloadOrder) -> ReloadReply:
        sent = msgspec.json.decode(msgspec.json.encode(order), type=ReloadOrder)
        self.asked = order.reload
        return await self.orders.carried_out(sent) if process == "devices" else ReloadReply(id=order.id)

    async def commits_nothing(self) -> bool:
        """Whether nothing that was prepared is left in the device host."""
        reply = await self.orders.carried_out(ReloadOrder(id=0, step=ReloadStep.COMMIT, reload=self.asked))
        return reply.refused is not None and reply.refused.code == "not_prepared"

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
        kind = self.random.choice((*_APPLIED, *_REFUSED))
        kinds = [*self.random.choices(_APPLIED, k=self.random.randrange(3)), kind]
        for one in kinds:
            name = self.random.choice([name for name in new["devices"] if name != "d0"])
            change = self.apply if one in _APPLIED else self.spoil
            change(one, new, name, next(self.numbers))
        text = yaml.safe_dump(new, sort_keys=False)
        said = " and ".join(kinds)
        return said, f"{text}\n  broken: [" if kind == "syntax" else text, _REFUSED.get(kind)

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


class Everything(NamedTuple):
    """What a reload may change."""

    state: DescriptionInForce
    saved: bytes
    restarted: tuple[str, ...]
    served: dict[str, int]
    connections: dict[str, int]


def rest(one: Description) -> Description:
    """The keys of a device that are not changed in place."""
    named = {"poll": 1, **one} if one else {}  # 1 s is the poll of a device that names none
    return {key: value for key, value in named.items() if key not in ("title", "group", "area", "points", "commands")}


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
        answer = await self.reloader.answer()
        before, reads, old = self.all_of_it(), self.reads(), self.present["devices"]
        catalogues, restarted = await self.hosting.catalogues(), len(self.parts.restarted)
        touched: set[str] = set()
        try:
            done = await self.reloader.reload("anna")
        except (ConfigurationError, Refused) as refused:
            assert error, f"{kind}: {refused.cause}"
            assert isinstance(refused, error), f"{kind}: {refused.cause}"
            assert answer.refusals or answer.mistakes, "the plan has told it"
            assert await self.hosting.catalogues() == catalogues
            assert self.all_of_it() == before, f"{kind}: nothing has changed"
            assert await self.parts.commits_nothing()
            self.file.write_text(good)
        else:
            assert error is None, f"{kind} was applied"
            self.present = yaml.safe_load(text)
            touched = {name for name, one in self.present["devices"].items() if rest(one) != rest(old.get(name, {}))}
            touched |= old.keys() - self.present["devices"].keys()
            assert done.plan.touched == touched, kind
            expected = {process for word, process in _RESTARTED.items() if word in kind.split(" and ")}
            assert expected == set(self.parts.restarted[restarted:]) & set(_RESTARTED.values()), kind
            await self.is_in_force(kind)
        connections = self.connections()
        await self.world.clock.advance(2.1)
        assert self.connections() == connections, f"{kind}: a device was connected again later"
        for name in self.hosting.drivers:
            made = connections[name] - before.connections.get(name, 0)
            assert made == (name in touched and name in self.present["devices"]), f"{kind}: {name}: {made} connections"
        self.goes_on(kind, reads, touched)

    def goes_on(self, kind: str, before: Mapping[str, int], touched: set[str]) -> None:
        """Whether each device was read as often as is described, for the time since, which is 2.1 to 2.7 s."""
        for name, reads in self.reads().items():
            count = reads - before.get(name, 0)
            if name not in self.present["devices"]:
                assert name in touched or count == 0, f"{kind}: {name} is read after it was removed"
                continue
            poll = self.present["devices"][name].get("poll", 1)
            assert count >= int(2.0 / poll), f"{kind}: a gap of {name}"
            assert name in touched or count <= 2.7 / poll + 1, f"{kind}: {name} is read too often"

    def reads(self) -> dict[str, int]:
        return {name: one.reads for name, one in self.hosting.drivers.items()}

    def connections(self) -> dict[str, int]:
        return {name: one.connections for name, one in self.hosting.drivers.items()}

    def all_of_it(self) -> Everything:
        """What must be the same after a refused edit."""
        file = self.data / "description" / "in-force.json"
        return Everything(
            state=self.reloader.state,
            saved=file.read_bytes() if file.exists() else b"",
            restarted=tuple(self.parts.restarted),
            served={name: id(one) for name, one in self.hosting.host.devices.items()},
            connections=self.connections(),
        )

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
                seen |= set(kind.split(" and "))
        found = await world.partition()
        assert found is not None
        assert (found.state, found.run) == ("Recording", run), "the run went on"
        assert "runs" not in bench.parts.restarted
    assert len(seen) > 12, seen
