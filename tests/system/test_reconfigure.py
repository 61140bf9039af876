"""The command line changes a parameter of a real program in place: at rest, and during a run where it is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.system.running import Running, until, up
from tests.warm_python import run

TELL = (
    "import os; print(os.environ['COUNTINGROOM_ACTION'], os.environ['COUNTINGROOM_PARAMETERS'], file=open('told', 'a'))"
)
DESCRIPTION = f"""
experiment: {{name: bench}}
runs:
  templates:
    bench:
      levels: [{{name: Detectors, members: [detectors], loss: error}}, {{name: Readout, members: [DAQ], loss: lost}}]
      recorders: [DAQ]
  systems:
    STS:
      agent:
        kind: script
        configure: [[{sys.executable}, -c, "{TELL}"]]
        reconfigure: [{sys.executable}, -c, "{TELL}", "{{tag}}"]
    DAQ: {{kind: global}}
  configurations:
    STS: {{beam: {{threshold: 1}}}}
    DAQ: {{beam: {{}}}}
  tags: {{beam: {{STS: beam, DAQ: beam}}}}
  partitions: {{A: {{template: bench, detectors: [STS], tag: beam}}}}
"""


def countingroom(running: Running, *words: str) -> tuple[int, str]:
    """Status and output of a command."""
    done = run(*words, "--url", running.url)
    return done.returncode, done.stdout + done.stderr


def partition(running: Running) -> Any:
    return running.get("/partitions/A")["partition"]


def told(place: Path) -> list[tuple[str, int]]:
    """Action and threshold of each program that has run."""
    lines = [line.split(" ", 1) for line in (place / "told").read_text().splitlines()]
    return [(action, json.loads(parameters)["threshold"]) for action, parameters in lines]


def test_a_parameter_of_a_program_is_changed_in_place(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION)
    with up(file, tmp_path / "data") as running:

        def works(*words: str) -> str:
            status, said = countingroom(running, *words)
            assert status == 0, said
            return said

        until(lambda: partition(running)["refusals"]["configure_all"] is None, "it is owned and looks no more")
        works("partition", "configure-all", "A")
        works("config", "save", "STS", "beam", "threshold=2")
        plan = works("partition", "reconfigure", "A", "--plan")
        assert "reconfigure STS: the parameters of beam have changed; they are given to it in place" in plan
        assert told(tmp_path) == [("configure", 1)]
        works("partition", "reconfigure", "A")
        works("partition", "start", "A")
        works("config", "save", "STS", "beam", "threshold=3")
        status, said = countingroom(running, "partition", "reconfigure", "A")
        assert status == 1
        assert "run 1 is open, and its conditions would change" in said
        assert "--while-recording" in said
        works("partition", "reconfigure", "A", "--while-recording")
        assert told(tmp_path) == [("configure", 1), ("reconfigure", 2), ("reconfigure", 3)]
        assert partition(running)["state"] == "Recording"
        until(lambda: "threshold 2 → 3" in works("run", "show", "1"), "the run book has it")
        works("partition", "stop", "A")
