"""Commands of `mirror` about what is published: the rules in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.output import Json, print_json
from countingroom.core.errors import ConfigurationError

Description = Annotated[Path, typer.Option("--file", "-f", help="The description.")]
BESIDE = Path("experiment.yaml")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command()(policy)


def policy(
    kind: Annotated[str, typer.Argument(help="Only this kind of record.", show_default=False)] = "",
    default: Annotated[
        bool, typer.Option("--default", help="The rules that the word `default` stands for, without a description.")
    ] = False,
    file: Description = BESIDE,
    json: Json = False,
) -> None:
    """Show which fields of which records leave, as the description has it or, with --default, as `default` has it.

    The rules are printed as they are written in the description, to be copied and changed there.
    """
    rules = _rules(None if default else file)
    if kind:
        if kind not in rules:
            known = ", ".join(rules) or "none"
            raise ConfigurationError(f"records of the kind {kind} are not published; published are: {known}")
        rules = {kind: rules[kind]}
    if json:
        print_json({"publish": rules})
        return
    import yaml

    plain = yaml.safe_dump({"publish": rules}, sort_keys=False, default_flow_style=None, width=120)
    typer.echo(plain, nl=False)


def _rules(file: Path | None) -> dict[str, dict[str, object]]:
    """Those of the description in this file, or those of the word `default`."""
    from countingroom.experiment import load_located
    from countingroom.mirror.description import MirrorSection

    section = load_located(file).experiment.section(MirrorSection) if file else MirrorSection.default()
    return {kind: {name: one.written() for name, one in fields.items()} for kind, fields in section.publish.items()}
