"""The files for Grafana: made from the demo, in the form of Grafana's dashboard, without a secret in them.

The form here is a part of Grafana's. All dashboards of the demo were read by the models of grafana-foundation-sdk 11.6
once, which dropped nothing but `spanNulls` as a number and the fields of an annotation's question.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import yaml
from msgspec import UNSET, Struct, UnsetType, field
from typer.testing import CliRunner

from countingroom.cli.grafana_files import write_files
from countingroom.cli.main import app
from countingroom.core.errors import ConfigurationError
from countingroom.core.points import Limits, Point, Type
from countingroom.history.grafana.panels import grafana_unit, panels
from countingroom.history.grafana.sources import InfluxSource
from countingroom.history.stores.influxdb_section import InfluxSection

ROOT = Path(__file__).parent.parent.parent
STORES = """
history:
  stores:
    influx: {influxdb: {url: "http://influx.example", database: cr, user: reader, password: {env: SECRET_OF_INFLUX}}}
    two: {influxdb: {url: "http://influx2.example:8086", bucket: cr, org: lab, token: {env: SECRET_OF_TWO}}}
    vm: {victoriametrics: {url: "http://vm.example:8428", token: {env: SECRET_OF_VM}}}
    pg: {postgresql: {address: "postgresql://127.0.0.1:5432/site", user: reader, password: {env: SECRET_OF_PG}}}
storage: {url: "postgresql://cr@db.example/cr"}
"""


class Strict(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A part of a dashboard."""


class Reference(Strict, frozen=True):
    type: Literal["influxdb", "prometheus", "grafana-postgresql-datasource"]
    uid: str


class Target(Strict, frozen=True):
    ref_id: str
    datasource: Reference
    raw_query: bool = False
    query: str = ""
    alias: str = ""
    result_format: Literal["time_series", "table", "logs"] = "time_series"
    expr: str = ""
    legend_format: str = ""
    range: bool = True
    raw_sql: str = ""
    format: Literal["time_series", "table"] = "time_series"
    editor_mode: Literal["code", "builder"] = "code"


class Place(Strict, frozen=True):
    x: int
    y: int
    w: int
    h: int


class Step(Strict, frozen=True):
    color: str
    value: float | None


class Thresholds(Strict, frozen=True):
    mode: Literal["absolute", "percentage"]
    steps: list[Step]


class Mapping(Strict, frozen=True):
    type: Literal["value", "range", "regex", "special"]
    options: dict[str, dict[str, Any]]


class Custom(Strict, frozen=True):
    line_interpolation: Literal["linear", "smooth", "stepBefore", "stepAfter"] = "linear"
    span_nulls: bool | int = False
    show_points: Literal["auto", "always", "never"] = "auto"
    thresholds_style: dict[Literal["mode"], Literal["off", "line", "dashed", "area"]] = {}
    fill_opacity: int = 0
    line_width: int = 1


class Defaults(Strict, frozen=True):
    custom: Custom
    unit: str = ""
    decimals: int | UnsetType = UNSET
    thresholds: Thresholds | UnsetType = UNSET
    mappings: list[Mapping] = []


class Property(Strict, frozen=True):
    id: str
    value: Any


class Matcher(Strict, frozen=True):
    id: Literal["byName"]
    options: str


class Override(Strict, frozen=True):
    matcher: Matcher
    properties: list[Property]


class FieldConfig(Strict, frozen=True):
    defaults: Defaults
    overrides: list[Override]


class Panel(Strict, frozen=True):
    id: int
    type: Literal["timeseries", "state-timeline", "row"]
    title: str
    grid_pos: Place
    description: str = ""
    datasource: Reference | UnsetType = UNSET
    targets: list[Target] = []
    field_config: FieldConfig | UnsetType = UNSET
    options: dict[str, Any] = {}
    collapsed: bool = False
    panels: list[Panel] = []


class Annotation(Strict, frozen=True):
    name: str
    datasource: Reference
    enable: bool
    hide: bool
    icon_color: str
    target: Target


class Annotations(Strict, frozen=True):
    annotations: list[Annotation] = field(name="list")


class Dashboard(Strict, frozen=True):
    uid: str
    title: str
    tags: list[str]
    timezone: Literal["browser", "utc"]
    schema_version: int
    version: int
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    refresh: str
    time: dict[Literal["from", "to"], str]
    templating: dict[str, Any]
    annotations: Annotations
    links: list[dict[str, Any]]
    panels: list[Panel]


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("grafana") / "experiment.yaml"
    file.write_text(f"include: [{ROOT / 'examples' / 'demo' / 'experiment.yaml'}]\n{STORES}")
    return file


def read(folder: Path) -> dict[str, Dashboard]:
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=Dashboard) for file in (folder / "dashboards").iterdir()
    }


def every(found: list[Panel]) -> list[Panel]:
    return [inner for panel in found for inner in (panel, *panel.panels)]


@pytest.mark.parametrize("store", ["influx", "two", "vm", "pg"])
def test_each_device_has_a_dashboard_in_the_form_of_grafana(description: Path, tmp_path: Path, store: str) -> None:
    write_files(description, tmp_path, store, None)
    dashboards = read(tmp_path)
    assert sorted(dashboards) == ["caen", "chiller", "cleanroom", "climate", "co2", "coldbox"]
    assert len({dashboard.title for dashboard in dashboards.values()}) == len(dashboards)
    for dashboard in dashboards.values():
        shown = every(dashboard.panels)
        assert len({panel.id for panel in shown}) == len(shown)
        places = [panel.grid_pos for panel in shown]
        assert not [
            (a, b)
            for a, b in combinations(places, 2)
            if a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h
        ]
        assert all(place.x + place.w <= 24 for place in places)
        assert {target.datasource.uid for panel in shown for target in panel.targets} == {f"countingroom-{store}"}
        assert [one.name for one in dashboard.annotations.annotations] == ["Alarms", "Runs"]
    text = (tmp_path / "dashboards" / "caen.json").read_text()
    assert set(re.findall(r"(\d)\\*\.lv_vMon", text)) == set("0123")


def test_limits_and_units_of_the_description_are_drawn(description: Path, tmp_path: Path) -> None:
    write_files(description, tmp_path, "influx", None)
    bath = next(panel for panel in every(read(tmp_path)["chiller"].panels) if "internal_temp" in str(panel.targets))
    assert bath.field_config
    defaults = bath.field_config.defaults
    assert defaults.unit == "celsius"
    assert defaults.thresholds
    steps = [(step.value, step.color) for step in defaults.thresholds.steps]
    assert steps == [(None, "red"), (-40, "orange"), (-35, "green"), (30, "orange"), (35, "red")]


def test_files_name_variables_in_place_of_secrets(description: Path, tmp_path: Path) -> None:
    write_files(description, tmp_path, "", Path("/var/lib/grafana/countingroom"))
    text = (tmp_path / "provisioning" / "datasources" / "countingroom.yaml").read_text()
    assert "SECRET_OF" not in text
    sources = {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}
    assert sorted(sources) == [f"countingroom-{name}" for name in ("influx", "pg", "records", "two", "vm")]
    assert sources["countingroom-two"]["secureJsonData"] == {"httpHeaderValue1": "Token ${COUNTINGROOM_TWO_TOKEN}"}
    assert sources["countingroom-pg"]["secureJsonData"] == {"password": "${COUNTINGROOM_PG_PASSWORD}"}
    provider = yaml.safe_load((tmp_path / "provisioning" / "dashboards" / "countingroom.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/var/lib/grafana/countingroom"


def test_points_of_one_panel_with_other_limits_have_their_own() -> None:
    points = [
        Point(name=f"{channel}.v", channel=channel, column="v", unit="uA", limits=Limits(alarm_high=high))
        for channel, high in (("0", 1.0), ("1", 1.0), ("2", 2.0))
    ]
    source = InfluxSource("s", InfluxSection(database="cr"))
    (drawn,) = panels("caen", [*points], source)
    assert drawn["fieldConfig"]["defaults"]["unit"] == "suffix: µA"
    (override,) = drawn["fieldConfig"]["overrides"]
    assert override["matcher"] == {"id": "byName", "options": "2.v"}


def test_states_and_texts_are_stretches_with_the_words_of_the_point() -> None:
    source = InfluxSource("s", InfluxSection(database="cr"))
    drawn = panels(
        "d",
        [Point(name="status", type=Type.INT, codes={"3": "on"}), Point(name="text", type=Type.STRING, main=False)],
        source,
    )
    status, row = drawn
    assert status["fieldConfig"]["defaults"]["mappings"][0]["options"] == {"3": {"text": "on", "index": 0}}
    assert re.search(r'last\("text"\).*point" =~ /\^\(text\)\$/', row["panels"][0]["targets"][0]["query"])
    assert grafana_unit("") == "none"


def test_a_description_without_a_store_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no history\.stores"):
        write_files(ROOT / "examples" / "demo" / "experiment.yaml", tmp_path, "", None)


@pytest.mark.server
def test_the_command_names_what_it_wrote(description: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["history", "grafana", str(description), str(tmp_path), "--store", "vm"])
    assert done.exit_code == 0
    assert str(tmp_path / "dashboards" / "caen.json") in done.output.replace("\n", "")
    assert CliRunner().invoke(app, ["history", "grafana", str(description), str(tmp_path), "--store", "x"]).exit_code
