"""Arrays of programs are read from each format, and reduced to what a page can draw."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy
import pyarrow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countingroom.core.errors import OutOfRange
from countingroom.core.result_differences import differences, listed
from countingroom.results import arrays, plots

_arrow: Any = pyarrow


def npy(values: Any) -> bytes:
    target = io.BytesIO()
    numpy.save(target, values)
    return target.getvalue()


def test_a_grid_keeps_its_shape_and_comes_out_in_each_format() -> None:
    values = numpy.arange(6, dtype=">f4").reshape(2, 3)
    info, parquet = arrays.read("noise", "npy", npy(values))
    assert (info.shape, info.rows, info.columns[0].type) == ((2, 3), 6, "float")
    stream = _arrow.ipc.open_stream(arrays.as_format(parquet, "arrow")).read_all()
    assert stream.column("value").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert arrays.read("again", "arrow", arrays.as_format(parquet, "arrow"))[0].shape == (2, 3)
    assert arrays.as_format(parquet, "json") == b'{"shape":[2,3],"columns":{"value":[0.0,1.0,2.0,3.0,4.0,5.0]}}'
    drawn = plots.view(arrays.from_parquet(parquet), "", "", 8)
    assert (drawn["kind"], drawn["values"]) == ("map", [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("npy", b"\x93NUMPY"),
        ("npy", npy(numpy.array(["a"]))),
        ("npy", npy(numpy.array([{}], dtype=object))),
        ("arrow", b"nothing"),
        ("parquet", b"PAR1"),
        ("csv", b""),
    ],
)
def test_what_is_no_array_is_refused(form: str, content: bytes) -> None:
    with pytest.raises(OutOfRange, match="cannot be read"):
        arrays.read("x", form, content)


def test_a_large_map_is_reduced_to_means_and_missing_values_are_left_out() -> None:
    values = numpy.ones((600, 10))
    values[0, 0] = numpy.nan
    values[1, 0] = 3.0
    drawn = plots.view(arrays.grid(values), "map", "", 8)
    assert (drawn["rows"], drawn["cell"], len(drawn["values"]), len(drawn["values"][0])) == (600, [3, 1], 200, 10)
    assert drawn["values"][0][:2] == [2.0, 1.0]
    assert (drawn["count"], drawn["missing"]) == (5999, 1)


def test_two_arrays_have_the_same_bins_and_a_difference() -> None:
    one, other = arrays.grid(numpy.array([[1, 2], [3, 4]])), arrays.grid(numpy.array([[1, 2], [3, 9]]))
    both = plots.compared(one, other, "distribution", "", 64)
    assert (both["edges"][0], both["edges"][-1]) == (0.5, 9.5)
    assert (both["counts"], both["counts_b"]) == ([1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 1])
    assert plots.compared(one, other, "", "", 8)["values"] == [[0, 0], [0, 5]]
    with pytest.raises(OutOfRange, match="2 x 2 and 1 x 4"):
        plots.compared(one, arrays.grid(numpy.ones((1, 4))), "map", "", 8)


def test_a_table_with_an_axis_is_a_curve() -> None:
    table = _arrow.table({"threshold": [1.0, 2.0], "hits": [5, None]})
    drawn = plots.view(table, "", "", 8)
    assert (drawn["kind"], drawn["column"], drawn["x"], drawn["y"]) == ("values", "hits", [1.0, 2.0], [5.0, None])
    with pytest.raises(OutOfRange, match="cannot be drawn as map"):
        plots.view(table, "map", "", 8)
    with pytest.raises(OutOfRange, match="no column"):
        plots.view(_arrow.table({"name": ["a"]}), "", "", 8)


@example([1.7958972376246913e308], 2)
@given(st.lists(st.floats() | st.integers(-5, 5).map(float), max_size=40), st.integers(2, 64))
@example([1.7958972376246913e308], 2)
@example([0.0, 1.7976931348623157e308], 3)
def test_a_histogram_counts_every_number_once(values: list[float], bins: int) -> None:
    table = arrays.grid(numpy.array(values, dtype=float))
    try:
        drawn = plots.view(table, "distribution", "", bins)
    except OutOfRange as error:
        assert "too far apart" in error.cause.message
        return
    known = [one for one in values if one - one == 0]
    assert sum(drawn["counts"]) == drawn["count"] == len(known)
    assert drawn["edges"] == sorted(drawn["edges"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_documents_differ_where_they_do_and_nowhere_else(one: Any, other: Any) -> None:
    assert list(differences(one, one)) == []
    assert bool(list(differences(one, other))) == (repr(one) != repr(other) and _unlike(one, other))
    assert listed("x", one, other).count == len(list(differences(other, one)))


def _unlike(one: Any, other: Any) -> bool:
    """Whether they are not the same JSON: the order of keys does not count, and `true` is not 1."""
    match one, other:
        case dict(), dict():
            first, second = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
            return first.keys() != second.keys() or any(_unlike(value, second[key]) for key, value in first.items())
        case list(), list():
            before, after = cast("list[Any]", one), cast("list[Any]", other)
            return len(before) != len(after) or any(map(_unlike, before, after))
        case _:
            return type(one) is not type(other) or one != other


def test_a_small_file_with_a_huge_content_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_MOST_MEMORY", 1 << 20)
    monkeypatch.setattr(arrays, "_VALUES_AT_ONCE", 1 << 14)
    table = _arrow.table({"value": _arrow.array(numpy.zeros(1 << 20))})
    packed = arrays.to_parquet(table)
    assert len(packed) < 100_000
    with pytest.raises(OutOfRange, match="this one has 1 columns and 1,"):
        arrays.read("zeros", "parquet", packed)
    target = io.BytesIO()
    with _arrow.ipc.new_stream(target, table.schema, options=_arrow.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table, max_chunksize=1 << 14)
    with pytest.raises(OutOfRange, match="this one has 1 columns and 1,"):
        arrays.read("zeros", "arrow", target.getvalue())
    for form, content in (("csv", b"a," * 1000 + b"a"), ("csv", b"a," * 1000 + b"a\n1")):
        with pytest.raises(OutOfRange, match="1,001 columns"):
            arrays.read("wide", form, content)
