"""Parameters are changed in place: the systems and the partition keep their states, and a run notes what changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countingroom.bus.port import Message
from countingroom.core.errors import LinkError
from countingroom.core.messages import EventKind
from countingroom.core.run_book import RunNote
from countingroom.core.run_queries import PlanQuery
from countingroom.core.systems import Action
from countingroom.runs.coordinator.plan_query import plan_for
from countingroom.runs.description import RunsSection
from countingroom.runs.service import RunsService
from tests.scenario.experiment import FaultyBus, World, description, experiment

ABLE = ("STS", "QA")
OVER = (EventKind.DONE, EventKind.FAILED)


def able(takes_s: float = 0.5) -> RunsSection:
    """An experiment in which STS and QA take so long to change their parameters in place."""
    plain = description().model_dump()
    for name in ABLE:
        plain["systems"][name]["agent"] = {"kind": "simulated", "reconfigure": takes_s}
    return RunsSection.model_validate(plain)


async def save(world: World, system: str, threshold: int) -> None:
    parameters = json.dumps({"threshold": threshold})
    await world.does("save_configuration", "_experiment", system=system, tag="physics", parameters=parameters)


def told(world: World) -> list[tuple[Action, dict[str, object]]]:
    return [(order.action, dict(order.parameters)) for order in world.orders]


async def notes(world: World) -> list[RunNote]:
    await world.clock.advance(1)
    (run,) = await world.runs()
    return [note for note in run.notes if note.kind == "reconfigure"]


async def test_saved_parameters_reach_an_active_system_and_nothing_moves() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        before, moves = await world.system("STS"), await world.moves()
        assert before
        world.orders.clear()
        await save(world, "STS", 20)
        refused = await world.ask("start")
        assert refused.cause
        assert refused.cause.message.endswith("changed since STS was configured with physics-A: reconfigure")
        assert (await world.does("reconfigure")).kind is EventKind.DONE
        after = await world.system("STS")
        assert after
        assert told(world) == [(Action.RECONFIGURE, {"threshold": 20})]
        assert (after.state, after.since_ns, after.base) == ("Active", before.since_ns, before.base)
        assert after.key != before.key
        assert await world.moves() == moves
        assert (await world.does("start")).kind is EventKind.DONE
        (run,) = await world.runs()
        assert run.configurations["STS"].parameters == {"threshold": 20}


async def test_what_is_done_is_what_the_plan_showed() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await save(world, "STS", 20)
        await world.clock.advance(1)
        service = RunsService(FaultyBus(server=world.bus.server), world.clock, world.section, world.database)
        context = service._context
        world.begin("states", context.system_states.run)
        await world.clock.advance(2)
        for query in (PlanQuery(partition="A", goal="", reconfigure=True), PlanQuery(partition="A", goal="QA_Active")):
            plan = await plan_for(context, query)
            assert [(one.system, one.action) for stage in plan.stages for one in stage.steps] == [
                ("STS", Action.RECONFIGURE)
            ]
            assert (plan.goal, plan.obstacle) == ("QA_Active", None)


@pytest.mark.parametrize("takes_s", [0.0, 0.5])
async def test_during_a_run_it_must_be_asked_for_and_is_noted(takes_s: float) -> None:
    async with experiment(able(takes_s)) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "STS", 20)
        await save(world, "QA", 30)
        refused = await world.ask("reconfigure")
        assert refused.cause
        assert refused.cause.code == "run_open"
        assert "while_recording" in refused.cause.suggestion
        assert (await world.does("reconfigure", by="local", while_recording=True)).kind is EventKind.DONE
        found = await notes(world)
        assert sorted((note.system, note.text, note.author) for note in found) == [
            ("QA", "reconfigured, physics: threshold 10 → 30", "local"),
            ("STS", "reconfigured, physics: threshold 10 → 20", "local"),
        ]
        assert all(note.time_ns > 0 for note in found)
        shown = await world.partition()
        assert shown
        assert (shown.state, shown.run) == ("Recording", 1)
        await save(world, "STS", 25)
        await world.does("reconfigure", while_recording=True)
        assert [note.text for note in await notes(world)][-1] == "reconfigured, physics: threshold 20 → 25"
        assert (await world.does("stop")).kind is EventKind.DONE
        (run,) = await world.runs()
        assert run.configurations["STS"].parameters == {"threshold": 10}, "the run began with these"
        assert run.flags == ()


async def test_a_failure_leaves_the_earlier_parameters_and_says_why() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "STS", 20)
        await world.say("STS", "fault", name="fail")
        end = await world.does("reconfigure", while_recording=True)
        assert end.kind is EventKind.FAILED
        assert end.cause
        assert end.cause.message == "STS did not reconfigure: simulated failure of the change in place"
        await world.clock.advance(1)
        shown = await world.partition()
        assert shown
        assert (shown.state, shown.run) == ("Recording", 1)
        member = next(one for one in shown.members if one.system == "STS")
        assert member.in_place
        assert (member.tag, member.cause and member.cause.message) == (
            "physics",
            "simulated failure of the change in place",
        )
        assert await notes(world) == []
        assert (await world.does("reconfigure", while_recording=True)).kind is EventKind.DONE
        await world.clock.advance(1)
        shown = await world.partition()
        assert shown
        assert [one.cause for one in shown.members] == [None] * len(shown.members)


async def test_a_change_that_hangs_ends_at_its_deadline_and_the_run_goes_on() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "STS", 20)
        await world.say("STS", "fault", name="hang")
        end = await world.does("reconfigure", while_recording=True)
        assert end.kind is EventKind.FAILED
        state = await world.system("STS")
        assert state
        assert (state.state, state.tag, state.key) == ("Active", "physics", "")
        shown = await world.partition()
        assert shown
        assert (shown.state, shown.run) == ("Recording", 1)


async def test_a_stop_ends_a_change_that_hangs() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "QA", 20)
        await world.say("QA", "fault", name="hang")
        assert (await world.ask("reconfigure", while_recording=True)).accepted
        await world.clock.advance(1)
        began_ns = world.clock.now_ns()
        assert (await world.does("stop")).kind is EventKind.DONE
        assert world.clock.now_ns() - began_ns < 5_000_000_000
        assert (await world.ask("start")).cause, "it is not known which parameters QA has"
        assert (await world.does("reconfigure")).kind is EventKind.DONE
        assert (await world.does("start")).kind is EventKind.DONE


async def test_a_system_that_cannot_do_it_is_named_and_configured_as_before() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await save(world, "STS", 20)
        await save(world, "MVD", 20)
        refused = await world.ask("reconfigure")
        assert refused.cause
        assert refused.cause.code == "not_in_place"
        assert "MVD" in refused.cause.message
        world.orders.clear()
        await world.does("configure_all")
        assert {order.action for order in world.orders} == {Action.CONFIGURE}


async def test_parameters_that_were_saved_a_moment_ago_are_given() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        world.orders.clear()
        # Saved without the message that lets run control read it.
        await world.database.configurations.save("STS", "physics", {"threshold": 20}, "anna")
        assert (await world.does("reconfigure")).kind is EventKind.DONE
        assert told(world) == [(Action.RECONFIGURE, {"threshold": 20})]


async def test_nothing_is_ordered_where_nothing_has_changed() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        world.orders.clear()
        end = await world.does("reconfigure")
        assert end.message.startswith("nothing to be done")
        assert world.orders == []


async def test_a_sequence_changes_the_parameter_in_place_between_its_runs() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        world.orders.clear()
        await world.does("sequence", system="STS", parameter="threshold", values="1,2", seconds=1)

        async def is_over() -> bool:
            return any(event.action == "sequence_over" for event in await world.events())

        await world.until(is_over, seconds=120)
        assert Action.CONFIGURE not in {order.action for order in world.orders}
        assert {run.configurations["STS"].parameters["threshold"] for run in await world.runs()} == {1, 2}
        assert [run.end and run.end.value for run in await world.runs()] == ["limit", "limit"]


async def test_the_next_owner_goes_on_with_a_change() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        moves = await world.moves()
        await save(world, "STS", 20)
        reply = await world.ask("reconfigure", while_recording=True)
        assert reply.accepted
        await world.clock.advance(0.1)
        await world.kill("runs")
        world.begin_runs("second")
        await world.reaches("Recording")
        await world.clock.advance(3)
        ends = [one.kind for one in await world.events() if one.command_id == reply.id and one.kind in OVER]
        assert ends == [EventKind.DONE]
        assert await world.moves() == moves
        assert [note.system for note in await notes(world)] == ["STS"]


async def test_a_change_that_ends_while_no_owner_is_there_is_noted_once() -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "STS", 20)
        assert (await world.ask("reconfigure", while_recording=True)).accepted
        await world.clock.advance(0.1)
        for number in range(3):
            await world.kill("runs" if number == 0 else f"runs{number}")
            await world.clock.advance(1)
            world.begin_runs(f"runs{number + 1}")
            await world.reaches("Recording")
            await world.clock.advance(3)
        assert [(note.system, note.text) for note in await notes(world)] == [
            ("STS", "reconfigured, physics: threshold 10 → 20")
        ]


async def test_a_change_whose_answer_was_lost_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with experiment(able()) as world:
        await world.does("configure_all")
        await world.does("start")
        await save(world, "STS", 20)
        bus = world.buses["runs"]
        sent = bus.request

        async def lost(subject: str, data: bytes, *, timeout_s: float) -> Message:
            answer = await sent(subject, data, timeout_s=timeout_s)
            if subject == "agent.STS":
                raise LinkError("the answer is lost", source="bus")
            return answer

        monkeypatch.setattr(bus, "request", lost)
        end = await world.does("reconfigure", while_recording=True)
        assert end.kind is EventKind.FAILED
        assert [note.system for note in await notes(world)] == ["STS"]


async def test_agents_that_begin_anew_can_still_be_changed_in_place(tmp_path: Path) -> None:
    world = World(able(), folder=tmp_path)
    async with experiment(world=world):
        await world.does("configure_all")
        await world.end("agents")
        world.begin_agents()
        await world.clock.advance(3)
        await world.does("configure_all")
        await save(world, "STS", 20)
        world.orders.clear()
        assert (await world.does("reconfigure")).kind is EventKind.DONE
        assert told(world) == [(Action.RECONFIGURE, {"threshold": 20})]
