"""Law: what a partition promises, seen from the bus, with real agents and time standing still."""

from __future__ import annotations

from countingroom.core.messages import EventKind
from countingroom.core.run_book import RunEnd
from tests.scenario.experiment import experiment


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
