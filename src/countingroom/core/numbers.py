"""How numbers are written for people: on pages, in tables of the command line and in events. Pure.

`number` in the console's format.js does the same; tests/data/number-formats.json holds examples for both.
"""

from __future__ import annotations

LARGE = 1e7
"""From here on a number is written with an exponent."""


def decimals(value: float, precision: int) -> str:
    """The number with that many decimals: `12.50`. Where they would show nothing of it, three significant digits and an
    exponent: `3.20e-9`, not 0.00."""
    if abs(value) >= LARGE:
        return _exponent(value, 3)
    text = f"{value:.{precision}f}"
    if float(text):
        return text
    return _exponent(value, 2) if value else text.lstrip("-")


def _exponent(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent):+d}"
