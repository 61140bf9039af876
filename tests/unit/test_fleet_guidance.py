"""What an alarm of the fleet says to type is a command that exists, with these arguments."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from countingroom.alarms import fleet_kinds
from countingroom.cli.fleet import app

TYPED = re.compile(r"countingroom fleet ([a-z]+)((?: --[a-z-]+| [A-Z@]+)*)")
TEXTS = [
    match
    for kinds in (fleet_kinds.NODES, fleet_kinds.SERVICES)
    for one in kinds.values()
    for text in one.guidance.do
    for match in TYPED.finditer(text)
]


@pytest.mark.parametrize("typed", TEXTS, ids=lambda one: one[0])
def test_a_command_of_the_guidance_can_be_typed(typed: re.Match[str]) -> None:
    group: Any = typer.main.get_command(app)
    params: list[Any] = list(group.commands[typed[1]].params)
    options: set[str] = {name for one in params for name in one.opts if name.startswith("--")}
    places = sum(1 for one in params if not any(name.startswith("-") for name in one.opts))
    words = typed[2].split()
    named = {word for word in words if word.startswith("--")}
    assert named <= options
    # Each option of the guidance has a value; the other words stand in places.
    assert len(words) - 2 * len(named) <= places
