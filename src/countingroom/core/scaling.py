"""Scale and offset of a number, both ways. Whole numbers stay exact, as counters of 64 bits need it. Pure."""

from __future__ import annotations

_MOST_BITS = 64
"""Of the whole numbers that the product carries. Others are numbers with a rounding error, or infinite."""


def scaled(number: float | int, scale: float, offset: float) -> float | int:
    """`number * scale + offset`; a whole number where all three are whole."""
    if isinstance(number, int) and _is_whole(scale, offset):
        exact = number * int(scale) + int(offset)
        if exact.bit_length() <= _MOST_BITS:
            return exact
    return number * scale + offset


def unscaled(value: float | int, scale: float, offset: float) -> float | int:
    """The raw number for a scaled value; an integer if the division has no remainder."""
    if isinstance(value, int) and _is_whole(scale, offset):
        number, rest = divmod(value - int(offset), int(scale))
        if not rest:
            return number
    return (value - offset) / scale


def _is_whole(scale: float, offset: float) -> bool:
    return float(scale).is_integer() and float(offset).is_integer()
