"""What a partition promises, seen from the bus, with real agents and time standing still."""

from __future__ import annotations

import asyncio
import json

import pytest

from countingroom.console.present.latest import Latest
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Catalogue, Command, EventKind, Readings, Reply, decode, encode
from countingroom.core.points import Point, Type
from countingroom.core.policy import Role
from countingroom.core.run_book import RunEnd
from countingroom.core.run_queries import PlanAnswer, PlanQuery
from countingroom.core.values import Quality
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import DETECTORS, GLOBALS, World, description, experiment


async def test_a_partition_is_configured_started_and_stopped() -> None:
    async with experiment() as world:
        assert (await world.does("configure_all")).kind is EventKind.DONE
        shown = await world.reaches("QA_Active")
        assert all(member.right and member.seen == "Active" for member in shown.members)
        assert (await world.does("start")).kind is EventKind.DONE
        shown = await world.reaches("Recording")
        assert shown.run == 1
        assert (await world.does("stop")).kind is EventKind.DONE
        await world.reaches("QA_Active")
        (run,) = await world.runs()
        assert (run.number, run.end, run.requested_by, run.ended_by) == (1, RunEnd.STOPPED, "local", "local")
        assert run.started_ns is not None and run.ended_ns is not None
        assert set(run.configurations) == {"TFC", "STS", "MVD", "FLES", "DCS", "QA"}
        assert (await world.moves())[-2:] == [
            ("QA_Active", "start_recording", "Recording"),
            ("Recording", "stop_recording", "QA_Active"),
        ]


async def test_a_step_at_a_time_leads_through_every_state_of_the_template() -> None:
    async with experiment() as world:
        for state in ("TFC_Active", "Detectors_Active", "FLES_and_DCS_Active", "QA_Active"):
            await world.does("configure")
            await world.reaches(state)
        assert (await world.does("abort")).kind is EventKind.DONE
        await world.reaches("Idle")


async def test_a_partition_whose_owner_is_killed_while_it_records_goes_on_under_the_next_one() -> None:
    async with experiment() as world:
        world.begin_runs("second")
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        before = len(world.orders)
        await world.kill("runs")
        await world.until(lambda: _owned_by(world, "second"), seconds=2.0)
        shown = await world.reaches("Recording")
        await world.clock.advance(5)
        assert (shown.run, len(world.orders)) == (1, before)
        assert [run.end for run in await world.runs()] == [None]
        await world.does("stop")
        await world.reaches("QA_Active")
        assert [run.end for run in await world.runs()] == [RunEnd.STOPPED]


async def test_a_process_is_present_for_the_partitions_that_it_owns_and_not_for_those_it_stands_by_for() -> None:
    async with experiment() as world:
        latest = Latest(world.bus.client(), world.clock)
        world.begin("latest", latest.run)
        world.begin_runs("second")

        def owned() -> dict[str, tuple[str, ...]]:
            return {one.instance: one.targets for one in latest.roster.present() if one.role == "runs"}

        await world.until(lambda: owned() == {"runs": ("partition.A",), "second": ()})
        await world.kill("runs")
        await world.until(lambda: owned() == {"second": ("partition.A",)}, seconds=5.0)
        assert latest.alive["partition.A"] is True
        await world.kill("second")
        await world.until(lambda: latest.alive["partition.A"] is False, seconds=3.6)
        world.begin_runs()
        await world.until(lambda: latest.alive["partition.A"], seconds=5.0)
        await world.end("latest")


async def test_an_owner_that_is_cut_off_stops_acting_and_stands_by_when_it_is_back() -> None:
    async with experiment(description({"kind": "simulated", "configure": "2 s"})) as world:
        world.begin_runs("second")
        await world.ask("configure_all")
        await world.clock.advance(3)
        world.buses["runs"].cut()
        await world.until(lambda: _owned_by(world, "second"), seconds=7.0)
        world.buses["runs"].mend()
        await world.reaches("QA_Active")
        await world.clock.advance(5)
        assert await _owned_by(world, "second")
        fences = [order.fence for order in world.orders]
        assert fences == sorted(fences) and len(set(fences)) == 2
        assert len(world.orders) == 6


async def test_an_owner_whose_lease_ran_out_and_was_taken_by_no_other_goes_on_under_a_new_one() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        before = [order.fence for order in world.orders]
        world.buses["runs"].cut()
        await world.clock.advance(8)
        world.buses["runs"].mend()
        await world.does("stop")
        await world.reaches("QA_Active")
        assert [run.end for run in await world.runs()] == [RunEnd.STOPPED]
        assert world.orders[-1].fence > max(before)
        told = [one.message for one in await world.events() if "own" in one.message or "lease" in one.message]
        assert [text.split()[0:3] for text in told] == [
            ["owned", "by", "runs"],
            ["the", "lease", "was"],
            ["the", "lease", "is"],
        ]


async def test_of_an_owner_that_was_cut_off_and_the_next_one_each_says_so() -> None:
    async with experiment() as world:
        world.begin_runs("second")
        await world.reaches("Idle")
        world.buses["runs"].cut()
        await world.until(lambda: _owned_by(world, "second"), seconds=7.0)
        world.buses["runs"].mend()
        await world.clock.advance(3)
        told = [one.message for one in await world.events() if "owned by" in one.message]
        assert [text.partition(" at ")[0] for text in told[:2]] == ["owned by runs", "owned by second"]
        assert "no longer owned by runs" in told[2] and "held by second" in told[2]


async def test_a_goal_is_gone_on_with_by_the_next_owner() -> None:
    async with experiment(description(agent={"kind": "simulated", "configure": "2 s"})) as world:
        world.begin_runs("second")
        reply = await world.ask("configure_all")
        await world.clock.advance(3)
        await world.kill("runs")
        await world.reaches("QA_Active")
        ends = [e.kind for e in await world.events() if e.command_id == reply.id and e.kind is EventKind.DONE]
        assert ends == [EventKind.DONE]
        assert [(order.action, order.partition) for order in world.orders].count(("configure", "A")) == 6


async def test_a_run_that_ended_while_nobody_looked_is_closed_by_the_next_owner_as_such() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.kill("runs")
        for name in ("agents",):
            await world.end(name)
        await world.clock.advance(5)
        world.begin_agents()
        await world.clock.advance(5)
        world.begin_runs("second")
        await world.until(lambda: _closed(world))
        assert [run.end for run in await world.runs()] == [RunEnd.OWNER_DIED]


async def test_another_tag_is_reason_enough_to_go_where_it_is_already() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        systems = dict.fromkeys(("TFC", "STS", "MVD", "FLES", "DCS"), "physics") | {"QA": "tests"}
        await world.does("save_tag", "_experiment", name="other", systems=json.dumps(systems))
        before = len(world.orders)
        assert (await world.does("goal", state="QA_Active", tag="other")).kind is EventKind.DONE
        await world.reaches("QA_Active")
        state = await world.system("QA", "A")
        assert state and state.tag == "tests"
        assert [order.action for order in world.orders[before:]] == ["configure"]


async def test_a_partition_without_template_takes_no_other_one_down() -> None:
    async with experiment(runs=False) as world:
        await world.database.partitions.create("X", "forgotten", "", "anna")
        await world.database.mapping.create("STS", "anna")
        await world.database.partitions.create("A", "cbm", "", "anna")
        world.begin_runs()
        await world.until(world.partition)
        await world.clock.advance(5)
        assert (await world.ask("lock")).accepted
        shown = await world.partition("X")
        assert shown is not None
        assert shown.cause is not None
        assert (shown.state, shown.cause.code) == ("Idle", "no_template")


async def test_a_run_stops_by_itself_when_its_time_is_over() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start", seconds=10)
        await world.reaches("QA_Active")
        (run,) = await world.runs()
        assert run.end is RunEnd.LIMIT and run.started_ns and run.ended_ns
        assert 10.0 <= (run.ended_ns - run.started_ns) / 1e9 < 11.0


async def test_a_run_stops_by_itself_when_a_point_passes_its_limit() -> None:
    async with experiment() as world:
        await publish(world)
        await world.does("configure_all")
        await world.does("start", point="caen.current", above=5)
        await world.clock.advance(2)
        for sequence, value in enumerate((4.0, 6.0), 1):
            assert await _records(world)
            await publish(world, value, sequence)
            await world.clock.advance(1)
        await world.reaches("QA_Active")
        (run,) = await world.runs()
        assert run.end is RunEnd.LIMIT
        assert "caen.current is 6.0, above 5" in [note.text for note in run.notes]


async def test_each_row_of_a_message_counts_for_a_limit() -> None:
    async with experiment() as world:
        await publish(world)
        await world.does("configure_all")
        await world.does("start", point="caen.current", above=5)
        await world.clock.advance(2)
        assert await _records(world)
        rows = Readings(
            device="caen",
            boot="b",
            sequence=1,
            full=False,
            sent_ns=0,
            points=["current"] * 3,
            values=[4.0, 6.0, 4.0],
            qualities=[int(Quality.GOOD)] * 3,
            device_ns=[0] * 3,
            received_ns=[0] * 3,
        )
        await world.bus.append(subjects.readings("caen", full=False), encode(rows))
        await world.reaches("QA_Active")
        (run,) = await world.runs()
        assert "caen.current is 6.0, above 5" in [note.text for note in run.notes]


@pytest.mark.parametrize(
    ("quality", "stops"),
    [(Quality.GOOD, True), (Quality.UNCERTAIN, True), (Quality.STALE, False), (Quality.BAD, False)],
)
async def test_only_a_present_value_ends_a_run(quality: Quality, stops: bool) -> None:
    async with experiment() as world:
        await publish(world)
        await world.does("configure_all")
        await world.does("start", point="caen.current", above=5)
        await world.clock.advance(2)
        await publish(world, 6.0, 1, full=False, quality=quality)
        await world.clock.advance(2)
        assert await _records(world) is not stops


@pytest.mark.parametrize(
    ("before", "silent_s", "stops"),
    [
        (((6.0, True), (4.0, False)), 1.0, False),  # it is below again
        (((4.0, True), (6.0, False)), 1.0, True),
        (((6.0, True),), 1.0, True),
        (((6.0, True),), 600.0, False),  # nobody publishes it any more
    ],
)
async def test_what_a_point_was_before_the_run_stops_it_where_it_is_so_still(
    before: tuple[tuple[float, bool], ...], silent_s: float, stops: bool
) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        for sequence, (value, full) in enumerate(before, 1):
            await publish(world, value, sequence, full=full)
        await world.clock.advance(silent_s)
        await world.does("start", point="caen.current", above=5)
        await world.clock.advance(2)
        assert await _records(world) is not stops


@pytest.mark.parametrize("point", ["ca en.current", "cean.current", "caen.curent", "caen.", "caen.name"])
async def test_a_run_whose_condition_can_never_be_met_is_not_begun(point: str) -> None:
    async with experiment() as world:
        await publish(world)
        await world.does("configure_all")
        refused = await world.ask("start", point=point, above=5)
        assert refused.cause and refused.cause.suggestion
        assert refused.cause.code in ("not_found", "wrong_argument")
        assert await world.runs() == ()


async def publish(
    world: World, value: float = 0.0, sequence: int = 0, *, full: bool = True, quality: Quality = Quality.GOOD
) -> None:
    """What the host of a device tells: what it is, and a reading."""
    points = (Point(name="current"), Point(name="name", type=Type.STRING))
    catalogue = Catalogue(device="caen", title="", driver="", group="", points=points)
    await world.bus.put(subjects.STATE_BUCKET, subjects.catalogue_key("caen"), encode(catalogue))
    reading = Readings(
        device="caen",
        boot="b",
        sequence=sequence,
        full=full,
        sent_ns=0,
        points=["current"],
        values=[value],
        qualities=[int(quality)],
        device_ns=[0],
        received_ns=[0],
    )
    await world.bus.append(subjects.readings("caen", full=full), encode(reading))


async def test_what_is_not_allowed_is_refused_with_a_suggestion_and_recorded() -> None:
    async with experiment() as world:
        for action, arguments in (
            ("start", {}),
            ("fly", {}),
            ("configure", {"speed": 1}),
            ("select", {"tag": "nothing"}),
            ("exclude", {"system": "RICH"}),
            ("goal", {"state": "Heaven"}),
            ("flag", {"quality": "good"}),
        ):
            reply = await world.ask(action, **arguments)
            assert not reply.accepted and reply.cause and reply.cause.suggestion, action
            told = [event for event in await world.events() if event.command_id == reply.id]
            assert [event.kind for event in told] == [EventKind.REFUSED]
        await world.does("configure")
        assert (await world.ask("configure", id="c8")).cause.code == "repeated"


async def test_stop_is_done_where_no_run_is_recorded() -> None:
    async with experiment() as world:
        ended = await world.does("stop")
        assert ended.kind is EventKind.DONE
        assert "nothing to be done" in ended.message


async def test_one_person_at_a_time_is_in_control() -> None:
    async with experiment() as world:
        assert (await world.ask("take_control", by="anna")).accepted
        refused = await world.ask("configure", by="ben")
        assert refused.cause and refused.cause.code == "in_control" and "anna" in refused.cause.message
        assert (await world.ask("request_control", by="ben")).accepted
        assert (await world.ask("hand_over", by="anna", to="ben")).accepted
        assert (await world.ask("configure", by="ben")).accepted
        control = await world.control()
        assert control and (control.holder, control.token) == ("ben", 2)
        assert (await world.ask("force_control", by="anna")).accepted
        await world.reaches("TFC_Active")
        await world.clock.advance(1141)
        assert any("loses control" in event.message for event in await world.events())
        await world.clock.advance(70)
        control = await world.control()
        assert control and control.holder == ""
        assert (await world.ask("configure", by="ben")).accepted


async def test_control_is_handed_over_to_somebody_who_may_have_it_alone() -> None:
    async with experiment() as world:
        for name, role in (("anna", Role.SHIFTER), ("ben", Role.SHIFTER), ("vera", Role.VIEWER)):
            await world.database.users.create(name, "test", roles={"partition.*": role})
        assert (await world.ask("take_control", by="anna")).accepted
        for nobody in ("vera", "bem"):
            refused = await world.ask("hand_over", by="anna", to=nobody)
            assert refused.cause and refused.cause.code == "wrong_argument" and nobody in refused.cause.message
        control = await world.control()
        assert control and control.holder == "anna"
        assert (await world.ask("hand_over", by="anna", to="ben")).accepted


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("action", ["abort", "stop"])
async def test_a_run_can_be_stopped_while_the_database_is_away(
    action: str, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with experiment() as world:
        for name in ("anna", "ben"):
            await world.database.users.create(name, "test", roles={"*": Role.SHIFTER})
        await world.ask("configure_all", by="anna")
        await world.reaches("QA_Active")
        await world.ask("start", by="anna")
        await world.reaches("Recording")

        async def away(*_: object, **__: object) -> None:
            if hangs:
                await world.clock.sleep(3600)
            raise LinkError("the disk is gone", source="storage")

        monkeypatch.setattr(world.database._store, "_run", away)
        reply = await world.ask(action, by="ben")
        assert reply.accepted, str(reply.cause)
        await world.reaches("Idle" if action == "abort" else "QA_Active")


async def asked_at_once(world: World, *asked: tuple[str, str, str]) -> list[Reply]:
    """The answers where (who, action, system) reach the owner before the first of them is answered."""
    now_ns = world.clock.now_ns()
    asking = [
        asyncio.create_task(
            world.bus.request(
                subjects.command(by, "runs", "A"),
                encode(
                    Command(
                        id=f"once{number}",
                        action=action,
                        arguments={"system": system},
                        issued_ns=now_ns,
                        deadline_ns=now_ns + 10_000_000_000,
                    )
                ),
                timeout_s=60.0,
            )
        )
        for number, (by, action, system) in enumerate(asked)
    ]
    await world.until(lambda: all(one.done() for one in asking))
    return [decode((await one).data, Reply) for one in asking]


async def test_of_two_who_act_at_the_same_moment_one_acts_and_the_other_is_told_who_is_in_control() -> None:
    async with experiment() as world:
        anna, ben = await asked_at_once(world, ("anna", "exclude", "STS"), ("ben", "exclude", "MVD"))
        assert anna.accepted and not ben.accepted
        assert ben.cause and ben.cause.code == "in_control" and "anna" in ben.cause.message
        record = await world.database.partitions.get("A")
        assert record.excluded == ("STS",)


async def test_what_was_done_is_not_told_as_refused_where_control_cannot_be_written() -> None:
    async with experiment() as world:
        world.buses["runs"].fails = lambda key: key == subjects.control_key("A")
        first, second = await asked_at_once(world, ("anna", "exclude", "STS"), ("anna", "exclude", "MVD"))
        assert first.accepted and second.accepted
        record = await world.database.partitions.get("A")
        assert record.excluded == ("MVD", "STS")
        told = [event.kind for event in await world.events() if event.command_id == first.id]
        assert told == [EventKind.COMMAND, EventKind.DONE]


async def test_a_scan_takes_every_value_and_puts_the_configuration_back() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("sequence", system="STS", parameter="threshold", values="5,6,7", seconds=3, name="scan")
        await world.until(lambda: _sequence_over(world), seconds=120)
        runs = list(reversed(await world.runs()))
        assert [run.configurations["STS"].parameters["threshold"] for run in runs] == [5, 6, 7]
        assert [run.end for run in runs] == [RunEnd.LIMIT] * 3
        assert {run.sequence for run in runs} == {"scan"}
        wanted = await world.database.partitions.wanted("A")
        assert wanted.systems["STS"].tag == "physics"


async def test_a_scan_goes_on_under_the_next_owner() -> None:
    async with experiment() as world:
        world.begin_runs("second")
        await world.does("configure_all")
        await world.does("sequence", system="STS", parameter="threshold", values="5,6", seconds=5, name="scan")
        await world.until(lambda: _records(world))
        await world.kill("runs")
        await world.until(lambda: _sequence_over(world), seconds=120)
        assert [run.end for run in await world.runs()] == [RunEnd.LIMIT] * 2


async def test_a_plan_is_shown_and_nothing_is_touched() -> None:
    async with experiment() as world:
        query = encode(PlanQuery(partition="A", goal="Recording"))
        asking = asyncio.create_task(world.bus.request(subjects.query("runs", "plan"), query, timeout_s=5))
        await world.until(asking.done)
        plan = decode((await asking).data, PlanAnswer).plan
        assert [sorted(step.system for step in stage.steps) for stage in plan.stages] == [
            ["TFC"],
            ["MVD", "STS"],
            ["DCS", "FLES"],
            ["QA"],
            ["QA"],
            ["FLES"],
        ]
        assert not world.orders


async def test_the_time_a_plan_takes_is_known_after_it_was_gone_once_also_to_the_next_process() -> None:
    async with experiment(description({"kind": "simulated", "configure": "2 s", "start": "1 s"})) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.does("abort")
        await world.clock.advance(6)
        await world.kill("runs")
        world.begin_runs("second")
        await world.until(lambda: _owned_by(world, "second"))
        query = encode(PlanQuery(partition="A", goal="Recording"))
        asking = asyncio.create_task(world.bus.request(subjects.query("runs", "plan"), query, timeout_s=5))
        await world.until(asking.done)
        plan = decode((await asking).data, PlanAnswer).plan
        assert plan.expected_s is not None and 10.0 <= plan.expected_s < 11.0


async def test_a_killed_agent_takes_its_partition_down_and_the_run_is_closed_as_lost() -> None:
    async with experiment(agents=False, runs=False) as world:
        world.begin_agents("TFC", "FLES", "DCS", "QA", "MVD")
        world.begin_agents("STS")
        world.begin_runs()
        await world.until(world.partition)
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.end("agents of STS")
        shown = await world.reaches("TFC_Active")
        assert shown.cause and "STS" in shown.cause.message
        await world.until(lambda: _closed(world))
        (run,) = await world.runs()
        assert run.end is RunEnd.LOST
        assert any(note.system == "STS" for note in run.notes)


async def _owned_by(world: World, name: str) -> bool:
    found = await world.partition()
    return found is not None and found.owner.startswith(name)


async def _records(world: World) -> bool:
    found = await world.partition()
    return found is not None and found.state == "Recording"


async def _closed(world: World) -> bool:
    return all(run.end for run in await world.runs())


async def _sequence_over(world: World) -> bool:
    return any(event.action == "sequence_over" for event in await world.events())


async def test_a_goal_with_another_tag_configures_what_differs_and_the_run_has_that_tag() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        tag = dict.fromkeys(("TFC", "STS", "MVD", "FLES", "DCS", "QA"), "physics")
        await world.database.tags.save("night", tag | {"STS": "tests"}, "ada")
        assert (await world.does("goal", state="Recording", tag="night")).kind is EventKind.DONE
        shown = await world.reaches("Recording")
        assert shown.tag == "night"
        assert {member.system: member.tag for member in shown.members}["STS"] == "tests"
        (run,) = await world.runs()
        assert (run.tag, run.configurations["STS"].tag) == ("night", "tests")
        await world.does("stop")
        again = await world.does("goal", state="QA_Active", tag="night")
        assert (again.kind, again.message) == (EventKind.DONE, "nothing to be done: A is in QA_Active already")


async def test_start_and_stop_reach_every_member_with_the_number_of_the_run() -> None:
    plain = description().model_dump(mode="json", by_alias=True, exclude_unset=True)
    template = RunsSection.model_validate({}).templates["cbm"].model_dump(mode="json", by_alias=True)
    template |= {"recorders": ["all", "TFC"], "stop_order": ["TFC", "all"]}
    section = RunsSection.model_validate({**plain, "templates": {"cbm": template}})
    async with experiment(section) as world:
        await world.does("configure_all")
        await world.does("start")
        every = [await world.system(name, "" if name in DETECTORS else "A") for name in (*GLOBALS, "STS", "MVD")]
        assert [(one.common, one.run) for one in every if one] == [("Recording", 1)] * 6
        await world.does("stop")
        given = [(order.action.value, order.run) for order in world.orders if order.action in ("start", "stop")]
        assert sorted(given) == [("start", 1)] * 6 + [("stop", 1)] * 6
        (run,) = await world.runs()
        assert run.flags == ()
