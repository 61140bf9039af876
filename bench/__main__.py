"""One table of what this machine does with us, beside what it does without us and beside the goal.

`python -m bench` runs all; `python -m bench ca_to_bus at_rest` runs some; `--json` prints the rows for a program.
`python -m bench ca_stored load=25` gives a benchmark its parameters.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.util import find_spec

import msgspec

from bench.row import Row

MODULES = (
    "bus",
    "ca_to_bus",
    "derived",
    "interlock_host",
    "interlock_engine",
    "tracker_topics",
    "start_caen48",
    "history",
    "history_store",
    "further_stores",
    "agents",
    "runs_bench",
    "storage",
    "partition_step",
    "alarm_definitions",
    "alarm_storage",
    "fleet_plan",
    "mirror_catch_up",
    "description",
    "command_line",
    "http_delay",
    "public_site",
    "alarms",
    "door_pings",
    "reload",
    "replay",
    "alarm_flood",
    "talk",
    "at_rest",
)
DEADLINE_S = 1200


def main() -> int:
    """The table; status 1 where a goal is missed or a benchmark failed."""
    words = sys.argv[1:]
    if unknown := [word for word in words if word.startswith("-") and word != "--json"]:
        asked = unknown[0] in {"-h", "--help"}
        (sys.stdout if asked else sys.stderr).write(f"{__doc__}\nBenchmarks: {', '.join(MODULES)}\n")
        return 0 if asked else 2
    parameters = [word for word in words if "=" in word]
    wanted = [word for word in words if not word.startswith("-") and "=" not in word] or list(MODULES)
    if missing := [name for name in wanted if find_spec(f"bench.{name}") is None]:
        sys.stderr.write(f"there is no benchmark {missing[0]}; there are {', '.join(MODULES)}\n")
        return 2
    rows: list[Row] = []
    failed = False
    for name in wanted:
        sys.stderr.write(f"{name} …\n")
        done = subprocess.run(
            [sys.executable, "-m", "bench.one", name, *parameters],
            stdout=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
            text=True,
        )
        if done.returncode:
            sys.stderr.write(f"{name} failed with status {done.returncode}\n")
            failed = True
            continue
        rows += msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Row])
    if "--json" in words:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        show(rows)
    return int(failed or any(met(row) is False for row in rows))


def met(row: Row) -> bool | None:
    """Whether the goals of value and ratio are reached; None where there is none."""
    found = [_value_is_met(row)] if row.goal else []
    if row.ratio_goal is not None and row.ratio is not None:
        found.append(row.ratio <= row.ratio_goal)
    return all(found) if found else None


def goals(row: Row) -> str:
    """The goals of value and ratio."""
    ratio = f"ratio <= {row.ratio_goal:g}" if row.ratio_goal is not None else ""
    return ", ".join(goal for goal in (row.goal, ratio) if goal)


def _value_is_met(row: Row) -> bool:
    relation, _, rest = row.goal.partition(" ") if row.goal[0] in "<>" else ("==", "", row.goal)
    goal = float(rest.split()[0].replace(",", ""))
    return {"<=": row.value <= goal, ">=": row.value >= goal, "==": row.value == goal}[relation]


def show(rows: list[Row]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", title_justify="left"
    )
    for heading in ("", "measured", "raw limit", "ratio", "goal", ""):
        table.add_column(heading, justify="left" if heading in {"", "goal"} else "right")
    for row in rows:
        table.add_row(
            row.name,
            f"{number(row.value)} {row.unit}",
            "" if row.raw_limit is None else f"{number(row.raw_limit)} {row.unit}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            goals(row),
            {True: "reached", False: "MISSED", None: ""}[met(row)],
        )
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def number(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
