"""The ladder is true: every piece of evidence exists, and no driver stands higher or lower than its evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from countingroom.devices import description, registry

ROOT = Path(__file__).parents[2]
LADDER: dict[str, Any] = yaml.safe_load((ROOT / "src/countingroom/devices/ladder.yaml").read_text())
DRIVERS: dict[str, dict[str, Any]] = LADDER["drivers"]


def test_every_driver_of_ours_is_on_the_ladder() -> None:
    assert sorted(DRIVERS) == sorted(description.kind_of(section) for section in description.OURS)


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_piece_of_evidence_exists(driver: str) -> None:
    for kind, evidence in DRIVERS[driver].items():
        for piece in evidence if kind != "rung" else ():
            path, _, name = piece.partition("::")
            assert (ROOT / path).is_file(), piece
            assert not name or f"def {name}(" in (ROOT / path).read_text(), piece


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_stands_on_the_rung_its_evidence_reaches(driver: str) -> None:
    reached = "none"
    for rung, wanted in LADDER["rungs"].items():
        if not all(DRIVERS[driver].get(kind) for kind in wanted):
            break
        reached = rung
    assert DRIVERS[driver]["rung"] == reached


def test_the_reference_page_says_the_same() -> None:
    page = (ROOT / "docs/reference/devices.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", page, re.MULTILINE))
    assert rows == {driver: data["rung"] for driver, data in DRIVERS.items()}


def test_the_description_on_the_reference_page_is_valid() -> None:
    (block,) = re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / "docs/reference/devices.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (section,) = description.DevicesSection.model_validate(yaml.safe_load(block)["devices"]).root.values()
    assert len(registry.build("climate", section).driver.points) == 4
