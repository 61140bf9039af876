"""An agent is connected while it is heard, and each change of that is told once, with its cause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from countingroom.bus.disconnects import departure, read
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.messages import AgentBeats, Presence, encode
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.monitor.failure_detector import FailureDetector
from countingroom.runs.planner.events import LinkChanged
from countingroom.testing.clock import FakeClock


def beat(system: str = "sts", boot: str = "b1", *, leaving: bool = False, service: str = "") -> Presence:
    return Presence(
        role="agent",
        instance=system,
        boot=boot,
        host="h",
        pid=7,
        interval_s=0.5,
        sent_ns=0,
        leaving=leaving,
        service=service,
    )


class Tardy(FakeClock):
    """Wakes its sleepers later than they asked, as a busy process does."""

    late_s = 0.0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + self.late_s)


class Still:
    """A server that may stand still: the link is up, and what is sent meanwhile comes when it goes on."""

    def __init__(self) -> None:
        self.stands = False
        self.echoes = 0
        self._held: list[tuple[MemoryBus, str, bytes]] = []

    async def take(self, client: MemoryBus, subject: str, data: bytes) -> None:
        self.echoes += subject.startswith("pulse.=")
        if self.stands:
            self._held.append((client, subject, data))
        else:
            await client.publish(subject, data)

    async def goes_on(self) -> None:
        self.stands = False
        for client, subject, data in self._held:
            await client.publish(subject, data)
        self._held.clear()


class Listener:
    """A client whose words go by way of that server."""

    def __init__(self, client: MemoryBus, server: Still) -> None:
        self._client = client
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def publish(self, subject: str, data: bytes) -> None:
        await self._server.take(self._client, subject, data)


class Stage:
    def __init__(self) -> None:
        self.clock = Tardy()
        self.bus = MemoryBus(self.clock)
        self.server = Still()
        self.agent = self.bus.client(subjects.connection("sts", "b1"))
        self.told: list[LinkChanged] = []
        self.own = self.bus.client()
        self.liveness = Liveness(Listener(self.own, self.server), self.clock, self.told.append)  # type: ignore[arg-type]

    async def beats(self, seconds: float, presence: Presence | None = None) -> None:
        for _ in range(round(seconds / 0.5)):
            await self.server.take(self.agent, subjects.pulse("sts"), encode(presence or beat()))
            await self.clock.advance(0.5)

    @property
    def codes(self) -> list[str]:
        return [change.cause.code if change.cause else "connected" for change in self.told]


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    made = Stage()
    task = asyncio.create_task(made.liveness.run())
    await made.clock.advance(0)
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_silence_is_told_once_after_three_beats_and_so_is_the_return() -> None:
    async with stage() as on:
        await on.beats(2)
        assert on.codes == ["connected"]
        await on.clock.advance(1.0)
        assert on.codes == ["connected"]
        await on.clock.advance(0.3)
        assert on.codes == ["connected", "agent_silent"]
        await on.clock.advance(10)
        assert not on.liveness.connected("sts")
        assert on.liveness.why_not("sts")
        await on.beats(2)
        assert on.codes == ["connected", "agent_silent", "connected"]
        assert on.liveness.why_not("sts") is None


async def test_an_echo_is_sent_only_where_no_heartbeat_comes() -> None:
    async with stage() as on:
        before = on.server.echoes
        for _ in range(20):
            await on.agent.publish(subjects.pulse("sts"), encode(beat()))
            await on.clock.advance(0.25)
        assert on.server.echoes == before
        await on.clock.advance(1.0)
        assert on.server.echoes > before
        assert on.codes == ["connected"]


async def test_what_a_busy_process_did_not_listen_to_is_no_silence() -> None:
    async with stage() as on:
        await on.beats(2)
        on.clock.late_s = 2.0
        await on.clock.advance(2.3)
        on.clock.late_s = 0.0
        assert on.codes == ["connected"]
        await on.clock.advance(4.2)
        assert on.codes == ["connected", "agent_silent"]


async def test_a_connection_that_ends_is_told_at_once_and_its_silence_not_again() -> None:
    async with stage() as on:
        await on.beats(1)
        await on.agent.close()
        await on.clock.advance(0)
        assert on.codes == ["connected", "agent_gone"]
        await on.clock.advance(10)
        assert on.codes == ["connected", "agent_gone"]


async def test_the_computer_on_which_a_lost_agent_ran_is_named() -> None:
    async with stage() as on:
        await on.beats(1)
        await on.clock.advance(2)
        await on.beats(1, beat(service="agents-sts@box#0"))
        await on.agent.close()
        await on.clock.advance(0)
        silent, gone = (change.cause for change in on.told if change.cause)
        assert silent.message == "the agent of sts on h has not been heard for 1.5 s"
        assert silent.evidence == {"agent": "process 7 on h"}
        assert gone.message.startswith("the agent of sts on box (host h) is gone: its connection to the bus ended (")
        assert gone.evidence == {"agent": "process 7 on h", "node": "box", "service": "agents-sts"}
        assert gone.suggestion == "the fleet starts it again; see countingroom fleet status"


def beats_of_many(**agents: str) -> AgentBeats:
    return AgentBeats(host="h", pid=7, interval_s=0.5, sent_ns=0, agents=agents)


async def test_one_heartbeat_stands_for_all_agents_of_a_process() -> None:
    async with stage() as on:
        subject = subjects.pulse_of_many("p")
        for _ in range(4):
            await on.bus.publish(subject, encode(beats_of_many(sts="b1", tof="b7")))
            await on.clock.advance(0.5)
        assert [(change.system, change.connected) for change in on.told] == [("sts", True), ("tof", True)]
        on.told.clear()
        for _ in range(4):  # its connection is lost
            await on.bus.publish(subject, encode(beats_of_many(sts="b1")))
            await on.clock.advance(0.5)
        assert [(change.system, change.connected) for change in on.told] == [("tof", False)]
        assert "tof on h has not been heard" in str(on.liveness.why_not("tof"))
        await on.agent.close()
        await on.clock.advance(0)
        assert on.codes == ["agent_silent", "agent_gone"]


async def test_another_boot_in_the_heartbeat_of_a_process_is_another_agent() -> None:
    async with stage() as on:
        await on.beats(1)
        await on.bus.publish(subjects.pulse_of_many("p"), encode(beats_of_many(sts="b2")))
        await on.clock.advance(0)
        await on.agent.close()  # the connection of the first one
        await on.clock.advance(0)
        assert on.codes == ["connected"]


async def test_a_goodbye_is_told_as_such() -> None:
    async with stage() as on:
        await on.beats(1)
        await on.agent.publish(subjects.pulse("sts"), encode(beat(leaving=True)))
        await on.agent.close()
        await on.clock.advance(5)
        assert on.codes == ["connected", "agent_left"]


async def test_the_end_of_an_earlier_life_and_an_unheard_connection_say_nothing_of_the_present_one() -> None:
    async with stage() as on:
        await on.beats(1, beat(boot="b2"))
        await on.agent.close()
        on.agent = on.bus.client("agent.sts.b2")
        stale = departure("agent.sts.b2", "Stale Connection")
        await on.bus.publish(stale.subject, stale.data)
        await on.beats(2, beat(boot="b2"))
        assert on.codes == ["connected"]


async def test_while_our_own_link_is_down_nobody_is_lost() -> None:
    async with stage() as on:
        await on.beats(1)
        on.own.cut()
        await on.clock.advance(60)
        on.own.mend()
        await on.clock.advance(1.4)
        assert on.codes == ["connected"]
        await on.clock.advance(0.3)
        assert on.codes == ["connected", "agent_silent"]


async def test_a_busy_process_is_told_at_once_whose_connection_ended() -> None:
    async with stage() as on:
        await on.beats(1)
        on.clock.late_s = 0.4
        await on.beats(1)
        await on.agent.close()
        await on.clock.advance(0)
        assert on.codes == ["connected", "agent_gone"]


async def test_a_server_that_stands_still_is_no_silence_of_the_agents() -> None:
    async with stage() as on:
        await on.beats(1)
        on.server.stands = True
        await on.beats(7)
        assert on.codes == ["connected"]
        await on.server.goes_on()
        await on.beats(3)
        assert on.codes == ["connected"]
        await on.clock.advance(2)
        assert on.codes == ["connected", "agent_silent"]


async def test_a_connection_that_a_server_lost_while_it_stood_still_is_judged_by_its_beats() -> None:
    async with stage() as on:
        await on.beats(1)
        on.server.stands = True
        await on.beats(4)
        await on.bus.publish(*told(departure(subjects.connection("sts", "b1"))))
        await on.server.goes_on()
        await on.clock.advance(0.2)
        await on.bus.publish(*told(departure(subjects.connection("sts", "b1"))))
        await on.beats(2)
        assert on.codes == ["connected"]
        await on.bus.publish(*told(departure(subjects.connection("sts", "b1"))))
        await on.clock.advance(0.1)
        assert on.codes == ["connected", "agent_gone"]


async def test_a_connection_that_ended_while_our_own_link_was_down_is_judged_by_its_beats() -> None:
    async with stage() as on:
        await on.beats(1)
        on.own.cut()
        await on.clock.advance(5)
        on.own.mend()
        await on.bus.publish(*told(departure(subjects.connection("sts", "b1"))))
        await on.beats(2)
        assert on.codes == ["connected"]


def told(message: Message) -> tuple[str, bytes]:
    return message.subject, message.data


async def test_who_is_expected_and_does_not_come_is_told_and_then_all_is_settled() -> None:
    async with stage() as on:
        on.liveness.expect(["sts", "tof"])
        settled = asyncio.create_task(on.liveness.settled())
        await on.beats(1.5)
        assert not settled.done()
        await on.beats(0.5)
        assert settled.done()
        assert on.codes == ["connected", "agent_absent"]
        assert on.told[-1].system == "tof"


async def test_what_is_no_heartbeat_is_passed_over() -> None:
    async with stage() as on:
        await on.bus.publish(subjects.pulse("sts"), b"\xc1")
        await on.bus.publish(subjects.DEPARTURES, b"{}")
        await on.beats(1)
        assert on.codes == ["connected"]


def test_the_advisory_of_a_server_is_read() -> None:
    told = msgspec.json.encode({"type": "x", "client": {"name": "agent.sts.b1", "id": 4}, "reason": "Client Closed"})
    left = read(Message(subject=subjects.DEPARTURES, data=told))
    assert left
    assert (left.name, left.reason, left.sure) == ("agent.sts.b1", "Client Closed", True)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("beat"), st.sampled_from(["b1", "b2"]), st.booleans()),
            st.tuples(st.just("gone"), st.sampled_from(["b1", "b2"]), st.none()),
            st.tuples(st.just("wait"), st.sampled_from([0.1, 0.7, 2.0]), st.none()),
            st.tuples(st.just("link"), st.booleans(), st.none()),
        ),
        max_size=40,
    )
)
def test_changes_alternate_and_agree_with_what_is_connected(history: list[tuple[str, object, object]]) -> None:
    hearing, now, told = FailureDetector(), 0.0, list[LinkChanged | None]()
    for what, which, more in history:
        match what:
            case "beat":
                told.append(hearing.beat(beat(boot=str(which), leaving=bool(more)), now, 1))
            case "gone":
                told.append(hearing.departed(f"agent.sts.{which}", "Client Closed", now, 1))
            case "wait":
                now += float(str(which))
                told += hearing.look(now, 1)
            case _:
                hearing.link_restored(now) if which else hearing.link_lost()
        changes = [change.connected for change in told if change]
        assert changes == [index % 2 == 0 for index in range(len(changes))]
        assert hearing.connected("sts") == (bool(changes) and changes[-1])
