"""The tutorials do what they say: each command of their blocks is run, in order, against one demo.

Delays of the demo are shortened in a copy of its description, and what a reader waits for is waited for. The lines of a
block of output must be in what the commands before it have written, whatever the times are.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from countingroom.cli.main import run
from countingroom.cli.running import DATA_VARIABLE
from tests.system.running import Running, until, up

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorial"
SHORTER = (
    ("on_delay: 60 s", "on_delay: 2 s"),
    ("on_delay: 30 s", "on_delay: 1 s"),
    ("for: 30 s", "for: 1 s"),
)
NOT_RUN = ("make demo", "make demo PORT=9090", ". .venv/bin/activate")
UNTIL_CTRL_C = ("countingroom device watch chiller",)
REFUSED = (
    "countingroom device set chiller.setpoint_1 400",
    "countingroom device do caen hv_on --channel 0",
)
"""Commands of which the text says that they are refused. Those of `reset`, which stand twice, are in REFUSED_ONCE."""
REFUSED_ONCE = "countingroom interlock reset cooling_lost"
OF_THE_START = ("Counting room 0.1.0",)
"""The first words of a block of output that no command of the tutorial has written."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(Struct, frozen=True):
    kind: str
    lines: list[str]


def blocks(name: str) -> list[Block]:
    return [Block(kind, text.splitlines()) for kind, text in _BLOCK.findall((TUTORIALS / f"{name}.md").read_text())]


class Reader:
    """A person who follows the tutorials in one terminal."""

    def __init__(self, demo: Running, capsys: pytest.CaptureFixture[str]) -> None:
        self.demo = demo
        self._capsys = capsys
        self._refused: set[str] = set()

    def follow(self, name: str, waits: dict[str, Callable[[Reader], Any]]) -> None:
        """Do what the blocks of a tutorial say. `waits`: what is waited for before a command is given."""
        written, unused = "", set(waits)
        for block in blocks(name):
            if block.kind == "sh":
                written = ""
                for line in block.lines:
                    if line in waits:
                        until(lambda line=line: waits[line](self), f"{name}: {line}")
                        unused.discard(line)
                    written += self.give(line)
            elif not block.lines[0].startswith(OF_THE_START):
                for line in block.lines:
                    assert plain(line) in plain(written), f"{name}: not written: {line}\n{written}"
        assert not unused, f"{name} has no such command: {unused}"

    def give(self, line: str) -> str:
        """Give one command; what it wrote."""
        if line in NOT_RUN:
            return ""
        words = shlex.split(line.replace("--seconds 30", "--seconds 3"), comments=True)
        assert words[0] == "countingroom", f"a command that this test does not know: {line}"
        if line in UNTIL_CTRL_C:
            return self._watch(words[1:])
        self._capsys.readouterr()
        status = run(words[1:])
        found = self._capsys.readouterr()
        expected = int(line in REFUSED or (line == REFUSED_ONCE and line not in self._refused))
        self._refused.add(line)
        assert status == expected, f"{line}: status {status}\n{found.out}{found.err}"
        return found.out + found.err

    def _watch(self, words: list[str]) -> str:
        with subprocess.Popen(
            [sys.executable, "-m", "countingroom", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            return first + process.stdout.read()

    def partition(self) -> dict[str, Any]:
        return self.demo.get("/partitions/mCBM")["partition"]

    def is_run_over(self, number: int) -> bool:
        return self.demo.get(f"/runs/{number}")["end"] is not None

    def alarms(self) -> set[str]:
        return {one["id"] for one in self.demo.get("/alarms", state="all")["alarms"]}


def plain(text: str) -> str:
    """Without times, and with single blanks."""
    return " ".join(_TIME.sub("T", text).split())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "examples" / "demo", folder / "demo")
    alarms = folder / "demo" / "alarms.yaml"
    text = alarms.read_text()
    for given, shorter in SHORTER:
        assert given in text, given
        text = text.replace(given, shorter)
    alarms.write_text(text)
    experiment = folder / "demo" / "experiment.yaml"
    text = experiment.read_text()
    humidity = "humidity: { "
    assert humidity in text
    experiment.write_text(text.replace(humidity, f"{humidity}stale_after: 8 s, "))
    with up(experiment, folder / "data", "--simulate") as running:
        until(lambda: are_connected(running), "all devices are connected")
        yield running


def are_connected(running: Running) -> bool:
    devices = running.devices().values()
    return bool(devices) and all(
        one["alive"] and one["state"] and one["state"]["state"] != "DISCONNECTED" for one in devices
    )


@pytest.fixture
def reader(
    demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Reader:
    monkeypatch.delenv("COUNTINGROOM_URL", raising=False)
    monkeypatch.setenv(DATA_VARIABLE, str(demo.data))
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.chdir(tmp_path)
    return Reader(demo, capsys)


def test_every_tutorial_is_followed_here() -> None:
    assert {one.stem for one in TUTORIALS.glob("*.md")} == {"index", "first-evening", "first-run", "first-alarm"}


def test_the_first_evening(reader: Reader) -> None:
    reader.follow(
        "first-evening",
        {"countingroom device list": lambda it: it.demo.reading("chiller", "internal_temp")},
    )


def test_the_first_run(reader: Reader) -> None:
    reset_if_tripped(reader)
    reader.follow(
        "first-run",
        {
            "countingroom partition stop mCBM": lambda it: it.partition()["state"] == "Recording",
            "countingroom run flag 2 test": lambda it: it.partition()["run"] in (0, 2),
            "countingroom partition start mCBM": lambda it: it.is_run_over(2),
            "countingroom simulate fault co2 drop": lambda it: it.partition()["state"] == "Recording",
            "countingroom simulate fault co2 restore": lambda it: it.is_run_over(3),
        },
    )
    assert reader.demo.get("/runs/3")["end"] == "lost"
    assert reader.partition()["state"] == "QA_Active"


def test_the_first_alarm(reader: Reader) -> None:
    demo = reader.demo
    reader.follow(
        "first-alarm",
        {
            "countingroom alarm show device.chiller.state": lambda it: "device.chiller.state" in it.alarms(),
            "countingroom interlock show cooling_lost": lambda it: interlock(it)["is_tripped"],
            "countingroom device do caen hv_on --channel 0": is_hv_off,
            "countingroom device do chiller start": lambda it: it.demo.state("chiller") in ("OFF", "ON"),
            "countingroom rules show humidity_unknown": acted,
        },
    )
    assert demo.reading("chiller", "setpoint_1")["value"] == 20.0
    assert interlock(reader)["proof"]["passed"]
    assert Path("night.svg").exists()


def reset_if_tripped(reader: Reader) -> None:
    """The first evening says so: a chiller that is disconnected for longer than the delay trips an interlock."""
    until(lambda: reader.demo.state("chiller") in ("OFF", "ON"), "the chiller is connected")
    if interlock(reader)["is_tripped"]:
        assert run(shlex.split(REFUSED_ONCE)[1:]) == 0


def is_hv_off(reader: Reader) -> bool:
    return reader.demo.devices()["caen"]["channels"]["0"] == "LV_ON"


def interlock(reader: Reader) -> dict[str, Any]:
    return reader.demo.get("/interlocks/cooling_lost")["interlock"]


def acted(reader: Reader) -> bool:
    last = reader.demo.get("/rules/humidity_unknown")["rule"]["last"]
    return last is not None and last["ended_ns"] is not None
