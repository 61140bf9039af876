"""The end of a command, of a run and of a system is told with what really happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from countingroom.core.messages import EventKind
from countingroom.core.run_book import RunEnd
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.template import TemplateSection
from tests.node import node
from tests.scenario.experiment import World, description, experiment
from tests.scenario.real_programs import programs_until

ROOT = Path(__file__).parents[2]


async def fails_next(world: World, system: str) -> None:
    await world.say(system, "fault", name="fail", partition="A")


async def test_a_stop_that_fails_in_a_recorder_is_told_as_failed_and_the_run_has_its_cause() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await fails_next(world, "FLES")
        end = await world.does("stop")
        assert end.kind is EventKind.FAILED
        assert end.cause is not None
        assert end.cause.code == "stop_failed"
        assert "simulated failure of stop" in end.message
        (run,) = await world.runs()
        assert run.end is RunEnd.STOPPED
        assert run.cause is not None
        assert run.cause.message == "FLES did not stop: simulated failure of stop"


async def test_a_start_that_fails_says_why_in_the_first_line() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await fails_next(world, "QA")
        end = await world.does("start")
        assert end.kind is EventKind.FAILED
        assert end.cause is not None
        assert end.cause.message == "QA did not start: simulated failure of start of run 1"
        assert [cause.message for cause in end.cause.causes] == ["simulated failure of start of run 1"]
        (run,) = await world.runs()
        assert run.end is RunEnd.NEVER_STARTED
        assert run.cause == end.cause


async def test_a_configure_that_fails_says_why_in_the_first_line() -> None:
    async with experiment() as world:
        await world.say("STS", "fault", name="fail", times=9)
        end = await world.does("configure_all")
        assert end.cause is not None
        assert "simulated failure" in end.cause.message


NO_ERROR = [
    ["Unconfigured", "configure", "Configuring"],
    ["Configuring", "success", "Active"],
    ["Configuring", "error", "Unconfigured"],
    ["Configuring", "abort", "Unconfigured"],
    ["Active", "error", "Unconfigured"],
    ["Active", "abort", "Unconfigured"],
]


def without_error() -> RunsSection:
    """MVD is expendable, and its chart has no state Error: a fault leads to Unconfigured."""
    plain = description().model_dump()
    plain["systems"]["MVD"]["type"] = {"table": NO_ERROR, "map": {}}
    plain["partitions"]["A"]["expendable"] = ["MVD"]
    return RunsSection.model_validate(plain)


async def test_an_expendable_detector_without_a_state_error_gets_its_note() -> None:
    async with experiment(without_error()) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.say("MVD", "fault", name="error", message="no clock")
        await world.clock.advance(3)
        (run,) = await world.runs()
        assert run.end is None
        assert [(note.kind, note.system, note.text) for note in run.notes] == [("error", "MVD", "no clock")]


async def test_the_counters_of_a_system_that_took_no_part_are_not_those_of_the_run_before() -> None:
    async with experiment(description({"kind": "simulated", "events_hz": 100})) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.clock.advance(5)
        await world.does("stop")
        await world.does("exclude", system="FLES")
        await world.does("start")
        await world.clock.advance(3)
        await world.does("stop")
        second, first = await world.runs()
        assert set(first.counters) >= {"FLES.events", "QA.events"}
        assert set(second.counters) == {"QA.events"}


async def test_a_run_that_never_started_has_no_counters_of_the_run_before() -> None:
    async with experiment(description({"kind": "simulated", "events_hz": 100})) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.clock.advance(5)
        await world.does("stop")
        await fails_next(world, "QA")
        assert (await world.does("start")).kind is EventKind.FAILED
        never, first = await world.runs()
        assert first.counters
        assert never.end is RunEnd.NEVER_STARTED
        assert never.counters == {}


async def test_a_system_that_is_excluded_during_a_run_keeps_its_counters_in_it() -> None:
    async with experiment(description({"kind": "simulated", "events_hz": 100})) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.clock.advance(5)
        await world.does("exclude", system="FLES")
        await world.clock.advance(3)
        await world.does("stop")
        (run,) = await world.runs()
        assert {"FLES.events", "QA.events"} <= set(run.counters)


async def test_repeat_takes_the_configuration_of_the_last_run() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.does("stop")
        systems = dict.fromkeys(("TFC", "STS", "MVD", "FLES", "DCS"), "physics") | {"QA": "tests"}
        await world.does("save_tag", "_experiment", name="other", systems=json.dumps(systems))
        assert (await world.does("goal", state="QA_Active", tag="other")).kind is EventKind.DONE
        assert (await world.does("repeat")).kind is EventKind.DONE
        await world.reaches("Recording")
        second, first = await world.runs()
        assert (second.tag, second.configurations) == (first.tag, first.configurations)
        state = await world.system("QA", "A")
        assert state is not None
        assert state.tag == "physics"


async def test_repeat_refuses_where_a_configuration_was_saved_with_other_values_since() -> None:
    async with experiment() as world:
        await world.does("configure_all")
        await world.does("start")
        await world.does("stop")
        await world.does(
            "save_configuration", "_experiment", system="QA", tag="physics", parameters='{"threshold": 11}'
        )
        await world.does("configure_all")
        refused = await world.ask("repeat")
        assert refused.cause is not None
        assert refused.cause.code == "configuration_changed"
        assert "physics of QA" in refused.cause.message
        assert len(await world.runs()) == 1


def hooked(told: Path) -> RunsSection:
    plain = description()
    cbm = plain.templates["cbm"].model_dump(by_alias=True)
    program = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '.')"
    cbm["hooks"] = {
        "tell": {"command": [sys.executable, "-c", program, str(told), "{run}"], "trigger": "after stop"},
    }
    return plain.model_copy(update={"templates": {"cbm": TemplateSection.model_validate(cbm)}})


async def test_a_hook_after_a_stop_gets_the_number_of_the_run(tmp_path: Path) -> None:
    async with experiment(hooked(tmp_path / "told")) as world:
        await world.does("configure_all")
        await world.does("start")
        await world.reaches("Recording")
        await world.ask("goal", state="QA_Active")

        async def is_told() -> bool:
            return (tmp_path / "told").exists() and bool((tmp_path / "told").read_text())

        await programs_until(world, is_told)
        assert (tmp_path / "told").read_text() == "1."


def test_the_rate_of_a_run_is_not_measured_from_the_count_of_the_run_before() -> None:
    script = (ROOT / "src" / "countingroom" / "console" / "static" / "js" / "counts.js").read_text()
    alone = "\n".join(line for line in script.splitlines() if not line.startswith("import "))
    late = "{run: 0, counters: {events: 990}}"  # it has the count of run 1 until it starts
    program = (
        "const NOTHING = '-', grouped = String, hertz = (rate) => `${rate.toFixed(1)} Hz`;"
        f"{alone};const counts = new Counts();"
        f"counts.take(2, [{{run: 0, counters: {{}}}}, {late}], 0);"
        f"counts.take(2, [{{run: 2, counters: {{events: 1000}}}}, {late}], 1e9);"
        "const shown = [counts.rate];"
        f"counts.take(2, [{{run: 2, counters: {{events: 2000}}}}, {late}], 2e9);"
        "console.log([...shown, counts.rate].join(' '))"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "- 1000.0 Hz"
