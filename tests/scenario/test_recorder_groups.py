"""Templates whose recorders are groups: the members of the groups stay known from one run to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from countingroom.core.messages import EventKind
from countingroom.runs.description import RunsSection
from tests.scenario.experiment import DETECTORS, GLOBALS, description, experiment


def all_record() -> RunsSection:
    """Every member takes data."""
    plain = description().model_dump(mode="json", by_alias=True, exclude_unset=True)
    template = RunsSection.model_validate({}).templates["cbm"].model_dump(mode="json", by_alias=True)
    template |= {"recorders": ["all", "TFC"], "stop_order": ["TFC", "all"]}
    return RunsSection.model_validate({**plain, "templates": {"cbm": template}})


async def never(_partition: str) -> Mapping[str, object]:
    """The answer of a database that does not answer."""
    await asyncio.Event().wait()
    return {}


async def test_a_run_right_after_another_is_recorded_by_every_member_of_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with experiment(all_record()) as world:
        await world.does("configure_all")
        await world.does("start")
        # What the partition reads of the database after a run has no part in the next one.
        monkeypatch.setattr(world.database.partitions, "wanted", never)
        await world.does("stop")
        assert (await world.does("start")).kind is EventKind.DONE
        every = [await world.system(name, "" if name in DETECTORS else "A") for name in (*GLOBALS, "STS", "MVD")]
        assert [(one.common, one.run) for one in every if one] == [("Recording", 2)] * 6
