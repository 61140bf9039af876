"""A readback proves a setpoint within its tolerance and the rounding of 32-bit floats, and no further."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.host.confirmation import holds


def good(value: Scalar) -> Reading:
    return Reading(value=value, quality=Quality.GOOD, device_ns=0, received_ns=0)


def single(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


@pytest.mark.parametrize(
    ("setpoint", "readback", "tolerance", "proven"),
    [
        (2e-10, 0.0, 0.0, False),
        (2e-10, 2e-10, 0.0, True),
        (2e-10, 1.9e-10, 0.0, False),
        (10000000, 9999995, 0.0, False),
        (10000000, 10000000, 0.0, True),
        (10000000, 9999995, 5.0, True),
        (10000000.0, 9999995.0, 0.0, False),
        (2**53, 2**53 - 1, 0.0, False),
        (1234.1, single(1234.1), 0.0, True),
        (1234.1, 1234.101, 0.0, False),
        (0.3, 0.1 + 0.2, 0.0, True),
        (12.5, 12.6, 0.1, True),
        (12.5, 12.61, 0.1, False),
        (0.0, 0.0, 0.0, True),
        (0.0, 1e-9, 0.0, False),
        (True, True, 0.0, True),
        (True, False, 0.0, False),
        (True, 1, 0.0, True),
        ("on", "on", 0.0, True),
        ("on", "off", 0.0, False),
    ],
)
def test_a_setpoint_is_in_force_only_when_its_readback_says_so(
    setpoint: Scalar, readback: Scalar, tolerance: float, proven: bool
) -> None:
    point = Point(name="p", tolerance=tolerance)
    assert holds(point, setpoint, good(readback)) is proven


@given(st.floats(allow_nan=False, allow_infinity=False, width=64, min_value=-1e38, max_value=1e38))
def test_the_rounding_of_a_device_that_keeps_32_bits_is_no_difference(value: float) -> None:
    assert holds(Point(name="p"), value, good(single(value)))


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62))
def test_whole_numbers_are_compared_exactly(setpoint: int, readback: int) -> None:
    assert holds(Point(name="p", type=Type.INT), setpoint, good(readback)) == (setpoint == readback)
