"""How numbers are written for people: on pages, in tables of the command line and in events. Pure.

`number` in the console's format.js does the same; tests/data/number-formats.json holds examples for both.
"""

from __future__ import annotations

LARGE = 1e7
"""From here on a number is written with an exponent."""
_SAME = 1e-6
"""Relative difference up to which a limit counts as shown: more decimals would be those of its binary form."""
_MOST_DECIMALS = 15


def decimals(value: float, precision: int) -> str:
    """The number with that many decimals: `12.50`. Where only zeros would be left of it, three significant digits and
    an exponent: `3.20e-9`, not 0.00."""
    if abs(value) >= LARGE:
        return _exponent(value, 3)
    text = f"{value:.{precision}f}"
    if float(text):
        return text
    return _exponent(value, 2) if value else text.lstrip("-")


def limit(value: float, precision: int) -> str:
    """A limit, as `decimals`, with more decimals where these would round it: 0.005 was shown as 0.01."""
    text = decimals(value, precision)
    digits = precision
    while "e" not in text and abs(float(text) - value) > abs(value) * _SAME and digits < _MOST_DECIMALS:
        digits += 1
        text = f"{value:.{digits}f}"
    return text


def beyond(value: float, limit: str, precision: int, *, above: bool) -> str:
    """A value above or below a limit, with as many decimals as show that it is: 70.004 at the limit 70.00."""
    for digits in range(precision, _MOST_DECIMALS):
        text = decimals(value, digits)
        if (float(text) > float(limit)) if above else (float(text) < float(limit)):
            return text
        if "e" in text:
            break
    return f"{value:.9g}"


def _exponent(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent):+d}"
