"""Law: every alarm bit that is set is told in words, whether or not somebody has written words for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.devices.drivers.marta.names import composed_text, severity_of


def text_of(name: str, codes: Mapping[str, str]) -> str:
    """What the table says of this bit; what its name says where the table has nothing, or a `?`."""
    written = codes.get(name, "").strip()
    return written if written.strip("?") else composed_text(name)


def summary(present: Iterable[str], codes: Mapping[str, str]) -> str:
    """The alarms that are set, gravest first, a line each: `text (bit)`. Empty when there is none."""
    ordered = sorted(present, key=severity_of)
    return "\n".join(f"{text_of(name, codes)} ({name})" for name in ordered)
