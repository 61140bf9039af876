"""`synoptic check` says what every element shows, what was removed and what is wrong, and writes a preview."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.cli import synoptic_preview
from countingroom.cli.main import app

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo"
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50">
<script>alert(1)</script>
<text id="chiller.internal_tmp">0</text>
<rect id="frame" fill="#ff0000"/>
</svg>"""


def test_the_demo_is_right_and_its_preview_is_a_page_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synoptic_preview, "_BROWSERS", ())
    drawing, preview = DEMO / "synoptics" / "test_stand.svg", tmp_path / "stand.html"
    told = CliRunner().invoke(
        app,
        ["synoptic", "check", str(drawing), "--description", str(DEMO / "experiment.yaml"), "--preview", str(preview)],
    )
    assert told.exit_code == 0, told.output
    assert "It is the synoptic test_stand of" in told.output
    assert "removed" not in told.output
    assert "colour:" not in told.output
    page = preview.read_text()
    assert "import " not in page
    assert 'data-sy="0"' in page
    assert '"chiller.internal_temp":[3.0,0,' in page


def test_mistakes_have_their_lines_and_the_exit_status_says_so(tmp_path: Path) -> None:
    drawing = tmp_path / "mine.svg"
    drawing.write_text(DRAWING)
    given = ["synoptic", "check", str(drawing), "--description", str(DEMO / "experiment.yaml")]
    told = CliRunner().invoke(app, given)
    assert told.exit_code == 2
    assert f"removed: {drawing}:2: <script>: a drawing runs no program" in told.output
    assert f"{drawing}:3: chiller.internal_tmp: chiller has no point internal_tmp" in told.output
    assert f"colour: {drawing}:4: fill #ff0000 of <rect>" in told.output
    assert "1 id binds to nothing: frame" in told.output
    as_json = json.loads(CliRunner().invoke(app, [*given, "--json"]).stdout)
    assert as_json["valid"] is False
    assert as_json["problems"][0]["line"] == 3


def test_a_file_that_is_no_drawing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.svg").write_text("<html/>")
    told = CliRunner().invoke(app, ["synoptic", "check", "x.svg"])
    assert told.exit_code == 2
    assert "x.svg:1: the file begins with <html>" in told.output
    assert CliRunner().invoke(app, ["synoptic", "check", "no.svg"]).exit_code == 2
