"""What the commands of run control send and show is what the API takes and tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from countingroom.cli.main import run
from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration, Goal, MemberState, PartitionState, Plan, Stage, Step
from countingroom.core.run_book import Run, RunCondition, RunEnd, RunFlag, RunFlagKind, RunNote
from countingroom.core.systems import Action, SystemKind, SystemState
from countingroom.core.values import Quality
from tests.unit.answering import Answers, serving

LOST = Cause(code="not_connected", message="STS is not connected", suggestion="start the agent of STS")
STS = MemberState(
    system="STS",
    kind=SystemKind.DETECTOR,
    level="Detectors",
    included=True,
    critical=True,
    seen="Connection Problem",
    own="Configuring_Step2",
    wanted_tag="physics",
    cause=LOST,
)
PARTITION = PartitionState(
    partition="mCBM",
    template="cbm",
    state="TFC_Active",
    since_ns=1,
    goal=Goal(state="Recording"),
    tag="physics",
    members=(STS,),
    run=7,
    locked=True,
    cause=LOST,
    chart=Chart(name="cbm", rows=(), initial="Idle", safe=("Idle",)),
)
PLAN = Plan(
    partition="mCBM",
    goal="Recording",
    tag="physics",
    stages=(
        Stage(
            title="configure TFC",
            steps=(
                Step(
                    system="TFC", action=Action.CONFIGURE, reason="it is Unconfigured", deadline_s=30, expected_s=0.25
                ),
            ),
        ),
    ),
    kept={"DCS": "it is right already"},
    expected_s=2.5,
    obstacle=LOST,
)
RUN = Run(
    number=7,
    partition="mCBM",
    template="cbm",
    requested_by="ada",
    asked_ns=1_000_000_000,
    started_ns=2_000_000_000,
    ended_ns=14_500_000_000,
    end=RunEnd.LOST,
    cause=LOST,
    tag="physics",
    members=("STS",),
    configurations={"STS": Configuration(tag="physics", key="k", parameters={"threshold": 40, "self": True})},
    notes=(RunNote(time_ns=3_000_000_000, kind="comment", text="beam is back", author="ada"),),
    counters={"STS.events": 12345},
    quality="good",
    flags=(RunFlag(flag=RunFlagKind.INTERRUPTED, what="STS was lost", since_ns=14_500_000_000),),
    conditions_end={"co2.t": RunCondition(value=-25.5, quality=Quality.GOOD, device_ns=1)},
)
ACCEPTED = {"id": "1", "accepted": True}
DONE = {"id": "1", "outcome": {"kind": "done", "message": "mCBM is in Recording", "source": "mCBM", "cause": None}}


def plain(value: object) -> Any:
    return msgspec.to_builtins(value)


def said(words: list[str], answers: Answers, capsys: pytest.CaptureFixture[str], status: int = 0) -> tuple[str, Any]:
    """What a command printed, and the bodies it sent."""
    with serving(answers) as (url, sent):
        assert run([*words, "--url", url]) == status
    captured = capsys.readouterr()
    return captured.out + captured.err, sent


def test_partitions_are_a_table_with_what_is_not_right(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {("GET", "/api/v1/partitions"): (200, {"partitions": [plain(PARTITION)], "unmapped": ["PSD"]})}
    told, _ = said(["partition", "list"], answers, capsys)
    for word in ("mCBM", "TFC_Active (locked)", "Recording", "physics", "STS", "In no partition: PSD"):
        assert word in told


def test_a_partition_says_what_keeps_it_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {
        ("GET", "/api/v1/partitions/mCBM"): (200, {"partition": plain(PARTITION), "control": {"holder": "ada"}})
    }
    told, _ = said(["partition", "show", "mCBM"], answers, capsys)
    for word in ("on its way to Recording", "run 7", "in control: ada", "start the agent of STS", "Configuring_Step2"):
        assert word in told


def test_a_plan_is_a_tree_with_reasons_times_and_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {("GET", "/api/v1/partitions/mCBM/plan"): (200, {"plan": plain(PLAN)})}
    told, sent = said(["partition", "goal", "mCBM", "Recording", "--tag", "physics", "--plan"], answers, capsys)
    assert sent == [], "a plan does nothing"
    for line in (
        "mCBM → Recording with physics, about 2.5 s",
        "└── configure TFC: it is Unconfigured, about 0.25 s",
        "└── DCS: it is right already",
        "STS is not connected [not_connected]",
    ):
        assert line in told


def test_the_plan_of_a_change_in_place_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {("GET", "/api/v1/partitions/mCBM/plan"): (200, {"plan": plain(PLAN)})}
    told, sent = said(["partition", "reconfigure", "mCBM", "--plan"], answers, capsys)
    assert sent == []
    assert "mCBM → Recording with physics" in told


@pytest.mark.parametrize(
    ("words", "path", "arguments"),
    [
        (["goal", "mCBM", "Recording"], "partitions/mCBM/commands/goal", {"state": "Recording"}),
        (["configure", "mCBM"], "partitions/mCBM/commands/configure", {}),
        (["configure-all", "mCBM"], "partitions/mCBM/commands/configure_all", {}),
        (["reconfigure", "mCBM"], "partitions/mCBM/commands/reconfigure", {}),
        (
            ["reconfigure", "mCBM", "--while-recording"],
            "partitions/mCBM/commands/reconfigure",
            {"while_recording": True},
        ),
        (
            ["start", "mCBM", "--seconds", "60", "--comment", "first"],
            "partitions/mCBM/commands/start",
            {"seconds": 60.0, "comment": "first"},
        ),
        (["stop", "mCBM"], "partitions/mCBM/commands/stop", {}),
        (["abort", "mCBM"], "partitions/mCBM/commands/abort", {}),
        (["reset", "mCBM", "STS"], "partitions/mCBM/commands/reset", {"system": "STS"}),
        (["exclude", "mCBM", "STS"], "partitions/mCBM/commands/exclude", {"system": "STS"}),
        (["lock", "mCBM"], "partitions/mCBM/commands/lock", {}),
        (["select", "mCBM", "physics"], "partitions/mCBM/commands/select", {"tag": "physics"}),
        (
            ["select", "mCBM", "noisy", "--system", "STS"],
            "partitions/mCBM/commands/select_one",
            {"system": "STS", "tag": "noisy"},
        ),
        (["take", "_experiment"], "experiment/commands/take_control", {}),
        (["take", "mCBM", "--force"], "partitions/mCBM/commands/force_control", {}),
        (
            ["move", "STS", "MVD", "--to", "mCBM"],
            "experiment/commands/move",
            {"detectors": "STS,MVD", "to": "mCBM", "force": False},
        ),
        (
            ["move", "STS", "--out", "--force"],
            "experiment/commands/move",
            {"detectors": "STS", "to": "", "force": True},
        ),
        (
            ["create", "lab", "--title", "Lab"],
            "experiment/commands/create_partition",
            {"name": "lab", "title": "Lab"},
        ),
    ],
)
def test_a_command_says_what_it_is_for_and_waits_for_its_outcome(
    words: list[str], path: str, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told, sent = said(["partition", *words], {("POST", f"/api/v1/{path}"): (200, DONE)}, capsys)
    assert told == "mCBM is in Recording\n"
    assert sent[0]["arguments"] == arguments
    assert sent[0]["wait_s"] > 0


def test_a_failed_goal_is_status_1_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"id": "1", "outcome": {"kind": "failed", "message": "no", "source": "mCBM", "cause": plain(LOST)}}
    answers: Answers = {("POST", "/api/v1/partitions/mCBM/commands/goal"): (200, failed)}
    told, _ = said(["partition", "goal", "mCBM", "Recording"], answers, capsys, status=1)
    assert "start the agent of STS" in told


@pytest.mark.parametrize("words", [["move", "STS"], ["move", "STS", "--to", "mCBM", "--out"]])
def test_a_detector_is_moved_to_one_place(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    told, sent = said(["partition", *words], {}, capsys, status=2)
    assert "--out" in told
    assert not sent


def test_systems_are_told_in_every_partition_they_serve(capsys: pytest.CaptureFixture[str]) -> None:
    states = {
        name: plain(
            SystemState(
                system="TFC",
                partition=name,
                kind=SystemKind.GLOBAL,
                state="Active",
                common="Active",
                tag="physics",
                sequence=1,
                boot="b",
                since_ns=1,
            )
        )
        for name in ("mCBM", "lab")
    }
    unheard: dict[str, Any] = {"system": "PSD", "kind": "detector", "partition": "", "states": {}}
    systems = [{"system": "TFC", "kind": "global", "partition": "", "states": states}, unheard]
    told, _ = said(["system", "list"], {("GET", "/api/v1/systems"): (200, {"systems": systems})}, capsys)
    for word in ("mCBM", "lab", "never heard"):
        assert word in told


def test_an_error_is_said_for_a_system(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {("POST", "/api/v1/systems/TFC/commands/error"): (202, ACCEPTED)}
    words = ["system", "error", "TFC", "-m", "no clock", "-p", "mCBM"]
    told, sent = said(words, answers, capsys)
    assert sent[0]["arguments"] == {"message": "no clock", "partition": "mCBM"}
    assert told == "TFC: error\n"


def test_a_detector_is_made_known_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/api/v1/experiment/commands/"
    answers: Answers = {("POST", f"{path}{name}_detector"): (200, DONE) for name in ("create", "delete")}
    _, made = said(["system", "create", "ECAL", "--type", "calorimeter"], answers, capsys)
    _, gone = said(["system", "delete", "ECAL"], answers, capsys)
    assert made[0]["arguments"] == {"name": "ECAL", "type": "calorimeter"}
    assert gone[0]["arguments"] == {"name": "ECAL", "force": False}


REVISION = {
    "system": "STS",
    "tag": "physics",
    "revision": 3,
    "parameters": {"threshold": 40, "mode": "beam"},
    "saved_by": "ada",
    "saved_ns": 1_000_000_000,
    "comment": "",
    "deleted": False,
}
CONFIGURATION = "/api/v1/configurations/STS/physics"
SAVE = ("POST", "/api/v1/experiment/commands/save_configuration")


def test_a_configuration_changes_what_is_named_from_the_revision_that_was_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: Answers = {("GET", CONFIGURATION): (200, REVISION), SAVE: (200, DONE)}
    _, sent = said(["config", "save", "STS", "physics", "threshold=42.5", "beam=on"], answers, capsys)
    assert json.loads(sent[0]["arguments"]["parameters"]) == {"threshold": 42.5, "mode": "beam", "beam": "on"}
    assert sent[0]["arguments"]["expected"] == 3


def test_a_new_configuration_begins_at_revision_0_with_what_a_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.yaml").write_text("threshold: 1\nmode: self\n")
    missing = {"cause": {"code": "not_found", "message": "there is none"}}
    answers: Answers = {("GET", CONFIGURATION): (404, missing), SAVE: (200, DONE)}
    words = ["config", "save", "STS", "physics", "threshold=2", "--file", str(tmp_path / "p.yaml")]
    _, sent = said(words, answers, capsys)
    assert json.loads(sent[0]["arguments"]["parameters"]) == {"threshold": 2, "mode": "self"}
    assert sent[0]["arguments"]["expected"] == 0


def test_what_is_no_parameter_is_refused_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    told, sent = said(["config", "save", "STS", "physics", "threshold"], {}, capsys, status=1)
    assert "NAME=VALUE" in told
    assert not sent


def test_two_tags_are_compared_parameter_by_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"name": "threshold", "before": 40, "after": 25, "added": False, "removed": False}
    change = {"system": "STS", "before": "physics", "after": "cosmics", "parameters": [changed]}
    answers: Answers = {("GET", "/api/v1/tags/compare"): (200, {"changes": [change]})}
    told, _ = said(["config", "compare", "physics", "cosmics"], answers, capsys)
    assert ["STS", "threshold", "40", "25"] in [line.split() for line in told.splitlines()]


def test_a_tag_changes_the_systems_that_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    tag = {"name": "night", "revision": 2, "systems": {"STS": "physics", "TFC": "slow"}}
    answers: Answers = {
        ("GET", "/api/v1/tags/night"): (200, tag),
        ("POST", "/api/v1/experiment/commands/save_tag"): (200, DONE),
    }
    _, sent = said(["config", "tag", "save", "night", "STS=cosmics"], answers, capsys)
    assert json.loads(sent[0]["arguments"]["systems"]) == {"STS": "cosmics", "TFC": "slow"}


def test_configurations_are_exported_and_imported_as_the_same_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "all.yaml"
    document = b"configurations:\n  STS: {}\n"
    said(["config", "export", "-o", str(file)], {("GET", "/api/v1/configurations/export"): (200, document)}, capsys)
    assert file.read_bytes() == document
    answers: Answers = {("POST", "/api/v1/experiment/commands/import"): (200, DONE)}
    _, sent = said(["config", "import", str(file)], answers, capsys)
    assert sent[0]["arguments"]["document"] == document.decode()


def test_a_run_is_told_with_what_it_had_and_why_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {
        ("GET", "/api/v1/runs"): (200, {"runs": [plain(RUN)]}),
        ("GET", "/api/v1/runs/7"): (200, plain(RUN)),
    }
    told, _ = said(["run", "list"], answers, capsys)
    for word in ("12.5 s", "lost", "beam is back", "good", "interrupted"):
        assert word in told
    told, _ = said(["run", "show", "7"], answers, capsys)
    for word in (
        "threshold 40, self true",
        "events 12345",
        "beam is back (ada)",
        "interrupted: STS was lost",
        "co2.t -25.5",
        "start the agent of STS",
    ):
        assert word in told
    assert "interrupted: STS was lost" in told
    assert "co2.t -25.5" in told


def test_a_run_is_judged_through_its_partition(capsys: pytest.CaptureFixture[str]) -> None:
    answers: Answers = {
        ("GET", "/api/v1/runs/7"): (200, plain(RUN)),
        ("POST", "/api/v1/partitions/mCBM/commands/flag"): (200, DONE),
    }
    _, sent = said(["run", "flag", "7", "bad"], answers, capsys)
    assert sent[0]["arguments"] == {"run": 7, "quality": "bad"}


def test_runs_are_exported_as_the_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs.parquet"
    said(["run", "export", "-o", str(file)], {("GET", "/api/v1/runs/export"): (200, b"PAR1")}, capsys)
    assert file.read_bytes() == b"PAR1"
    told, _ = said(["run", "export", "-o", str(tmp_path / "runs.doc")], {}, capsys, status=1)
    assert "runs.csv" in told
