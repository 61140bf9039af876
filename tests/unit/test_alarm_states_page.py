"""The page about the states of alarms shows the table that decides."""

from __future__ import annotations

from pathlib import Path

from countingroom.core.alarms.chart import TABLE, Cell, Trigger
from countingroom.core.alarms.events import EffectKind
from countingroom.core.alarms.legality import REFUSED, AlarmCommand
from countingroom.core.alarms.states import BaseState

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "alarm-states.md"
COMMANDS = {Trigger.ACKNOWLEDGE: AlarmCommand.ACKNOWLEDGE, Trigger.RESET: AlarmCommand.RESET}
SAID = {
    EffectKind.ANNOUNCE: "announced",
    EffectKind.ANNOUNCE_BY_RATE: "announced as often as the route allows",
    EffectKind.RE_ANNOUNCE: "announced again",
}


def words(base: BaseState) -> str:
    return base.value.replace("_", " ")


def cell_text(base: BaseState, trigger: Trigger, cell: Cell) -> str:
    """One cell of the table in words."""
    code = REFUSED[base].get(COMMANDS[trigger]) if trigger in COMMANDS else None
    if code:
        return f"refused: `{code}`"
    found = [f"→ {words(cell.to)}"] if cell.to else []
    found += ["new occurrence"] if cell.occurs else []
    found += [SAID[cell.effect]] if cell.effect in SAID else []
    ways = [("latching", cell.latching), ("no acknowledgement needed", cell.unasked), ("both", cell.unasked_latching)]
    ways += [("while a flag is set", cell.flagged)]
    others = [f"{why}: → {words(to)}" for why, to in ways if to]
    return "; ".join([", ".join(found) or "–", *others])


def table() -> str:
    heads = ["base state", *(trigger.value for trigger in Trigger)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for base in BaseState:
        cells = [cell_text(base, trigger, TABLE[base][trigger]) for trigger in Trigger]
        lines.append("| " + " | ".join([f"**{words(base)}**", *cells]) + " |")
    return "\n".join(lines)


def test_the_page_shows_the_table_of_the_program() -> None:
    text = PAGE.read_text()
    assert table() in text, f"write this into the page:\n{table()}"
