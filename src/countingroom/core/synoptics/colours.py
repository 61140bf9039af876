"""Colours of a drawing, for light and dark pages: in the dark the lightness is turned round, the hue stays. Pure."""

from __future__ import annotations

import colorsys
import re

from countingroom.core.synoptics.allowed import COLOUR, LOCAL

_NAMES = {
    "black": "#000000",
    "white": "#ffffff",
    "gray": "#808080",
    "grey": "#808080",
    "silver": "#c0c0c0",
    "red": "#ff0000",
    "green": "#008000",
    "lime": "#00ff00",
    "blue": "#0000ff",
    "navy": "#000080",
    "yellow": "#ffff00",
    "orange": "#ffa500",
    "purple": "#800080",
    "teal": "#008080",
    "aqua": "#00ffff",
    "cyan": "#00ffff",
    "maroon": "#800000",
    "olive": "#808000",
    "fuchsia": "#ff00ff",
    "magenta": "#ff00ff",
    "brown": "#a52a2a",
    "lightgray": "#d3d3d3",
    "lightgrey": "#d3d3d3",
    "darkgray": "#a9a9a9",
    "darkgrey": "#a9a9a9",
    "whitesmoke": "#f5f5f5",
    "dimgray": "#696969",
    "gainsboro": "#dcdcdc",
}
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*\)")
_DARKEST, _LIGHTEST = 0.11, 0.93
"""Lightness in the dark of what is white and black in the light: that of the page and of its text."""


def _parts(colour: str) -> tuple[float, float, float] | None:
    """Red, green and blue from 0 to 1; None for a colour that is written in another way."""
    text = _NAMES.get(colour.lower(), colour)
    if match := _RGB.fullmatch(text):
        red, green, blue = (min(int(one), 255) / 255 for one in match.groups())
        return red, green, blue
    if not text.startswith("#"):
        return None
    digits = text[1:]
    if len(digits) == 3:
        digits = "".join(one * 2 for one in digits)
    if len(digits) != 6:
        return None
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def dark(colour: str) -> str:
    """The colour on a dark page; the same where it is not known how light it is."""
    parts = _parts(colour)
    if parts is None:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*parts)
    turned = _LIGHTEST - lightness * (_LIGHTEST - _DARKEST)
    # What was vivid stays readable without shining.
    shown = colorsys.hls_to_rgb(hue, turned, saturation * 0.8)
    return "#" + "".join(f"{round(one * 255):02x}" for one in shown)


def for_both(paint: str) -> str:
    """A paint for light and dark pages: `light-dark(#ffffff,#1c1c1c)`. A gradient or pattern stays: its own colours
    change."""
    if LOCAL.match(paint) or not COLOUR.fullmatch(paint) or _parts(paint) is None:
        return paint
    return f"light-dark({paint},{dark(paint)})"


def is_alarm_like(colour: str) -> bool:
    """Whether a colour is red or orange as alarms are: a drawing in such colours always looks abnormal."""
    parts = _parts(colour)
    if parts is None:
        return False
    hue, lightness, saturation = colorsys.rgb_to_hls(*parts)
    return saturation > 0.6 and 0.2 < lightness < 0.75 and (hue < 0.11 or hue > 0.95)
