"""Mutation run: changes the code in small ways and tells which changes no test notices. `make mutants`.

The run works on a copy of the tracked files in `build`, at the lowest priority. Without `--sample 0` it takes a
random sample: all mutants of a scope need many hours.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "mutants-run"
SURVIVED, NO_TESTS = 0, 33
"""Exit codes in the reports of mutmut."""

SCOPES: dict[str, tuple[str, ...]] = {
    "core": (
        "src/countingroom/core",
        "test_admission test_chart_lines test_clock test_times test_line_limit test_numbers test_plain_text test_retry "
        "test_severity test_units test_mistakes test_experiment test_check_everything test_command_table "
        "test_login_attempts test_keys test_grants test_configuration_changes test_start_forbidden "
        "test_alarm_chart test_alarm_condition* test_alarm_definitions test_alarm_expressions test_alarm_figures "
        "test_alarm_states test_alarm_views test_interlock_enumeration test_interlock_hold test_interlock_s* "
        "test_interlock_trial test_rule_[ces]* test_notify_[defhprt]* test_fleet_health test_fleet_node_answers "
        "test_fleet_specs test_fleet_resolver test_device_safety test_mirror_[lprsu]* test_proof_tests test_set_back "
        "test_synoptic_drawing test_log_line_times",
        "test_aggregates test_charts test_policy test_actor_* test_alarm_* test_derived test_fleet_reconciler "
        "test_interlock_model test_notify_plan test_rule_model test_snapshots test_synoptic_sanitiser",
    ),
    "planner": (
        "src/countingroom/runs/planner",
        "test_partition test_partition_orders test_partition_policies test_partition_refusals test_reconfigure "
        "test_recorders test_stop_gets_through test_runs_description",
        "test_partition test_abort_at_any_moment test_interlocked_start",
        "test_run_flags test_start_permission",
    ),
    "host": (
        "src/countingroom/devices/host",
        "test_device_rules test_confirmation test_dangerous_points test_simulation test_interlock_hold "
        "test_forgotten_devices test_reload_orders test_driver_loop_end test_device_safety",
        "test_device_rules",
        "test_device_host test_device_host_reload test_device_publishing test_derived_points test_unpublishable_values",
    ),
    "auth": (
        "src/countingroom/console/auth",
        "test_login_attempts test_login_turns test_login_rooms test_console_login test_tokens test_console_permits "
        "test_grants test_local_path test_kept_sessions test_account_changes test_password_strength "
        "test_console_live test_console_socket",
        "test_policy",
    ),
}
"""Scope -> its folder, and its tests under tests/unit, tests/property and tests/scenario, as patterns of names."""

UNFIT = ("tests/unit/test_experiment.py::test_a_file_that_would_not_end_or_not_fit_is_refused",)
"""Tests of times and depths, which the counting of calls in the mutated code changes."""


def prepare(scopes: list[str]) -> None:
    """Copy the tracked files, and write the settings of mutmut beside them."""
    shutil.rmtree(PLACE, ignore_errors=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (PLACE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, PLACE / name)
    tests = {
        str(file.relative_to(ROOT))
        for scope in scopes
        for kind, names in zip(("unit", "property", "scenario"), SCOPES[scope][1:], strict=False)
        for name in names.split()
        for file in (ROOT / "tests" / kind).glob(f"{name}.py")
    }
    lists = {
        "source_paths": [SCOPES[scope][0] for scope in scopes],
        "also_copy": ["src", "tests", "examples", "docs", "tools", "pyproject.toml", "README.md", "CHANGELOG.md"],
        "pytest_add_cli_args_test_selection": sorted(tests),
        "pytest_add_cli_args": [f"--deselect={name}" for name in UNFIT],
    }
    text = "".join(f"{key}=\n" + "".join(f"    {one}\n" for one in values) for key, values in lists.items())
    (PLACE / "setup.cfg").write_text(f"[mutmut]\n{text}")


def mutmut(*names: str) -> int:
    """Run mutmut on mutants with these names."""
    command = ["nice", "-n", "19", sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    return subprocess.run(command, cwd=PLACE, check=False).returncode


def results() -> dict[str, int | None]:
    """Mutant -> the exit code of its tests; None: it was not tried."""
    found: dict[str, int | None] = {}
    for file in sorted((PLACE / "mutants").rglob("*.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def main() -> int:
    """Exit status 0: done; 1: the tests fail without any mutation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="so many mutants, 0: all")
    parser.add_argument("--seed", type=int, default=8, help="of the random sample")
    parser.add_argument("scopes", nargs="*", choices=[*SCOPES, []], help="core, planner, host, auth; all when empty")
    given = parser.parse_args()
    prepare(given.scopes or list(SCOPES))
    mutmut("none.*")  # makes the mutants, and finds which tests reach which function
    names = sorted(results())
    random.Random(given.seed).shuffle(names)
    chosen = sorted(names[: given.sample or None])
    if mutmut(*chosen):
        return 1
    tried = {name: code for name, code in results().items() if code is not None}
    untested = sorted(name for name, code in tried.items() if code == NO_TESTS)
    survivors = sorted(name for name, code in tried.items() if code == SURVIVED)
    report = PLACE / "survivors.txt"
    with report.open("w") as out:
        for name in survivors:
            show = [sys.executable, "-m", "mutmut", "show", name]
            out.write(subprocess.run(show, cwd=PLACE, capture_output=True, text=True, check=False).stdout + "\n")
        out.writelines(f"no test reaches {name}\n" for name in untested)
    killed = len(tried) - len(survivors) - len(untested)
    counts = f"{len(names):,} mutants, {len(tried)} tried: {killed} noticed, {len(survivors)} survived, {len(untested)}"
    sys.stdout.write(f"{counts} not reached by a test; see {report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
