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


async def seen_with(*answers: Exception | None) -> list[tuple[Health, str]]:
    """Health and reason after each of these answers to the check."""
    clock = FakeClock()
    engine, actors = AnsweringEngine(clock), NodeActors(clock, "", FakeActor().dial)
    checks = HealthChecks(clock, engine, "", asyncio.Event(), actors)
    health = HealthCheck(kind="exec", command=("test",), interval_s=5, timeout_s=2, failures=1)
    spec = ServiceSpec(command=("camera",), health=health, start_period_s=0)
    one = EngineInstance(id=ONE, digest="", revision=1, change="", is_running=True, since_ns=clock.now_ns(), spec=spec)
    checks.follow([one])
    seen: list[tuple[Health, str]] = []
    for answer in answers:
        engine.answer = answer
        await clock.advance(6.0)
        seen.append((checks.health(one).health, checks.health(one).reason))
    await checks.close()
    await actors.close()
    return seen


async def test_an_instance_whose_engine_is_not_reached_has_not_failed_its_check() -> None:
    seen = await seen_with(None, LinkError("the connection was closed"), DeviceError("it is paused"))
    assert seen == [(Health.HEALTHY, ""), (Health.HEALTHY, ""), (Health.UNHEALTHY, "it is paused")]


async def test_a_check_that_an_engine_never_answers_has_failed() -> None:
    seen = await seen_with(None, *[LinkError("no answer")] * 6, None)
    assert seen[3] == (Health.HEALTHY, "")
    assert seen[6:] == [(Health.UNHEALTHY, "no answer"), (Health.HEALTHY, "")]


async def test_a_fault_in_a_check_does_not_end_the_checks() -> None:
    seen = await seen_with(None, RuntimeError("Session is closed"), None)
    assert seen[0] == seen[2] == (Health.HEALTHY, "")
    assert seen[1] == (Health.UNHEALTHY, "the check failed by a fault (RuntimeError), see the log")
