"""What `countingroom fleet registry check` prints."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.cli import fleet_registry
from countingroom.cli.main import run


class Api:
    """Three images: one is there, one is not, and one registry does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def get(self, path: str) -> Any:
        causes = [
            None,
            {"code": "not_found", "message": "it has no cam 2", "suggestion": "push it there"},
            {"code": "link_lost", "message": "hub does not answer", "suggestion": ""},
        ]
        return {
            "images": [
                {
                    "image": f"hub:5000/cam:{number}",
                    "digest": "" if cause else "sha256:2f1c",
                    "platforms": ["linux/amd64"],
                    "is_secure": True,
                    "nodes": [{"node": "gfa1", "has": "another"}, {"node": "gfa2", "has": ""}],
                    "cause": cause,
                }
                for number, cause in enumerate(causes, 1)
            ]
        }


def test_each_image_is_told_with_its_registry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_registry, "Client", Api)
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["fleet", "registry", "check"]) == 1
    said = capsys.readouterr().out
    rows = [_row(said, number) for number in (1, 2, 3)]
    assert "has it " in rows[0] and "has it not" in rows[1] and "not known" in rows[2]
    assert "1 have another one of this name, 1 do not answer" in said
    assert "hub:5000/cam:2: it has no cam 2 → push it there" in said


def _row(said: str, number: int) -> str:
    return next(line for line in said.splitlines() if f"cam:{number} " in line and "→" not in line)
