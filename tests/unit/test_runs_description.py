"""What a person writes of run control is taken whole, or every mistake in it is told where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from countingroom.core.placement import Renames
from countingroom.core.systems import SystemKind
from countingroom.experiment import Experiment, Invalid, load
from countingroom.runs.coordinator.seeding import seed_of
from countingroom.runs.description import RunsSection, shipped
from countingroom.runs.sections.system import plain_chart
from tests.input_files import OWN, Tables

Load = Callable[[str], Experiment]

GLOBALS = """
    TFC: {kind: global}
    DCS: {kind: global}
    FLES: {kind: global}
    QA: {kind: global}
"""


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """The experiment whose section `runs` is this text."""

    def write(text: str) -> Experiment:
        path = tmp_path / "main.yaml"
        path.write_text(f"experiment: {{name: cbm}}\nruns:\n{text}\n")
        return load(path)

    return write


def told(read: Load, text: str) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        read(text)
    return [f"{one.path}: {one.message}" for one in invalid.value.problems]


def test_without_a_word_there_is_nothing_to_run_but_the_template_is_there() -> None:
    assert not RunsSection().in_use
    assert RunsSection().templates["cbm"] == shipped("cbm")


def test_the_shipped_template_makes_the_published_levels() -> None:
    template = shipped("cbm").template("cbm")
    assert template.rests == ("Idle", "TFC_Active", "Detectors_Active", "FLES_and_DCS_Active", "QA_Active", "Recording")
    assert template.recorders == ("QA", "FLES")
    assert not list(shipped("cbm").problems())


def test_a_whole_experiment_is_read(read: Load) -> None:
    found = read(
        f"""
  systems: {GLOBALS}
    sts: {{agent: {{kind: script, configure: [[./load, "{{tag}}"]]}}}}
    rich: {{agent: {{kind: none}}}}
  partitions:
    beam: {{detectors: [sts, rich], expendable: [rich], tag: physics}}
  configurations:
    sts: {{physics: {{threshold: 12}}}}
  tags:
    physics: {{sts: physics}}
"""
    ).runs
    assert found.in_use
    assert found.detectors == ("sts", "rich")
    assert found.global_systems == ("TFC", "DCS", "FLES", "QA")
    assert found.systems["TFC"].kind is SystemKind.GLOBAL
    assert found.systems["sts"].steps == ("Configuring",)
    assert found.configurations["sts"]["physics"] == {"threshold": 12}


def test_the_types_of_a_systems_file_give_charts_steps_and_times_unchanged(read: Load, tables: Tables) -> None:
    kinds = ("STS", "RICH", "MVD", "TRD", "TOF", "TFC", "DCS", "QA", "FLES")
    cfg = tables.path(tables.systems)
    systems = "\n".join(f"    {kind}: {{type: {{cfg: {cfg}, section: {kind}}}}}" for kind in kinds)
    found = read(f"  systems:\n{systems}").runs.systems
    assert found["STS"].steps == tables.steps
    assert len(found["QA"].steps) == 1
    assert found["STS"].chart.to_common(tables.steps[-1]) == "Configuring"
    own = tables is OWN
    assert (found["STS"].timeout_s, found["STS"].ping_s) == ((3.0, 1.5) if own else (2.0, 2.0))
    assert found["QA"].timeout_s == (8.0 if own else 10.0)
    assert "start" in found["QA"].chart.allowed(tables.ready)
    assert "start" not in found["DCS"].chart.allowed(tables.ready)


def test_a_type_of_a_systems_file_whose_table_is_missing_is_reported(read: Load, tables: Tables) -> None:
    cfg = tables.path(tables.systems)
    (said,) = told(read, f"  systems: {{x: {{type: {{cfg: {cfg}, section: {tables.spare_section}}}}}}}")
    assert said.startswith("runs.systems.x.type: cannot be read: ")
    assert tables.spare in said
    misspelt = tables.spare_section[:-1] + "X"
    (said,) = told(read, f"  systems: {{x: {{type: {{cfg: {cfg}, section: {misspelt}}}}}}}")
    assert f"has no section '{misspelt}'; did you mean {tables.spare_section[:-1]}" in said


def test_a_table_can_be_a_file_beside_the_description_or_written_in_it(read: Load, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "Off,configure,Loading\nLoading,success,Ready\nReady,abort,Off\nLoading,abort,Off\n"
    )
    names = "map: {Off: Unconfigured, Loading: Configuring, Ready: Active}"
    rows = "[[Off, configure, Loading], [Loading, success, Ready], [Ready, abort, Off], [Loading, abort, Off]]"
    found = read(
        f"  systems:\n    a: {{type: {{table: own.csv, {names}}}}}\n    b: {{type: {{table: {rows}, {names}}}}}"
    )
    first, second = found.runs.systems["a"], found.runs.systems["b"]
    assert first.steps == second.steps == ("Loading",)
    assert first.chart.rows == second.chart.rows
    assert second.chart.to_common("Ready") == "Active"


def test_a_table_that_leaves_a_state_unmapped_or_stuck_is_told(read: Load) -> None:
    said = told(read, "  systems: {x: {type: {table: [[Unconfigured, configure, Busy]]}}}")
    assert any("Busy of table must be mapped to one of Unconfigured" in line for line in said)
    assert any(line.startswith("runs.systems.x.type: ") and "Busy" in line for line in said[:1])


def test_a_system_without_type_has_every_common_state() -> None:
    assert set(plain_chart().states) == {"Unconfigured", "Configuring", "Active", "Recording", "Error"}


MISTAKES = {
    "partitions: {p: {template: cbn}}": "runs.partitions.p.template: there is no template cbn; did you mean cbm?",
    "partitions: {p: {}}": "runs.partitions.p.template: cbm needs the global system TFC, which is not among the",
    "systems: {a: {}}\n  templates: {t: {levels: [{name: A, members: [a]}]}}\n  partitions: {p: {template: t}}": (
        "runs.partitions.p.template: t needs the global system a, which is a detector"
    ),
    "systems: {a: {}}\n  templates: {t: {levels: [{name: D, members: [detectors]}]}}\n"
    "  partitions: {p: {template: t, detectors: [a]}, q: {template: t, detectors: [a]}}": (
        "runs.partitions.q.detectors[0]: a is in p already"
    ),
    "systems: {a: {}}\n  templates: {t: {levels: [{name: D, members: [detectors]}]}}\n"
    "  partitions: {p: {template: t, detectors: [aa], expendable: [b], tag: c}}": (
        "runs.partitions.p.detectors[0]: aa is not a system; did you mean a?"
    ),
    "partitions: {_experiment: {}}": "runs.partitions._experiment: _experiment is reserved for the experiment",
    "systems: {detectors: {}}": (
        "runs.systems.detectors: is reserved for all detectors of a partition; choose another name"
    ),
    "configurations: {a: {t: {}}}": "runs.configurations.a: there is no system a",
    "systems: {a: {}}\n  tags: {t: {a: one}}": "runs.tags.t.a: a has no configuration one",
    "tags: {t: {a: one}}": "runs.tags.t.a: there is no system a",
    "systems: {a: {agent: {kind: slow-control, device: caen, states: {}}}}": (
        "runs.systems.a.agent.device: there is no device caen"
    ),
    "systems: {a: {agent: {kind: scritp}}}": "runs.systems.a.agent.kind: scritp is not known; did you mean script?",
    "systems: {a: {type: {section: STS}}}": "runs.systems.a.type: give either cfg with section, or table",
    "templates: {t: {levels: [{name: A, members: [x]}, {name: B, members: [x]}]}}": (
        "runs.templates.t.levels[1].members: x is a member of A already"
    ),
    "templates: {t: {levels: [{name: A, members: [x], loss: abort}]}}": (
        "runs.templates.t.levels[0].loss: abort is an event of every partition; give this loss a name of its own"
    ),
    "templates: {t: {levels: [{name: A, members: [x], loss: e}, {name: B, members: [y], loss: e}]}}": (
        "runs.templates.t.levels[1].loss: e is the event of A already"
    ),
    "templates: {t: {levels: [{name: A, members: [x], minimum: 2}]}}": (
        "runs.templates.t.levels[0].minimum: there are 1 members only"
    ),
    "templates: {t: {levels: [{name: A, members: [x], expendable: [y]}]}}": (
        "runs.templates.t.levels[0].expendable: y is no member; known here: x"
    ),
    "templates: {t: {levels: [{name: A, members: [x]}], recorders: [y]}}": (
        "runs.templates.t.recorders[0]: y is a member of no level, no detector, level or group; known here: x, all"
    ),
    "templates: {t: {levels: [{name: A, members: [x, y]}], recorders: [x, y], stop_order: [x]}}": (
        "runs.templates.t.stop_order: must name every recorder once: x, y"
    ),
    "templates: {t: {levels: [{name: A, members: [x]}], idle: A_Active}}": (
        "runs.templates.t: two states are called A_Active"
    ),
    "templates: {t: {levels: [{name: A, members: [x]}], hooks: {h: {command: [sh], trigger: before strat}}}}": (
        "runs.templates.t.hooks.h.trigger: 'before strat' is no moment; did you mean before start?"
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_at_its_place(read: Load, text: str) -> None:
    said = told(read, f"  {text}")
    assert any(line.startswith(MISTAKES[text]) for line in said), said


def test_a_first_goal_is_a_state_that_the_template_rests_in(read: Load) -> None:
    text = f"  systems:{GLOBALS}\n  partitions:\n    mCBM: {{goal: GOAL}}"
    assert read(text.replace("GOAL", "Recording")).runs.partitions["mCBM"].goal == "Recording"
    (mistake,) = told(read, text.replace("GOAL", "Recordings"))
    assert mistake.startswith("runs.partitions.mCBM.goal: Recordings is not a stable state of cbm")


RENAMED = """
  systems: {STX: {}, MVD: {}}
  configurations: {STX: {frost: {}, warm: {}}}
  tags: {beam: {STX: frost}}
  partitions: {M: {detectors: [STX], template: plain}}
  templates: {plain: {levels: [{name: all, members: [detectors], loss: error}]}}
"""


def test_renames_are_given_by_their_old_names(read: Load) -> None:
    text = "was: {systems: {STX: STS}, configurations: {STX: {frost: cold}}, tags: {beam: physics}, partitions: {M: A}}"
    found = read(f"{RENAMED}  {text}").section(RunsSection).was.renames
    assert found == Renames(
        systems={"STX": "STS"},
        configurations={"STX": {"frost": "cold"}},
        tags={"beam": "physics"},
        partitions={"M": "A"},
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "systems: {STX: MVD}",
            "runs.was.systems.STX: the system MVD is still in the description: remove it, or this line",
        ),
        ("systems: {STX: TRD, MVD: TRD}", "runs.was.systems.MVD: the system TRD is renamed to STX already"),
        ("tags: {beams: old}", "runs.was.tags.beams: there is no tag beams; did you mean beam?"),
        ("partitions: {M: M}", "runs.was.partitions.M: the partition M is still in the description"),
        ("configurations: {MVD: {frost: x}}", "runs.was.configurations.MVD: MVD has no configurations"),
        (
            "configurations: {STX: {frost: warm}}",
            "runs.was.configurations.STX.frost: the configuration of STX warm is still in the description",
        ),
    ],
)
def test_a_rename_that_cannot_be_meant_is_a_mistake(read: Load, text: str, problem: str) -> None:
    (found,) = told(read, f"{RENAMED}  was: {{{text}}}")
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("name", "text"),
    [("sts.json", '{"properties": {"t": {"type": "number"}}}'), ("sts.yaml", "properties: {t: {type: number}}")],
)
def test_a_schema_in_a_file_is_read(read: Load, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read(f"  systems: {{STS: {{parameters: {name}}}}}").section(RunsSection)
    assert found.systems["STS"].parameter_schema == {"properties": {"t": {"type": "number"}}}
    assert seed_of(found).configurations.schemas == {"STS": {"properties": {"t": {"type": "number"}}}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [(None, "cannot be read"), ("[1, 2]", "is no JSON Schema: expected a mapping"), ("{a: ", "invalid YAML")],
)
def test_a_schema_in_a_file_that_cannot_be_used_is_a_mistake(
    read: Load, tmp_path: Path, text: str | None, problem: str
) -> None:
    if text is not None:
        (tmp_path / "sts.yaml").write_text(text)
    (found,) = told(read, "  systems: {STS: {parameters: sts.yaml}}")
    assert found.startswith("runs.systems.STS")
    assert problem in found
