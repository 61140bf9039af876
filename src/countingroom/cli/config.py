"""Commands for configurations, which are stored by system and tag. Each change has a revision, a time and an author."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.command_rows import add_commands
from countingroom.cli.config_tag import Comment, Replace, Tag, present, saved_by
from countingroom.cli.config_tag import app as tag_app
from countingroom.cli.output import Json, listed, print_table, written
from countingroom.cli.partition_act import do
from countingroom.cli.partition_shown import checked
from countingroom.core.commands.experiment import EXPERIMENT as EXPERIMENT_COMMANDS
from countingroom.core.errors import RequestError
from countingroom.core.subjects import EXPERIMENT

if TYPE_CHECKING:
    from countingroom.core.values import Scalar

app = typer.Typer(no_args_is_help=True, help="Configurations and tags: see, change, compare, exchange.")
app.add_typer(tag_app, name="tag")

System = Annotated[str, typer.Argument(metavar="SYSTEM", show_default=False)]


@app.command("list")
def list_configurations(
    system: Annotated[str, typer.Argument(metavar="[SYSTEM]", help="Only its own.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every configuration as it is now."""
    found = fetch(url, "/api/v1/configurations", json, system=system or None)
    _print(found["configurations"])


@app.command()
def show(
    system: System,
    tag: Tag,
    revision: Annotated[int | None, typer.Option("--revision", min=1, help="As it was then.")] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """One configuration, parameter by parameter."""
    found = fetch(url, f"/api/v1/configurations/{checked(system)}/{checked(tag)}", json, revision=revision)
    typer.echo(f"{system} {tag}, revision {found['revision']}, {saved_by(found)}  {found['comment']}".rstrip())
    print_table(("parameter", "value"), ((name, written(value)) for name, value in found["parameters"].items()))


def save(
    system: System,
    tag: Tag,
    given: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="What changes.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A YAML file with parameters.")] = None,
    replace: Replace = False,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save a configuration; parameters that are not named stay as they are."""
    import msgspec

    changes = (_from_file(file) if file else {}) | _parameters(given or [])
    before = present(url, f"configurations/{checked(system)}/{checked(tag)}")
    parameters = changes if replace else {**before.get("parameters", {}), **changes}
    arguments = {
        "system": system,
        "tag": tag,
        "parameters": msgspec.json.encode(parameters).decode(),
        "expected": before["revision"],
        "comment": comment,
    }
    do(EXPERIMENT, "save_configuration", arguments, EXPERIMENT_COMMANDS["save_configuration"].wait_s, url, json)


@app.command()
def history(
    system: System,
    tag: Annotated[str, typer.Argument(metavar="[TAG]", help="Only of this one.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every change of a system's configurations, newest first: user, time, change."""
    found = fetch(url, f"/api/v1/configurations/{checked(system)}/history", json, tag=tag or None)
    _print(found["history"])


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="TAG", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="TAG", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """What differs between two global tags, parameter by parameter."""
    found = fetch(url, "/api/v1/tags/compare", json, before=before, after=after)
    if not found["changes"]:
        return typer.echo(f"{before} and {after} are the same")
    rows: list[tuple[str, ...]] = []
    for change in found["changes"]:
        if change["before"] != change["after"]:
            rows.append((change["system"], "", change["before"] or "none", change["after"] or "none"))
        for one in change["parameters"]:
            old = "—" if one["added"] else written(one["before"])
            new = "—" if one["removed"] else written(one["after"])
            rows.append((change["system"], one["name"], old, new))
    return print_table(("system", "parameter", before, after), rows)


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="FILE.yaml; stdout where left out.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """All configurations and tags as YAML, for `import` here or elsewhere."""
    with Client(url) as api:
        document = api.download("/api/v1/configurations/export").decode()
    if output:
        output.write_text(document, encoding="utf-8")
    else:
        sys.stdout.write(document)


def import_(
    file: Annotated[Path, typer.Argument(help="A file that `export` wrote.", show_default=False)],
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save every configuration and tag of a YAML file, all or none."""
    arguments = {"document": _read(file), "comment": comment}
    do(EXPERIMENT, "import", arguments, EXPERIMENT_COMMANDS["import"].wait_s, url, json)


add_commands(app, "config", {"save": save, "import": import_})


def _parameters(given: list[str]) -> dict[str, Scalar]:
    """Parse NAME=VALUE texts; a value has the syntax of YAML."""
    from countingroom.core.yaml.located import parse

    values: dict[str, Scalar] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        parsed: Any = parse(value, file=name).value if equals else ()
        if not name or not isinstance(parsed, bool | int | float | str | None):
            raise RequestError(
                f"{pair!r} is no parameter",
                source="cli",
                code="invalid",
                suggestion="write NAME=VALUE, a number, a text, true or false",
            )
        values[name] = parsed
    return values


def _from_file(file: Path) -> dict[str, Scalar]:
    from countingroom.core.yaml.located import mapping, parse

    found = mapping(parse(_read(file), file=str(file)).value)
    if found is None:
        raise RequestError(f"{file} holds no mapping of parameters", source="cli", code="invalid")
    return dict(found)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file} cannot be read: {error}", source="cli", code="unreadable") from error


def _print(revisions: list[Any]) -> None:
    rows: list[tuple[Any, ...]] = []
    for one in revisions:
        said = "deleted" if one["deleted"] else listed(one["parameters"])
        rows.append((one["system"], one["tag"], one["revision"], saved_by(one), said, one["comment"]))
    print_table(("system", "tag", "revision", "saved", "parameters", "comment"), rows, numbers=("revision",))
