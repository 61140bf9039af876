"""A whole experiment takes runs; a process that is killed is reported, starts again, and disturbs no other."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up
from tests.warm_python import run

GLOBAL = {"TFC", "DCS", "FLES", "QA"}
DETECTORS = {"STS", "MVD", "RICH"}


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("cbm")
    words = ["example", "cbm", "--detectors", "3", "--pause", "0.05", "-o", str(written)]
    run(*words).check_returncode()
    return written / "experiment.yaml"


@pytest.fixture(scope="module")
def cbm(description: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up(description, tmp_path_factory.mktemp("data")) as running:
        until(lambda: partition(running)["refusals"]["goal"] is None, "the partition is owned and looks no more")
        yield running


def partition(cbm: Running) -> dict[str, Any]:
    return cbm.get("/partitions/mCBM")["partition"]


def systems(cbm: Running) -> dict[str, dict[str, Any]]:
    """What each agent last said."""
    found = {one["system"]: one["states"] for one in cbm.get("/systems")["systems"]}
    return {name: next(iter(states.values())) for name, states in found.items() if states}


def ask(cbm: Running, action: str, target: str = "partitions/mCBM", **arguments: Any) -> dict[str, Any]:
    """A command to the partition, or to another target, and its outcome."""
    answer = cbm.post(f"{target}/commands/{action}", arguments=arguments, wait_s=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    outcome = answer.json()["outcome"]
    assert outcome["kind"] == "done", outcome
    return outcome


def recording(cbm: Running) -> int:
    """A run that goes on; its number."""
    # A run that has just ended is closed in the run book a moment before the partition is published without it.
    if (
        until(lambda: (now := partition(cbm))["state"] == "Recording" or (not now["run"] and "none"), "no end")
        == "none"
    ):
        ask(cbm, "goal", state="Recording")
    return until(lambda: (now := partition(cbm))["state"] == "Recording" and now["run"], "a run goes on")


def reach(cbm: Running, state: str) -> None:
    """Bring it there, if it is elsewhere."""
    if partition(cbm)["state"] != state:
        ask(cbm, "goal", state=state)
    until(lambda: partition(cbm)["state"] == state, f"it is in {state}")


def command_line(cbm: Running, *words: str) -> subprocess.CompletedProcess[str]:
    return run(*words, environment={"COUNTINGROOM_URL": cbm.url})


def test_a_plan_is_shown_then_done(cbm: Running) -> None:
    plan = cbm.get("/partitions/mCBM/plan", goal="QA_Active")["plan"]
    assert {step["system"] for stage in plan["stages"] for step in stage["steps"]} == GLOBAL | DETECTORS, plan
    assert partition(cbm)["state"] == "Idle", "a plan touches nothing"
    ask(cbm, "configure_all")
    until(lambda: partition(cbm)["state"] == "QA_Active", "it is configured")
    assert all(member["right"] for member in partition(cbm)["members"])


def test_what_a_command_led_to_is_read_right_after_its_answer(cbm: Running) -> None:
    reach(cbm, "Idle")
    for action, state in {
        "configure_all": "QA_Active",
        "start": "Recording",
        "stop": "QA_Active",
        "abort": "Idle",
    }.items():
        ask(cbm, action)
        assert partition(cbm)["state"] == state
    for action, locked in {"lock": True, "unlock": False}.items():
        ask(cbm, action)
        assert partition(cbm)["locked"] is locked
    for action, common in {"error": "Error", "resolved": "Unconfigured"}.items():
        ask(cbm, action, "systems/RICH")
        assert systems(cbm)["RICH"]["common"] == common


def test_a_run_is_in_the_run_book_with_what_it_had(cbm: Running) -> None:
    number = recording(cbm)
    ask(cbm, "comment", run=number, text="beam is on")
    ask(cbm, "stop")
    until(lambda: partition(cbm)["state"] == "QA_Active", "it has stopped")
    run = until(lambda: (found := cbm.get(f"/runs/{number}"))["end"] and found, "it is closed")
    assert run["end"] == "stopped"
    assert set(run["members"]) == set(run["configurations"]) == GLOBAL | DETECTORS
    assert run["configurations"]["STS"]["parameters"] == {"threshold": 40, "trigger": "beam"}
    assert run["asked_ns"] <= run["started_ns"] <= run["ended_ns"]
    assert "beam is on" in [note["text"] for note in run["notes"]]


def test_a_killed_owner_is_replaced_and_the_same_run_goes_on(cbm: Running) -> None:
    number = recording(cbm)
    before, owner, killed = systems(cbm), partition(cbm)["owner"], cbm.role("runs")
    killed.send_signal(signal.SIGKILL)
    until(lambda: cbm.role("runs").pid != killed.pid, "run control is started again")

    def owned() -> dict[str, Any]:
        now = partition(cbm)
        return now if now["owner"] != owner and now["refusals"]["stop"] is None else {}

    now = until(owned, "it is owned")
    assert (now["state"], now["run"]) == ("Recording", number)
    told = ("boot", "state", "since_ns", "key", "run")
    assert {name: [one[key] for key in told] for name, one in systems(cbm).items()} == {
        name: [one[key] for key in told] for name, one in before.items()
    }, "no system was touched"
    ask(cbm, "stop")
    until(lambda: partition(cbm)["state"] == "QA_Active", "it has stopped")
    run = until(lambda: (found := cbm.get(f"/runs/{number}"))["end"] and found, "it is closed")
    assert run["end"] == "stopped"
    assert [one["number"] for one in cbm.get("/runs", open="true")["runs"]] == []


def test_killed_agents_are_missed_with_the_cause_and_come_back(cbm: Running) -> None:
    reach(cbm, "QA_Active")
    killed = cbm.role("agents")
    began_ns = time.time_ns()
    killed.send_signal(signal.SIGKILL)

    # They are back a tenth of a second later, sooner than a look at their states may come: the events tell.
    def causes() -> list[dict[str, Any]]:
        events = cbm.get("/events?limit=500")["events"]
        return [
            one["cause"] for one in events if one["time_ns"] >= began_ns and one["source"] == "mCBM" and one["cause"]
        ]

    (cause, *_) = until(causes, "they are missed")
    assert "is gone" in str(cause) and cause["suggestion"]
    until(lambda: cbm.role("agents").pid != killed.pid, "the agents are started again")
    until(
        lambda: all(one["seen"] != "Connection Problem" for one in partition(cbm)["members"]), "all are connected again"
    )
    reach(cbm, "QA_Active")


def test_a_system_in_error_takes_the_partition_down_and_is_reset(cbm: Running) -> None:
    number = recording(cbm)
    told = command_line(cbm, "system", "error", "RICH", "-m", "gas pressure is low")
    assert told.returncode == 0, told.stderr
    until(lambda: partition(cbm)["state"] == "TFC_Active", "the loss is followed")
    run = until(lambda: (found := cbm.get(f"/runs/{number}"))["end"] and found, "the run is closed")
    assert run["end"] == "lost"
    assert "RICH" in str(run["cause"])
    shown = command_line(cbm, "partition", "show", "mCBM").stdout
    assert "gas pressure is low" in shown
    assert command_line(cbm, "partition", "reset", "mCBM", "RICH").returncode == 0
    reach(cbm, "QA_Active")


def test_a_refusal_says_why_and_what_to_do(cbm: Running) -> None:
    reach(cbm, "QA_Active")
    ask(cbm, "lock")
    refused = command_line(cbm, "partition", "start", "mCBM")
    assert refused.returncode == 1
    assert "locked" in refused.stderr
    assert "unlock" in refused.stderr
    ask(cbm, "unlock")
    until(lambda: not partition(cbm)["locked"], "it is unlocked")
    unknown = command_line(cbm, "partition", "goal", "mCBM", "Dancing")
    assert unknown.returncode == 1
    assert "Recording" in unknown.stderr, "what there is stands in the refusal"


def test_a_detector_is_moved_out_and_in_again(cbm: Running) -> None:
    reach(cbm, "Idle")
    out = command_line(cbm, "partition", "move", "RICH", "--out")
    assert out.returncode == 0, out.stderr
    assert cbm.get("/partitions")["unmapped"] == ["RICH"]
    until(lambda: "RICH" not in {one["system"] for one in partition(cbm)["members"]}, "it is no member")
    back = command_line(cbm, "partition", "move", "RICH", "--to", "mCBM")
    assert back.returncode == 0, back.stderr
    until(lambda: "RICH" in {one["system"] for one in partition(cbm)["members"]}, "it is a member again")


def test_a_changed_configuration_is_what_the_next_plan_configures(cbm: Running) -> None:
    ask(cbm, "goal", state="QA_Active", tag="physics")
    saved = command_line(cbm, "config", "save", "QA", "physics", "threshold=55")
    assert saved.returncode == 0, saved.stderr

    def touched() -> set[str]:
        plan = cbm.get("/partitions/mCBM/plan", goal="QA_Active")["plan"]
        return {step["system"] for stage in plan["stages"] for step in stage["steps"]}

    until(lambda: touched() == {"QA"}, "only what changed is touched")
    history = cbm.get("/configurations/QA/history", tag="physics")["history"]
    assert [one["revision"] for one in history] == [2, 1]


def test_configurations_leave_and_return_as_yaml(cbm: Running, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    assert command_line(cbm, "config", "export", "-o", str(file)).returncode == 0
    before = cbm.get("/configurations")["configurations"]
    text = file.read_text()
    assert "threshold" in text
    file.write_text(text.replace("threshold: 25", "threshold: 26"))
    told = command_line(cbm, "config", "import", str(file))
    assert told.returncode == 0, told.stderr
    after = {(one["system"], one["tag"]): one for one in cbm.get("/configurations")["configurations"]}
    for one in before:
        now = after[one["system"], one["tag"]]
        changed = one["tag"] == "cosmics"
        assert now["revision"] == one["revision"] + changed, "what is the same gets no new revision"


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_run_book_is_taken_away_in_a_file(cbm: Running, form: str, tmp_path: Path) -> None:
    file = tmp_path / f"runs.{form}"
    told = command_line(cbm, "run", "export", "-o", str(file))
    assert told.returncode == 0, told.stderr
    numbers = {one["number"] for one in cbm.get("/runs")["runs"]}
    match form:
        case "csv":
            found = {int(row["number"]) for row in csv.DictReader(io.StringIO(file.read_text()))}
        case "json":
            found = {row["number"] for row in json.loads(file.read_text())}
        case _:
            arrow: Any = pyarrow.parquet
            found = set(arrow.read_table(file)["number"].to_pylist())
    assert found == numbers


def test_a_detector_in_no_partition_is_led_by_itself(cbm: Running) -> None:
    reach(cbm, "Idle")
    assert command_line(cbm, "partition", "move", "MVD", "--out").returncode == 0
    assert command_line(cbm, "system", "error", "MVD", "-m", "on the bench").returncode == 0
    until(lambda: systems(cbm)["MVD"]["common"] == "Error", "it is in Error")
    told = command_line(cbm, "system", "reset", "MVD")
    assert told.returncode == 0, told.stderr
    until(lambda: systems(cbm)["MVD"]["common"] == "Unconfigured", "it is reset")
    assert command_line(cbm, "partition", "move", "MVD", "--to", "mCBM").returncode == 0

    def refused() -> str:
        told = command_line(cbm, "system", "abort", "MVD")
        return told.stderr if told.returncode == 1 else ""

    assert "mCBM" in until(refused, "in one it is refused")


def test_a_run_outlives_a_control_room_that_is_stopped_and_started_again(cbm: Running, description: Path) -> None:
    """The last one: it ends the control room of the others."""
    ask(cbm, "goal", state="QA_Active", tag="physics")
    number = recording(cbm)
    began_ns = cbm.get(f"/runs/{number}")["started_ns"]
    assert cbm.stop() == 0
    with up(description, cbm.data) as again:
        until(lambda: partition(again)["refusals"]["lock"] is None, "the partition is owned and looks no more")
        until(lambda: "had no owner for a time" in flags_of(again, number), "it says that it had no owner")
        run = again.get(f"/runs/{number}")
        assert (partition(again)["state"], partition(again)["run"]) == ("Recording", number)
        assert (run["end"], run["started_ns"]) == (None, began_ns)
        ask(again, "stop")
        ended = until(lambda: (found := again.get(f"/runs/{number}"))["end"] and found, "it is closed")
        assert (ended["end"], ended["ended_ns"] > began_ns) == ("stopped", True)


def flags_of(running: Running, number: int) -> str:
    return " ".join(flag["what"] for flag in running.get(f"/runs/{number}")["flags"])
