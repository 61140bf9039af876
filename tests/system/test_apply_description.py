"""An experiment that has run before is started with an edited description: `up` says what differs, `apply` does it."""

from __future__ import annotations

from pathlib import Path

from tests.system.running import Running, until, up
from tests.warm_python import run

DESCRIPTION = """
experiment: {name: bench}
runs:
  templates:
    plain: {levels: [{name: all, members: [detectors], loss: error}]}
  systems:
    STS: {parameters: sts.json}
  configurations:
    STS: {beam: {threshold: 1}}
  tags:
    beam: {STS: beam}
  partitions:
    A: {template: plain, detectors: [STS], tag: beam}
"""


def countingroom(running: Running, *words: str) -> tuple[int, str]:
    """Status and output of a command."""
    done = run(*words, "--url", running.url)
    return done.returncode, done.stdout + done.stderr


def audited(running: Running) -> list[tuple[str, str]]:
    """What was asked for, and what became of it."""
    return [(one["what"], one["outcome"]) for one in running.get("/audit")["entries"]]


def test_an_edited_description_is_told_and_applied(tmp_path: Path) -> None:
    file, data = tmp_path / "experiment.yaml", tmp_path / "data"
    (tmp_path / "sts.json").write_text('{"properties": {"threshold": {"type": "number"}}}')
    file.write_text(DESCRIPTION)
    with up(file, data) as running:
        until(lambda: running.get("/apply/plan"), "run control answers")
        assert countingroom(running, "apply", "--plan")[0] == 0
    (tmp_path / "sts.json").write_text('{"properties": {"threshold": {"type": "number", "maximum": 5}}}')
    edited = DESCRIPTION.replace("threshold: 1", "threshold: 2").replace("beam: {STS: beam}", "night: {STS: beam}")
    file.write_text(edited.replace("tag: beam", "tag: night") + "  was: {tags: {night: beam}}\n")
    with up(file, data) as running:
        until(lambda: running.get("/apply/plan")["differs"], "run control answers")
        status, told = countingroom(running, "apply", "--plan")
        assert status == 3, told
        status, told = countingroom(running, "apply")
        assert status == 0, told
        assert countingroom(running, "apply", "--plan")[0] == 0
        until(lambda: running.get("/partitions/A")["partition"]["tag"] == "night", "the partition has it")
        saved = running.get("/configurations/STS/beam")
        assert (saved["revision"], saved["parameters"]) == (2, {"threshold": 2})
        until(lambda: ("apply", "accepted") in audited(running), "it is in the audit")
        running.stop()
        assert running.process.stdout
        line = "The description differs from the database: 2 to update, 1 to rename. See: countingroom apply --plan\n"
        assert line in running.process.stdout.read()
