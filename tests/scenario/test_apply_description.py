"""An edited description is told after the next start, shown as a plan and applied as one change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from countingroom.core import subjects
from countingroom.core.apply_description.messages import ApplyAnswer, ApplyQuery, DescriptionState
from countingroom.core.messages import EventKind, decode, encode
from countingroom.core.series import QueryRefusal
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import World, description, experiment

EXPERIMENT = subjects.EXPERIMENT


def edited(change: Callable[[dict[str, Any]], object]) -> RunsSection:
    """The usual description after an edit."""
    values = description().model_dump(exclude_defaults=True)
    change(values)
    return RunsSection.model_validate(values)


def another_threshold(values: dict[str, Any]) -> None:
    values["configurations"]["STS"]["physics"]["threshold"] = 11


async def restart(world: World, section: RunsSection) -> None:
    """Run control and agents start anew with the edited description."""
    for name in list(world.tasks):
        if name != "listener":
            await world.end(name)
    world.section = section
    world.begin_agents()
    world.begin_runs()
    await world.until(lambda: state(world))
    await world.clock.advance(3)


async def state(world: World) -> DescriptionState | None:
    return await world._get(subjects.DESCRIPTION_KEY, DescriptionState)


async def plan(world: World, **query: Any) -> ApplyAnswer:
    message = await world.bus.request(subjects.query("runs", "apply"), encode(ApplyQuery(**query)), timeout_s=5.0)
    answer = decode(message.data, ApplyAnswer | QueryRefusal)
    assert isinstance(answer, ApplyAnswer), answer
    return answer


async def told(world: World) -> list[tuple[str, str]]:
    """Messages about the description, with their users."""
    return [
        (one.message, one.principal)
        for one in await world.events(EXPERIMENT)
        if one.action == "apply" and one.kind is EventKind.NOTE
    ]


async def test_the_first_start_differs_in_nothing() -> None:
    async with experiment() as world:
        await world.until(lambda: state(world))
        found = await state(world)
        assert found is not None
        assert found.counts == {}
        assert not (await plan(world)).plan.differs
        assert await told(world) == []


async def test_an_edit_is_told_shown_and_applied_once() -> None:
    def edit(values: dict[str, Any]) -> None:
        another_threshold(values)
        values["systems"]["TRD"]["parameters"] = {"properties": {"threshold": {"type": "number"}}}
        values["tags"]["noise"] = {"TRD": "tests"}

    async with experiment() as world:
        await restart(world, edited(edit))
        found = await state(world)
        assert found is not None
        assert found.counts == {"add": 2, "update": 1}
        assert await told(world) == [("the description differs from the database: 2 to add, 1 to update", "")]
        shown = (await plan(world)).plan
        assert [(one.item, one.action) for one in shown.changes] == [
            ("schema.TRD", "add"),
            ("configuration.STS.physics", "update"),
            ("tag.noise", "add"),
        ]
        done = await world.does("apply", EXPERIMENT, digest=shown.digest)
        assert (done.kind, done.data["changes"]) == (EventKind.DONE, 3)
        found = await state(world)
        assert found is not None
        assert found.counts == {}
        assert (await told(world))[1:] == [
            ("description applied: schema TRD added", "local"),
            ("description applied: configuration STS.physics updated", "local"),
            ("description applied: tag noise added", "local"),
        ]
        assert (await world.does("apply", EXPERIMENT)).data["changes"] == 0
        assert (await world.database.configurations.get("STS", "physics")).saved_by == "local"


async def test_a_recording_partition_takes_it_at_its_next_configure() -> None:
    async with experiment() as world:
        await restart(world, edited(another_threshold))
        await world.does("goal", state="Recording")
        await world.reaches("Recording")
        orders = len(world.orders)
        assert (await world.does("apply", EXPERIMENT)).kind is EventKind.DONE
        await world.clock.advance(3)
        assert len(world.orders) == orders
        found = await world.partition()
        assert found is not None
        assert found.state == "Recording"


async def test_a_conflict_is_refused_until_it_is_decided() -> None:
    async with experiment() as world:
        await world.database.configurations.save("STS", "physics", {"threshold": 12}, "ben")
        await restart(world, edited(another_threshold))
        found = await state(world)
        assert found is not None
        assert found.counts == {"conflict": 1}
        refused = await world.ask("apply", EXPERIMENT)
        assert refused.cause is not None
        assert (refused.cause.code, refused.cause.causes[0].source) == ("undecided", "configuration.STS.physics")
        wrong = await world.ask("apply", EXPERIMENT, take="mine")
        assert wrong.cause is not None
        assert wrong.cause.code == "wrong_argument"
        await world.does("apply", EXPERIMENT, take="configuration.STS.physics=database")
        assert (await world.database.configurations.get("STS", "physics")).parameters == {"threshold": 12}
        found = await state(world)
        assert found is not None
        assert found.counts == {}


async def test_a_save_by_a_user_is_counted_at_once_while_something_is_to_be_applied() -> None:
    async with experiment() as world:
        await restart(world, edited(another_threshold))
        arguments = {"system": "STS", "tag": "physics", "parameters": '{"threshold": 12}'}
        await world.does("save_configuration", EXPERIMENT, **arguments)
        found = await state(world)
        assert found is not None
        assert found.counts == {"conflict": 1}


def renaming(values: dict[str, Any]) -> None:
    values["partitions"]["M"] = values["partitions"].pop("A")
    values["tags"]["beam"] = values["tags"].pop("physics-A")
    values["partitions"]["M"]["tag"] = "beam"
    values["was"] = {"partitions": {"M": "A"}, "tags": {"beam": "physics-A"}}


async def test_a_renamed_partition_is_owned_under_its_new_name() -> None:
    async with experiment() as world:
        await restart(world, edited(renaming))
        await world.reaches("Idle")
        assert (await world.does("apply", EXPERIMENT)).kind is EventKind.DONE
        await world.reaches("Idle", "M")
        assert await world.partition("A") is None
        await world.does("configure_all", "M")
        found = await world.reaches("QA_Active", "M")
        assert found.tag == "beam"


async def test_a_partition_that_is_not_idle_is_not_renamed() -> None:
    async with experiment() as world:
        await restart(world, edited(renaming))
        await world.does("configure_all")
        await world.reaches("QA_Active")
        failed = await world.does("apply", EXPERIMENT)
        assert failed.cause is not None
        assert (failed.kind, failed.cause.code) == (EventKind.FAILED, "not_idle")
        assert [one.message for one in failed.cause.causes] == ["A is in QA_Active"]
        await world.does("goal", state="Recording")
        await world.reaches("Recording")
        failed = await world.does("apply", EXPERIMENT)
        assert failed.cause is not None
        assert failed.cause.code == "busy"
        assert [one.name for one in await world.database.partitions.list()] == ["A"]


async def test_a_renamed_detector_takes_the_place_of_the_old_one() -> None:
    def edit(values: dict[str, Any]) -> None:
        for section in ("systems", "configurations"):
            values[section]["STX"] = values[section].pop("STS")
        values["partitions"]["A"]["detectors"] = ["STX", "MVD"]
        values["tags"]["physics-A"]["STX"] = values["tags"]["physics-A"].pop("STS")
        values["was"] = {"systems": {"STX": "STS"}}

    async with experiment() as world:
        await restart(world, edited(edit))
        assert (await world.database.mapping.all()) == {"MVD": "A", "STS": "A", "TRD": ""}
        await world.does("apply", EXPERIMENT)
        assert (await world.database.mapping.all()) == {"MVD": "A", "STX": "A", "TRD": ""}
        await world.does("configure_all")
        await world.reaches("QA_Active")
        found = await world.system("STX")
        assert found is not None
        assert (found.common, found.tag) == ("Active", "physics")


async def test_another_template_is_taken_by_a_new_ownership() -> None:
    def edit(values: dict[str, Any]) -> None:
        levels = [
            {"name": "TFC", "members": ["TFC"], "loss": "error"},
            {"name": "D", "members": ["detectors"], "loss": "error"},
        ]
        values.setdefault("templates", {})["short"] = {"levels": levels}
        values["partitions"]["A"]["template"] = "short"

    async with experiment() as world:
        await restart(world, edited(edit))
        await world.reaches("Idle")
        await world.does("apply", EXPERIMENT)

        async def is_taken() -> bool:
            found = await world.partition()
            return found is not None and found.template == "short"

        await world.until(is_taken)
        await world.does("configure_all")
        found = await world.partition()
        assert found is not None
        assert {one.system for one in found.members} == {"TFC", "STS", "MVD"}
