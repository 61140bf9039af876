"""Services that speak the actor protocol: their description, and health checks by a command."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.specs import (
    ActorPort,
    HealthCheck,
    InstanceId,
    ServiceSpec,
    Volume,
    WantedNode,
    differences,
    resolve,
)
from countingroom.fleet.actors.node_actors import NodeActors
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.port import EngineInstance
from countingroom.fleet.health import HealthChecks
from countingroom.fleet.wanted import wanted
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_actor import FakeActor
from countingroom.testing.fake_engine import FakeEngine

ONE = InstanceId("camera", "n1")


def fleet(**camera: Any) -> FleetSection:
    nodes = {name: {"labels": {"port": str(port)}} for name, port in (("n1", 19991), ("n2", 19992))}
    return FleetSection.model_validate(
        {"nodes": nodes, "services": {"camera": {"command": ["camera"], "nodes": ["*"], **camera}}}
    )


def test_the_port_of_an_actor_is_that_of_its_node() -> None:
    section = fleet(actor={"port": "{label.port}"}, health={"actor": "ping"})
    assert not list(section.problems())
    revision = wanted(section)
    spec = resolve(revision.services[0].spec, InstanceId("camera", "n2"), revision.nodes[1])
    assert spec.actor == ActorPort(port="19992") and spec.health.command == ("ping",)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"health": {"actor": "ping"}}, "say where it speaks the actor protocol: actor: {port: 19991}"),
        ({"actor": {"port": "{label.gate}"}}, "on n1 it is '': a port is 1 to 65535"),
        ({"actor": {"port": 19991}}, "camera@n2 and camera@n1 have the same one: 19991"),
        ({"actor": {"port": "{label.port}"}, "health": {"actor": 'say "x'}}, "cannot be read"),
        ({"actor": {"port": "{label.port}"}, "health": {"actor": "7"}}, "begins with a letter"),
        ({"actor": {"port": "{label.port}"}, "health": {"actor": "ping", "tcp": 1}}, "give one kind of check"),
    ],
)
def test_a_mistake_in_an_actor_is_told(keys: dict[str, Any], said: str) -> None:
    assert said in "; ".join(text for _, text in fleet(**keys).problems())


def test_a_service_without_an_actor_keeps_its_digest() -> None:
    assert b"actor" not in msgspec.json.encode(ServiceSpec(command=("camera",)))
    without, port = ServiceSpec(command=("camera",)), ActorPort(port="19991")
    assert differences(without, ServiceSpec(command=("camera",), actor=port)) == ("actor.port none → 19991",)


def test_every_text_of_a_service_is_filled_for_its_instance() -> None:
    spec = ServiceSpec(
        command=("camera", "--port={label.port}", "{index}"),
        environment={"NAME": "{service}@{node}"},
        volumes=(Volume(source="/data/{node}", target="/data"),),
    )
    made = resolve(spec, InstanceId("camera", "n1", 2), WantedNode(name="n1", labels={"port": "19991"}))
    assert made.command == ("camera", "--port=19991", "2")
    assert (made.environment, made.volumes[0].source) == ({"NAME": "camera@n1"}, "/data/n1")


async def test_an_instance_is_healthy_while_its_actor_answers() -> None:
    clock, actor, changed = FakeClock(), FakeActor(), asyncio.Event()
    actors = NodeActors(clock, "", actor.dial)
    checks = HealthChecks(clock, FakeEngine(clock), "", changed, actors)
    health = HealthCheck(kind="actor", command=("ping",), interval_s=5, timeout_s=2, failures=1)
    spec = ServiceSpec(command=("camera",), health=health, actor=ActorPort(port="19991"), start_period_s=0)
    one = EngineInstance(id=ONE, digest="", revision=1, change="", is_running=True, since_ns=clock.now_ns(), spec=spec)
    checks.follow([one])
    seen: list[tuple[Health, str]] = []
    for hangs in (False, True, False):
        actor.hangs = hangs
        await clock.advance(8.0)
        found = checks.health(one)
        seen.append((found.health, found.reason))
    actor.die()
    await clock.advance(8.0)
    seen.append((checks.health(one).health, checks.health(one).reason))
    await checks.close()
    await actors.close()
    assert seen == [
        (Health.HEALTHY, ""),
        (Health.UNHEALTHY, "'ping' has not ended within 2 s"),
        (Health.HEALTHY, ""),
        (Health.UNHEALTHY, "127.0.0.1:19991 is not reached: Connection refused"),
    ]
    # One connection for all checks, and a new one after the actor hung.
    assert len(actor.received) >= 3
