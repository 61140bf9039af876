"""Topics and payloads of the simulated boards, made from the topic patterns of the section. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

VALUE = "{value}"
"""Stands for the setpoint in a payload."""
BOARDS = ("ESP01", "ESP02")
DEFAULTS = {
    "DS_temp": "DS/temp",
    "BME_temp": "BME/temp",
    "BME_humi": "BME/humi",
    "CCS_co2": "CCS/co2",
    "CCS_tvoc": "CCS/tvoc",
    "SCD30_co2": "SCD30/co2",
    "SCD30_temp": "SCD30/temp",
    "SCD30_humi": "SCD30/humi",
}
"""The values of a board without parameters: value -> end of its topic."""


class Outlet(Struct, frozen=True, kw_only=True):
    """One published value of one board."""

    board: str
    value: str
    topic: str
    field: tuple[str, ...] = ()
    """Where in a JSON payload; empty: bare."""
    set_topic: str = ""
    """Where the board takes a setpoint for it; empty: nowhere."""
    set_payload: str = VALUE
    first: str | None = None
    """What it publishes before it was set; None: what it measures."""
    sets: tuple[str, ...] = ()
    """The values of the board that follow its setpoint: itself, and its readback."""

    def setpoint(self, payload: str) -> str | None:
        """The setpoint in a payload of the form `set_payload`; None where it has another form."""
        before, _, after = self.set_payload.partition(VALUE)
        found = re.fullmatch(f"{re.escape(before)}(.*){re.escape(after)}", payload.strip(), re.DOTALL)
        return found[1] if found else None

    @property
    def quantity(self) -> str:
        """What it measures: the last level of its topic, or of its field."""
        return self.field[-1] if self.field else self.topic.replace(".", "/").rpartition("/")[2]

    def payload(self, measured: float | str) -> str:
        """As the board writes it."""
        if not self.field:
            return str(measured)
        content: Any = _plain(measured)
        for step in reversed(self.field):
            content = [*[None] * int(step), content] if step.isdigit() else {step: content}
        return json.dumps(content)


def outlets(parameters: Mapping[str, Any]) -> tuple[Outlet, ...]:
    """Every value that is published."""
    boards = tuple(parameters.get("sensors") or BOARDS)
    """Their channels also where they have other names in topics: those may have characters that this broker refuses."""
    values: Mapping[str, Any] = parameters.get("values") or {
        name: {"topic": f"{{sensor}}/sensors/#/{end}"} for name, end in DEFAULTS.items()
    }
    set_by = {str(entry["readback"]): entry for entry in values.values() if entry.get("readback")}
    return tuple(
        Outlet(
            board=board,
            value=name,
            topic=_concrete(entry["topic"].replace("{sensor}", board)),
            field=_keys(entry.get("field") or ()),
            set_topic=str(entry.get("set_topic") or "").replace("{sensor}", board),
            set_payload=str(entry.get("set_payload") or VALUE),
            first=_first(entry if entry.get("set_topic") else set_by.get(name)),
            sets=(name, *filter(None, [entry.get("readback")])) if entry.get("set_topic") else (),
        )
        for name, entry in values.items()
        for board in (boards if "{sensor}" in entry["topic"] else ("",))
    )


def plain_boards(parameters: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The boards of the section by names that the simulator's broker takes: those of their channels. Empty where all
    boards have these names."""
    boards: Mapping[str, Any] = parameters.get("sensors") or {}
    if not any(isinstance(board, Mapping) for board in boards.values()):
        return {}
    return {
        channel: {"name": channel, "label": board["label"] if isinstance(board, Mapping) else board}
        for channel, board in boards.items()
    }


def _first(entry: Mapping[str, Any] | None) -> str | None:
    """What is in force before the first setpoint of this entry."""
    if entry is None:
        return None
    if words := entry.get("words"):
        return str(next(iter(words)))
    match entry.get("type") or "float":
        case "bool":
            return "false"
        case "string":
            return ""
        case kind:
            middle = (float(entry.get("write_low") or 0) + float(entry.get("write_high") or 0)) / 2
            return str(round(middle)) if kind == "int" else f"{middle:g}"


def _plain(measured: float | str) -> float | int | str | bool:
    """A text as JSON has it: a number or a switch without quotes."""
    if not isinstance(measured, str):
        return measured
    try:
        found = json.loads(measured)
    except ValueError:
        return measured
    return found if isinstance(found, (int, float, bool)) else measured


def _keys(field: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(field.split(".") if isinstance(field, str) else field)


def _concrete(pattern: str) -> str:
    """A topic that the pattern matches."""
    return "/".join("box" if level in ("+", "#") else level for level in pattern.split("/"))
