"""The command `mirror`, and `check` of its section."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.cli.check import app as check
from countingroom.cli.mirror import app
from countingroom.core.errors import ConfigurationError
from countingroom.mirror.template_files import read_templates

DESCRIPTION = """\
experiment: {name: x}
devices:
  plant: {driver: modbus, host: plc-area51.lab.org, registers: {a: {address: 1}}}
mirror:
  key: {env: MIRROR_KEY}
  templates: [templates.jsonl]
  never: {users: [anna.rossi]}
  publish:
    run:
      number: {integer: [1, 10000000]}
      state: {one_of: [running, ended]}
      started: time
      host: {pseudonym: host}
      rates: {table: {number: [0, 1e6], digits: 3}, key: {pattern: "[a-z]+"}}
      clients: {items: {fields: {lumi: {integer: [0, 9999]}}}, most: 2}
      log: log
"""
LOG = """\
event 1 of run 381, 12.5 ms
event 2 of run 381, 13.5 ms
opened by anna.rossi on plc-area51.lab.org
"""
RECORD = {
    "number": 381,
    "state": "running",
    "host": "plc-area51.lab.org",
    "user": "anna.rossi",
    "rates": {"express": 12.3456},
    "clients": [{"lumi": 1, "pid": 4}],
    "log": ["event 3 of run 381, 1.5 ms", "secret"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRROR_KEY", "k" * 32)
    (tmp_path / "experiment.yaml").write_text(DESCRIPTION)
    (tmp_path / "templates.jsonl").write_text("")
    (tmp_path / "a.log").write_text(LOG)
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_templates_are_learned_approved_and_then_lines_leave(folder: Path) -> None:
    assert "0 of 3 lines leave" in run("explain", "a.log")
    listed = json.loads(run("learn", "a.log", "--write", "templates.jsonl", "--json"))
    assert [(one["template"], one["lines"]) for one in listed["templates"]] == [
        ("event <int> of run <int>, <float> ms", 2),
        ("opened by <host> on <host>", 1),
    ]
    left = run("explain", "a.log")
    assert "event 1 of run 381, 12.5 ms\nevent 2 of run 381, 13.5 ms\nopened by host-" in left
    assert "3 of 3 lines leave (100.0%), 3 of them whole" in left
    assert "plc-area51" not in left
    assert "rossi" not in left
    assert "0 templates without an approval" in run("learn", "a.log")


def test_a_record_is_explained_field_by_field(folder: Path) -> None:
    run("learn", "a.log", "--write", "templates.jsonl")
    found = json.loads(run("explain", "run.json", "--kind", "run", "--json"))
    leaves = found["leaves"]
    assert leaves.pop("host").startswith("host-")
    assert leaves == {
        "number": 381,
        "state": "running",
        "rates": {"express": 12.3},
        "clients": [{"lumi": 1}],
        "log": ["event 3 of run 381, 1.5 ms", "[1 line withheld]"],
    }
    becomes = {one["path"]: one["what"] for one in found["decisions"]}
    assert (becomes["user"], becomes["clients[].pid"], becomes["host"]) == ("not listed", "not listed", "replaced")
    assert "anna" not in json.dumps(leaves)


def test_words_of_a_template_that_name_somebody_are_not_proposed(folder: Path) -> None:
    (folder / "experiment.yaml").write_text(DESCRIPTION.replace("anna.rossi", "rossi"))
    (folder / "a.log").write_text("opened for rossi 5\n")
    assert "its words hold the user rossi" in run("learn", "a.log", "--write", "t")
    assert (folder / "t").read_text() == ""


def test_a_template_of_one_log_among_many_is_not_proposed(folder: Path) -> None:
    for number in range(4):
        (folder / f"{number}.log").write_text("run 5 ends\n" + ("my own words\n" if number == 2 else ""))
    run("learn", *(f"{number}.log" for number in range(4)), "--write", "t")
    assert [one.template for one in read_templates([folder / "t"])] == ["run <int> ends"]


def test_a_wrong_line_of_a_file_of_templates_is_told_with_its_place(folder: Path) -> None:
    file = folder / "templates.jsonl"
    for text, told in (
        ("{", "truncated"),
        ('{"template": "a <int>"}', "1 slots, and 0"),
        ('{"x": 1}', "unknown field"),
    ):
        file.write_text(f"\n{text}\n")
        with pytest.raises(ConfigurationError) as error:
            read_templates([file])
        assert error.value.cause.source == f"{file}:2"
        assert told in error.value.cause.message
        result = CliRunner().invoke(check, ["experiment.yaml"])
        assert result.exit_code != 0
        assert "experiment.yaml:6" in result.output
        assert f"{file.name}:2" in result.output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  key: {env: MIRROR_KEY}\n", "", "give a key for the aliases"),
        ("started: time", "started: tome", "a rule is one of the words boolean, time, log"),
        ("[1, 10000000]", "[5, 1]", "5 is above 1"),
        ("host: {pseudonym: host}", "host: {pseudonym: host, time: true}", "give one kind"),
        ("host: {pseudonym: host}", "host: {}", "got none"),
        (', key: {pattern: "[a-z]+"}', "", "a table needs a key"),
        ("[a-z]+", "([a-z]+)+", "can take for ever"),
        ("[anna.rossi]", "[an]", "would be found in any text"),
        ("  publish:", "  feed: {points: [x]}\n  publish:", "no field of a point leaves"),
        ("  publish:", "  feed: {to: 'https://a.b:8'}\n  publish:", "give the token that the receiver knows"),
        ("  publish:", "  feed: {to: 'http://a.b', token: {env: X}}\n  publish:", "leaves encrypted only"),
        ("  publish:", "  feed: {to: 'https://u@a.b/?x', token: {env: X}}\n  publish:", "https://HOST:PORT"),
        ("  publish:", "  feed: {tls_ca: a}\n  publish:", "tls_ca belongs to a receiver"),
        ("  publish:", "  feed: {outbox: 1 MiB}\n  publish:", "67108864"),
    ],
)
def test_a_policy_that_does_not_fit_together_is_refused(folder: Path, old: str, new: str, told: str) -> None:
    assert old in DESCRIPTION
    (folder / "experiment.yaml").write_text(DESCRIPTION.replace(old, new))
    result = CliRunner().invoke(check, ["experiment.yaml"])
    assert result.exit_code != 0
    assert told in result.output
    assert "experiment.yaml:" in result.output


def test_a_log_without_templates_is_warned_of(folder: Path) -> None:
    (folder / "experiment.yaml").write_text(DESCRIPTION.replace("  templates: [templates.jsonl]\n", ""))
    result = CliRunner().invoke(check, ["experiment.yaml"])
    assert result.exit_code == 0
    assert "no line leaves before its template is approved" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["explain", "run.json", "--kind", "user"], "published are: run"),
        (["explain", "a.log", "--kind", "run"], "it is no JSON"),
        (["explain", "none.log"], "cannot be read"),
        (["learn", "a.log", "--file", "run.json"], ""),
    ],
)
def test_what_cannot_be_explained_is_told(folder: Path, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is not None
    assert told in str(result.exception)


def test_the_word_default_stands_for_rules_that_can_be_shown_and_written_out(folder: Path) -> None:
    start = DESCRIPTION[: DESCRIPTION.index("  publish:")]
    (folder / "experiment.yaml").write_text(start + "  publish: default\n")
    shown = run("policy")
    (folder / "experiment.yaml").write_text(start + shown.replace("\n", "\n  ").replace("publish:", "  publish:", 1))
    assert run("policy") == shown == run("policy", "--default")
    (folder / "experiment.yaml").write_text(start + "  publish: {run: default, host: {up: boolean}}\n")
    found = json.loads(run("policy", "--json"))["publish"]
    assert found.keys() == {"run", "host"} and "seconds" in found["run"] and found["host"] == {"up": "boolean"}
    assert json.loads(run("policy", "run", "--json"))["publish"].keys() == {"run"}
    (folder / "experiment.yaml").write_text(start + "  publish: {tun: default}\n")
    result = CliRunner().invoke(check, ["experiment.yaml"])
    assert "there are no default rules of tun" in result.output and result.exit_code != 0


def test_each_rule_is_shown_as_it_is_written(folder: Path) -> None:
    found = json.loads(run("policy", "--json"))["publish"]["run"]
    assert found["rates"] == {
        "table": {"number": [0, 1e6], "digits": 3},
        "key": {"pattern": "[a-z]+"},
    }
    assert (found["started"], found["log"], found["state"]) == ("time", "log", {"one_of": ["running", "ended"]})
    assert found["clients"] == {"items": {"fields": {"lumi": {"integer": [0, 9999]}}}, "most": 2}
