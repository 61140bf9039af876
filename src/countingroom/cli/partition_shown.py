"""How partitions and plans are printed at the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from countingroom.cli.output import print_rich, print_table, text
from countingroom.core.subjects import token
from countingroom.core.times import duration

if TYPE_CHECKING:
    from countingroom.core.partitions import PartitionState, Plan


def show_all(partitions: Iterable[PartitionState], unmapped: Iterable[str]) -> None:
    """Print one line per partition, then the detectors that are in no partition."""
    rows: list[tuple[object, ...]] = []
    for one in partitions:
        state = one.state + (" (locked)" if one.locked else "")
        goal = one.goal.state if one.goal else ""
        wrong = [member.system for member in one.members if member.included and not member.right]
        not_right = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        rows.append((one.partition, state, goal, one.tag, one.run or "", len(one.members), not_right, one.owner))
    print_table(("partition", "state", "goal", "tag", "run", "systems", "not right", "owner"), rows, numbers=("run",))
    if names := list(unmapped):
        typer.echo(f"In no partition: {', '.join(names)}")


def show(one: PartitionState, holder: str) -> None:
    """Print one partition: its state and goal, then one line per system."""
    goal = f", on its way to {one.goal.state}" if one.goal and one.goal.state != one.state else ""
    run = f", run {one.run}" if one.run else ""
    typer.echo(f"{one.partition}: {one.state}{goal}{run}{', locked' if one.locked else ''}")
    typer.echo(f"template {one.template}, tag {one.tag or 'none'}, in control: {holder or 'no user'}")
    if one.cause:
        typer.echo("\n".join(one.cause.lines("  ")))
    rows: list[tuple[object, ...]] = []
    for member in one.members:
        included = "no" if not member.included else "yes" if member.critical else "expendable"
        comment = member.cause.message if member.cause else member.comment
        tags = (member.tag, member.wanted_tag)
        rows.append((member.level, member.system, member.seen, member.own, *tags, included, comment))
    print_table(("level", "system", "as seen", "own state", "tag", "wanted", "included", "comment"), rows)


def show_plan(plan: Plan) -> None:
    """Print a plan as a tree: the stages in order, each system with the reason for its step or for leaving it."""
    from rich.tree import Tree

    tag = f" with {plan.tag}" if plan.tag else ""
    trunk = Tree(text(f"{plan.partition} → {plan.goal}{tag}{_about(plan.expected_s)}"), guide_style="dim")
    for stage in plan.stages:
        branch = trunk.add(text(f"{stage.title}{_about(stage.expected_s)}"))
        for step in stage.steps:
            branch.add(text(f"{step.action.value} {step.system}: {step.reason}{_about(step.expected_s)}"))
    if plan.kept:
        branch = trunk.add(text("stays as it is"))
        for system, why in plan.kept.items():
            branch.add(text(f"{system}: {why}"))
    if not plan.stages and not plan.obstacle:
        trunk.add(text("nothing to be done"))
    if plan.obstacle:
        branch = trunk.add(text("the goal is not reached"))
        for line in plan.obstacle.lines():
            branch.add(text(line))
    print_rich(trunk)


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)}"


def checked(name: str) -> str:
    """The name, checked to be usable in a URL."""
    from countingroom.core.errors import RequestError

    try:
        return token(name)
    except ValueError as error:
        raise RequestError(str(error), source="cli", code="invalid") from None
