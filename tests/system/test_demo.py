"""The demo as a whole: each killed process is started again, and the end leaves no process behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import warm_python
from tests.drill.__main__ import play
from tests.drill.faults import DRILLS, SHORT
from tests.drill.report import table
from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo" / "experiment.yaml"
GOOD, STALE = 0, 2
SIMULATED = ("caen", "chiller", "co2", "coldbox")
POINTS = {"caen": "0.lv_temp", "chiller": "internal_temp", "co2": "TT04_CO2", "coldbox": "ESP01.temperature"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up(DEMO, tmp_path_factory.mktemp("demo"), "--simulate", by_exec=True) as running:
        until(running.has_live_devices, "all devices are live")
        yield running


def fresh(demo: Running, device: str) -> bool:
    """Whether the device's point is heard of now."""
    reading = demo.reading(device, POINTS[device])
    return bool(reading) and reading["quality"] == GOOD


def runs(process: psutil.Process) -> bool:
    """Whether it lives; one that ended and was not yet waited for by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_every_device_is_live(demo: Running) -> None:
    every = {"caen", "chiller", "climate", "co2", "coldbox", "cleanroom"}
    until(lambda: set(demo.devices()) == every, "every device is there")
    for device in POINTS:
        until(lambda device=device: fresh(demo, device), f"{device} has a good reading")
    assert demo.devices()["caen"]["channels"] == {"0": "LV_OFF", "1": "LV_OFF", "2": "LV_OFF", "3": "LV_OFF"}
    until(lambda: all(one["simulated"] for one in demo.devices().values()), "every device is said to be simulated")


def partition(demo: Running) -> dict[str, Any]:
    return demo.get("/partitions/mCBM")["partition"]


def test_a_run_goes_on_beside_the_devices(demo: Running) -> None:
    until(lambda: partition(demo)["state"] == "Recording", "the described goal is reached")
    run = demo.get(f"/runs/{partition(demo)['run']}")
    assert run["end"] is None
    assert set(run["members"]) == {"TFC", "DCS", "FLES", "QA", "STS", "MVD", "RICH", "TRD", "TOF"}
    until(lambda: not in_control(demo), "nobody is in control")
    assert "mCBM" in demo.http.get("/partitions/mCBM").text
    assert demo.get("/partitions")["unmapped"] == ["PSD"]


def in_control(demo: Running) -> str:
    control = demo.get("/partitions/mCBM")["control"]
    return control["holder"] if control else ""


@pytest.mark.parametrize("role", ["devices", "runs", "console", "history"])
def test_a_role_that_is_killed_ends_no_run(demo: Running, role: str) -> None:
    until(lambda: partition(demo)["state"] == "Recording", "a run goes on")
    number, before = partition(demo)["run"], demo.role(role)
    before.send_signal(signal.SIGKILL)
    until(lambda: demo.role(role).pid != before.pid, f"{role} is started again")
    until(lambda: demo.http.get("/readyz").status_code == 200, "the console serves")
    for device in POINTS:
        until(lambda device=device: demo.devices()[device]["alive"] and fresh(demo, device), f"{device} is heard")
    assert (partition(demo)["state"], partition(demo)["run"]) == ("Recording", number)


def test_a_bus_that_stands_still_ends_no_run(demo: Running) -> None:
    until(lambda: partition(demo)["state"] == "Recording", "a run goes on")
    number, bus = partition(demo)["run"], demo.server()
    bus.suspend()
    try:
        until(lambda: demo.http.get("/readyz").status_code == 503, "the console has lost the bus")
    finally:
        bus.resume()
    until(lambda: demo.http.get("/readyz").status_code == 200, "the console has the bus again")
    until(lambda: all(one["seen"] != "Connection Problem" for one in partition(demo)["members"]), "all are heard")
    for device in POINTS:
        until(lambda device=device: demo.devices()[device]["alive"] and fresh(demo, device), f"{device} is heard")
    assert (partition(demo)["state"], partition(demo)["run"]) == ("Recording", number)


def test_a_device_in_trouble_ends_the_run_that_needs_it_with_its_cause(demo: Running) -> None:
    until(lambda: partition(demo)["state"] == "Recording", "a run goes on")
    number = partition(demo)["run"]
    demo.fault("co2", "drop")
    run = until(lambda: (found := demo.get(f"/runs/{number}"))["end"] and found, "the run is closed")
    assert run["end"] == "lost"
    assert "DCS" in str(run["cause"])
    assert "co2" in str(run["cause"])
    until(lambda: partition(demo)["state"] == "Detectors_Active", "it rests on the level below")
    demo.fault("co2", "restore")
    until(lambda: fresh(demo, "co2") and demo.state("co2") != "DISCONNECTED", "the plant joins again")

    def again() -> bool:
        arguments = {"state": "QA_Active"}
        answer = demo.post("partitions/mCBM/commands/goal", arguments=arguments, wait_s=PATIENCE_S)
        return answer.status_code == 200 and answer.json()["outcome"]["kind"] == "done"

    until(again, "it is brought up again")


def test_a_setpoint_is_done_when_the_readback_agrees(demo: Running) -> None:
    answer = demo.command("caen", "set", arguments={"point": "0.lv_setV", "value": 11.25}, wait_s=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"]["kind"] == "done"
    until(lambda: demo.reading("caen", "0.lv_setV")["value"] == 11.25, "the readback is shown")


def test_a_setpoint_outside_the_description_is_refused(demo: Running) -> None:
    answer = demo.command("caen", "set", arguments={"point": "0.lv_setV", "value": 13.5})
    assert answer.status_code == 422
    assert "13" in answer.json()["cause"]["message"]


def test_a_module_is_powered_in_order(demo: Running) -> None:
    refused = demo.command("caen", "hv_on", channel="2")
    assert refused.status_code == 409
    assert refused.json()["cause"]["code"] == "not_allowed"
    for command, state in (("lv_on", "LV_ON"), ("hv_on", "HV_ON"), ("hv_off", "LV_ON"), ("lv_off", "LV_OFF")):
        answer = demo.command("caen", command, channel="2", wait_s=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        until(lambda state=state: demo.devices()["caen"]["channels"]["2"] == state, f"channel 2 is {state}")
    assert demo.devices()["caen"]["channels"]["1"] == "LV_OFF"


def test_a_killed_device_host_comes_back_and_writes_nothing(demo: Running) -> None:
    done = demo.command("chiller", "start", wait_s=PATIENCE_S)
    assert done.status_code == 200, done.text
    until(lambda: demo.state("chiller") == "ON", "the chiller runs")
    setpoints = {
        ("caen", "0.lv_setV"): demo.reading("caen", "0.lv_setV")["value"],
        ("chiller", "setpoint_1"): demo.reading("chiller", "setpoint_1")["value"],
    }
    before = demo.role("devices")
    before.send_signal(signal.SIGKILL)
    until(lambda: demo.role("devices").pid != before.pid, "a new device host")
    received = {device: demo.reading(device, POINTS[device])["received_ns"] for device in POINTS}
    for device in ("caen", "chiller", "co2"):
        until(
            lambda device=device: (
                fresh(demo, device) and demo.reading(device, POINTS[device])["received_ns"] > received[device]
            ),
            f"{device} is read again",
        )
    until(lambda: demo.state("chiller") == "ON", "the chiller's state is derived from the chiller")
    for (device, point), value in setpoints.items():
        assert demo.reading(device, point)["value"] == value
    processes = demo.get("/events", source="devices", kind="process")["events"]
    assert any("SIGKILL" in event["message"] for event in processes)
    starts = [event for event in demo.get("/events", kind="command")["events"] if event["action"] == "start"]
    assert len(starts) == 1


def test_killed_simulators_are_lost_links_and_join_again(demo: Running) -> None:
    for device in SIMULATED:
        until(lambda device=device: fresh(demo, device), f"{device} is heard")
        until(lambda device=device: demo.state(device) != "DISCONNECTED", f"{device} is connected")
    before = demo.role("simulators")
    stopped = before.children(recursive=True)
    assert stopped  # the IOC and the brokers
    before.send_signal(signal.SIGKILL)
    for device in SIMULATED:
        until(
            lambda device=device: any(
                event["source"] == device and event["after"] == "DISCONNECTED"
                for event in demo.get("/events", source=device, kind="state", limit=50)["events"]
            ),
            f"{device} is said to be disconnected",
        )
    until(lambda: demo.role("simulators").pid != before.pid, "new simulators")
    for device in SIMULATED:
        until(
            lambda device=device: demo.state(device) != "DISCONNECTED" and fresh(demo, device), f"{device} joins again"
        )
    assert not any(runs(one) for one in stopped)


def test_a_frozen_line_is_stale_with_its_last_value(demo: Running) -> None:
    until(lambda: fresh(demo, "chiller"), "the chiller is heard")
    demo.fault("chiller", "freeze")
    lost = until(
        lambda: (reading := demo.reading("chiller", "internal_temp"))["quality"] == STALE and reading, "it is stale"
    )
    assert isinstance(lost["value"], float)
    until(lambda: demo.state("chiller") == "DISCONNECTED", "it is disconnected")
    demo.fault("chiller", "restore")
    until(lambda: fresh(demo, "chiller") and demo.state("chiller") != "DISCONNECTED", "it is heard again")


def test_what_was_measured_is_in_the_history(demo: Running) -> None:
    def recorded() -> bool:
        answer = demo.get("/history", **{"point": "chiller.internal_temp", "from": "-10min"})
        series = answer.get("series", [answer])[0] if "series" in answer else answer
        return sum(value is not None for value in series["mean"]) > 3

    until(recorded, "the chiller's temperature is recorded")


def test_the_command_line_sees_the_same(demo: Running) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return warm_python.run(*words, environment={"COUNTINGROOM_URL": demo.url})

    assert "Julabo chiller" in run("device", "list").stdout
    assert run("device", "set", "caen.1.lv_setV", "12.5").returncode == 0
    assert run("device", "get", "caen.1.lv_setV").stdout.strip() == "12.50 V"
    refused = run("device", "set", "caen.1.lv_setV", "99")
    assert refused.returncode == 1
    assert "out_of_range" in refused.stderr
    watched = run("device", "watch", "coldbox", "--lines", "3", "--json")
    assert watched.stdout.count('"point"') == 3
    unknown = run("simulate", "fault", "caen", "fly")
    assert unknown.returncode == 1
    assert "drop" in unknown.stderr


def test_control_goes_on_through_the_faults_of_the_short_drill(demo: Running) -> None:
    rows = list(play(demo, [drill for drill in DRILLS if drill.name in SHORT], short=True))
    assert len(rows) == len(SHORT)
    assert not [row for row in rows if row.faults], table(rows)


def test_no_other_account_can_read_the_data(demo: Running) -> None:
    until((demo.data / "history" / "history.duckdb").exists, "the history has its file")
    found = [demo.data, *(path for path in demo.data.rglob("*") if path.name != "up.log")]
    assert len(found) > 20
    assert [path for path in found if path.exists() and path.lstat().st_mode & 0o077] == []


def test_no_password_of_the_bus_is_in_arguments_or_environment(demo: Running) -> None:
    passwords = json.loads((demo.data / "bus" / "credentials.json").read_text())["passwords"].values()
    for process in demo.children():
        words = [*process.cmdline(), *process.environ().values()]
        assert not [word for word in words for password in passwords if password in word]


def test_the_bus_has_refused_nothing_that_a_role_needs(demo: Running) -> None:
    """The last test of the demo that commands something: the log is of all that went before."""
    log = (demo.data / "bus" / "nats.log").read_text()
    assert [line for line in log.splitlines() if "Violation" in line] == []


def test_a_second_experiment_on_the_same_data_is_told_who_runs_there(demo: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "countingroom", "up", str(DEMO), "--port", "0", "--data", str(demo.data)],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert str(demo.process.pid) in second.stderr
    assert demo.url in second.stderr


def test_a_port_that_is_taken_is_told_with_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = subprocess.run(
            [sys.executable, "-m", "countingroom", "up", str(DEMO), "--port", port, "--data", str(tmp_path)],
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 2
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port " in refused.stderr


def test_nothing_is_left_after_a_clean_end(tmp_path: Path) -> None:
    with up(DEMO, tmp_path, "--simulate") as running:
        children = running.children()
        assert len(children) > 6
    assert [one for one in children if runs(one)] == []


def test_nothing_is_left_after_a_kill(tmp_path: Path) -> None:
    with up(DEMO, tmp_path, "--simulate", status=-signal.SIGKILL) as running:
        children = running.children()
        running.process.kill()
        until(lambda: not any(runs(one) for one in children), "every child is gone")
