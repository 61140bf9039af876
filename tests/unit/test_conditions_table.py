"""Conditions as tables, files and on the terminal, from a data folder and from the API."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from countingroom.cli import conditions_table
from countingroom.cli.client import Client
from countingroom.cli.conditions_table import conditions
from countingroom.cli.main import run
from countingroom.core.errors import ConfigurationError, CountingRoomError
from countingroom.core.messages import Readings
from countingroom.core.times import format_time
from countingroom.core.values import Quality
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position

S = 1_000_000_000
T0 = 1_790_000_000 * S
AT = [T0 + 2 * S, T0 - S, T0 + 500 * S]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of three points: a number of 0, 1, 2 … each second, one of which is BAD, an int and a text."""
    place = tmp_path_factory.mktemp("data")
    store = DuckStore(place / "history" / "history.duckdb")
    for second in range(10):
        at = T0 + second * S
        message = Readings(
            device="caen",
            boot="b",
            sequence=second + 1,
            full=False,
            sent_ns=at,
            points=["0.v", "1.v", "state"],
            values=[None if second == 5 else second / 2, second, "ON" if second > 4 else "OFF"],
            qualities=[3 if second == 5 else 0, 0, 0],
            device_ns=[at] * 3,
            received_ns=[at + 1] * 3,
        )
        store.append(flatten([message]), Position(sequence=second + 1, stored_ns=second + 1))
    store.close()
    return place


def test_values_at_times_are_a_table_in_the_order_of_the_times(folder: Path) -> None:
    table: Any = conditions(folder, ["caen.*.v", "caen.state"], at=AT)
    assert table.column("time").cast("int64").to_pylist() == AT
    assert table.column("caen.0.v").to_pylist() == [1.0, None, None]
    assert table.column("caen.1.v").to_pylist() == [2, None, None]
    assert table.column("caen.state").to_pylist() == ["OFF", None, None]
    assert table.column("caen.0.v.quality").to_pylist() == [0, None, None]
    assert table.column("caen.0.v.age_ns").to_pylist() == [0, None, None]
    bad: Any = conditions(folder, ["caen.0.v", "caen.1.v"], at=[T0 + 5 * S], worst=Quality.STALE)
    assert bad.column("caen.0.v").to_pylist() == [None]
    assert bad.column("caen.0.v.quality").to_pylist() == [3]


def test_intervals_have_statistics(folder: Path) -> None:
    table: Any = conditions(folder, ["caen.0.v"], intervals=[(T0, T0 + 10 * S), (T0 + 900 * S, T0 + 901 * S)])
    found = {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}
    assert found["caen.0.v.count"] == [9, 0]
    assert found["caen.0.v.good"] == [0.9, 0.0]
    assert found["caen.0.v.high"] == [4.5, None]
    assert found["caen.0.v.weighted"] == [pytest.approx(20 / 9), None]


def test_a_library_that_is_missing_is_named_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(conditions_table, "import_module", missing)
    with pytest.raises(ConfigurationError, match="polars is not installed"):
        conditions(folder, ["caen.0.v"], at=AT, form="polars")


def test_a_question_without_sense_is_refused(folder: Path) -> None:
    asked: list[tuple[Path, str, dict[str, Any]]] = [
        (folder, "caen.9.*", {"at": AT}),
        (folder, "caen.0.v", {}),
        (folder, "caen.0.v", {"run": 1}),  # without a console
        (folder, "caen.0.v", {"intervals": [(T0, T0)]}),
        (folder / "none", "caen.0.v", {"at": AT}),
    ]
    for source, point, when in asked:
        with pytest.raises(CountingRoomError) as refused:
            conditions(source, [point], **when)
        assert refused.value.cause.suggestion, when


def test_the_command_reads_times_and_writes_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = tmp_path / "times.csv"
    times.write_text("".join(f"{format_time(one)}\n" for one in AT), encoding="utf-8")
    words = ["history", "conditions", "--points", "caen.*.v", "--data", str(folder), "--times", str(times)]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "caen.1.v" in shown
    assert "nothing recorded" in shown
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"]["caen.1.v"]["value"] == [2, None, None]
    for name in ("out.parquet", "out.csv"):
        assert run([*words, "-o", str(tmp_path / name)]) == 0
    parquet: Any = pyarrow.parquet
    assert parquet.read_table(tmp_path / "out.parquet").column("caen.1.v").to_pylist() == [2, None, None]
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [row["caen.0.v"] for row in csv.DictReader(file)] == ["1", "", ""]
    times.write_text(f"{T0},{T0 + 10 * S}\n", encoding="utf-8")
    assert run(words) == 0
    assert "90.0%" in capsys.readouterr().out
    for text, told in (("soon\n", "line 1"), (f"{T0}\n{T0},{T0}\n", "lines of 1, 2 times"), ("", "no times")):
        times.write_text(text, encoding="utf-8")
        assert run(words) != 0
        assert told in capsys.readouterr().err


def test_the_api_is_asked_in_parts_of_which_none_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [f"caen.{number}.v" for number in range(150)]
    asked: list[tuple[int, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/history/points":
            return httpx.Response(200, json={"points": points})
        if request.url.path == "/api/v1/runs/42":
            return httpx.Response(200, json={"started_ns": T0, "ended_ns": T0 + S})
        given = request.url.params
        names, times = given.get_list("point"), given.get_list("at") or given.get_list("from")
        asked.append((len(names), len(times)))
        size = len(times)
        columns = (
            {"value": [1.5] * size, "quality": [0] * size, "age_ns": [1] * size}
            if "at" in given
            else {
                "count": [1] * size,
                "low": [None] * size,
                "high": [2.0] * size,
                "mean": [2.0] * size,
                "weighted": [2.0] * size,
                "good": [1.0] * size,
            }
        )
        return httpx.Response(200, json={"points": [{"point": name, **columns} for name in names]})

    def begin(self: Client, url: str, *, timeout_s: float = 0) -> None:
        self.url = url
        self._http = httpx.Client(  # pyright: ignore[reportPrivateUsage]
            base_url=url, transport=httpx.MockTransport(answer)
        )

    monkeypatch.setattr(Client, "__init__", begin)
    table: Any = conditions("http://console", ["caen.*"], at=[T0 + k for k in range(700)])
    assert table.num_rows == 700
    assert table.num_columns == 1 + 3 * 150
    assert asked == [(100, 500), (100, 200), (50, 500), (50, 200)]
    of_run: Any = conditions("http://console", ["caen.7.v"], run=42)
    assert of_run.column("end").cast("int64").to_pylist() == [T0 + S]
    assert of_run.column("caen.7.v.low").to_pylist() == [None]
