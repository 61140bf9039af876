"""The heartbeat to the outside: sent at its interval, not while the department is not ready, past all messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from countingroom.alarms.notify.heartbeat import OutsideHeartbeat
from countingroom.alarms.notify.sender import ACCEPTED, Delivery, TryOutcome, failed
from countingroom.alarms.sections.notify_channels import HeartbeatSection
from countingroom.core.clock import SystemClock
from countingroom.testing.clock import FakeClock
from tests.notify_servers import HttpEndpoint


@pytest.fixture
def endpoint() -> Iterator[HttpEndpoint]:
    with HttpEndpoint().running() as one:
        yield one


async def test_a_heartbeat_is_a_post_to_the_address(endpoint: HttpEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEAT", f"{endpoint.url}/ping/s3cret-4711")
    section = HeartbeatSection.model_validate({"address": {"env": "BEAT"}})
    beats = OutsideHeartbeat(section, SystemClock(), tuple)
    assert (await beats.beat()).outcome is TryOutcome.ACCEPTED
    assert endpoint.requests[0].path == "/ping/s3cret-4711"
    endpoint.answer = lambda request: (404, request.path.encode())
    found = await beats.beat()
    assert found.outcome is TryOutcome.REFUSED
    assert "s3cret" not in found.text


async def test_heartbeats_come_at_their_interval_and_stop_while_the_department_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    troubles: list[str] = []
    sent: list[float] = []
    answers = [ACCEPTED]
    section = HeartbeatSection.model_validate({"address": "https://example.org/ping", "every": "60 s"})
    beats = OutsideHeartbeat(section, clock, lambda: troubles)

    async def beat() -> Delivery:
        sent.append(clock.monotonic())
        return answers[-1]

    monkeypatch.setattr(beats, "beat", beat)
    task = asyncio.create_task(beats.run())
    await clock.advance(130)
    assert (sent, beats.is_failing) == ([0, 60, 120], False)
    troubles.append("the database does not take the states of alarms")
    await clock.advance(120)
    assert (sent, beats.is_failing) == ([0, 60, 120], True)
    troubles.clear()
    answers.append(failed("the connection is refused"))
    await clock.advance(60)
    assert (len(sent), beats.is_failing) == (4, True)
    answers.append(ACCEPTED)
    await clock.advance(60)
    assert not beats.is_failing
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
