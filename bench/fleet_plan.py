"""How long a plan of 5,000 services on 500 nodes takes, and what a keeper of 500 nodes at rest uses of a core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from bench.row import Row
from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.clock import SystemClock
from countingroom.core.fleet.observed import Health, Observed, ObservedInstance, ObservedNode
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.resolver import Resolver, Resolvers
from countingroom.core.fleet.specs import Revision, ServiceSpec, WantedNode, WantedService
from countingroom.core.fleet.usage import HostUse, InstanceUse
from countingroom.fleet.engines.port import EngineInstance, EngineUse
from countingroom.fleet.keeper import DescribedFleet, FleetStore
from countingroom.fleet.node import Node
from countingroom.fleet.reconciler.apply import apply
from countingroom.fleet.reconciler.plan import plan
from countingroom.fleet.service import FleetService
from countingroom.fleet.watch import WatchSettings
from countingroom.testing.fake_engine import FakeEngine

NODES, SERVICES = 500, 5000
SETTLE_S, REST_S = 20.0, 60.0


def revision(number: int, tag: str) -> Revision:
    """Ten services on each node, whose specs name the node."""
    return Revision(
        number=number,
        nodes=tuple(WantedNode(name=f"n{n}") for n in range(NODES)),
        services=tuple(
            WantedService(
                name=f"s{n}",
                spec=ServiceSpec(image=f"hub:5000/camera:{tag}", environment={"NODE": "{node}"}),
                nodes=(f"n{n % NODES}",),
            )
            for n in range(SERVICES)
        ),
    )


def observed(there: Revision) -> Observed:
    """All instances of a revision run and are healthy."""
    resolver = Resolver(there)
    nodes = {
        node.name: ObservedNode(name=node.name, is_reachable=True, images=frozenset({"hub:5000/camera:1"}))
        for node in there.nodes
    }
    instances: dict[str, dict[object, ObservedInstance]] = {name: {} for name in nodes}
    for service in there.services:
        for id in service.instances():
            instances[id.node][id] = ObservedInstance(
                id=id,
                digest=resolver.resolve(service, id).digest,
                revision=there.number,
                change="r1-1",
                health=Health.HEALTHY,
            )
    return Observed(
        nodes={name: msgspec.structs.replace(one, instances=instances[name]) for name, one in nodes.items()}
    )


def _plans() -> list[Row]:
    """With one service in ten changed, and with all."""
    old, new = revision(1, "1"), revision(0, "2")
    some = tuple(after if n % 10 == 0 else old.services[n] for n, after in enumerate(new.services))
    record = apply(FleetRecord(), old, 1)
    record = msgspec.structs.replace(
        record,
        changes={name: msgspec.structs.replace(one, phase=Phase.DONE) for name, one in record.changes.items()},
    )
    seen = observed(old)
    few = _plan_ms(record, old, msgspec.structs.replace(new, services=some), seen)
    every = _plan_ms(record, old, new, seen)
    size = f"{SERVICES:,} services on {NODES} nodes"
    return [
        Row(name=f"plan of {size}, a tenth changed", value=few, unit="ms", goal="<= 100 ms"),
        Row(name=f"plan of {size}, all changed", value=every, unit="ms"),
    ]


def _plan_ms(record: FleetRecord, old: Revision, new: Revision, seen: Observed) -> float:
    """The median; each time the revision is a new one, as it comes from the description."""
    times: list[float] = []
    kept = Resolvers()  # as the keeper has it
    for _ in range(7):
        wanted = msgspec.structs.replace(new)
        began_s = time.perf_counter()
        plan(record, wanted, {1: old}, seen, 2, kept)
        times.append(time.perf_counter() - began_s)
    return sorted(times)[len(times) // 2] * 1e3


class _MeasuredEngine(FakeEngine):
    """An engine that tells what its instances use: always the same."""

    async def use(self) -> EngineUse:
        one = InstanceUse(cpu_s=1.0, memory_bytes=1 << 25)
        host = HostUse(busy_s=1.0, cores=4, memory_bytes=1 << 33, memory_used_bytes=1 << 32, uptime_s=1e5, boot="1")
        return EngineUse(instances=dict.fromkeys(self.present, one), host=host, clock_offset_s=0.0)


async def _at_rest() -> Row:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    there = revision(1, "1")
    resolver = Resolver(there)
    engines = {node.name: _MeasuredEngine(clock) for node in there.nodes}
    for engine in engines.values():
        engine.stock.add("hub:5000/camera:1")
    for service in there.services:
        for id in service.instances():
            one = resolver.resolve(service, id)
            engines[id.node].present[id] = EngineInstance(
                id=id,
                digest=one.digest,
                revision=1,
                change="r1-1",
                is_running=True,
                since_ns=clock.now_ns(),
                spec=one.spec,
            )
    kept = apply(FleetRecord(), there, clock.now_ns())
    kept = msgspec.structs.replace(
        kept, changes={name: msgspec.structs.replace(one, phase=Phase.DONE) for name, one in kept.changes.items()}
    )

    async def record() -> tuple[int, FleetRecord]:
        return 1, kept

    async def save(record: FleetRecord, version: int) -> int:
        return version + 1

    async def find(number: int) -> Revision:
        return there

    async def same(revision: Revision) -> Revision:
        return revision

    async def describe() -> Revision:
        return there

    def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        return Node(clock, one.name, one.address, engines[one.name], changed, line)

    store = FleetStore(record=record, save=save, add=same, revision=find)
    service = FleetService(bus, clock, store, node, DescribedFleet(nodes=there.nodes), describe, WatchSettings())
    running = asyncio.create_task(service.run())
    await asyncio.sleep(SETTLE_S)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.sleep(REST_S)
    used = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return Row(
        name=f"keeper of {NODES} nodes with {SERVICES:,} instances at rest",
        value=used * 100,
        unit="% of a core",
        goal="<= 10 % of a core",
    )


def run() -> list[Row]:
    """The rows."""
    return [*_plans(), asyncio.run(_at_rest())]
