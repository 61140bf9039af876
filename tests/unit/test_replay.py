"""What a replay reports: spans, differences from the record, states from events, the picture, and the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from countingroom.alarms.replay.picture import MOST_LANES, Lane, picture
from countingroom.alarms.replay.recorded import StateAt, inputs
from countingroom.alarms.replay.spans import ActiveSpan, differences, spans, total
from countingroom.cli.main import run
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.states import BaseState
from countingroom.core.messages import Catalogue, Event, EventKind, Link, Readings
from countingroom.core.points import Limits
from countingroom.core.series import Series
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position

S = 1_000_000_000
T0 = 1_790_000_000 * S
BATH = "point.chiller.internal_temp"
ANNOUNCED, RETURNED, RAISED = HistoryKind.ANNOUNCED, HistoryKind.RETURNED, HistoryKind.RAISED


def row(kind: HistoryKind, at_s: float, *, priority: int = 3, alarm: str = BATH) -> AlarmEntry:
    base = BaseState.RETURNED if kind is RETURNED else BaseState.UNACKNOWLEDGED
    return AlarmEntry(time_ns=T0 + round(at_s * S), alarm=alarm, kind=kind, occurrence=1, base=base, priority=priority)


def test_a_span_lasts_from_the_activation_to_the_return_and_has_the_most_urgent_priority() -> None:
    rows = [row(ANNOUNCED, 10), row(RAISED, 20, priority=2), row(RETURNED, 40), row(HistoryKind.ACTIVATED, 50)]
    first, second = spans(rows, T0, T0 + 100 * S)[BATH]
    assert (first.begin_ns, first.end_ns, first.priority, first.announced) == (T0 + 10 * S, T0 + 40 * S, 2, True)
    assert (second.begin_ns, second.end_ns, second.announced) == (T0 + 50 * S, None, False)
    of_both = total([first, second], T0 + 100 * S)
    assert (of_both.times, of_both.announced, of_both.active_ns, of_both.longest_ns) == (2, 1, 80 * S, 50 * S)


def test_a_span_from_before_the_begin_is_cut_and_one_that_ended_before_is_left_out() -> None:
    rows = [row(ANNOUNCED, -90), row(RETURNED, -80), row(ANNOUNCED, -20), row(RETURNED, 5)]
    (only,) = spans(rows, T0, T0 + 100 * S)[BATH]
    assert (only.begin_ns, only.end_ns) == (T0, T0 + 5 * S)


def test_rows_that_are_near_in_time_are_the_same_and_all_others_differ() -> None:
    mine = [row(ANNOUNCED, 10), row(RETURNED, 40), row(ANNOUNCED, 60, priority=2)]
    theirs = [row(ANNOUNCED, 10.4), row(RETURNED, 47), row(ANNOUNCED, 60.1)]
    found = [(one.replayed, one.entry.kind, (one.entry.time_ns - T0) / S) for one in differences(mine, theirs)]
    assert found == [
        (True, RETURNED, 40),
        (False, RETURNED, 47),
        (True, ANNOUNCED, 60),
        (False, ANNOUNCED, 60.1),
    ]


def event(kind: EventKind, at_s: int, before: str, after: str, channel: str = "") -> Event:
    return Event(
        id=f"{kind}{at_s}{channel}",
        kind=kind,
        time_ns=T0 + at_s * S,
        department="devices",
        source="caen",
        channel=channel,
        message="-",
        before=before,
        after=after,
    )


def states(events: Sequence[Event]) -> list[tuple[int, str, str, str, bool]]:
    catalogue = Catalogue(device="caen", title="CAEN", driver="x", group="g", points=(), channels=("0", "1"))
    found = inputs([catalogue], {"caen": ["1"]}, events, [], T0)
    return [
        ((one.time_ns - T0) // S, one.state.channel, one.state.state, one.state.link.value, one.state.active)
        for one in found
        if isinstance(one, StateAt)
    ]


def test_states_before_the_first_event_are_what_it_says_was_before() -> None:
    found = states([event(EventKind.STATE, 5, "OFF", "ON", "0"), event(EventKind.STATE, 6, "OFF", "ON")])
    assert found == [
        (0, "0", "OFF", "connected", True),
        (0, "1", "", "connected", False),
        (0, "", "OFF", "connected", True),
        (5, "0", "ON", "connected", True),
        (6, "", "ON", "connected", True),
    ]


def test_a_lost_link_is_told_of_the_device_first() -> None:
    link = event(EventKind.LINK, 5, Link.CONNECTED.value, Link.DISCONNECTED.value)
    lost = [one for one in states([link]) if one[0] == 5]
    assert [(channel, state, of) for _, channel, state, of, _ in lost] == [
        ("", "DISCONNECTED", "disconnected"),
        ("0", "DISCONNECTED", "disconnected"),
        ("1", "DISCONNECTED", "disconnected"),
    ]


def lane(number: int) -> Lane:
    span = ActiveSpan(name=f"a{number}", begin_ns=T0, end_ns=None, priority=2, announced=False, text="<b> & more")
    series = Series(
        point="chiller.internal_temp",
        resolution="raw",
        time_ns=[T0, T0 + 2 * S, T0 + 5 * S],
        mean=[1.0, None, 3.0],
        low=[1.0, None, 2.0],
        high=[1.0, None, 4.0],
        quality=[0, 3, 0],
        count=[1, 0, 3],
    )
    limits = Limits(alarm_high=3.5)
    return Lane(name=f"a{number}", title="<title>", replayed=(span,), recorded=(span,), curve=series, limits=limits)


def test_the_picture_is_well_formed_and_bounded() -> None:
    text = picture("Replay", [lane(number) for number in range(MOST_LANES + 3)], T0, T0 + 10 * S)
    root = ElementTree.fromstring(text)
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == "p2 quiet"]
    assert len(bars) == MOST_LANES
    assert "and 3 more" in text
    assert '<line class="alarm"' in text
    assert "nothing was active" in picture("Replay", [], T0, T0 + 10 * S)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """A description, and beside it the data of an experiment that does not run."""
    limits = "{ warning_high: 25, alarm_high: 30 }"
    file = tmp_path / "experiment.yaml"
    file.write_text(
        "experiment: {name: bench}\n"
        "devices: {chiller: {driver: julabo, port: /dev/ttyUSB0, points: {internal_temp: " + limits + "}}}\n"
    )
    store = DuckStore(tmp_path / "data" / "history" / "history.duckdb")
    sent = [_message(number, 20.0 if number % 20 < 10 else 31.0) for number in range(100)]
    store.append(flatten(sent), Position(sequence=1, stored_ns=1))
    store.close()
    return file


def _message(number: int, value: float) -> Readings:
    now_ns = T0 + number * 10 * S
    return Readings(
        device="chiller",
        boot="b",
        sequence=number + 1,
        full=False,
        sent_ns=now_ns,
        points=["internal_temp"],
        values=[value],
        qualities=[0],
        device_ns=[now_ns],
        received_ns=[now_ns],
    )


def replayed(file: Path, *more: str) -> int:
    given = ["rules", "replay", "--from", str(T0), "--to", str(T0 + 1000 * S), "--description", str(file)]
    return run([*given, "--data", str(file.parent / "data"), *more])


def test_the_command_tells_what_alarms_would_have_done(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, rows = tmp_path / "out.html", tmp_path / "out.csv"
    assert replayed(experiment, "--json", "--picture", str(drawn), "--csv", str(rows)) == 0
    found = json.loads(capsys.readouterr().out)
    (alarm,) = found["alarms"]
    assert (alarm["alarm"], alarm["replayed"]["times"], alarm["recorded"]["times"]) == (BATH, 5, 0)
    assert (found["readings"], len(found["differences"])) == (100, 9)
    assert "<svg" in drawn.read_text()
    assert rows.read_text().count("announced") == 5
    assert replayed(experiment) == 0
    assert BATH in capsys.readouterr().out
    assert replayed(experiment, "--alarm", "point.caen.*") == 0
    assert BATH not in capsys.readouterr().out


RULES = """
alarms:
  rules:
    too_warm:
      title: Too warm
      reason: a test
      when: {limit: {point: chiller.internal_temp, alarm_high: 30}}
      for: 5 s
      do: [{log: it is warm}, {command: {device: chiller, command: "off"}}]
      most: {times: 2, per: 10 min}
"""


def test_the_command_tells_what_rules_would_have_done(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.write_text(experiment.read_text() + RULES)
    drawn, rows = tmp_path / "out.html", tmp_path / "out.csv"
    assert replayed(experiment, "--rule", "too_*", "--json", "--picture", str(drawn), "--csv", str(rows)) == 0
    found = json.loads(capsys.readouterr().out)
    (rule,) = found["rules"]
    kinds = [one["kind"] for one in rule["replayed"]]
    assert (found["alarms"], kinds) == ([], ["fired", "fired", "held_back", "fired", "fired"])
    first = rule["replayed"][0]
    assert (first["time_ns"] - T0) / S == 105
    assert (first["text"], first["evidence"]) == (
        "log: it is warm; chiller: off",
        {"chiller.internal_temp": 31.0},
    )
    assert rule["when"] == "chiller.internal_temp is above 30, for 5 s"
    assert drawn.read_text().count('class="p3') == 5
    assert rows.read_text().count("rule.too_warm,Too warm,fired") == 4
    assert replayed(experiment) == 0
    told = capsys.readouterr().out
    assert "too_warm" in told
    assert BATH in told
    assert "what a rule would have changed" in told
    assert replayed(experiment, "--alarm", "point.*") == 0
    assert "too_warm" not in capsys.readouterr().out
    assert replayed(experiment, "--rule", "other") == 1
    assert "the description has no rule 'other'" in capsys.readouterr().err


INTERLOCKS = """
alarms:
  interlocks:
    cooling:
      title: Cooling lost
      causes:
        warm: {title: Too warm, inputs: [{limit: {point: chiller.internal_temp, alarm_high: 30}}], on_delay: 5 s}
      effects: {"off": {title: HV off, commands: [{device: chiller, command: "off"}]}}
      matrix: {warm: {"off": 20 s}}
      latch: false
"""


def test_the_command_tells_what_interlocks_would_have_done(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.write_text(experiment.read_text() + INTERLOCKS)
    drawn, rows = tmp_path / "out.svg", tmp_path / "out.csv"
    assert replayed(experiment, "--interlock", "cool*", "--json", "--picture", str(drawn), "--csv", str(rows)) == 0
    found = json.loads(capsys.readouterr().out)
    (interlock,) = found["interlocks"]
    told = [((one["time_ns"] - T0) / S, one["kind"], one["about"]) for one in interlock["replayed"]]
    assert (found["alarms"], told[:4]) == (
        [],
        [(105, "trip", "warm"), (125, "act", "off"), (200, "reset", ""), (200, "release", "off")],
    )
    assert interlock["replayed"][0]["evidence"] == {"chiller.internal_temp": 31.0}
    assert interlock["replayed"][1]["text"] == "chiller off"
    assert (drawn.read_text().count('class="p1'), drawn.read_text().count('class="p2')) == (5, 5)
    assert rows.read_text().count("interlock.cooling,Cooling lost,trip") == 5
    assert replayed(experiment) == 0
    assert "effects are told, not done" in capsys.readouterr().out
    assert replayed(experiment, "--interlock", "other") == 1
    assert "the description has no interlock 'other'" in capsys.readouterr().err


def test_a_replay_changes_no_file(experiment: Path) -> None:
    folder = experiment.parent / "data"
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert replayed(experiment) == 0
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_the_command_refuses_what_it_cannot_read(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(experiment, "--picture", "out.png") == 1
    assert "end its name with .svg or .html" in capsys.readouterr().err
    assert run(["rules", "replay", "--description", str(experiment), "--data", str(experiment)]) == 2
    assert "has no history" in capsys.readouterr().err
    assert run(["rules", "replay", "--from", "-1h", "--to", "-2h", "--description", str(experiment)]) == 1
