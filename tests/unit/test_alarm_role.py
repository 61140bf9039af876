"""The alarm department defines its alarms by the whole description, and its points by what they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from countingroom.alarms.engine.point_conditions import spec_of
from countingroom.app.alarms import alarm_definitions
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue
from countingroom.core.points import Limits, Point
from countingroom.experiment import load

TEXT = """\
experiment: {name: x}
devices:
  bath: {driver: julabo, port: /dev/ttyUSB0, area: cooling/bath}
runs:
  systems: {STS: {area: runs}, TFC: {kind: global}, DCS: {kind: global}, FLES: {kind: global}, QA: {kind: global}}
  partitions: {mCBM: {detectors: [STS], area: cooling}}
alarms:
  areas: {cooling: {areas: {bath: {contact: cooling on call}}}, runs: {}}
"""


def test_the_area_that_a_thing_names_itself_counts(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(TEXT, encoding="utf-8")
    definitions = alarm_definitions(load(file))
    catalogue = Catalogue(device="bath", title="Bath", driver="julabo", group="", points=())
    assert {one.contact for one in definitions.of_device(catalogue)} == {"cooling on call"}
    areas = {one.id: one.area for one in definitions.of_partition("mCBM", ["STS", "QA"])}
    assert areas == {
        "partition.mCBM.owner": "cooling",
        "partition.mCBM.goal": "cooling",
        "member.mCBM.STS": "runs",
        "member.mCBM.QA": "cooling",
    }


@pytest.mark.parametrize(("given", "used"), [(0.2, 0.2), (3.0, 1.0)])
def test_a_hysteresis_is_at_most_the_range_between_the_limits(given: float, used: float) -> None:
    point = Point(name="a", limits=Limits(warning_low=1, alarm_high=2))
    spec = spec_of(point, AlarmDefinition(id="x", title="x", hysteresis=given, on_delay_s=1))
    assert spec == LimitSpec(
        high=(AlarmLimit(2, 2),), low=(AlarmLimit(1, 3),), hysteresis=used, on_delay_ns=1_000_000_000
    )
