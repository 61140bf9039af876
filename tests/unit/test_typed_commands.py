"""A text of the product that tells to type a command names one that exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from countingroom.cli.main import COMMANDS
from tests.source_trees import PACKAGE, trees

TYPED = re.compile(r"(?:: |`|→ |with |by )countingroom ([a-z]+)(?: ([a-z][a-z-]*))?")

PROSE = {"looks", "when"}
"""Words of a sentence about the product."""


def typed() -> Iterator[tuple[Path, str, str]]:
    """File, command and the word after it, of all texts of the source."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in TYPED.finditer(node.value):
                    if found[1] not in PROSE:
                        yield path.relative_to(PACKAGE), found[1], found[2] or ""


TEXTS = sorted(set(typed()))


@pytest.mark.parametrize(("path", "name", "word"), TEXTS, ids=str)
def test_a_command_of_a_text_exists(path: Path, name: str, word: str) -> None:
    assert name in COMMANDS, f"{path} tells to type countingroom {name}"
    command: Any = typer.main.get_command(import_module(COMMANDS[name][0]).app)
    if word and isinstance(command, TyperGroup):
        assert word in command.commands, f"{path} tells to type countingroom {name} {word}"
