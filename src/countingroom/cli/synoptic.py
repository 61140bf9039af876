"""The command `synoptic`: it checks a drawing, says what its elements show, and writes a preview.

It needs no running experiment. Exit status: 0 it can be shown, 2 it cannot, or something of it is bound to nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from countingroom.cli.client import DEFAULT_URL, Url
from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from countingroom.core.synoptics.bindings import Binding, BindingMistake
    from countingroom.core.synoptics.elements import Drawing
    from countingroom.core.synoptics.known_names import KnownNames

app = typer.Typer(no_args_is_help=True, help="Check and preview synoptics: drawings that show points and states.")

_LISTED = 20


@app.callback()
def group() -> None:
    """Check and preview synoptics: drawings that show points and states."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The drawing, an SVG.", show_default=False)],
    description: Annotated[
        Path | None,
        typer.Option(
            "--description", help="The experiment; experiment.yaml beside you where there is one.", show_default=False
        ),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", help="Write a page (.html) with it; a picture (.png) needs Chromium."),
    ] = None,
    present: Annotated[
        bool, typer.Option("--present", help="The preview has the present values of the running console.")
    ] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Say what each element of a drawing shows, what was removed, and what is wrong; write a preview."""
    from countingroom.cli.check_synoptics import read_file
    from countingroom.core.synoptics.bindings import bind
    from countingroom.core.synoptics.known_names import wrong_bindings
    from countingroom.core.yaml.located import Mistaken

    described, known, told = _described(file, description)
    try:
        drawing = read_file(file)
    except Mistaken as error:
        if json:
            print_json({"valid": False, "problems": error.problems})
        else:
            sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None
    bindings, wrong = bind(drawing, described, known.devices if known else ())
    if known:
        wrong = [*wrong, *wrong_bindings(drawing, bindings, known)]
    free = sorted(drawing.by_id().keys() - {one.element for one in bindings} - {one.element for one in wrong})
    if json:
        print_json(
            {
                "valid": not wrong,
                "size": drawing.box[2:],
                "bindings": [msgspec.to_builtins(one) for one in bindings],
                "problems": wrong,
                "removed": drawing.removed,
                "unbound": free,
            }
        )
    else:
        _print(file, drawing, bindings, wrong, free, told)
    if preview:
        from countingroom.cli.synoptic_preview import write_preview

        for path in write_preview(preview, drawing, bindings, wrong, known, url=url if present else ""):
            sys.stderr.write(f"written: {path}\n")
    raise typer.Exit(2 if wrong else 0)


def _described(file: Path, description: Path | None) -> tuple[dict[str, Binding], KnownNames | None, str]:
    """The bindings of the description for this drawing, all names that it knows, and a sentence about it."""
    if description is None:
        beside = Path("experiment.yaml")
        if not beside.exists():
            return {}, None, "No description was given: whether points exist is not checked. Give --description."
        description = beside
    from countingroom.app.synoptics import synoptic_files
    from countingroom.cli.check_devices import build_devices
    from countingroom.cli.check_synoptics import described_names
    from countingroom.experiment import load_with_problems

    loaded = load_with_problems(description)
    hosted, _ = build_devices(loaded)
    known = described_names(loaded, hosted)
    for one in synoptic_files(loaded.experiment, description.parent):
        if one.path.resolve() == file.resolve():
            return dict(one.bindings), known, f"It is the synoptic {one.name} of {description}."
    return {}, known, f"{description} has no synoptic with this file: only ids bind."


def _print(
    file: Path,
    drawing: Drawing,
    bindings: Sequence[Binding],
    wrong: Sequence[BindingMistake],
    free: Sequence[str],
    told: str,
) -> None:
    lines = {name: element.line for name, element in drawing.by_id().items()}
    count = sum(1 for _ in drawing.root.elements())
    typer.echo(f"{file}: {drawing.box[2]:g} x {drawing.box[3]:g}, {count} elements, {len(bindings)} bound. {told}")
    print_table(
        ("Line", "Element", "Is bound to", "Shows", "By"),
        (
            (lines[one.element], one.element, str(one.target), _shows(one), "description" if one.described else "id")
            for one in bindings
        ),
    )
    for one in drawing.removed:
        typer.echo(f"removed: {file}:{one.line}: {one}")
    for name in _vivid(drawing):
        typer.echo(f"colour: {file}:{name}: drawn in the colour of an alarm; use grey or blue")
    if free:
        more = f" and {len(free) - _LISTED} more" if len(free) > _LISTED else ""
        told = "1 id binds" if len(free) == 1 else f"{len(free)} ids bind"
        typer.echo(f"{told} to nothing: {', '.join(free[:_LISTED])}{more}")
    for one in wrong:
        place = f"{file}:{one.line}" if one.line else str(file)
        sys.stderr.write(f"{place}: {one.element}: {one.message}\n")


def _shows(one: Binding) -> str:
    parts = [f"text {one.text!r}"] if one.text else []
    if one.level:
        parts.append(f"level {one.level.low:g} to {one.level.high:g}, {one.level.towards}")
    if one.turn:
        parts.append(f"turned {one.turn.start:g}° to {one.turn.end:g}°")
    if one.visible:
        parts.append("seen by value")
    if one.target.only_leads:
        return "a link"
    return ", ".join([*parts, "colour"])


def _vivid(drawing: Drawing) -> list[str]:
    """Line and element of what is drawn in red or orange, the first of each colour."""
    from countingroom.core.synoptics.colours import is_alarm_like

    found: dict[str, str] = {}
    for one in drawing.root.elements():
        for name in ("fill", "stroke", "stop-color"):
            colour = one.attributes.get(name, "")
            if colour and is_alarm_like(colour):
                found.setdefault(colour, f"{one.line}: {name} {colour} of <{one.name}>")
    return list(found.values())
