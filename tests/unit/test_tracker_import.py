"""`countingroom import tracker-dcs` makes a description that works, and accounts for each line of the files."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from countingroom.cli.main import run
from countingroom.cli.tracker_import import Wishes, imported
from countingroom.core.errors import CountingRoomError
from countingroom.devices.description import DevicesSection
from countingroom.experiment import load

CHANNELS = """\
# a stand
name: dcs
channels:
  "0":
    lv: {board: 0, chan: 0, setV: 13., unVThr: 8}
    hv: {board: 12, chan: 0, maxI: 9999}
    module: module_0
  "1":
    lv: {board: 7, chan: 1}
    hv: {board: 12, chan: 1}
  "2":
    lv: {board: 0, chan: 2}
    hv: {board: 12, chan: 2}
global:
  lv:
    ovVThr: 15.
    tripExt: "0b00010001"
    colour: green
  hv: {tripMode: Kill}
"""
REGISTERS = """\
registers:
  PT01_CO2: {type: float32, address: 106, deadband: 0.2, comment: main}
  status: {address: 320}
  set_start_chiller: {type: bool, address: 305, bit: 0, input: true}
  set_start_co2: {type: bool, address: 305, bit: 1, input: true}
  set_flow_active: {type: bool, address: 305, bit: 2, input: true}
  set_alarm_reset: {type: bool, address: 305, bit: 3, input: true}
  set_temperature_setpoint: {type: float32, address: 310, input: true}
  set_speed_setpoint: {type: float32, address: 312, input: true}
  set_flow_setpoint: {type: float32, address: 314, input: true}
  CP_LP_FS: {type: bool, address: 300, bit: 6}
  EV1_CEr_FS: {type: bool, address: 301, bit: 1}
  EB_FS: {type: bool, address: 301, bit: 7}
alarm_codes:
  EB_FS: "Error: Emergency button pressed"
  EV1_CEr_FS: "?"
  GONE_FS: "no such bit"
"""
WISHES = Wishes(name="stand", marta="10.0.0.7", julabo="/dev/ttyUSB0", switchbox="/dev/ttyUSB1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "old"
    place.mkdir()
    (place / "caen_channels.yml").write_text(CHANNELS)
    (place / "marta_registers.yml").write_text(REGISTERS)
    (place / "telegraf.conf").write_text("[agent]\n")
    (place / "other.yaml").write_text("services: {}\n")
    return place


def test_each_line_is_taken_changed_or_not_needed_with_its_reason(folder: Path, tmp_path: Path) -> None:
    made = imported(folder, WISHES, secrets=tmp_path)
    rows = {row.place: (row.verdict, row.reason) for row in made.rows}
    for name, text in (("caen_channels.yml", CHANNELS), ("marta_registers.yml", REGISTERS)):
        wanted = [number for number, line in enumerate(text.splitlines(), 1) if not line.startswith("#")]
        assert [place for place in rows if place.startswith(f"{name}:")] == [f"{name}:{number}" for number in wanted]
    assert rows["caen_channels.yml:2"] == ("taken", "")
    verdict, reason = rows["caen_channels.yml:6"]
    assert verdict == "not needed" and "3500" in reason
    assert rows["caen_channels.yml:8"] == (
        "not needed",
        "left out: without lv: without board: Input should be less than or equal to 4",
    )
    assert rows["caen_channels.yml:10"] == ("not needed", "with channels.1")
    assert rows["caen_channels.yml:18"] == ("not needed", "left out: no such key is known")
    assert "highest voltage" in rows["caen_channels.yml:16"][1]
    assert "no such key" in rows["marta_registers.yml:2"][1]
    assert "was never shown; now: Full stop: compressor low pressure" in rows["marta_registers.yml:11"][1]
    assert rows["marta_registers.yml:16"] == ("changed", "it had no text; now: Full stop: EV1 controller error")
    assert rows["marta_registers.yml:17"][0] == "not needed"
    assert rows["telegraf.conf"][1].endswith("it goes on as it is")
    assert rows["other.yaml"][0] == "not needed"


def test_quoted_numbers_are_numbers(folder: Path, tmp_path: Path) -> None:
    text = (
        "channels: {'0': {lv: {board: '0x2', chan: '0b11', unVThr: '0x5'}, hv: {board: '0xC', chan: 1}, module: '0x7'}}"
    )
    (folder / "caen_channels.yml").write_text(text)
    made = imported(folder, WISHES, secrets=tmp_path)
    kept = yaml.safe_load(made.files["caen_channels.yaml"])["channels"]["0"]
    assert (kept["lv"], kept["hv"]["board"], kept["module"]) == ({"board": 2, "chan": 3, "unVThr": 5}, 12, "0x7")


def test_the_description_is_complete_and_checked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new"
    words = ["--marta", "10.0.0.7", "--julabo", "/dev/ttyUSB0", "--switchbox", "/dev/ttyUSB1", "-o", str(output)]
    assert run(["import", "tracker-dcs", str(folder), *words, "--epics", "ioc:5064"]) == 0
    said = capsys.readouterr()
    assert "4 devices" in said.out
    caen = load(output / "experiment.yaml").section(DevicesSection)["caen"].model_dump()
    assert list(caen["channels"]) == ["0", "2"]
    assert caen["everywhere"]["lv"]["tripExt"] == 17
    assert (caen["name_servers"], caen["apply_on_connect"]) == (["ioc:5064"], False)
    assert caen["points"]["0.lv_setV"]["write_low"] == 8.0
    assert caen["points"]["*.lv_setV"]["write_high"] == 15.0
    password = output / "secrets" / "mqtt-nodered"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600 and len(password.read_text()) > 20
    assert len((output / "import-report.txt").read_text().splitlines()) > 30
    assert run(["import", "tracker-dcs", str(folder), *words]) == 1  # it overwrites nothing


def test_with_a_broker_of_the_site_there_are_no_passwords(folder: Path, tmp_path: Path) -> None:
    made = imported(folder, Wishes(name="stand", marta="h", broker="mqtts://b:8883"), secrets=tmp_path)
    assert made.passwords == {}
    text = made.files["experiment.yaml"]
    assert '  broker: { address: "mqtts://b:8883" }\n' in text
    assert "mqtt:\n" not in text


def test_the_files_of_a_real_stand_are_taken(shared_data: Path, tmp_path: Path) -> None:
    made = imported(shared_data / "slow-control", WISHES, secrets=tmp_path)
    assert not [row for row in made.rows if row.verdict == "not needed"]
    assert len([row for row in made.rows if row.verdict == "changed"]) == 9  # texts that are a question mark


def no_folder(folder: Path) -> Path:
    for file in folder.iterdir():
        file.unlink()
    return folder


def two_files(folder: Path) -> Path:
    (folder / "more.yml").write_text(CHANNELS)
    return folder


def broken(folder: Path) -> Path:
    (folder / "caen_channels.yml").write_text("channels: [")
    return folder


def nothing_fits(folder: Path) -> Path:
    (folder / "caen_channels.yml").write_text("channels: {'0': {lv: {board: 99, chan: 1}}}")
    return folder


@pytest.mark.parametrize("change", [no_folder, two_files, broken, nothing_fits], ids=lambda one: one.__name__)
def test_what_cannot_be_taken_is_told(change: Callable[[Path], Path], folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CountingRoomError) as told:
        imported(change(folder), Wishes(name="stand", marta="h"), secrets=tmp_path)
    assert told.value.cause.suggestion


def test_a_register_file_needs_the_host_of_the_plant(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CountingRoomError, match="does not say where the plant is"):
        imported(folder, Wishes(name="stand"), secrets=tmp_path)


def test_a_name_that_no_experiment_can_have_is_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CountingRoomError, match="letters, digits"):
        imported(folder, replace(WISHES, name="x y: {"), secrets=tmp_path)
