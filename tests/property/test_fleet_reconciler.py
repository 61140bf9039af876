"""The reconciler of the fleet in a simulated world: lost nodes, slow pulls, flapping health, dead keepers."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Attempt, Health, Observed, ObservedInstance, ObservedNode
from countingroom.core.fleet.record import FleetRecord, Phase, SetAside
from countingroom.core.fleet.resolver import Resolver
from countingroom.core.fleet.specs import (
    InstanceId,
    Revision,
    ServiceSpec,
    UpdatePolicy,
    WantedNode,
    WantedService,
)
from countingroom.fleet.reconciler.actions import FleetAction, FleetActionKind
from countingroom.fleet.reconciler.apply import apply
from countingroom.fleet.reconciler.step import step

S = 1_000_000_000
OLD, NEW = "hub:5000/camera:1", "hub:5000/camera:2"
LOST = Cause(code="link_lost", message="no answer")
ENDED = (Phase.DONE, Phase.ROLLED_BACK, Phase.FAILED)


@dataclass
class Faults:
    """What is wrong with the new image and the world."""

    unpullable: frozenset[str] = frozenset()
    """Nodes that cannot pull it."""
    unhealthy: frozenset[str] = frozenset()
    crashing: frozenset[str] = frozenset()
    pull_s: int = 2
    warm_s: int = 2


@dataclass
class World:
    """Nodes with their engines, in virtual time."""

    nodes: list[str]
    revisions: dict[int, Revision]
    faults: Faults
    now: int = 1000
    record: FleetRecord = field(default_factory=FleetRecord)
    lost: set[str] = field(default_factory=set[str])
    images: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    instances: dict[InstanceId, ObservedInstance] = field(default_factory=dict[InstanceId, ObservedInstance])
    under_way: list[tuple[int, FleetAction]] = field(default_factory=list[tuple[int, FleetAction]])
    """(when it is over, action)."""
    failed_pulls: dict[tuple[str, str], Attempt] = field(default_factory=dict[tuple[str, str], Attempt])
    forced: dict[InstanceId, Health] = field(default_factory=dict[InstanceId, Health])
    """Health that a fault imposes."""

    def observed(self) -> Observed:
        return Observed(
            nodes={
                name: ObservedNode(
                    name=name,
                    is_reachable=name not in self.lost,
                    cause=LOST if name in self.lost else None,
                    instances={id: one for id, one in self.instances.items() if id.node == name},
                    images=frozenset(image for node, image in self.images if node == name),
                )
                for name in self.nodes
            },
            busy=frozenset(action.instance for _, action in self.under_way if action.instance),
            pulling=frozenset((a.node, a.image) for _, a in self.under_way if a.kind is FleetActionKind.PULL),
            failed_pulls=self.failed_pulls,
        )

    def tick(self) -> tuple[FleetAction, ...]:
        """One second: what is under way goes on, then the keeper looks once. The actions it gives."""
        self.now += 1
        for due, action in list(self.under_way):
            if due <= self.now and action.node not in self.lost:
                self.under_way.remove((due, action))
                self._carry_out(action)
        for id, one in list(self.instances.items()):
            if id.node not in self.lost:
                self.instances[id] = self._aged(one)
        seen = self.observed()
        made = step(self.record, self.revisions, seen, self.now * S)
        self.check(made.actions, seen)
        self.record = made.record
        for action in made.actions:
            takes = self.faults.pull_s if action.kind is FleetActionKind.PULL else 1
            self.under_way.append((self.now + takes, action))
        return made.actions

    def until_over(self, most_s: int) -> None:
        """Until the change is at its end and nothing is done for some seconds, at most so many."""
        quiet = 0
        for _ in range(most_s):
            self.tick()
            is_over = not self.under_way and all(one.phase in ENDED for one in self.record.changes.values())
            quiet = quiet + 1 if is_over else 0
            if quiet > 4:
                return

    def _carry_out(self, action: FleetAction) -> None:
        if action.kind is FleetActionKind.PULL:
            if action.image == NEW and action.node in self.faults.unpullable:
                cause = Cause(code="no_image", message="manifest unknown")
                self.failed_pulls[action.node, action.image] = Attempt(cause=cause, at_ns=self.now * S)
            else:
                self.images.add((action.node, action.image))
            return
        id = action.instance
        assert id
        if action.kind is FleetActionKind.REMOVE:
            self.instances.pop(id, None)
        elif action.kind is FleetActionKind.START:
            if id not in self.instances:
                return
            self.instances[id] = msgspec.structs.replace(
                self.instances[id], health=Health.STARTING, since_ns=self.now * S, started_ns=self.now * S
            )
        else:
            assert action.resolved
            self.instances[id] = ObservedInstance(
                id=id,
                digest=action.resolved.digest,
                revision=action.revision,
                change=action.change,
                since_ns=self.now * S,
                started_ns=self.now * S,
                engine_id=action.resolved.spec.image,
            )

    def _aged(self, one: ObservedInstance) -> ObservedInstance:
        is_new = one.engine_id == NEW
        health = one.health
        if forced := self.forced.get(one.id):
            health = forced
        elif health is Health.EXITED:
            pass
        elif self.now * S - one.started_ns >= self.faults.warm_s * S:
            health = Health.HEALTHY
            if is_new and one.id.node in self.faults.unhealthy:
                health = Health.UNHEALTHY
            if is_new and one.id.node in self.faults.crashing:
                health = Health.EXITED
        if health is one.health:
            return one
        crashes = one.crashes + 1 if health is Health.EXITED else one.crashes
        return msgspec.structs.replace(one, health=health, since_ns=self.now * S, crashes=crashes)

    def check(self, actions: tuple[FleetAction, ...], seen: Observed) -> None:
        """What holds for the actions of every step."""
        touched = [action.instance for action in actions if action.instance]
        assert len(set(touched)) == len(touched)
        assert not set(touched) & seen.busy
        for action in actions:
            assert action.node not in self.lost
            aside = self.record.cordons.get(action.node)
            assert aside is None or action.kind in (FleetActionKind.START, FleetActionKind.REMOVE)
            if action.resolved:
                assert (action.node, action.resolved.spec.image) in self.images
        for name in {id.service for id in touched}:
            replaced = [a.instance for a in actions if a.kind is FleetActionKind.REPLACE and a.instance.service == name]  # type: ignore[union-attr]
            if not replaced:
                continue
            service = next(s for s in self.revisions[self.record.revision].services if s.name == name)
            known = [
                id for id in service.instances() if id.node not in self.lost and id.node not in self.record.cordons
            ]
            working = [
                id
                for id in known
                if id not in seen.busy and (one := self.instances.get(id)) and one.health is Health.HEALTHY
            ]
            left = len([id for id in working if id not in replaced])
            least = service.update.min_healthy
            least = max(len(known) - service.update.max_parallel, 0) if least is None else least
            assert left >= least or left == len(working)
            away = [id for id in known if id in seen.busy]
            assert len(replaced) + len(away) <= service.update.max_parallel or not away


def revision(number: int, image: str, nodes: list[str], update: UpdatePolicy) -> Revision:
    spec = ServiceSpec(image=image, environment={"NODE": "{node}"})
    return Revision(
        number=number,
        nodes=tuple(WantedNode(name=name) for name in nodes),
        services=(WantedService(name="camera", spec=spec, nodes=tuple(nodes), update=update),),
    )


@st.composite
def updates(draw: st.DrawFn) -> tuple[list[str], UpdatePolicy]:
    count = draw(st.integers(1, 5))
    most = draw(st.integers(1, 3))
    return [f"n{index}" for index in range(count)], UpdatePolicy(
        max_parallel=most,
        canary=draw(st.booleans()),
        min_healthy=draw(st.none() | st.integers(0, count - 1)),
        healthy_for_s=draw(st.integers(0, 4)),
        rollback=draw(st.booleans()),
    )


def started(nodes: list[str], update: UpdatePolicy, faults: Faults) -> World:
    """All nodes run the old image, and the new one has been applied."""
    world = World(nodes, {1: revision(1, OLD, nodes, update), 2: revision(2, NEW, nodes, update)}, faults)
    world.record = apply(world.record, world.revisions[1], world.now * S)
    world.until_over(60)
    assert world.record.changes["camera"].phase is Phase.DONE
    assert all(one.health is Health.HEALTHY for one in world.instances.values()) and len(world.instances) == len(nodes)
    world.record = apply(world.record, world.revisions[2], world.now * S)
    return world


def ends(world: World) -> Phase:
    """Without further faults the change comes to an end, and all instances are of one revision."""
    world.lost.clear()
    world.forced.clear()
    world.record = msgspec.structs.replace(world.record, cordons={})
    world.until_over(400)
    change = world.record.changes["camera"]
    assert change.phase in ENDED
    if change.phase is not Phase.FAILED:
        wanted = world.revisions[change.effective]
        resolver = Resolver(wanted)
        for id in wanted.services[0].instances():
            if change.effective == 2 and id.node in world.faults.unpullable:
                continue  # it was lost during the change, and cannot be brought up to date since
            fails = world.faults.unhealthy | world.faults.crashing
            if change.effective == 2 and fails - {id.node} and world.instances[id].health is Health.HEALTHY:
                continue  # one that was lost during the change fails since: none that works is taken away for it
            assert world.instances[id].digest == resolver.resolve(wanted.services[0], id).digest
    return change.phase


@given(updates())
@settings(max_examples=15)
def test_a_good_image_reaches_all_nodes(given: tuple[list[str], UpdatePolicy]) -> None:
    nodes, update = given
    assert ends(started(nodes, update, Faults())) is Phase.DONE


@given(updates(), st.data())
@settings(max_examples=30)
def test_a_bad_image_is_rolled_back_or_given_up(given: tuple[list[str], UpdatePolicy], data: st.DataObject) -> None:
    nodes, update = given
    bad = data.draw(st.sampled_from(nodes))
    kind = data.draw(st.sampled_from(["unpullable", "unhealthy", "crashing"]))
    world = started(nodes, update, Faults(**{kind: frozenset({bad})}))  # type: ignore[arg-type]
    phase = ends(world)
    assert phase is (Phase.ROLLED_BACK if update.rollback else Phase.FAILED)
    assert bad in str(world.record.changes["camera"].cause)
    if kind == "unpullable":  # nothing was touched
        assert all(one.revision == 1 for one in world.instances.values())


@given(updates(), st.data())
@settings(max_examples=40)
def test_faults_at_any_time_leave_one_revision_in_the_end(
    given: tuple[list[str], UpdatePolicy], data: st.DataObject
) -> None:
    nodes, update = given
    names = st.frozensets(st.sampled_from(nodes), max_size=1)
    world = started(nodes, update, Faults(data.draw(names), data.draw(names), data.draw(names)))
    for _ in range(data.draw(st.integers(0, 30))):
        one = data.draw(st.sampled_from(nodes))
        id = InstanceId("camera", one)
        match data.draw(st.sampled_from(["", "", "lost", "back", "flap", "well", "keeper", "cordon", "gone"])):
            case "lost":
                world.lost.add(one)
            case "back":
                world.lost.discard(one)
            case "flap":
                world.forced[id] = data.draw(st.sampled_from([Health.UNHEALTHY, Health.EXITED, Health.STARTING]))
            case "well":
                world.forced.pop(id, None)
            case "keeper":  # it is killed, and with it what it was doing; the next one sees what is there
                world.under_way.clear()
                world.failed_pulls.clear()
            case "cordon":
                aside = SetAside(reason="fan", by="ben", since_ns=world.now * S)
                world.record = msgspec.structs.replace(world.record, cordons={one: aside})
            case "gone":  # somebody removed it by hand
                if one not in world.lost:
                    world.instances.pop(id, None)
            case _:
                pass
        world.tick()
    ends(world)
