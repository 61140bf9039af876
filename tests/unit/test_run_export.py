"""A run book leaves whole in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import msgspec
import pyarrow.parquet as pq
import pytest

from countingroom.core.errors import RequestError
from countingroom.core.partitions import Configuration
from countingroom.core.run_book import Run, RunEnd, RunNote
from countingroom.storage import run_export

RUNS = (
    Run(
        number=2,
        partition="mCBM",
        template="cbm",
        requested_by="anna",
        asked_ns=1_700_000_000_000_000_001,
        started_ns=1_700_000_001_000_000_000,
        ended_ns=1_700_000_003_500_000_000,
        end=RunEnd.LIMIT,
        tag="=cmd()",
        configurations={"STS": Configuration(tag="cold", key="k", parameters={"hv": 1.5})},
        members=("TFC", "STS"),
        notes=(RunNote(time_ns=1, kind="comment", text='says "µ", then\nmore'),),
        counters={"QA.events": 12},
    ),
    Run(number=1, partition="mCBM", template="cbm", requested_by="ben", asked_ns=1_700_000_000_000_000_000),
)


def export(runs: Sequence[Run], format: str) -> tuple[str, bytes]:
    """Media type and the whole file."""
    media, pieces = run_export.export(runs, format)
    return media, b"".join(pieces)


def test_a_table_for_spreadsheets_holds_every_run_and_runs_nothing() -> None:
    media, data = export(RUNS, "csv")
    assert media.startswith("text/csv")
    first, second = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert (first["number"], first["end"], first["duration_s"], first["tag"]) == ("2", "limit", "2.5", "'=cmd()")
    assert first["asked"] == "2023-11-14T22:13:20.000000001Z"
    assert json.loads(first["notes"])[0]["text"] == 'says "µ", then\nmore'
    assert json.loads(first["configurations"])["STS"]["parameters"] == {"hv": 1.5}
    assert (second["number"], second["started"], second["end"], second["notes"]) == ("1", "", "", "")


def test_json_holds_what_the_run_book_holds() -> None:
    text = export(RUNS, "json")[1]
    first, second = json.loads(text)
    assert text == msgspec.json.format(text, indent=2)
    assert (first["asked_ns"], first["asked"]) == (1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z")
    assert (first["members"], first["counters"]) == (["TFC", "STS"], {"QA.events": 12})
    assert (second["end"], second["duration_s"]) == (None, None)


def test_parquet_has_types_and_whole_nanoseconds() -> None:
    table = pq.read_table(io.BytesIO(export(RUNS, "parquet")[1]))
    assert table.column("number").to_pylist() == [2, 1]
    assert table.column("asked").cast("int64").to_pylist() == [run.asked_ns for run in RUNS]
    assert table.column("ended").null_count == 1
    assert table.column("duration_s").to_pylist() == [2.5, None]
    assert table.column("tag").to_pylist() == ["=cmd()", ""]


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_an_empty_run_book_is_exported_too(format: str) -> None:
    assert export((), format)[1]


def test_another_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(RequestError) as refused:
        export((), "xlsx")
    assert refused.value.cause.suggestion == "use csv, json, parquet"
