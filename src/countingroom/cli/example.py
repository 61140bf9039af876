"""The command `example`: it writes a complete description that runs as it is. It never overwrites a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Write a description to begin with.")

FILE = "experiment.yaml"
Output = Annotated[Path, typer.Option("--output", "-o", help="Directory to write the description in.")]
GLOBAL = ("TFC", "DCS", "FLES", "QA")
DETECTORS = ("STS", "MVD", "RICH", "TRD", "TOF")
TABLES = ("two_steps.csv", "three_steps.csv", "map.csv")
TAGS = {"physics": "{ threshold: 40, trigger: beam }", "cosmics": "{ threshold: 25, trigger: self }"}


@app.callback()
def example() -> None:
    """Write a description to begin with."""


@app.command()
def cbm(
    detectors: Annotated[int, typer.Option("--detectors", min=1, max=5000, help="Number of simulated detectors.")] = 5,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory to write the description in.")] = Path(
        "cbm"
    ),
    pause: Annotated[float, typer.Option("--pause", min=0, max=600, help="Duration of a step, in seconds.")] = 0.2,
) -> None:
    """The CBM experiment: TFC, detectors, FLES and DCS, QA, with a simulated agent for each system."""
    from importlib.resources import files

    file = output / "experiment.yaml"
    shipped = files("countingroom.cli").joinpath("cbm")
    written = {output / "tables" / name: shipped.joinpath(name).read_text("utf-8") for name in TABLES}
    written[file] = "".join(_text(shipped.joinpath("head.yaml").read_text("utf-8"), detectors, pause))
    write_new(written)
    typer.echo(f"{file}: {detectors} detector{'' if detectors == 1 else 's'}; run it with: countingroom up {file}")


@app.command()
def demo(output: Output = Path("demo")) -> None:
    """The demo: a test stand with six devices, and run control as at CBM. `countingroom demo` runs it uncopied."""
    from countingroom.cli.demo import demo_directory

    shipped = demo_directory()
    files = sorted(path for path in shipped.rglob("*") if path.suffix in (".yaml", ".csv", ".cfg", ".svg"))
    write_new({output / path.relative_to(shipped): path.read_text("utf-8") for path in files})
    typer.echo(_simulated(output))


@app.command()
def minimal(output: Output = Path("lab")) -> None:
    """The smallest description: a name, and no device yet."""
    _one_file("minimal", output)
    typer.echo(f"{output / FILE}: run it with: countingroom up {output / FILE}")


@app.command()
def bench(output: Output = Path("bench")) -> None:
    """A bench with one device: a chiller on a serial line."""
    _one_file("bench", output)
    typer.echo(_simulated(output))


def _one_file(name: str, output: Path) -> None:
    from importlib.resources import files

    write_new({output / FILE: files("countingroom.cli").joinpath("examples", f"{name}.yaml").read_text("utf-8")})


def _simulated(output: Path) -> str:
    return f"{output / FILE}: run it without hardware: countingroom up {output / FILE} --simulate"


def write_new(files: dict[Path, str]) -> None:
    """Write the files, or none of them where one exists; Conflict then."""
    from countingroom.core.errors import Conflict

    if there := [path for path in files if path.exists()]:
        raise Conflict(
            f"{there[0]} exists already",
            source="--output",
            suggestion="choose another directory with -o DIR, or remove that file",
            code="exists",
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(count: int) -> list[str]:
    """Names of the detectors: `STS` … `TOF`, then `STS2` and so on."""
    rounds = (f"{name}{number if number > 1 else ''}" for number in range(1, count + 1) for name in DETECTORS)
    return [name for name, _ in zip(rounds, range(count), strict=False)]


def _text(head: str, count: int, pause: float) -> Iterator[str]:
    detectors = names(count)
    systems = [*GLOBAL, *detectors]
    yield head.replace("{pause}", f"{pause:g}")
    yield "\nruns:\n  systems:\n"
    yield from (f"    {name}: *global\n" for name in GLOBAL)
    yield from (f"    {name}: *{'two' if index % 3 else 'three'}_steps\n" for index, name in enumerate(detectors))
    yield "\n  partitions:\n    mCBM:\n      title: All of CBM\n      template: cbm\n      tag: physics\n"
    yield "      detectors:\n"
    yield from (f"        - {name}\n" for name in detectors)
    yield "\n  configurations:\n"
    for index, name in enumerate(systems):
        if index:
            yield f"    {name}: *parameters\n"
        else:
            yield f"    {name}: &parameters\n" + "".join(f"      {tag}: {values}\n" for tag, values in TAGS.items())
    yield "\n  tags:\n"
    for tag in TAGS:
        yield f"    {tag}:\n" + "".join(f"      {name}: {tag}\n" for name in systems)
