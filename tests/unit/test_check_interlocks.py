"""`check` enumerates interlocks and tells what guards nothing, fights, loops, or does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from countingroom.cli.check import app
from countingroom.core.interlocks.consequences import loops
from countingroom.core.interlocks.outcomes import MatrixOutcome, expected, outcome, outcomes
from tests.unit.interlock_specs import cause, interlock

HEAD = """\
experiment: {name: x}
devices:
  chiller: {driver: julabo, port: /dev/x, setpoint_low: -40, setpoint_high: 40}
  mill:
    driver: modbus
    host: h
    registers:
      speed: {address: 1, type: int16}
      drive: {address: 2, type: int16, input: true, write_low: 0, write_high: 10}
runs:
  systems: {STS: {}, TFC: {kind: global}, DCS: {kind: global}, FLES: {kind: global}, QA: {kind: global}}
  partitions: {mCBM: {detectors: [STS]}}
alarms:
  guidance: {meaning: m, do: d}
  interlocks:
    cooling:
"""
AT = len(HEAD.splitlines())
GOOD = """\
      causes:
        fast: {inputs: [{limit: {point: mill.speed, alarm_high: 5}}]}
        hot: {inputs: [{limit: {point: chiller.internal_temp, alarm_high: 35}}], on_delay: 2 s}
      effects:
        off: {commands: [{device: chiller, command: stop}]}
        slow: {commands: [{device: mill, command: set, arguments: {point: drive, value: 0}}]}
        halt: {stop: mCBM}
        wait: {forbid: mCBM}
      matrix: {fast: [off, halt, wait], hot: {off: 0 s, slow: 5 min}}
"""


def run(tmp_path: Path, section: str, *options: str) -> tuple[int, list[str], str]:
    file = tmp_path / "experiment.yaml"
    file.write_text(HEAD + section, encoding="utf-8")
    result = CliRunner().invoke(app, [str(file), *options])
    told: list[str] = []
    for one in result.stderr.splitlines():
        mark, _, rest = one.partition(f"{file}:")
        line, _, message = rest.partition(": ")
        told.append(f"{mark}{int(line) - AT}: {message.partition(': ')[2]}")
    return result.exit_code, told, result.stdout


def test_a_right_interlock_is_enumerated_in_a_table(tmp_path: Path) -> None:
    status, told, output = run(tmp_path, GOOD)
    assert (status, told) == (0, [])
    assert "1 interlock: every combination of causes has one outcome (each tried)" in output
    assert "off, slow after 5 min" in output


def test_the_enumeration_is_in_the_json_too(tmp_path: Path) -> None:
    _, _, output = run(tmp_path, GOOD, "--json")
    rows = json.loads(output)["interlocks"]
    assert [(row["cause"], row["combinations"], row["outcomes"], row["evaluated_in"]) for row in rows] == [
        ("fast", 4, 4, "device host"),
        ("hot", 4, 4, "device host"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("device: chiller,", "device: chillr,", "5: there is no device chillr; did you mean chiller?"),
        ("command: stop", "command: stopp", "5: chiller has no command stopp; did you mean stop?"),
        ("command: stop}", 'channel: "0", command: stop}', "5: chiller has no channel 0"),
        ("point: drive, value: 0", "point: drive, value: 11", "6: drive: 11 is outside 0 to 10"),
        ("point: drive, value: 0", "point: speed, value: 1", "6: speed"),
        ("point: drive, value: 0", "point: drivf, value: 1", "6: mill has no point drivf; did you mean drive?"),
        ("point: mill.speed", "point: mill.sped", "2: no point is named mill.sped; did you mean mill.speed?"),
        (
            "on_delay: 2 s}",
            "test: {simulate: {device: chillr, fault: trip}}}",
            "3: there is no device chillr; did you mean chiller?",
        ),
        (
            "on_delay: 2 s}",
            "test: {simulate: {device: chiller, fault: frieze}}}",
            "3: the simulator of chiller has no fault frieze; did you mean freeze?",
        ),
        (
            "on_delay: 2 s}",
            "test: {simulate: {device: chiller, fault: slow}}}",
            "3: slow needs the argument seconds",
        ),
        (
            "on_delay: 2 s}",
            "test: {simulate: {device: chiller, fault: trip}, restore: {device: mill, fault: thaw}}}",
            "3: the simulator of mill has no fault thaw",
        ),
        (
            "halt: {stop: mCBM}",
            "halt: {commands: [{device: chiller, command: start}]}",
            "7: start and stop of off fight each other at chiller: each undoes the other",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in GOOD
    status, found, _ = run(tmp_path, GOOD.replace(before, after, 1))
    assert status == 2
    assert any(one.startswith(told) for one in found), found


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("fast: [off, halt, wait], ", "", "warning: 2: it leads to no effect, so mill.speed guard nothing"),
        ("[off, halt, wait]", "[off, wait]", "warning: 7: no cause leads to it"),
        ("[off, halt, wait]", "[off, halt]", "warning: 7: fast stops the run of mCBM, and the next run can be started"),
        ("stop: mCBM", "stop: mCBN", "warning: 7: no partition is named mCBN; did you mean mCBM?"),
        (
            "point: mill.speed, alarm_high: 5",
            "point: mill.drive, alarm_low: 5",
            "warning: 2: its effects make fast true again",
        ),
        (
            "matrix:",
            "bypass: {longest: 9 h}\n      proof_test: 1 h\n      matrix:",
            "warning: 9: a bypass may be longer",
        ),
        ("matrix:", "engine_silent: {after: 3 s, effects: [off]}\n      matrix:", "warning: 9: a standby engine needs"),
        (
            "fast: {inputs: [{limit: {point: mill.speed, alarm_high: 5}}]}",
            "fast: {inputs: [{state: {of: partition.mCBM, in: [error]}}]}",
            "warning: 0: no device host evaluates all of it",
        ),
        (
            "[{limit: {point: mill.speed, alarm_high: 5}}]",
            "[{limit: {point: mill.speed, alarm_high: 5}}, {limit: {point: mill.speed, alarm_high: 5}}]",
            "warning: 2: it is the same as input 1",
        ),
    ],
)
def test_what_guards_nothing_or_does_not_fit_is_a_warning(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in GOOD
    section = GOOD.replace(before, after, 1)
    if "mill.drive" in after:
        section = section.replace("fast: [off, halt, wait]", "fast: [off, halt, wait, slow]")
    _, found, _ = run(tmp_path, section)
    assert any(one.startswith(told) for one in found), found


def test_a_state_that_an_effect_leads_to_is_a_loop(tmp_path: Path) -> None:
    section = """\
      causes:
        is_on: {inputs: [{state: {of: device.chiller, in: [ON]}}]}
      effects:
        run: {commands: [{device: chiller, command: start}]}
      matrix: {is_on: [run]}
"""
    _, found, _ = run(tmp_path, section)
    assert any("its effects make is_on true again: it cannot be reset" in one for one in found), found


def test_loops_through_other_interlocks_are_found_once() -> None:
    graph = {("a", "1"): [("b", "2")], ("b", "2"): [("c", "3"), ("a", "1")], ("c", "3"): [("c", "3")]}
    assert sorted(map(len, loops(graph))) == [1, 2]


def test_the_outcome_of_each_combination_is_what_the_matrix_says() -> None:
    spec = interlock(
        cause("a", on_ns=5), cause("b", 3, vote=2), cells={("a", "off"): 7, ("b", "stop"): 0, ("b", "no_start"): 2}
    )
    assert list(outcomes(spec)) == [
        MatrixOutcome(causes=(), effects=()),
        MatrixOutcome(causes=("a",), effects=("off",)),
        MatrixOutcome(causes=("b",), effects=("stop", "no_start")),
        MatrixOutcome(causes=("a", "b"), effects=("off", "stop", "no_start")),
    ]


names = [f"c{number}" for number in range(12)]


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(names), st.sampled_from(["off", "stop", "no_start"])),
        st.integers(0, 3),
        min_size=1,
    ),
    st.sets(st.sampled_from(names)),
)
def test_causes_are_independent(cells: dict[tuple[str, str], int], chosen: set[str]) -> None:
    """The argument for more causes than are enumerated: the effects of a combination are those of its causes."""
    spec = interlock(*(cause(name) for name in names), cells=cells)
    together = set(outcome(spec, chosen))
    assert together == {effect for one in chosen for effect in outcome(spec, {one})}
    assert tuple(outcome(spec, chosen)) == expected(spec, chosen)
