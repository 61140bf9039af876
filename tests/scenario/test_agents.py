"""An agent on a bus answers at once, lets its system work, says where it is, and is disturbed by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Entry, Message
from countingroom.core import subjects
from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Conflict, DeviceError, LinkError
from countingroom.core.messages import Command, Event, Presence, Reply, decode, encode
from countingroom.core.systems import Action, Answer, Order, Placement, SystemKind, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.kinds.simulated import Simulated
from countingroom.runs.agents.port import Handle, Recovery, System
from countingroom.runs.sections.agent import SimulatedAgent
from countingroom.testing.clock import FakeClock

CHART = Chart(
    name="test",
    rows=(
        Row("Unconfigured", "configure", "Configuring_Step1"),
        Row("Configuring_Step1", "success", "Configuring_Step2"),
        Row("Configuring_Step1", "abort", "Unconfigured"),
        Row("Configuring_Step1", "error", "Error"),
        Row("Configuring_Step2", "success", "Active"),
        Row("Configuring_Step2", "abort", "Unconfigured"),
        Row("Configuring_Step2", "error", "Error"),
        Row("Active", "configure", "Configuring_Step1"),
        Row("Active", "abort", "Unconfigured"),
        Row("Active", "error", "Error"),
        Row("Active", "start", "Recording"),
        Row("Recording", "stop", "Active"),
        Row("Recording", "abort", "Unconfigured"),
        Row("Recording", "error", "Error"),
        Row("Error", "resolved", "Unconfigured"),
        Row("Error", "reset", "Unconfigured"),
    ),
    initial="Unconfigured",
    common={"Configuring_Step1": "Configuring", "Configuring_Step2": "Configuring"},
)


class Diary(System):
    """Writes down what it is asked; waits for its gate in Configuring_Step2."""

    def __init__(self, handle: Handle, stage: Stage) -> None:
        super().__init__(handle)
        self.stage = stage

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        self.note(step, dict(parameters))
        if step == "Configuring_Step2":
            try:
                await self.stage.gate.wait()
            except asyncio.CancelledError:
                self.note("cancelled")
                if self.stage.stubborn:
                    await self.stage.let_go.wait()
                raise
        if self.stage.fails:
            raise DeviceError("no power", source="sts", suggestion="switch it on")

    async def start(self, run: int) -> None:
        self.note("start", run)

    async def stop(self) -> None:
        self.handle.count({"events": 5})
        self.note("stop")

    async def abort(self) -> None:
        self.note("abort")

    async def reset(self) -> None:
        self.note("reset")

    async def recover(self) -> Recovery | None:
        return self.stage.found

    def note(self, *what: object) -> None:
        self.stage.diary.append((self.handle.partition, *what))


class Stage:
    """An agent on a memory bus, and somebody who orders it about."""

    def __init__(self, kind: SystemKind = SystemKind.GLOBAL) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.link = self.bus.client()
        self.kind = kind
        self.gate = asyncio.Event()
        self.let_go = asyncio.Event()
        self.gate.set()
        self.fails = self.stubborn = False
        self.found: Recovery | None = None
        self.diary: list[tuple[object, ...]] = []
        self.orders = 0
        self.task: asyncio.Task[None] | None = None
        self.agent: AgentRunner

    def make(self, factory: Any = None, **more: Any) -> AgentRunner:
        return AgentRunner(
            self.link, self.clock, "qa", self.kind, CHART, factory or (lambda handle: Diary(handle, self)), **more
        )

    async def begin(self, where: Placement | None = None, factory: Any = None, **more: Any) -> None:
        await streams.prepare(self.bus)
        if where:
            await self.place(where)
        self.agent = self.make(factory, **more)
        self.task = asyncio.create_task(self.agent.run())
        await self.clock.advance(0)

    async def place(self, where: Placement) -> None:
        await self.bus.put(subjects.STATE_BUCKET, subjects.MAPPING_KEY, encode(where))
        await self.clock.advance(0)

    async def end(self) -> None:
        if self.task:
            self.let_go.set()
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def order(self, action: Action, partition: str = "p", **more: Any) -> Answer:
        self.orders += 1
        given: dict[str, Any] = {
            "id": f"o{self.orders}",
            "fence": 1,
            "deadline_ns": self.clock.now_ns() + 10 * 10**9,
            **more,
        }
        order = Order(action=action, partition=partition, **given)
        answer = await self.bus.request(subjects.agent("qa"), encode(order), timeout_s=1)
        await self.clock.advance(0)
        return decode(answer.data, Answer)

    async def command(self, action: str, **arguments: Scalar) -> Reply:
        now_ns = self.clock.now_ns()
        self.orders += 1
        command = Command(
            id=f"c{self.orders}", action=action, arguments=arguments, issued_ns=now_ns, deadline_ns=now_ns + 10**9
        )
        where = subjects.command("ann", "systems", "qa")
        reply = decode((await self.bus.request(where, encode(command), timeout_s=1)).data, Reply)
        await self.clock.advance(0)
        return reply

    async def state(self, partition: str = "p") -> SystemState:
        key = subjects.system_key("qa", partition if self.kind is SystemKind.GLOBAL else "")
        entry = await self.bus.get(subjects.STATE_BUCKET, key)
        assert entry, key
        assert entry.data
        return decode(entry.data, SystemState)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.end()


PQ = Placement(partitions=("p", "q"), detectors={})


async def test_it_is_configured_step_by_step_and_says_with_what(stage: Stage) -> None:
    await stage.begin(PQ)
    answer = await stage.order(Action.CONFIGURE, tag="night", key="k1", parameters={"hv": 3})
    assert answer.accepted
    assert answer.state
    assert answer.state.state == "Active"
    assert stage.diary == [("p", "Configuring_Step1", {"hv": 3}), ("p", "Configuring_Step2", {"hv": 3})]
    state = await stage.state()
    assert (state.state, state.tag, state.key, state.order) == ("Active", "night", "k1", "o1")
    assert (await stage.state("q")).state == "Unconfigured"
    assert (await stage.order(Action.CONFIGURE, tag="night", key="k1")).accepted
    assert len(stage.diary) == 2
    assert (await stage.state()).order == "o2"


async def test_a_run_is_started_counted_and_stopped(stage: Stage) -> None:
    await stage.begin(PQ)
    await stage.order(Action.CONFIGURE)
    await stage.order(Action.START, run=7)
    assert ((await stage.state()).state, (await stage.state()).run) == ("Recording", 7)
    await stage.order(Action.STOP)
    state = await stage.state()
    assert (state.state, state.run, state.counters) == ("Active", 0, {"events": 5})


async def test_abort_in_one_partition_cancels_its_step_and_no_other(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.gate.clear()
    answer = await stage.order(Action.CONFIGURE, "p")
    assert answer.state
    assert answer.state.state == "Configuring_Step2"
    await stage.order(Action.CONFIGURE, "q")
    stage.diary.clear()
    await stage.order(Action.ABORT, "p")
    assert stage.diary == [("p", "cancelled"), ("p", "abort")]
    assert (await stage.state("p")).state == "Unconfigured"
    assert (await stage.state("q")).state == "Configuring_Step2"
    stage.gate.set()
    await stage.clock.advance(0)
    assert (await stage.state("q")).state == "Active"


async def test_nothing_begins_before_what_was_cancelled_is_really_over(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.gate.clear()
    stage.stubborn = True
    await stage.order(Action.CONFIGURE)
    assert (await stage.order(Action.ABORT)).accepted
    assert ("p", "abort") not in stage.diary
    assert (await stage.state()).state == "Configuring_Step2"
    busy = await stage.order(Action.CONFIGURE, key="new")
    assert busy.cause
    assert busy.cause.code == "busy"
    stage.let_go.set()
    await stage.clock.advance(0)
    assert (await stage.state()).state == "Unconfigured"


async def test_a_hung_step_ends_in_error_at_its_deadline(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.gate.clear()
    await stage.order(Action.CONFIGURE)
    await stage.clock.advance(9.9)
    assert (await stage.state()).state == "Configuring_Step2"
    await stage.clock.advance(0.2)
    state = await stage.state()
    assert state.state == "Error"
    assert state.cause
    assert state.cause.code == "not_in_time"
    assert stage.diary[-1] == ("p", "cancelled")
    await stage.order(Action.RESET)
    assert (await stage.state()).state == "Unconfigured"


async def test_a_failed_step_ends_in_error_with_the_systems_own_cause(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.fails = True
    await stage.order(Action.CONFIGURE)
    state = await stage.state()
    assert state.state == "Error"
    assert state.cause
    assert state.cause.suggestion == "switch it on"


async def test_an_order_that_comes_twice_or_from_an_earlier_owner_does_nothing(stage: Stage) -> None:
    await stage.begin(PQ)
    assert (await stage.order(Action.CONFIGURE, id="same", fence=5)).accepted
    assert (await stage.order(Action.CONFIGURE, id="same", fence=5)).accepted
    assert len(stage.diary) == 2
    old = await stage.order(Action.ABORT, fence=4)
    assert old.cause
    assert old.cause.code == "outdated"
    assert (await stage.order(Action.ABORT, "q", fence=1)).accepted


async def test_a_user_stops_a_system_whose_partition_has_no_owner(stage: Stage) -> None:
    await stage.begin(PQ)
    assert (await stage.order(Action.CONFIGURE, fence=5)).accepted
    assert not (await stage.order(Action.CONFIGURE, fence=0, requested_by="anna")).accepted
    assert (await stage.order(Action.ABORT, fence=0, requested_by="anna")).accepted
    old = await stage.order(Action.CONFIGURE, fence=4)  # the token of the owner is remembered
    assert old.cause
    assert old.cause.code == "outdated"


async def test_what_is_no_order_is_answered_too(stage: Stage) -> None:
    await stage.begin(PQ)
    answer = decode((await stage.bus.request(subjects.agent("qa"), b"\xc1", timeout_s=1)).data, Answer)
    assert answer.cause
    assert (await stage.order(Action.CONFIGURE, "nowhere")).cause
    asked = subjects.command("ann", "systems", "qa")
    told = decode((await stage.bus.request(asked, b"\xc1", timeout_s=1)).data, Reply)
    assert told.cause
    assert told.cause.code == "malformed"


async def test_a_global_system_is_aborted_in_a_partition_and_never_for_all(stage: Stage) -> None:
    await stage.begin(PQ)
    await stage.order(Action.CONFIGURE)
    refused = await stage.command("abort")
    assert refused.cause
    assert "partition abort" in refused.cause.suggestion
    assert (await stage.state()).state != "Unconfigured"


async def test_a_partition_that_comes_is_known_at_once_and_one_that_goes_is_forgotten(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.gate.clear()
    await stage.order(Action.CONFIGURE, "q")
    await stage.place(Placement(partitions=("p", "r")))
    assert (await stage.state("r")).state == "Unconfigured"
    assert await stage.bus.get(subjects.STATE_BUCKET, subjects.system_key("qa", "q")) is None
    assert stage.diary[-1] == ("q", "cancelled")
    assert (await stage.order(Action.CONFIGURE, "r")).accepted


async def test_where_nobody_says_which_partitions_there_are_all_are_served(stage: Stage) -> None:
    await stage.begin()
    assert (await stage.order(Action.CONFIGURE, "any")).accepted
    assert (await stage.state("any")).state == "Active"


async def test_a_detector_obeys_the_partition_it_is_in() -> None:
    stage = Stage(SystemKind.DETECTOR)
    try:
        await stage.begin(Placement(partitions=("p", "q"), detectors={"qa": "p"}))
        assert (await stage.order(Action.CONFIGURE, "p", key="k")).accepted
        refused = await stage.order(Action.ABORT, "q")
        assert refused.cause
        assert refused.cause.code == "not_mine"
        await stage.place(Placement(partitions=("p", "q"), detectors={"qa": "q"}))
        state = await stage.state()
        assert (state.partition, state.state, state.key) == ("q", "Unconfigured", "")
        assert (await stage.order(Action.ABORT, "q")).accepted
    finally:
        await stage.end()


async def test_a_detector_in_no_partition_can_be_aborted_and_nothing_else() -> None:
    stage = Stage(SystemKind.DETECTOR)
    try:
        await stage.begin(Placement(partitions=("p",), detectors={"qa": "p"}))
        await stage.order(Action.CONFIGURE, "p", key="k")
        refused = await stage.command("abort")
        assert refused.cause
        assert refused.cause.code == "not_mine"
        assert (await stage.order(Action.ABORT, subjects.EXPERIMENT)).cause
        await stage.place(Placement(partitions=("p",), detectors={"qa": ""}))
        again = await stage.order(Action.CONFIGURE, subjects.EXPERIMENT)
        assert again.cause
        assert again.cause.code == "no_partition"
        assert (await stage.command("abort")).accepted
        state = await stage.state()
        assert (state.state, state.partition) == ("Unconfigured", "")
    finally:
        await stage.end()


async def test_a_person_may_say_that_it_failed_and_that_it_is_well_again(stage: Stage) -> None:
    await stage.begin(PQ)
    await stage.order(Action.CONFIGURE)
    assert (await stage.command("error", partition="p", message="smoke")).accepted
    state = await stage.state()
    assert state.state == "Error"
    assert state.cause
    assert (state.cause.message, state.cause.evidence) == ("smoke", {"by": "ann"})
    assert (await stage.command("resolved")).accepted
    assert (await stage.state()).state == "Unconfigured"
    assert (await stage.command("resolved", partition="p")).accepted, "it is so already"
    for refused in (
        await stage.command("error", partition="nowhere"),
        await stage.command("dance"),
    ):
        assert refused.cause


async def test_what_a_person_said_of_it_and_what_was_refused_is_on_record(stage: Stage) -> None:
    await stage.begin(PQ)
    await stage.order(Action.CONFIGURE)
    await stage.command("error", partition="p", message="smoke")
    await stage.command("dance")
    async with stage.bus.replay(subjects.EVENTS_STREAM, subjects=subjects.event("systems", "qa")) as messages:
        events = [decode((await anext(messages)).data, Event) for _ in range(3)]
    assert [(one.kind.value, one.action, one.principal, one.command_id) for one in events] == [
        ("command", "error", "ann", "c2"),
        ("done", "error", "ann", "c2"),
        ("refused", "dance", "ann", "c3"),
    ]
    assert events[0].data == {"partition": "p", "message": "smoke", "origin": ""}
    assert events[2].cause


async def test_it_lives_on_without_the_bus_and_says_all_again_when_it_is_back(stage: Stage) -> None:
    await stage.begin(PQ)
    stage.gate.clear()
    await stage.order(Action.CONFIGURE, tag="t")
    stage.link.cut()
    stage.gate.set()
    await stage.clock.advance(5)
    assert (await stage.state()).state == "Configuring_Step2"
    stage.link.mend()
    await stage.clock.advance(1)
    assert (await stage.state()).state == "Active"


async def test_it_is_found_as_its_system_was_left(stage: Stage) -> None:
    stage.found = Recovery(state="Recording", tag="t", key="k", run=9)
    await stage.begin(PQ)
    state = await stage.state()
    assert (state.state, state.run, state.key) == ("Recording", 9, "k")
    assert stage.diary == []


async def test_a_system_whose_agent_cannot_do_it_stays_as_it_is(stage: Stage) -> None:
    await stage.begin(PQ)
    await stage.order(Action.CONFIGURE, tag="t", key="k", base="b")
    assert (await stage.order(Action.RECONFIGURE, tag="t", key="k2", base="b")).accepted
    state = await stage.state()
    assert (state.state, state.tag, state.key) == ("Active", "t", "k")
    assert state.cause
    assert state.cause.code == "cannot_reconfigure"


@pytest.mark.parametrize(
    ("state", "base", "code"),
    [("Unconfigured", "b", "not_allowed"), ("Active", "c", "not_in_place"), ("Active", "", "not_in_place")],
)
async def test_a_change_in_place_is_refused_where_it_would_not_be_right(
    stage: Stage, state: str, base: str, code: str
) -> None:
    await stage.begin(PQ)
    if state == "Active":
        await stage.order(Action.CONFIGURE, tag="t", key="k", base="b")
    answer = await stage.order(Action.RECONFIGURE, tag="t", key="k2", base=base)
    assert answer.cause
    assert answer.cause.code == code
    assert (await stage.state()).state == state


async def test_an_agent_that_dies_during_a_change_finds_its_run_and_no_sure_parameters(
    stage: Stage, tmp_path: Path
) -> None:
    await stage.begin(PQ, simulated(stage, reconfigure=5.0), memory=tmp_path)
    await stage.order(Action.CONFIGURE, key="k", tag="t", base="b")
    await stage.order(Action.START, run=3)
    await stage.order(Action.RECONFIGURE, key="k2", tag="u", base="b", run=3)
    await stage.clock.advance(1)
    await stage.end()
    await stage.begin(PQ, simulated(stage, reconfigure=5.0), memory=tmp_path)
    await stage.clock.advance(1)
    state = await stage.state()
    assert (state.state, state.run, state.tag, state.key, state.base) == ("Recording", 3, "t", "", "b")
    await stage.order(Action.RECONFIGURE, key="k2", tag="u", base="b", run=3)
    await stage.clock.advance(6)
    state = await stage.state()
    assert (state.state, state.run, state.tag, state.key) == ("Recording", 3, "u", "k2")


async def test_a_second_agent_of_a_system_is_told_where_the_first_is(stage: Stage) -> None:
    await stage.begin(PQ)
    with pytest.raises(ExceptionGroup) as raised:
        await stage.make().run()
    (conflict,) = raised.value.exceptions
    assert isinstance(conflict, Conflict)
    assert "process" in conflict.cause.causes[0].message


async def test_a_busy_server_is_not_taken_for_another_agent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    request, get = stage.link.request, stage.link.get

    async def late_request(subject: str, data: bytes, *, timeout_s: float) -> Message:
        await stage.clock.sleep(3)
        return await request(subject, data, timeout_s=timeout_s)

    async def late_get(bucket: str, key: str) -> Entry | None:
        await stage.clock.sleep(3)
        return await get(bucket, key)

    monkeypatch.setattr(stage.link, "request", late_request)
    monkeypatch.setattr(stage.link, "get", late_get)
    await stage.begin(PQ)
    await stage.clock.advance(10)
    assert stage.agent.serves


async def test_an_agent_that_hangs_is_another_agent_all_the_same(stage: Stage) -> None:
    await streams.prepare(stage.bus)

    async def hang(_: Message) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with stage.bus.respond("command.*.systems.qa", hang):
        second = asyncio.create_task(stage.make().run())
        await stage.clock.advance(1.1)
        with pytest.raises(ExceptionGroup) as raised:
            await second
    assert isinstance(raised.value.exceptions[0], Conflict)


async def test_a_server_that_does_not_answer_proves_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await streams.prepare(stage.bus)

    async def silent(*_: Any, **__: Any) -> Any:
        await stage.clock.sleep(5)
        raise LinkError("no answer", source="bus", code="no_answer")

    monkeypatch.setattr(stage.link, "request", silent)
    agent = stage.make()
    await agent._directory.refresh()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(stage.link, "get", silent)
    monkeypatch.setattr(agent._directory, "refresh", lambda: asyncio.sleep(0))  # pyright: ignore[reportPrivateUsage]
    running = asyncio.create_task(agent.run())
    await stage.clock.advance(6)
    with pytest.raises(ExceptionGroup) as raised:
        await running
    assert isinstance(raised.value.exceptions[0], LinkError)


async def test_it_beats_and_says_goodbye(stage: Stage) -> None:
    async with stage.bus.subscribe(subjects.pulse("*")) as beats:
        await stage.begin(PQ)
        await stage.clock.advance(1)
        await stage.end()
        heard = [decode((await anext(beats)).data, Presence) for _ in range(4)]
    assert [beat.leaving for beat in heard] == [False, False, False, True]
    assert {(beat.role, beat.instance) for beat in heard} == {("agent", "qa")}


def simulated(stage: Stage, chance: float = 1.0, **more: Any) -> Any:
    section = SimulatedAgent.model_validate(more)

    def made(handle: Handle) -> System:
        return Simulated(handle, section, stage.clock, chance=lambda: chance)

    return made


async def test_it_is_heard_only_when_it_has_said_its_state(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, put = asyncio.Event(), stage.link.put

    async def slowly(*args: Any, **more: Any) -> int:
        await taken.wait()
        return await put(*args, **more)

    monkeypatch.setattr(stage.link, "put", slowly)
    async with stage.bus.subscribe(subjects.pulse("qa")) as beats:
        await stage.begin(PQ)
        await stage.clock.advance(3)
        beat = asyncio.ensure_future(anext(beats))
        await stage.clock.advance(0)
        assert not beat.done()
        taken.set()
        await stage.clock.advance(0)
        assert decode((await beat).data, Presence).instance == "qa"
        assert (await stage.state()).boot == stage.agent.knows.boot


async def test_a_simulated_system_takes_its_time_and_counts_while_it_records(stage: Stage) -> None:
    await stage.begin(PQ, simulated(stage, configure="2 s", events_hz=100))
    await stage.order(Action.CONFIGURE)
    await stage.clock.advance(3.9)
    assert (await stage.state()).state == "Configuring_Step2"
    await stage.clock.advance(0.2)
    assert (await stage.state()).state == "Active"
    await stage.order(Action.START, run=1)
    await stage.clock.advance(2.5)
    assert (await stage.state()).counters == {"events": 200}
    await stage.order(Action.STOP)
    await stage.clock.advance(60)
    assert (await stage.state()).counters == {"events": 250}


async def test_a_simulated_system_fails_hangs_and_is_slow_on_demand(stage: Stage) -> None:
    await stage.begin(PQ, simulated(stage))

    async def configured(fault: str, after_s: float, **more: Scalar) -> str:
        assert (await stage.command("fault", name=fault, partition="p", **more)).accepted
        await stage.order(Action.CONFIGURE)
        await stage.clock.advance(after_s)
        found = (await stage.state()).state
        await stage.order(Action.ABORT if found != "Error" else Action.RESET)
        return found

    assert await configured("fail", 0) == "Error"
    assert await configured("hang", 9.5) == "Configuring_Step1"
    assert await configured("heal", 0) == "Active"
    assert await configured("slow", 1, seconds=3) == "Configuring_Step1"
    assert (await stage.command("fault", name="heal")).accepted
    await stage.order(Action.CONFIGURE)
    assert (await stage.command("fault", name="error", partition="p")).accepted
    assert (await stage.state()).state == "Error"
    refused = await stage.command("fault", name="explode")
    assert refused.cause
    assert "heal" in refused.cause.suggestion
    for wrong in ({"name": "slow", "seconds": "long"}, {"name": "slow", "seconds": -1}, {"name": "fail", "times": "x"}):
        refused = await stage.command("fault", **wrong)
        assert refused.cause
        assert refused.cause.code == "wrong_argument"


async def test_a_probability_of_failure_is_one(stage: Stage) -> None:
    await stage.begin(PQ, simulated(stage, chance=0.2, fail=0.3))
    await stage.order(Action.CONFIGURE)
    assert (await stage.state()).state == "Error"


async def test_an_agent_started_again_finds_its_simulated_run_and_counts_on(stage: Stage, tmp_path: Path) -> None:
    await stage.begin(PQ, simulated(stage, events_hz=10), memory=tmp_path)
    await stage.order(Action.CONFIGURE, key="k", tag="t")
    await stage.order(Action.START, run=3)
    await stage.clock.advance(2)
    await stage.end()
    await stage.clock.advance(2)
    await stage.begin(PQ, simulated(stage, events_hz=10), memory=tmp_path)
    await stage.clock.advance(1.5)
    state = await stage.state()
    assert (state.state, state.run, state.key, state.tag) == ("Recording", 3, "k", "t")
    assert state.counters["events"] == pytest.approx(50, abs=10)
    await stage.order(Action.ABORT)
    await stage.end()
    await stage.begin(PQ, simulated(stage), memory=tmp_path)
    assert (await stage.state()).state == "Unconfigured"
