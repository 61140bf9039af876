"""Commands for configurations, which are stored by system and tag. Each change has a revision, a time and an author."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url
from countingroom.cli.command_rows import add_commands
from countingroom.cli.config_tag import app as tag_app
from countingroom.cli.outcome import give, tell
from countingroom.cli.output import Json, listed, print_json, print_table, table, text, written
from countingroom.cli.partition_shown import checked
from countingroom.core.errors import RequestError

if TYPE_CHECKING:
    from countingroom.core.values import Scalar

app = typer.Typer(no_args_is_help=True, help="Configurations and tags: see, change, compare, exchange.")
app.add_typer(tag_app, name="tag")

System = Annotated[str, typer.Argument(metavar="SYSTEM", show_default=False)]
Tag = Annotated[str, typer.Argument(metavar="TAG", show_default=False)]
Comment = Annotated[str, typer.Option("--comment", help="Why, for the record.")]
SAVED_S = 10.0


@app.command("list")
def list_configurations(
    system: Annotated[str, typer.Argument(metavar="[SYSTEM]", help="Only its own.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every configuration as it is now."""
    with Client(url) as api:
        found = api.get("/api/v1/configurations", system=system or None)
    if json:
        return print_json(found)
    return print_table(_table(found["configurations"]))


@app.command()
def show(
    system: System,
    tag: Tag,
    revision: Annotated[int | None, typer.Option("--revision", min=1, help="As it was then.")] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """One configuration, parameter by parameter."""
    with Client(url) as api:
        found = api.get(f"/api/v1/configurations/{checked(system)}/{checked(tag)}", revision=revision)
    if json:
        return print_json(found)
    typer.echo(f"{system} {tag}, revision {found['revision']}, {_when(found)}  {found['comment']}".rstrip())
    made = table("", ("parameter", "value"))
    for name, value in found["parameters"].items():
        made.add_row(text(name), text(written(value)))
    return print_table(made)


def save(
    system: System,
    tag: Tag,
    given: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="What changes.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A YAML file with parameters.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Exactly these: all others are taken away.")] = False,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save a configuration; parameters that are not named stay as they are."""
    import msgspec

    changes = (_from_file(file) if file else {}) | _parameters(given or [])
    with Client(url) as api:
        before = _present(api, checked(system), checked(tag))
        parameters = changes if replace else {**before["parameters"], **changes}
        body = {
            "system": system,
            "tag": tag,
            "parameters": msgspec.json.encode(parameters).decode(),
            "expected": before["revision"],
            "comment": comment,
        }
        tell(give(api, "experiment", "save_configuration", {"arguments": body}, SAVED_S), json=json)


def delete(
    system: System,
    tag: Tag,
    with_tags: Annotated[bool, typer.Option("--with-tags", help="And the global tags that hold it.")] = False,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Take a configuration away. Its history stays, and so does what runs had."""
    body = {"system": checked(system), "tag": checked(tag), "with_tags": with_tags, "comment": comment}
    with Client(url) as api:
        tell(give(api, "experiment", "delete_configuration", {"arguments": body}, SAVED_S), json=json)


@app.command()
def history(
    system: System,
    tag: Annotated[str, typer.Argument(metavar="[TAG]", help="Only of this one.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Every change of a system's configurations, newest first: who, when, what."""
    with Client(url) as api:
        found = api.get(f"/api/v1/configurations/{checked(system)}/history", tag=tag or None)
    if json:
        return print_json(found)
    return print_table(_table(found["history"]))


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="TAG", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="TAG", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """What differs between two global tags, parameter by parameter."""
    with Client(url) as api:
        found = api.get("/api/v1/tags/compare", before=before, after=after)
    if json:
        return print_json(found)
    if not found["changes"]:
        return typer.echo(f"{before} and {after} are the same")
    made = table("", ("system", "parameter", before, after))
    for change in found["changes"]:
        if change["before"] != change["after"]:
            made.add_row(text(change["system"]), "", text(change["before"] or "none"), text(change["after"] or "none"))
        for one in change["parameters"]:
            old = "—" if one["added"] else written(one["before"])
            new = "—" if one["removed"] else written(one["after"])
            made.add_row(text(change["system"]), text(one["name"]), text(old), text(new))
    return print_table(made)


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
    with Client(url) as api:
        body = {"document": _read(file), "comment": comment}
        tell(give(api, "experiment", "import", {"arguments": body}, 60.0), json=json)


add_commands(app, "config", {"save": save, "delete": delete, "import": import_})


def _present(api: Client, system: str, tag: str) -> Any:
    """The present configuration; revision 0 where there is none."""
    try:
        return api.get(f"/api/v1/configurations/{system}/{tag}")
    except Remote as refused:
        if refused.cause.code != "not_found":
            raise
        return {"parameters": {}, "revision": 0}


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


def _table(revisions: list[Any]) -> Any:
    made = table("", ("system", "tag", "revision", "saved", "parameters", "comment"), numbers=("revision",))
    for one in revisions:
        said = "deleted" if one["deleted"] else listed(one["parameters"])
        made.add_row(
            text(one["system"]),
            text(one["tag"]),
            text(one["revision"]),
            text(_when(one)),
            text(said),
            text(one["comment"]),
        )
    return made


def _when(one: Any) -> str:
    from countingroom.core.times import format_time

    return f"{format_time(one['saved_ns'])} by {one['saved_by']}"
