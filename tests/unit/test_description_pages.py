"""What the pages about descriptions and state machines show is what happens."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from countingroom.cli.fsm import app
from countingroom.experiment import schema

DOCS = Path(__file__).parents[2] / "docs"
HOWTO = (DOCS / "howto" / "check-a-state-machine.md").read_text()


def block(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_faulty_table_is_told_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("detector.csv").write_text(block("text"))
    result = CliRunner().invoke(app, ["check", "detector.csv"])
    assert result.stdout == block("console").partition("\n")[2]
    assert result.exit_code == 1


def test_the_yaml_table_of_the_page_is_right_but_for_states_without_map_row(tmp_path: Path) -> None:
    file = tmp_path / "magnet.yaml"
    file.write_text(block("yaml"))
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0
    assert result.stdout.endswith("0 wrong, 2 odd\n")


def test_the_reference_of_the_description_tells_every_key_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop("description_page", None)
    page: Any = __import__("description_page").page
    text: str = page()
    made = schema()
    for name, section in made["$defs"].items():
        for key in section.get("properties", {}):
            assert f"`{key}`" in text, f"{name}.{key}"
    for driver in made["$defs"]["DevicesSection"]["additionalProperties"]["discriminator"]["mapping"]:
        assert f"### driver: {driver}\n" in text
