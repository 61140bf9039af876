"""The texts of the switchbox: commands such as `CH7|ON`, and its status in one line of JSON. Pure.

A status is `{"lv": 0, "hv": 0, "channels": 5}`; bit 0 of `channels` is channel 1. What is no such status is BAD with
the reason, each of the three values by itself: that the high voltage is on must be seen even if the channels cannot be
read.
"""

from __future__ import annotations

import json
from typing import Any, cast

from countingroom.core.errors import OutOfRange
from countingroom.core.values import Quality
from countingroom.devices.port import Sample

STATUS = "STATUS?"
CHANNELS = 48
MOST_LETTERS = 1024
"""Of a status; a longer one is not read."""
CHANNELS_ON = "channels_on"
_SHOWN = 60


def enabled_point(channel: str) -> str:
    """The point that says whether this channel is enabled: `7.enabled`."""
    return f"{channel}.enabled"


def request(point: str, value: object) -> str:
    """The text that switches a point: `LV|ON`, `CH7|OFF`, `CH*|OFF`. OutOfRange for what the box does not take."""
    if point in ("lv", "hv") and isinstance(value, bool):
        return f"{point.upper()}|{_word(value)}"
    if point == CHANNELS_ON and value == 0:
        return "CH*|OFF"
    channel, _, column = point.partition(".")
    if column == "enabled" and isinstance(value, bool) and channel.isdecimal() and 1 <= int(channel) <= CHANNELS:
        return f"CH{int(channel)}|{_word(value)}"
    raise OutOfRange(
        f"the switchbox cannot set {point} to {value}",
        suggestion=f"switch lv, hv, or a channel from 1 to {CHANNELS}; of channels_on only 0 can be set",
    )


def samples(text: str, *, quality: Quality = Quality.GOOD) -> list[Sample]:
    """The samples of every point that a status gives; BAD, with the reason, where it cannot be read."""
    try:
        document = _document(text)
    except (ValueError, RecursionError) as error:
        return bad(f"the answer is no status: {error}")
    lv, hv = (_switch(document, key, quality) for key in ("lv", "hv"))
    return [lv, hv, *_channels(document, quality)]


def is_readable(found: list[Sample]) -> bool:
    """Whether every value of a status could be read."""
    return all(one.quality is not Quality.BAD for one in found)


def bad(reason: str) -> list[Sample]:
    """All points, BAD for this reason."""
    return [Sample(point=name, value=None, quality=Quality.BAD, reason=reason) for name in _names()]


def stale() -> list[Sample]:
    """All points, STALE: the box is not reached."""
    return [Sample(point=name, value=None, quality=Quality.STALE) for name in _names()]


def _names() -> tuple[str, ...]:
    return "lv", "hv", CHANNELS_ON, *(enabled_point(str(number)) for number in range(1, CHANNELS + 1))


def _word(value: bool) -> str:
    return "ON" if value else "OFF"


def _document(text: str) -> dict[str, Any]:
    if len(text) > MOST_LETTERS:
        raise ValueError(f"it has {len(text)} letters")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError:
        raise ValueError(f"{text[:_SHOWN]!r} is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"{text[:_SHOWN]!r} has no lv, hv and channels")  # noqa: TRY004 (of the text)
    return cast("dict[str, Any]", found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it gives a value twice")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _switch(document: dict[str, Any], key: str, quality: Quality) -> Sample:
    raw = document.get(key)
    if type(raw) is int and raw in (0, 1):
        return Sample(point=key, value=raw == 1, quality=quality)
    return Sample(point=key, value=None, quality=Quality.BAD, reason=_reason(document, key, "0 or 1"))


def _channels(document: dict[str, Any], quality: Quality) -> list[Sample]:
    mask = document.get("channels")
    if type(mask) is not int or not 0 <= mask < 1 << CHANNELS:
        reason = _reason(document, "channels", f"a mask of {CHANNELS} bits")
        return [one for one in bad(reason) if one.point not in ("lv", "hv")]
    return [
        Sample(point=CHANNELS_ON, value=mask.bit_count(), quality=quality),
        *(
            Sample(point=enabled_point(str(number)), value=bool(mask >> (number - 1) & 1), quality=quality)
            for number in range(1, CHANNELS + 1)
        ),
    ]


def _reason(document: dict[str, Any], key: str, wanted: str) -> str:
    if key not in document:
        return f"the status has no {key}"
    raw = document[key]
    # A whole number of thousands of digits cannot even be written as text.
    shown = f"a number of {raw.bit_length()} bits" if type(raw) is int and raw.bit_length() > 64 else repr(raw)[:_SHOWN]
    return f"{key} of the status is {shown}, and not {wanted}"
