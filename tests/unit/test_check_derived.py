"""`check` refuses derived points that cannot be computed, with the line of each."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from countingroom.cli.check import app

HEAD = """\
experiment: {name: x}
devices:
  room:
    driver: text
    port: /dev/x
    values:
      t: {query: "T?", unit: degC}
      rh: {query: "H?", unit: percent}
      v: {query: "V?", unit: V}
      s: {query: "S?", type: string}
  sums:
    driver: derived
    values:
"""


def problems(tmp_path: Path, *values: str) -> list[str]:
    file = tmp_path / "experiment.yaml"
    file.write_text(HEAD + "".join(f"      {one}\n" for one in values), encoding="utf-8")
    result = CliRunner().invoke(app, [str(file)])
    return [line.removeprefix(f"{file}:") for line in result.stderr.splitlines() if "warning" not in line]


def test_what_fits_together_is_accepted(tmp_path: Path) -> None:
    assert not problems(
        tmp_path,
        'dew: {value: "dew_point(room.t, room.rh)", unit: degC}',
        'margin: {value: "room.t - sums.dew", unit: K}',
        'small: {value: "room.v * 1000", unit: mV}',
        'free: {value: "exp(room.v)", check_units: false, unit: mbar}',
        'flag: {value: "room.t > 3", type: bool}',
    )


def test_units_types_and_points_are_compared(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        'sum: {value: "room.t + room.v"}',
        'unit: {value: "room.v", unit: A}',
        'scale: {value: "room.v", unit: mV}',
        'gone: {value: "room.nope"}',
        'text: {value: "room.s"}',
        'log: {value: "log(room.v)"}',
        'dew: {value: "dew_point(room.rh, room.t)", unit: degC}',
    )
    assert [(line.partition(":")[0], one) for line, one in zip(found, WRONG, strict=True) if one in line] == list(
        zip(map(str, range(14, 21)), WRONG, strict=True)
    )


WRONG = (
    "`room.v` is in V; the part before is in °C",
    "`room.v` is in V, and the point in A",
    "`room.v` is in V, and the point in mV",
    "room has no point nope",
    "is a text, not a number",
    "`room.v` is in V",
    "`room.rh` is in %; allowed: a value in degC",
)


def test_loops_and_unknown_devices_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "a: {value: sums.b}", "b: {value: 1 + sums.a}", "c: {value: rom.t}", "d: {value: 1 + 1}")
    assert found == [
        "14: devices.sums.values.a.value: it depends on itself: sums.a → sums.b → sums.a",
        "16: devices.sums.values.c.value: rom.t: no device is named rom; did you mean room?",
        "17: devices.sums.values.d.value: it names no point",
    ]
