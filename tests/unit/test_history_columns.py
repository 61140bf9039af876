"""The time under which a value is stored: that of its device, unless its clock is wrong."""

from __future__ import annotations

import pytest

from countingroom.core.messages import Readings
from countingroom.core.values import Quality
from countingroom.history.columns import flatten

NOW_NS = 1_790_000_000_000_000_000
S = 1_000_000_000


@pytest.mark.parametrize(
    ("device_ns", "stored_ns"),
    [
        (NOW_NS - 3 * S, NOW_NS - 3 * S),
        (NOW_NS + 3 * S, NOW_NS + 3 * S),
        (NOW_NS - 3600 * S, NOW_NS),
        (NOW_NS + 3600 * S, NOW_NS),
        (631_152_000 * S, NOW_NS),
        (2_085_978_496 * S, NOW_NS),
        (0, NOW_NS),
    ],
    ids=["behind", "ahead", "an hour behind", "an hour ahead", "1990", "2036", "1970"],
)
def test_a_wrong_clock_of_a_device_puts_no_value_out_of_its_time(device_ns: int, stored_ns: int) -> None:
    message = Readings(
        device="ioc",
        boot="b",
        sequence=1,
        sent_ns=NOW_NS + S,
        full=False,
        points=["p"],
        values=[1.5],
        qualities=[Quality.GOOD],
        device_ns=[device_ns],
        received_ns=[NOW_NS],
    )
    columns = flatten([message])
    assert columns.time_ns.tolist() == [stored_ns]
    assert columns.device_ns.tolist() == [device_ns], "what the device said is kept"
