"""The alarms of the fleet: what its keeper publishes becomes alarms with priorities, texts, delays and suppressions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from countingroom.core.alarms.states import AlarmState
from countingroom.core.errors import Cause
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.record import Phase, SetAside
from countingroom.core.fleet.states import (
    FLEET_KEY,
    FleetState,
    InstanceState,
    NodeState,
    ServiceState,
    node_key,
    service_key,
)
from countingroom.core.messages import encode
from countingroom.core.systems import NO_CONNECTION
from tests.console.runs_stage import member, partition
from tests.scenario.alarm_stage import AlarmStage

S = 1_000_000_000


class FleetStage(AlarmStage):
    """A fleet of one service on three nodes, as its keeper publishes it."""

    def __init__(self, **section: Any) -> None:
        super().__init__(section=section, roles=("fleet",))

    async def begin(self) -> None:
        await self.prepare()
        await self.bus.put("state", FLEET_KEY, encode(FleetState(revision=1)))
        for name in ("n1", "n2", "n3"):
            await self.node(name)
        await self.service()

    async def node(self, name: str, **state: Any) -> None:
        given: dict[str, Any] = {"is_reachable": True, "since_ns": self.clock.now_ns(), **state}
        await self.bus.put("state", node_key(name), encode(NodeState(node=name, **given)))

    async def service(self, n2: dict[str, Any] | None = None, **state: Any) -> None:
        """`n2`: what is particular of the instance on n2."""
        now_ns = self.clock.now_ns()
        well: dict[str, Any] = {"health": Health.HEALTHY, "since_ns": now_ns}
        instances = tuple(
            InstanceState(node=node, **{**well, **(n2 or {} if node == "n2" else {})}) for node in ("n1", "n2", "n3")
        )
        given: dict[str, Any] = {"instances": instances, "target": 2, "revision": 2, "since_ns": now_ns, **state}
        await self.bus.put("state", service_key("camera"), encode(ServiceState(service="camera", **given)))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self.host("chiller"), self.host(FLEET_KEY, role="fleet"), self.engine():
            await self.clock.advance(20)
            yield

    async def active(self) -> dict[str, AlarmState]:
        shown = ("unacknowledged", "acknowledged")
        return {id: one for id, one in (await self.alarms()).items() if one.shown.value in shown}


async def test_a_crash_loop_is_an_alarm_until_the_instance_works_for_a_minute() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.running():
        assert await stage.active() == {}
        ended = {"health": Health.EXITED, "exit_status": 7, "reason": "no camera found"}
        await stage.service({**ended, "crashes": 1})
        await stage.clock.advance(5)
        assert await stage.active() == {}  # it is started again, and has 10 s for that
        await stage.service({**ended, "crashes": 3})
        await stage.clock.advance(3)
        (alarm,) = (await stage.active()).values()
        assert (alarm.id, alarm.priority) == ("service.camera.crash_loop", 2)
        assert alarm.text == "camera@n2 ended 3 times in a row, last with status 7: no camera found"
        assert alarm.title == "service camera / crash loop"
        # Between two ends it runs for a moment: the alarm stays.
        await stage.service({"crashes": 3})
        await stage.clock.advance(8)
        await stage.service({**ended, "crashes": 4})
        await stage.clock.advance(8)
        (alarm,) = (await stage.active()).values()
        assert alarm.occurrence == 1 and "4 times" in alarm.text
        await stage.service({"crashes": 4})
        await stage.clock.advance(55)
        assert await stage.active()
        await stage.clock.advance(10)
        assert await stage.shown() == {"service.camera.crash_loop": "returned"}


async def test_what_is_unhealthy_or_gone_is_told_and_is_urgent_where_nothing_works() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.running():
        await stage.service({"health": Health.UNHEALTHY, "reason": "port 80: refused"})
        await stage.clock.advance(11)
        (alarm,) = (await stage.active()).values()
        assert (alarm.id, alarm.priority) == ("service.camera.unhealthy", 2)
        assert alarm.text == "camera@n2 fails its health check: port 80: refused"
        await stage.service(instances=(InstanceState(node="n1"), InstanceState(node="n2")))
        await stage.clock.advance(11)
        (alarm,) = (await stage.active()).values()
        assert (alarm.priority, alarm.text) == (1, "camera@n1 is not there; camera@n2 is not there")


async def test_a_program_that_has_done_its_work_is_no_alarm() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.running():
        await stage.service({"health": Health.EXITED, "exit_status": 0, "is_over": True})
        await stage.clock.advance(30)
        assert await stage.active() == {}


async def test_alarms_are_suppressed_by_design_while_the_fleet_changes_a_service() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.running():
        await stage.service({"health": None, "doing": "replace"}, phase=Phase.ROLLING)
        await stage.clock.advance(1)
        assert not await stage.alarms()  # nothing is abnormal, so nothing is suppressed
        await stage.service({"health": Health.EXITED, "crashes": 3}, phase=Phase.ROLLING)
        await stage.clock.advance(30)
        assert set((await stage.shown()).values()) <= {"suppressed"}
        assert (await stage.alarms())["service.camera.crash_loop"].suppressed == "the fleet is changing camera now"
        # The change fails: now all is told, with the reason.
        cause = Cause(code="crash_loop", message="camera@n2 ended 3 times", suggestion="see its log")
        await stage.service({"health": Health.EXITED, "crashes": 3}, phase=Phase.FAILED, cause=cause)
        await stage.clock.advance(12)
        found = await stage.active()
        assert set(found) == {"service.camera.crash_loop", "service.camera.change"}
        assert found["service.camera.change"].text == "r2 failed, and nothing more is changed: camera@n2 ended 3 times"
        await stage.service(phase=Phase.ROLLED_BACK, revision=1, cause=cause)
        await stage.clock.advance(61)
        (alarm,) = (await stage.active()).values()
        assert (alarm.id, alarm.priority) == ("service.camera.change", 3)
        assert alarm.text == "r2 failed; it is back at r1: camera@n2 ended 3 times"


async def test_a_lost_node_is_one_alarm_with_the_time_since_when() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.running():
        since_ns = stage.clock.now_ns()
        lost = {"is_reachable": False, "since_ns": since_ns, "cause": Cause(code="timeout", message="no answer")}
        await stage.node("n2", instances=1, **lost)
        await stage.service({"is_known": False, "health": Health.UNHEALTHY})
        await stage.clock.advance(8)
        assert await stage.active() == {}
        await stage.clock.advance(3)
        (alarm,) = (await stage.active()).values()
        assert (alarm.id, alarm.priority, alarm.since_ns) == ("node.n2.link", 2, since_ns)
        assert alarm.text == "does not answer: no answer; 1 instance there cannot be seen"
        await stage.node("n2", cordon=SetAside(reason="new fan", by="ben", since_ns=since_ns), **lost)
        await stage.clock.advance(1)
        assert (await stage.shown()) == {"node.n2.link": "suppressed"}


async def test_the_systems_of_a_lost_node_are_folded_under_its_alarm_and_others_are_not() -> None:
    stage = FleetStage()
    await stage.begin()
    for system, node in (("STS", "n1"), ("TOF", "n1"), ("RICH", "n2")):
        told = ServiceState(service=f"a-{system}", runs=f"system.{system}", instances=(InstanceState(node=node),))
        await stage.bus.put("state", service_key(told.service), encode(told))
    async with stage.host("partition.mCBM", role="runs"), stage.running():
        lost = ("STS", "TOF", "RICH")
        members = tuple(member(system, seen=NO_CONNECTION, own="Active") for system in lost)
        await stage.partition(partition("mCBM", members=members))
        await stage.clock.advance(20)  # as long as ssh may take to notice it
        await stage.node("n1", is_reachable=False)
        await stage.clock.advance(11)
        found = {id: one.cause_id for id, one in (await stage.active()).items() if not id.startswith("service.")}
        assert found == {
            "node.n1.link": "",
            "member.mCBM.STS": "node.n1.link",
            "member.mCBM.TOF": "node.n1.link",
            "member.mCBM.RICH": "",
        }


async def test_a_node_that_is_lost_with_its_systems_is_announced_before_them() -> None:
    stage = FleetStage()
    await stage.begin()
    told = ServiceState(service="a-STS", runs="system.STS", instances=(InstanceState(node="n1", is_known=False),))
    await stage.bus.put("state", service_key("a-STS"), encode(told))
    async with stage.host("partition.mCBM", role="runs"), stage.running():
        await stage.node("n1", is_reachable=False)
        lost = member("STS", seen=NO_CONNECTION, own="Active")
        await stage.partition(partition("mCBM", members=(lost,)))
        await stage.clock.advance(12)
        told = [one for one in await stage.told() if "service" not in one]
        assert told == ["announced node.n1.link", "activated member.mCBM.STS"]


async def test_drift_and_what_is_set_aside_past_its_time_are_told() -> None:
    stage = FleetStage(overrides={"service.*.drift": {"on_delay": "1 s", "priority": 2}}, priority={"fleet": 3})
    await stage.begin()
    async with stage.running():
        await stage.service({"drift": ("limits.memory 3 GiB → 4 GiB",)})
        await stage.clock.advance(2)
        (alarm,) = (await stage.active()).values()
        assert (alarm.id, alarm.priority) == ("service.camera.drift", 2)
        assert alarm.text == "camera@n2 was changed by hand: limits.memory 3 GiB → 4 GiB"
        now_ns = stage.clock.now_ns()
        aside = SetAside(reason="beam", by="anna", since_ns=now_ns, until_ns=now_ns + 30 * S)
        await stage.service(disabled=aside)
        await stage.node("n1", cordon=aside)
        await stage.clock.advance(85)
        assert set(await stage.active()) == set()
        await stage.clock.advance(10)
        found = await stage.active()
        assert set(found) == {"service.camera.disabled", "node.n1.set_aside"}
        assert found["node.n1.set_aside"].text == "by anna past its time: beam"


async def test_without_a_keeper_one_alarm_tells_it_and_the_others_stay_as_they_were() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.host("chiller"), stage.engine():
        async with stage.host(FLEET_KEY, role="fleet"):
            await stage.clock.advance(20)
            await stage.service({"health": Health.EXITED, "crashes": 3})
            await stage.clock.advance(3)
        await stage.clock.advance(20)
        found = await stage.active()
        assert set(found) == {"role.fleet", "fleet.keeper", "service.camera.crash_loop"}
        assert (found["role.fleet"].cause_id, found["fleet.keeper"].cause_id) == ("", "role.fleet")
        async with stage.host(FLEET_KEY, role="fleet"):
            await stage.clock.advance(5)
            assert set(await stage.active()) == {"service.camera.crash_loop"}
            cause = Cause(code="timeout", message="the database did not answer within 10 s")
            await stage.bus.put("state", FLEET_KEY, encode(FleetState(cause=cause)))
            await stage.clock.advance(6)
            alarm = (await stage.active())["fleet.keeper"]
            assert alarm.text == "nothing is done: the database did not answer within 10 s"


async def test_the_alarms_of_a_service_that_is_taken_out_end() -> None:
    stage = FleetStage()
    await stage.begin()
    async with stage.host("chiller"), stage.host(FLEET_KEY, role="fleet"):
        async with stage.engine():
            await stage.clock.advance(20)
            await stage.service({"health": Health.EXITED, "crashes": 3})
            await stage.clock.advance(3)
            assert set(await stage.active()) == {"service.camera.crash_loop"}
        await stage.bus.delete("state", service_key("camera"))  # while no engine runs
        async with stage.engine():
            await stage.clock.advance(25)
            assert await stage.active() == {}
