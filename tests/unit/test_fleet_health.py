"""Health checks that cannot be made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.specs import HealthCheck, InstanceId, ServiceSpec
from countingroom.fleet.actors.node_actors import NodeActors
from countingroom.fleet.engines.port import EngineInstance
from countingroom.fleet.health import HealthChecks
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_actor import FakeActor
from countingroom.testing.fake_engine import FakeEngine

ONE = InstanceId("camera", "n1")


class AnsweringEngine(FakeEngine):
    """Answers a command as it is told to."""

    answer: Exception | None = None

    async def execute(self, id: InstanceId, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
        if self.answer:
            raise self.answer
        return 0, ""


async def test_an_instance_whose_engine_is_not_reached_has_not_failed_its_check() -> None:
    clock = FakeClock()
    engine, actors = AnsweringEngine(clock), NodeActors(clock, "", FakeActor().dial)
    checks = HealthChecks(clock, engine, "", asyncio.Event(), actors)
    health = HealthCheck(kind="exec", command=("test",), interval_s=5, timeout_s=2, failures=1)
    spec = ServiceSpec(command=("camera",), health=health, start_period_s=0)
    one = EngineInstance(id=ONE, digest="", revision=1, change="", is_running=True, since_ns=clock.now_ns(), spec=spec)
    checks.follow([one])
    seen: list[tuple[Health, str]] = []
    for answer in (None, LinkError("the connection was closed"), DeviceError("it is paused")):
        engine.answer = answer
        await clock.advance(6.0)
        seen.append((checks.health(one).health, checks.health(one).reason))
    await checks.close()
    await actors.close()
    assert seen == [(Health.HEALTHY, ""), (Health.HEALTHY, ""), (Health.UNHEALTHY, "it is paused")]
