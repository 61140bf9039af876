"""Texts of the alarm bits of a MARTA plant. Every set bit has a text, also one without an entry in the table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from countingroom.devices.drivers.marta.names import composed_text, severity_of


def text_of(name: str, codes: Mapping[str, str]) -> str:
    """The text of this bit in the table; composed from its name where the table has none, or a `?`."""
    written = codes.get(name, "").strip()
    return written if written.strip("?") else composed_text(name)


def summary(present: Iterable[str], codes: Mapping[str, str]) -> str:
    """The alarms that are set, most severe first, one line each: `text (bit)`. Empty when there is none."""
    ordered = sorted(present, key=severity_of)
    return "\n".join(f"{text_of(name, codes)} ({name})" for name in ordered)
