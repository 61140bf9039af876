"""Detectors are moved all together or not at all, and no partition stays held when a process dies during the move."""

from __future__ import annotations

import json

from countingroom.core import subjects
from countingroom.core.messages import EventKind, decode
from countingroom.core.systems import Placement
from countingroom.runs.sections.system import TypeSection
from tests.scenario.experiment import World, description, experiment

TWO = description(A=("STS", "MVD"), B=("TRD",))


async def members(world: World, partition: str) -> set[str]:
    shown = await world.partition(partition)
    assert shown is not None
    return {member.system for member in shown.members if member.kind == "detector"}


async def is_free(world: World) -> bool:
    shown = [await world.partition(name) for name in ("A", "B")]
    return all(one is not None and not one.locked for one in shown)


async def test_detectors_are_moved_together_between_partitions_and_out_of_them() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        assert (await world.does("move", "_experiment", detectors="STS,MVD", to="B")).kind is EventKind.DONE
        await world.until(lambda: is_free(world))
        assert (await members(world, "A"), await members(world, "B")) == (set(), {"STS", "MVD", "TRD"})
        assert (await world.does("move", "_experiment", detectors="TRD", to="")).kind is EventKind.DONE
        entry = await world.bus.get(subjects.STATE_BUCKET, subjects.MAPPING_KEY)
        assert entry and entry.data
        assert decode(entry.data, Placement).detectors == {"STS": "B", "MVD": "B", "TRD": ""}


async def test_a_detector_that_was_moved_is_configured_by_its_new_partition() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("move", "_experiment", detectors="MVD", to="B")
        systems = json.dumps(dict.fromkeys(("TFC", "FLES", "DCS", "QA", "TRD", "MVD"), "physics"))
        await world.does("save_tag", "_experiment", name="more", systems=systems)
        await world.does("select", "B", tag="more")
        assert (await world.does("configure_all", "B")).kind is EventKind.DONE
        await world.reaches("QA_Active", "B")
        state = await world.system("MVD")
        assert state and (state.partition, state.common) == ("B", "Active")


async def test_a_partition_that_is_busy_keeps_its_detectors_unless_forced() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("configure_all")
        await world.does("start")
        end = await world.does("move", "_experiment", detectors="STS", to="B")
        assert end.kind is EventKind.FAILED and end.cause and end.cause.code == "busy"
        assert await world.database.mapping.all() == {"STS": "A", "MVD": "A", "TRD": "B"}
        assert await is_free(world)
        assert (await world.does("move", "_experiment", detectors="STS", to="B", force=True)).kind is EventKind.DONE
        await world.until(lambda: is_free(world))
        assert await members(world, "B") == {"STS", "TRD"}


async def test_a_detector_without_agent_is_moved_with_force_only() -> None:
    async with experiment(TWO, agents=False) as world:
        world.begin_agents("TFC", "FLES", "DCS", "QA", "MVD", "TRD")
        await world.until(lambda: world.partition("B"))
        await world.clock.advance(3)
        refused = await world.ask("move", "_experiment", detectors="STS,MVD", to="B")
        assert refused.cause and [cause.source for cause in refused.cause.causes] == ["mapping.STS"]
        assert (await world.does("move", "_experiment", detectors="STS,MVD", to="B", force=True)).kind is EventKind.DONE


async def test_a_partition_nobody_owns_holds_up_a_move_unless_forced() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        world.buses["runs"].fails = lambda where: where == subjects.owner("B")
        end = await world.does("move", "_experiment", detectors="STS", to="B")
        assert end.kind is EventKind.FAILED
        assert (await world.database.mapping.all())["STS"] == "A"
        await world.until(lambda: is_free(world))
        assert (await world.does("move", "_experiment", detectors="STS", to="B", force=True)).kind is EventKind.DONE
        await world.until(lambda: is_free(world))


async def test_what_fails_after_the_database_was_written_is_put_back() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        failures = [subjects.MAPPING_KEY]
        world.buses["runs"].fails = lambda where: where in failures and bool(failures.pop())
        end = await world.does("move", "_experiment", detectors="STS", to="B")
        assert end.kind is EventKind.FAILED and not failures
        assert (await world.database.mapping.all())["STS"] == "A"
        await world.until(lambda: is_free(world))
        assert "STS" in await members(world, "A")


async def test_a_detector_of_a_type_that_the_description_does_not_know_is_not_created() -> None:
    rows = [["Idle", "configure", "Configuring"], ["Configuring", "success", "Active"], ["Active", "abort", "Idle"]]
    kind = TypeSection.model_validate({"table": rows, "section": "tracker"})
    system = TWO.systems["STS"].model_copy(update={"type": kind})
    async with experiment(TWO.model_copy(update={"systems": {**TWO.systems, "STS": system}})) as world:
        await world.until(lambda: world.partition("B"))
        refused = await world.ask("create_detector", "_experiment", name="RICH", type="traker")
        assert refused.cause and refused.cause.code == "not_found"
        assert refused.cause.message == "no system of the description has the type traker; did you mean tracker?"
        for name, given in (("RICH", "tracker"), ("TOF", "")):
            done = await world.does("create_detector", "_experiment", name=name, type=given)
            assert done.kind is EventKind.DONE
        assert {"RICH", "TOF"} <= set(await world.database.mapping.all())
    async with experiment(TWO) as world:  # it names no types: then it is a text for people
        await world.until(lambda: world.partition("B"))
        done = await world.does("create_detector", "_experiment", name="RICH", type="calorimeter")
        assert done.kind is EventKind.DONE


async def test_a_coordinator_that_is_killed_on_the_way_leaves_no_partition_held() -> None:
    async with experiment(TWO) as world:
        world.begin_runs("second")
        await world.until(lambda: world.partition("B"))
        await world.ask("move", "_experiment", detectors="STS", to="B")
        await world.kill("runs")
        await world.clock.advance(20)
        assert await is_free(world)
        where = await world.database.mapping.all()
        assert {name for name, at in where.items() if at == "B"} == await members(world, "B")
        assert {name for name, at in where.items() if at == "A"} == await members(world, "A")


async def test_partitions_and_detectors_come_and_go() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("create_partition", "_experiment", name="C")
        await world.until(lambda: world.partition("C"))
        await world.does("move", "_experiment", detectors="TRD", to="C")
        refused = await world.does("delete_partition", "_experiment", name="C")
        assert refused.kind is EventKind.FAILED and refused.cause and "TRD" in refused.cause.message
        assert (await world.does("delete_partition", "_experiment", name="C", force=True)).kind is EventKind.DONE
        await world.clock.advance(3)
        assert await world.partition("C") is None
        assert (await world.database.mapping.all())["TRD"] == ""
        assert (await world.does("delete_detector", "_experiment", name="TRD")).kind is EventKind.DONE
        assert (await world.does("create_detector", "_experiment", name="RICH")).kind is EventKind.DONE
        assert set(await world.database.mapping.all()) == {"STS", "MVD", "RICH"}
        at_once = await world.ask("move", "_experiment", detectors="RICH", to="B")
        assert at_once.cause and [cause.code for cause in at_once.cause.causes] == ["not_connected"]


async def test_a_detector_is_aborted_before_it_is_forgotten() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        refused = await world.ask("delete_detector", "_experiment", name="STS")
        assert refused.cause and "STS is in A" in str(refused.cause)
        await world.does("move", "_experiment", detectors="STS", to="")
        state = await world.system("STS")
        assert state and state.common == "Unconfigured"
        assert (await world.does("delete_detector", "_experiment", name="STS")).kind is EventKind.DONE


async def test_a_run_of_a_partition_that_is_no_more_is_commented_on_and_judged() -> None:
    async with experiment(TWO) as world:
        await world.does("configure_all")
        await world.does("start")
        refused = await world.ask("comment", "_experiment", run=1, text="too early")
        assert refused.cause and refused.cause.suggestion == "send the command to the partition A"
        await world.does("abort")
        await world.until(lambda: _is_closed(world))
        assert (await world.does("delete_partition", "_experiment", name="A", force=True)).kind is EventKind.DONE
        await world.does("comment", "_experiment", run=1, text="seen later")
        await world.does("flag", "_experiment", run=1, quality="bad")
        (run,) = await world.runs()
        assert run.quality == "bad" and "seen later" in [note.text for note in run.notes]


async def _is_closed(world: World) -> bool:
    return all(run.end for run in await world.runs())


async def test_a_configuration_that_is_changed_is_wanted_at_once() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.reaches("QA_Active")
        parameters = json.dumps({"threshold": 11})
        await world.does("save_configuration", "_experiment", system="FLES", tag="physics", parameters=parameters)
        before = len(world.orders)
        await world.clock.advance(1)
        await world.does("configure_all")
        await world.reaches("QA_Active")
        assert len(world.orders) - before == 2


async def test_a_document_is_imported_whole_and_its_record_is_short() -> None:
    async with experiment() as world:
        many = {f"parameter_{number}": number for number in range(5000)}
        document = json.dumps({"configurations": {"STS": {"physics": many}}})
        assert (await world.does("import", "_experiment", document=document)).kind is EventKind.DONE
        assert (await world.database.configurations.get("STS", "physics")).parameters == many
        assert all(len(event.message) < 1000 for event in await world.events("_experiment"))


async def test_an_import_that_names_a_system_that_is_not_there_changes_nothing() -> None:
    async with experiment() as world:
        document = json.dumps({"configurations": {"STS": {"new": {"a": 1}}, "MVT": {"new": {"a": 1}}}})
        cause = (await world.ask("import", "_experiment", document=document)).cause
        assert cause and cause.causes[0].message == "there is no system MVT; did you mean MVD?"
        assert all(one.tag != "new" for one in await world.database.configurations.list("STS"))


async def test_a_moved_detector_is_aborted() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("configure_all")
        await world.does("move", "_experiment", detectors="STS", to="B")
        await world.clock.advance(1)
        moved, stayed = await world.system("STS"), await world.system("MVD")
        assert moved
        assert stayed
        assert (moved.partition, moved.common, moved.key) == ("B", "Unconfigured", "")
        assert stayed.common == "Active"


async def test_a_detector_that_was_not_moved_is_left_alone_by_the_start_of_its_agent() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("configure_all")
        await world.does("create_detector", "_experiment", name="RICH")  # the placement is published again
        await world.clock.advance(1)
        state = await world.system("STS")
        assert state
        assert state.common == "Active"


async def test_a_detector_that_is_moved_out_of_a_run_is_noted_in_it_as_an_exclusion() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("configure_all")
        await world.does("start")
        end = await world.does("move", "_experiment", by="anna", detectors="STS", to="B", force=True)
        assert end.kind is EventKind.DONE
        await world.clock.advance(3)
        shown = await world.partition()
        assert shown
        assert (shown.state, shown.run) == ("Recording", 1)
        (run,) = await world.runs()
        assert [(note.kind, note.system, note.author, note.text) for note in run.notes] == [
            ("exclude", "STS", "anna", "STS is moved to B")
        ]


async def test_a_lock_by_a_person_refuses_a_forced_move_too() -> None:
    async with experiment(TWO) as world:
        await world.until(lambda: world.partition("B"))
        await world.does("lock")
        end = await world.does("move", "_experiment", detectors="STS", to="B", force=True)
        assert end.kind is EventKind.FAILED
        assert end.cause
        assert end.cause.code == "locked"
        assert (await world.database.mapping.all())["STS"] == "A"
