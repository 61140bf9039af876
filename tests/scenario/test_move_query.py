"""What a move of detectors would change is told before it, and nothing is moved."""

from __future__ import annotations

from countingroom.core import subjects
from countingroom.core.messages import encode
from countingroom.core.run_queries import MoveAnswer, MoveEffect, MoveQuery
from countingroom.core.series import QueryRefusal
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import GLOBALS, World, description, experiment


def two_partitions() -> RunsSection:
    """A with STS and MVD, B with TRD, and a tag for B with MVD too."""
    section = description(A=("STS", "MVD"), B=("TRD",))
    tags = {**section.tags, "wide": dict.fromkeys((*GLOBALS, "TRD", "MVD"), "physics")}
    return section.model_copy(update={"tags": tags})


async def asked(world: World, *detectors: str, to: str) -> MoveAnswer | QueryRefusal:
    import msgspec

    question = encode(MoveQuery(detectors=detectors, to=to))
    message = await world.bus.request(subjects.query("runs", "move"), question, timeout_s=5.0)
    return msgspec.msgpack.decode(message.data, type=MoveAnswer | QueryRefusal)


async def told(world: World, *detectors: str, to: str) -> dict[str, MoveEffect]:
    answer = await asked(world, *detectors, to=to)
    assert isinstance(answer, MoveAnswer)
    return {one.partition: one for one in answer.effects}


async def test_a_move_tells_what_falls_and_which_tag_fits_and_does_it_so() -> None:
    async with experiment(two_partitions()) as world:
        for name in ("A", "B"):
            await world.does("configure_all", name)
            await world.reaches("QA_Active", name)
        found = await told(world, "MVD", to="B")
        assert (found["A"].before, found["A"].after, found["A"].leaves) == ("QA_Active", "QA_Active", ("MVD",))
        assert (found["B"].before, found["B"].after, found["B"].joins) == ("QA_Active", "TFC_Active", ("MVD",))
        assert found["A"].configures == ("FLES", "DCS", "QA")
        assert (found["B"].tag, found["B"].fits, found["B"].tags) == ("physics-B", False, ("wide",))
        assert (await world.database.mapping.detectors())["MVD"].partition == "A"
        await world.does("move", "_experiment", detectors="MVD", to="B")
        await world.reaches(found["B"].after, "B")
        assert await world.is_in(found["A"].after, "A")


async def test_a_move_out_of_a_run_tells_that_it_will_be_refused() -> None:
    async with experiment(two_partitions()) as world:
        await world.does("configure_all")
        await world.does("start")
        answer = await asked(world, "MVD", to="")
        assert isinstance(answer, MoveAnswer)
        assert answer.obstacle
        assert answer.obstacle.message == "A records run 1"
        assert [(one.partition, one.run) for one in answer.effects] == [("A", 1)]


async def test_a_move_of_what_is_not_there_is_refused() -> None:
    async with experiment(two_partitions()) as world:
        answer = await asked(world, "XYZ", to="B")
        assert isinstance(answer, QueryRefusal)
        answer = await asked(world, "MVD", to="nowhere")
        assert isinstance(answer, QueryRefusal)
        assert "there is no partition nowhere" in answer.cause.message
