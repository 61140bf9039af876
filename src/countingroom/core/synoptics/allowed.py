"""The allowed contents of a drawing: elements, attributes and the form of their values. Pure.

The lists are closed: what is not here is removed. No value can load or run anything: a reference is `#id` within the
drawing, and an image is embedded raster data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
TEXTS = frozenset({"text", "tspan"})
DRAWN = SHAPES | TEXTS | {"g", "use", "image"}
"""Elements that are seen, to which a point or state may be bound."""
ELEMENTS = DRAWN | {
    *("svg", "defs", "symbol", "title", "desc"),
    *("linearGradient", "radialGradient", "stop", "clipPath", "mask", "pattern", "marker"),
}
WORDS = frozenset({"title", "desc"})
"""Elements whose content is text for people: elements in them are removed."""
UNWRAPPED = frozenset({"a", "switch"})
"""Elements that are removed while their content stays."""

_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_LENGTH = rf"{_NUMBER}(?:px|pt|pc|mm|cm|in|em|ex|rem|%)?"
_SPACE = r"[\s,]"
_LOCAL = r"url\(\s*[\"']?#[^\s\"'()<>\\]+[\"']?\s*\)"
_COLOUR = (
    r"(?:none|transparent|currentColor|[A-Za-z]{3,24}|#[0-9A-Fa-f]{3,8}"
    r"|(?:rgba?|hsla?)\([-+0-9eE.,%/\sdeg]{1,80}\))"
)

NUMBER = re.compile(_NUMBER)
COLOUR = re.compile(_COLOUR)
LOCAL = re.compile(_LOCAL)
_LENGTHS = re.compile(rf"{_SPACE}*{_LENGTH}(?:{_SPACE}+{_LENGTH})*{_SPACE}*|none|auto")
_NUMBERS = re.compile(r"[-+0-9eE.,\s]*")
_PATH = re.compile(r"[-+0-9eE.,\sMmZzLlHhVvCcSsQqTtAa]*")
_TRANSFORM = re.compile(
    rf"\s*(?:(?:matrix|translate|scale|rotate|skewX|skewY)\s*\([-+0-9eE.,\s]{{0,200}}\){_SPACE}*)*|none"
)
_PAINT = re.compile(rf"{_COLOUR}|{_LOCAL}(?:\s+{_COLOUR})?|context-(?:fill|stroke)")
_REFERENCE = re.compile(rf"none|{_LOCAL}")
_WORD = re.compile(r"[A-Za-z][-A-Za-z0-9\s]{0,80}")
_FONT = re.compile(r"[-\w\s,'\"]{1,300}")
_RASTER = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_ID = re.compile(r"#[^\s\"'()<>\\#]{1,200}")

PROPERTIES: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("fill", "stroke"), _PAINT),
    **dict.fromkeys(("stop-color", "color"), COLOUR),
    **dict.fromkeys(("clip-path", "mask", "marker-start", "marker-mid", "marker-end"), _REFERENCE),
    **dict.fromkeys(
        (
            *("fill-opacity", "stroke-opacity", "stop-opacity", "opacity", "stroke-width", "stroke-miterlimit"),
            *("stroke-dasharray", "stroke-dashoffset", "font-size", "letter-spacing", "word-spacing"),
            *("baseline-shift", "font-weight"),
        ),
        re.compile(f"{_LENGTHS.pattern}|{_WORD.pattern}"),
    ),
    **dict.fromkeys(
        (
            *("fill-rule", "clip-rule", "stroke-linecap", "stroke-linejoin", "font-style", "font-variant"),
            *("font-stretch", "text-anchor", "text-decoration", "dominant-baseline", "alignment-baseline"),
            *("visibility", "display", "overflow", "vector-effect", "paint-order", "shape-rendering"),
            *("text-rendering", "writing-mode"),
        ),
        _WORD,
    ),
    "font-family": _FONT,
}
"""Properties that may stand as attributes, in `style` and in rules for a class, with the form of their values."""

_GEOMETRY: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(
        (
            *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "fr", "dx", "dy"),
            *("width", "height", "offset", "refX", "refY", "markerWidth", "markerHeight", "textLength", "rotate"),
        ),
        _LENGTHS,
    ),
    **dict.fromkeys(("points", "viewBox", "pathLength"), _NUMBERS),
    "d": _PATH,
    **dict.fromkeys(("transform", "gradientTransform", "patternTransform"), _TRANSFORM),
    **dict.fromkeys(
        (
            *("gradientUnits", "patternUnits", "patternContentUnits", "clipPathUnits", "maskUnits"),
            *("maskContentUnits", "markerUnits", "spreadMethod", "preserveAspectRatio", "lengthAdjust"),
        ),
        _WORD,
    ),
    "orient": re.compile(rf"auto|auto-start-reverse|{_NUMBER}(?:deg)?"),
}

LONG = frozenset({"d", "points"})
"""Attributes that may be long: a path."""


def right_value(element: str, name: str, value: str) -> bool:
    """Whether an element may have this attribute with this value. `id`, `style` and `class` are dealt with apart."""
    if name == "href":
        if element == "image":
            return _RASTER.fullmatch(value) is not None
        return element in ("use", "linearGradient", "radialGradient", "pattern") and _ID.fullmatch(value) is not None
    pattern = PROPERTIES.get(name) or _GEOMETRY.get(name)
    return pattern is not None and pattern.fullmatch(value) is not None


def reference(name: str, value: str) -> str:
    """The id that an attribute refers to, by `#id` or `url(#id)`; empty where it refers to none."""
    if name == "href":
        return value[1:] if _ID.fullmatch(value) else ""
    found = LOCAL.match(value)
    return found[0][4:-1].strip().strip("\"'")[1:] if found else ""
