"""Selecting a configuration changes no state. Configuring does; until then a start says what differs."""

from __future__ import annotations

import json

import pytest

from countingroom.core.messages import EventKind
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import World, description, experiment


async def noise(world: World) -> None:
    """Save a tag with another configuration of the detectors."""
    systems = dict.fromkeys(("TFC", "FLES", "DCS", "QA"), "physics") | {"STS": "tests", "MVD": "tests"}
    await world.does("save_tag", "_experiment", name="noise", systems=json.dumps(systems))


async def test_a_selected_tag_leaves_the_partition_where_it_is_until_it_is_configured() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        before = len(world.orders)
        assert (await world.does("select", tag="noise")).kind is EventKind.DONE
        await world.clock.advance(2)
        shown = await world.partition()
        assert shown
        assert (shown.state, shown.tag, shown.cause) == ("QA_Active", "noise", None)
        assert len(world.orders) == before
        assert [after for _, _, after in await world.moves()][-1] == "QA_Active"
        assert (await world.does("configure_all")).kind is EventKind.DONE
        await world.reaches("QA_Active")
        state = await world.system("STS")
        assert state
        assert state.tag == "tests"


async def test_a_start_with_another_selection_is_refused_with_what_differs() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        await world.does("select", tag="noise")
        refused = await world.ask("start")
        assert refused.cause
        assert refused.cause.code == "not_configured"
        assert refused.cause.message.startswith("selected noise, MVD, STS have physics")
        assert "physics" in refused.cause.message
        assert await world.runs() == ()
        await world.does("select", tag="physics-A")
        assert (await world.does("start")).kind is EventKind.DONE


async def test_a_new_owner_finds_the_partition_where_it_was_though_another_tag_is_selected() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        await world.does("select", tag="noise")
        await world.kill("runs")
        world.begin_runs("second")
        await world.clock.advance(5)
        await world.reaches("QA_Active")


async def test_configuring_another_selection_is_no_error() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        await world.does("select", tag="noise")
        await world.does("configure_all")
        moves = [event for event in await world.events() if event.kind is EventKind.STATE]
        assert [event.severity for event in moves] == [0] * len(moves)


async def test_a_loss_still_takes_the_partition_down_while_another_tag_is_selected() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        await world.does("select", tag="noise")
        await world.say("STS", "error", message="no power")
        await world.reaches("TFC_Active")


async def test_a_sequence_gives_the_tag_back() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("sequence", system="QA", parameter="threshold", values="1,2", seconds=1)
        await world.until(lambda: _is_over(world), seconds=120)
        await world.clock.advance(1)
        shown = await world.partition()
        assert shown
        assert shown.tag == "physics-A"


async def _is_over(world: World) -> bool:
    return any(event.action == "sequence_over" for event in await world.events())


async def test_no_tag_is_called_custom() -> None:
    async with experiment() as world:
        systems = json.dumps(dict.fromkeys(("TFC", "STS", "MVD", "FLES", "DCS", "QA"), "physics"))
        refused = await world.ask("save_tag", "_experiment", name="custom", systems=systems)
        assert refused.cause
        assert refused.cause.code == "reserved"


def test_a_description_calls_no_tag_custom() -> None:
    plain = description().model_dump()
    plain["tags"]["custom"] = plain["tags"].pop("physics-A")
    plain["partitions"]["A"]["tag"] = "custom"
    assert ("tags", "custom") in [path for path, _ in RunsSection.model_validate(plain).problems()]


@pytest.mark.parametrize("command", ["repeat", "sequence"])
async def test_what_starts_runs_is_refused_like_a_start(command: str) -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await noise(world)
        await world.does("select", tag="noise")
        shown = await world.partition()
        assert shown
        cause = shown.refusals[command]
        assert (cause is None) == (command == "repeat")
