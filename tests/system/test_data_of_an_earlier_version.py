"""A data folder of an earlier version: today's program opens it and goes on, and what it held is still there.

`tests/data/data_of_7882d86.tar.xz` holds a description and a data folder (database, history, bus) that commit 7882d86
wrote: the demo ran for two minutes and was ended by Ctrl-C during run 3, after the commands that the tests look for.
Its logs and the generated configuration of the bus are left out. The file stays as it is: data of a later version come
as a second one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up

ARCHIVE = Path(__file__).parents[1] / "data" / "data_of_7882d86.tar.xz"
BEGIN, END = "2026-11-28T21:18:00Z", "2026-11-28T21:19:40Z"
"""When it was written."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Description and data as they were."""
    place = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(place, filter="data")
        else:  # Python 3.11.2, which Debian 12 has
            archive.extractall(place)
    return place


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    """Today's program on them."""
    with up(folder / "description" / "experiment.yaml", folder / "data", "--simulate") as experiment:
        yield experiment


def events(running: Running, source: str) -> list[dict[str, Any]]:
    """Every event of a source, newest first."""
    found: list[dict[str, Any]] = []
    before = None
    while True:
        page = running.get("/events", source=source, **({"before": before} if before else {}))
        found += page["events"]
        before = page["next_before"]
        if not before:
            return found


def test_runs_of_then_are_in_the_run_book(running: Running) -> None:
    first, second = running.get("/runs/1"), running.get("/runs/2")
    assert (first["end"], first["tag"], first["quality"]) == ("stopped", "beam", "good")
    assert "beam from the left" in json.dumps(first)
    assert (second["end"], second["tag"]) == ("stopped", "loud")
    assert second["configurations"]["STS"]["parameters"] == {"threshold_fc": 2.5, "bias_v": 310}


def test_the_run_that_was_going_on_is_closed_and_the_next_one_has_the_next_number(running: Running) -> None:
    third = until(lambda: (run := running.get("/runs/3"))["end"] and run, "the run of then is closed")
    assert third["ended_ns"] > third["started_ns"]
    shown = until(lambda: running.get("/partitions/mCBM")["partition"], "it is owned again")
    assert shown["tag"] == "loud"

    def command(name: str, **arguments: str) -> bool:
        answer = running.post(f"partitions/mCBM/commands/{name}", arguments=arguments, wait_s=PATIENCE_S)
        return answer.status_code == 200 and answer.json()["outcome"]["kind"] == "done"

    until(lambda: command("goal", state="QA_Active"), "the partition is brought up again")
    until(lambda: command("start"), "a run begins")
    newest = running.get("/runs")["runs"][0]
    assert (newest["number"], newest["end"]) == (4, None)
    assert newest["configurations"]["STS"]["tag"] == "loud"


def test_configurations_and_tags_keep_their_revisions(running: Running) -> None:
    saved = running.get("/configurations/STS/loud")
    assert (saved["revision"], saved["saved_by"], saved["comment"]) == (1, "local", "noise scan")
    assert len(running.get("/configurations/STS/history")["history"]) == 3
    assert running.get("/tags/loud")["systems"]["STS"] == "loud"
    assert running.get("/tags/beam")["systems"]["STS"] == "beam"


def test_partitions_keep_their_detectors_their_lock_and_what_is_left_out(running: Running) -> None:
    shown = until(lambda: (found := running.get("/partitions/lab")["partition"])["members"] and found, "it is owned")
    included = {one["system"]: one["included"] for one in shown["members"]}
    assert (included["MUCH"], included["PSD"]) == (False, True)
    refused = running.http.post("/api/v1/partitions/lab/commands/configure", json={"wait_s": 10})
    assert refused.status_code == 409
    assert "locked" in refused.text


def test_the_audit_goes_on_after_its_last_entry(running: Running) -> None:
    then = [one for one in running.get("/audit", limit=1000)["entries"] if one["sequence"] <= 19]
    assert len(then) == 19
    assert (then[0]["what"], then[0]["target"], then[0]["outcome"]) == ("start", "partition.mCBM", "accepted")
    assert any(one["what"] == "set" and "out_of_range" in json.dumps(one["cause"]) for one in then)
    until(lambda: "caen" in running.devices(), "its catalogue is known")
    assert running.command("caen", "set", arguments={"point": "0.lv_setV", "value": 99}).status_code == 422
    until(lambda: running.get("/audit")["entries"][0]["sequence"] > 19, "the refusal is in the audit")


def test_an_account_is_still_there(folder: Path, running: Running) -> None:
    words = (sys.executable, "-m", "countingroom", "user", "list", str(folder / "description" / "experiment.yaml"))
    listed = subprocess.run(
        [*words, "--data", str(folder / "data"), "--json"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Ann Example" in listed.stdout
    assert "expert" in listed.stdout


def test_the_history_of_then_is_answered_and_new_values_follow(running: Running) -> None:
    series = running.get("/history", **{"point": "caen.0.lv_setV", "from": BEGIN, "to": END})
    assert series["resolution"] == "raw"
    assert series["mean"] == [12.0, 11.25, 11.25]
    reading = until(lambda: running.reading("caen", "0.lv_setV"), "the setpoint is read")

    def recorded() -> bool:
        last = running.get("/history/last", point="caen.0.lv_setV")["readings"]["caen.0.lv_setV"]
        return bool(last["device_ns"] >= reading["device_ns"] > series["time_ns"][-1])

    until(recorded, "the value of now follows")


def test_events_of_then_come_before_those_of_now(running: Running) -> None:
    messages = [one["message"] for one in events(running, "mCBM")]
    assert "run 1 ended: stopped" in messages
    assert messages.index("run 2 ended: stopped") < messages.index("run 1 ended: stopped")
    until(lambda: "run 3 ended" in json.dumps(events(running, "mCBM")), "the events of now follow")
    sequences = [one["sequence"] for one in events(running, "mCBM")]
    assert sequences == sorted(sequences, reverse=True)
