"""A row in a table of `core/commands` is all that routes, permissions, command line, buttons and documentation need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from countingroom.bus.command_request import CommandRequest, from_rows
from countingroom.cli.command_rows import TABLES, add_commands
from countingroom.console.present.partition_views import buttons
from countingroom.console.route_permissions import ROUTES, RouteTable
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.partition import PARTITION
from countingroom.core.commands.row import Argument, ButtonPlace, CommandRow
from countingroom.core.commands.system import SYSTEM
from countingroom.core.points import Type
from countingroom.core.policy import UNDER_LEASE, Permission
from countingroom.runs.planner.legality import REASONS
from tests.unit.answering import serving

DOCS = Path(__file__).parents[2] / "docs"
PATHS = {"partition": "partitions/p", "experiment": "experiment", "system": "systems/s"}
ROWS = [pytest.param(target, row, id=f"{target}-{row.name}") for target, rows in TABLES for row in rows.values()]
NEW = CommandRow(
    name="rewind",
    label="Rewind",
    description="Rewind a partition to a mark.",
    permission=Permission.ENDANGER,
    arguments=(
        Argument(name="mark", label="Mark"),
        Argument(name="steps", type=Type.INT, low=1, optional=True, letter="n"),
        Argument(name="dry_run", type=Type.BOOL, optional=True),
    ),
    cli="partition rewind",
    button=ButtonPlace.HEAD,
    confirmed=True,
)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules that make pages of the documentation, by name."""
    monkeypatch.syspath_prepend(str(DOCS))
    for name in ("cli_page", "commands_page"):
        sys.modules.pop(name, None)
    return __import__


def path(target: str, name: str) -> str:
    return f"/api/v1/{PATHS[target]}/commands/{name}"


def needed(target: str, name: str) -> Permission | None:
    found = RouteTable(ROUTES).find("POST", path(target, name))
    assert found
    return found.permit.asks(cast("Any", None), found.parameters)[0]


@pytest.mark.parametrize(("target", "row"), ROWS)
def test_a_row_has_a_route_with_its_permission(target: str, row: CommandRow) -> None:
    assert needed(target, row.name) is row.permission
    assert row.under_lease == (row.permission in UNDER_LEASE)


def test_short_routes_are_those_of_the_table() -> None:
    fixed = {
        name for name in ROUTES if name.startswith("POST /api/v1/partitions/{partition}/") and "command" not in name
    }
    assert {name.rpartition("/")[2] for name in fixed} == {row.name for row in PARTITION.values() if row.short_route}
    assert all(ROUTES[name].action is PARTITION[name.rpartition("/")[2]].permission for name in fixed)


def test_every_row_has_its_words_on_the_command_line(pages: Any) -> None:
    there = {words.partition(" ")[2] for words, _ in pages("cli_page").commands()}
    assert {row.cli for _, rows in TABLES for row in rows.values()} <= there


def test_every_row_is_in_the_documentation(pages: Any) -> None:
    text: str = pages("commands_page").page()
    for _, rows in TABLES:
        for row in rows.values():
            assert f"| `{row.name}` | {row.description}" in text


def test_what_legality_looks_at_is_a_command_of_a_partition() -> None:
    assert REASONS.keys() <= PARTITION.keys()


def test_one_name_has_one_label_and_one_permission_wherever_it_is_a_command_of_run_control() -> None:
    for name in PARTITION.keys() & EXPERIMENT.keys():
        assert PARTITION[name] == EXPERIMENT[name]
    assert SYSTEM.keys() & EXPERIMENT.keys() == set()


def test_a_new_row_is_enough(monkeypatch: pytest.MonkeyPatch, pages: Any) -> None:
    monkeypatch.setitem(PARTITION, NEW.name, NEW)
    assert needed("partition", "rewind") is Permission.ENDANGER
    assert buttons()[-1]["label"] == "Rewind"
    assert "| `rewind` | Rewind a partition to a mark." in pages("commands_page").page()


def test_the_command_line_of_a_new_row_takes_what_the_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in PARTITION if one != "stop"]:
        monkeypatch.delitem(PARTITION, name)
    for name in [one for one, row in EXPERIMENT.items() if row.cli.startswith("partition ")]:
        monkeypatch.delitem(EXPERIMENT, name)
    monkeypatch.setitem(PARTITION, NEW.name, NEW)
    app = typer.Typer()
    add_commands(app, "partition", {})
    done = {"id": "1", "outcome": {"kind": "done", "message": "rewind done", "source": "p", "cause": None}}
    with serving({("POST", path("partition", "rewind")): (200, done)}) as (url, sent):
        result = CliRunner().invoke(app, ["rewind", "p", "dawn", "-n", "3", "--dry-run", "--url", url])
    assert (result.exit_code, result.stdout) == (0, "rewind done\n")
    assert sent[0]["arguments"] == {"mark": "dawn", "steps": 3, "dry_run": True}
    assert sent[0]["wait_s"] == NEW.wait_s
    assert CliRunner().invoke(app, ["rewind", "p", "dawn", "-n", "0"]).exit_code == 2, "steps are at least one"
    assert CliRunner().invoke(app, ["rewind", "p"]).exit_code == 2, "the mark is required"


def test_a_function_written_by_hand_needs_a_row() -> None:
    with pytest.raises(LookupError, match="partition fly"):
        add_commands(typer.Typer(), "partition", {"fly": lambda: None})


@pytest.mark.parametrize(
    "names", [{"lock"}, {"lock", "unlock", "fly"}], ids=["row without handler", "handler without row"]
)
def test_rows_and_handlers_are_matched(names: set[str]) -> None:
    async def handler(request: CommandRequest) -> None: ...

    rows = {name: PARTITION[name] for name in ("lock", "unlock")}
    with pytest.raises(LookupError, match="unlock" if "unlock" not in names else "fly"):
        from_rows(rows, dict.fromkeys(names, handler))


def test_a_handler_takes_the_arguments_of_its_row() -> None:
    async def handler(request: CommandRequest) -> None: ...

    made = from_rows({"goal": PARTITION["goal"]}, {"goal": handler})
    assert made["goal"].takes == PARTITION["goal"].takes
    assert "tag" in made["goal"].takes
