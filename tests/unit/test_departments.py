"""The departments' table agrees with the import contracts, with the code it names, and with what `up` starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel

from countingroom import experiment
from countingroom.app.child_process import ENVIRONMENT
from countingroom.app.up import StartPlan, imported_modules
from countingroom.departments import DEPARTMENTS, Department, ProcessRole, load, roles, stages

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "countingroom"
DEMO = ROOT / "examples" / "demo" / "experiment.yaml"
NAMES = [department.name for department in DEPARTMENTS]
CONTRACTS = {
    contract["name"].partition(":")[0]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
UNUSED = ("setuptools", "pygments", "pyarrow", "duckdb")
"""Only the history uses DuckDB, which complains in other processes at their end; nothing uses the others."""
RUN_CONTROL = re.compile(r"(?<![.\w])(run control|partition|system|agent|detector)s?\b", re.IGNORECASE)


def test_the_layer_of_departments_lists_the_rows_of_the_table() -> None:
    layers = CONTRACTS["Layers"]["layers"]
    assert [layer.split(" | ") for layer in layers if "runs" in layer.split(" | ")] == [NAMES]


def test_the_experiment_may_import_no_department_but_its_description() -> None:
    contract = CONTRACTS["The experiment imports of a department its description alone"]
    assert {f"countingroom.{name}" for name in NAMES} <= set(contract["forbidden_modules"])
    for department in DEPARTMENTS:
        if department.section:
            assert department.section.model.startswith(f"countingroom.{department.name}.description:")


def test_every_shipped_package_is_in_the_testing_contract() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")} | {"departments"}
    listed = {
        module.partition(".")[2]
        for module in CONTRACTS["Nothing shipped imports the testing package"]["source_modules"]
    }
    assert listed == packages - {"testing"}


@pytest.mark.parametrize("department", DEPARTMENTS, ids=lambda one: one.name)
def test_everything_that_a_row_names_exists(department: Department) -> None:
    assert (SOURCE / department.name / "__init__.py").exists()
    if department.section:
        assert issubclass(load(department.section.model), BaseModel)
    assert all(callable(load(role.start)) for role in department.roles)
    assert all(isinstance(load(key.message), type) for key in department.state)
    assert all(load(module).router for module in department.api)
    assert all(callable(load(module).pages) for module in department.pages)
    assert not department.tree or (SOURCE / "console" / "templates" / department.tree).exists()


def test_a_name_stands_once_in_the_table() -> None:
    for names in (
        NAMES,
        [role.name for one in DEPARTMENTS for role in one.roles],
        [word for one in DEPARTMENTS for role in one.roles for word in role.commands],
        [key.prefix for one in DEPARTMENTS for key in one.state],
        [module for one in DEPARTMENTS for module in (*one.api, *one.pages)],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_a_role_waits_for_roles_that_exist() -> None:
    known = roles()
    assert all(set(role.after) <= known.keys() for role in known.values())


def test_a_role_needs_only_roles_that_are_stopped_after_it() -> None:
    assert all(set(role.needs or ()) <= set(role.after) for role in roles().values())


def test_run_control_starts_after_its_agents_and_so_ends_before_them() -> None:
    assert [set(stage) for stage in stages(list(roles()))] == [
        {"history", "simulators", "fleet", "mirror"},
        {"devices", "agents", "doors"},
        {"runs", "console", "tracker", "pvs", "home_assistant"},
        {"alarms"},
    ]


def test_without_run_control_the_console_starts_beside_the_device_host() -> None:
    assert [set(stage) for stage in stages(["history", "devices", "console"])] == [{"history"}, {"devices", "console"}]


def test_roles_that_wait_for_each_other_are_refused() -> None:
    circle = Department(
        name="circle",
        title="a circle",
        roles=(ProcessRole(name="a", start="x:a", after=("b",)), ProcessRole(name="b", start="x:b", after=("a",))),
    )
    with pytest.raises(ValueError, match="wait for each other: a, b"):
        stages(["a", "b"], [circle])


@pytest.mark.parametrize("path", sorted((SOURCE / "bus").rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_bus_knows_no_term_of_run_control(path: Path) -> None:
    assert RUN_CONTROL.findall(path.read_text()) == []


@pytest.mark.server
def test_what_the_fork_server_imports_starts_no_thread_and_loads_nothing_that_is_not_used() -> None:
    plan = StartPlan(description=DEMO, experiment=experiment.load(DEMO), simulate=True, port=0, data=Path("/nowhere"))
    modules = imported_modules(plan)
    assert {"countingroom.console.pages.run_pages", "countingroom.devices.drivers.marta.build"} < set(modules)
    code = "import importlib, sys, psutil; [importlib.import_module(one) for one in sys.argv[1:]]; "
    code += f"print(psutil.Process().num_threads(), [one for one in {UNUSED!r} if one in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code, *modules],
        capture_output=True,
        check=True,
        env=os.environ | ENVIRONMENT,
        timeout=60,
    )
    assert found.stdout.decode().splitlines()[-1] == "1 []"
