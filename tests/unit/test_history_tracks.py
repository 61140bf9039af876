"""Samples of a point come in order, however the file has them."""

from __future__ import annotations

import numpy as np
import pytest

from countingroom.history.tracks import track


@pytest.mark.parametrize(
    "order",
    [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3]],
    ids=["up", "down", "down in two parts", "up in two parts", "late"],
)
@pytest.mark.parametrize("times", [[1, 2, 3, 4], [1, 2, 2, 4]], ids=["different times", "a time twice"])
def test_rows_in_any_order_come_in_order(order: list[int], times: list[int]) -> None:
    found = track(
        np.array(times)[order],
        np.array([10.0, 20.0, 30.0, np.nan])[order],
        np.array([0, 1, 2, 3], np.uint8)[order],
        np.array([0, 1, 0, 0], np.uint8)[order],
        np.array([5, 6, 7, 8])[order],
        {order.index(3): "ON"},
    )
    assert found.time_ns.tolist() == times
    assert found.number.tolist()[:3] == [10.0, 20.0, 30.0]
    assert found.kind.tolist() == [0, 1, 2, 3]
    assert found.quality.tolist() == [0, 1, 0, 0]
    assert found.texts == {3: "ON"}
