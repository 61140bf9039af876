"""The command `results`: start and stop programs; list, show, export, compare and add results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import give, tell
from countingroom.cli.output import Json, listed, print_json, print_table
from countingroom.core.errors import ConfigurationError, RequestError
from countingroom.core.times import duration

if TYPE_CHECKING:
    from countingroom.core.results import StoredResult

app = typer.Typer(no_args_is_help=True, help="Calibrations: start programs, see and compare results.")

Number = Annotated[int, typer.Argument(metavar="RESULT", min=1, help="Its number.", show_default=False)]
Program = Annotated[str, typer.Argument(metavar="PROGRAM", help="Its name.", show_default=False)]
Comment = Annotated[str, typer.Option("--comment", "-m", help="For the record.")]
_WAIT_S = 10.0
_FORMATS = (".csv", ".parquet", ".arrow")


@app.command("list")
def list_results(
    program: Annotated[str, typer.Option("--program", "-p", help="Only of this program.")] = "",
    state: Annotated[
        str, typer.Option("--state", help="Only those: running, completed, stopped, failed, interrupted.")
    ] = "",
    since: Annotated[str, typer.Option("--from", help="Started at this time or later: -1d, 2026-11-22T06:00Z.")] = "",
    to: Annotated[str, typer.Option("--to", help="Started before this time.")] = "",
    said: Annotated[str, typer.Option("--text", help="Occurs in its program, title, comment or user.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="So many, the newest.")] = 30,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Results, newest first."""
    wanted = {"program": program, "state": state, "from": since, "to": to, "text": said}
    given: dict[str, Any] = {name: value or None for name, value in wanted.items()}
    found = fetch(url, "/api/v1/results", json, **given, limit=limit)
    rows = [
        (
            one.number,
            one.program,
            _time(one.started_ns),
            _lasted(one),
            one.state.value,
            len(one.documents),
            len(one.arrays),
            one.by,
            one.comment,
        )
        for one in _results(found["results"])
    ]
    columns = ("result", "program", "started", "lasted", "state", "documents", "arrays", "by", "comment")
    print_table(columns, rows, numbers=("result", "lasted", "documents", "arrays"))


@app.command()
def show(
    number: Number,
    document: Annotated[str, typer.Option("--document", "-d", help="Print this document.")] = "",
    log: Annotated[bool, typer.Option("--log", help="Print its log.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """One result: times, versions, configuration, what it has; or one of its documents, or its log."""
    if document:
        print_json(_document(url, number, document))
        return
    if log:
        from countingroom.core.plain_text import readable

        with Client(url) as api:
            text = api.download(f"/api/v1/results/{number}/log").decode(errors="replace")
        for line in text.splitlines():
            typer.echo(readable(line))
        return
    (one,) = _results([fetch(url, f"/api/v1/results/{number}", json)])
    for line in _lines(one):
        typer.echo(line)


@app.command("programs")
def list_programs(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """The programs of the description, and what they do now."""
    rows: list[tuple[object, ...]] = []
    for one in fetch(url, "/api/v1/results/programs", json)["programs"]:
        now = f"result {one['result']} by {one['by']}" if one["result"] else ""
        part = f"{one['progress']:.0%}" if one["progress"] is not None else ""
        last = f"{one['last']} {one['last_state']}" if one["last"] else ""
        rows.append((one["program"], one["title"], one["role"], now, part, one["comment"], last))
    print_table(("program", "title", "role", "runs", "progress", "comment", "last"), rows)


@app.command()
def start(
    program: Program,
    parameters: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of a parameter; can be repeated.", show_default=False)
    ] = None,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Start a program. It goes on when this command has ended."""
    import msgspec

    arguments: dict[str, Any] = {"comment": comment}
    if parameters:
        arguments["parameters"] = msgspec.json.encode(dict(map(_pair, parameters))).decode()
    with Client(url) as api:
        answer = give(api, f"results/programs/{quote(program, safe='')}", "start", {"arguments": arguments}, _WAIT_S)
    outcome = answer.get("outcome")
    if json or outcome is None or outcome["kind"] == "failed":
        tell(answer, json=json)
        return
    number = outcome["data"]["result"]
    typer.echo(f"{program} runs: result {number}. See: countingroom results show {number}")


@app.command()
def stop(program: Program, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Stop a running program. What it has written is kept."""
    with Client(url) as api:
        tell(give(api, f"results/programs/{quote(program, safe='')}", "stop", {}, _WAIT_S), json=json)


@app.command()
def export(
    number: Number,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="FILE.json: the result with its documents. FILE.csv, FILE.parquet or FILE.arrow: an array.",
            show_default=False,
        ),
    ],
    array: Annotated[str, typer.Option("--array", "-a", help="Which array, where it has several.")] = "",
    url: Url = DEFAULT_URL,
) -> None:
    """A result into a file: its documents as JSON, or one of its arrays."""
    with Client(url) as api:
        found = api.exact(f"/api/v1/results/{number}")
        if output.suffix == ".json" and not array:
            import msgspec

            path = f"/api/v1/results/{number}/documents"
            documents = {one["name"]: api.exact(f"{path}/{one['name']}") for one in found["documents"]}
            data = msgspec.json.format(msgspec.json.encode({**found, "documents": documents}), indent=2)
        else:
            name = _array(found, array)
            suffix = output.suffix[1:]
            if output.suffix not in (*_FORMATS, ".json"):
                raise RequestError(
                    f"{output} is none of .json, {', '.join(_FORMATS)}",
                    source="--output",
                    code="wrong_format",
                    suggestion="give -o result.json, or -o noise.parquet with --array noise",
                )
            data = api.download(f"/api/v1/results/{number}/arrays/{quote(name, safe='')}", format=suffix)
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}", source="--output") from error
    typer.echo(f"{output}: {len(data):,} bytes")


@app.command()
def compare(
    first: Annotated[int, typer.Argument(metavar="A", min=1, help="The number of a result.", show_default=False)],
    second: Annotated[int, typer.Argument(metavar="B", min=1, help="That of another one.", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """How two results differ: keys of their documents, and the mean and deviation of the arrays that both have."""
    found = fetch(url, "/api/v1/results/compare", json, a=first, b=second)
    rows: list[tuple[object, ...]] = []
    for document in found["documents"]:
        if document["only"]:
            rows.append((document["name"], "", *_either(document["only"])))
        for one in document["differences"]:
            cells = [None if one["only"] == "b" else one["before"], None if one["only"] == "a" else one["after"]]
            rows.append((document["name"], one["path"], *map(_shown, cells)))
    print_table(("document", "key", f"A {first}", f"B {second}"), rows)
    numbers: list[tuple[object, ...]] = []
    with Client(url) as api:
        for each in found["arrays"]:
            name = each["name"]
            if each["only"]:
                numbers.append((name, "", *_either(each["only"]), ""))
                continue
            path = f"/api/v1/results/{first}/arrays/{quote(name, safe='')}/compare/{second}"
            both = api.get(path, kind="distribution")
            cells = [f"{one.get('mean', 0):.6g} ± {one.get('deviation', 0):.3g}" for one in (both["a"], both["b"])]
            by = both["b"].get("mean", 0) - both["a"].get("mean", 0)
            numbers.append((name, both["column"], *cells, f"{by:+.4g}"))
    print_table(("array", "column", f"A {first}", f"B {second}", "difference"), numbers)


@app.command()
def add(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="JSON files are documents; .arrow, .parquet, .npy and .csv arrays; .log and .txt the log.",
            show_default=False,
        ),
    ],
    program: Annotated[str, typer.Option("--program", "-p", help="The program that found it.", show_default=False)],
    title: Annotated[str, typer.Option("--title", help="For people.")] = "",
    started: Annotated[str, typer.Option("--started", help="When it started: 2026-11-22T06:00:00Z, -1h.")] = "",
    ended: Annotated[str, typer.Option("--ended", help="When it ended.")] = "",
    comment: Comment = "",
    versions: Annotated[
        list[str] | None, typer.Option("--version-of", help="NAME=VERSION; can be repeated.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Keep the files of a program that was not started here as one result."""
    from countingroom.cli.result_files import body_of

    body = body_of(files, program, title=title, started=started, ended=ended, comment=comment)
    body["versions"] = {name: value for name, _, value in (one.partition("=") for one in versions or ())}
    with Client(url) as api:
        found = api.post("/api/v1/results", body, timeout_s=120.0)
    if json:
        print_json(found)
    else:
        typer.echo(f"result {found['number']}: {len(found['documents'])} documents, {len(found['arrays'])} arrays")


def _document(url: str, number: int, name: str) -> Any:
    with Client(url) as api:
        return api.get(f"/api/v1/results/{number}/documents/{quote(name, safe='')}")


def _array(found: Any, wanted: str) -> str:
    names = [one["name"] for one in found["arrays"]]
    if wanted or len(names) == 1:
        return wanted or names[0]
    raise RequestError(
        f"result {found['number']} has {len(names)} arrays: {', '.join(names) or 'none'}",
        source="--array",
        code="invalid",
        suggestion="choose one with --array",
    )


def _pair(text: str) -> tuple[str, Any]:
    import msgspec

    name, sign, value = text.partition("=")
    if not sign or not name:
        raise RequestError(f"{text!r} is not NAME=VALUE", source="--set", code="invalid", suggestion="--set steps=20")
    try:
        return name, msgspec.json.decode(value, type=float | int | bool | str | None)
    except msgspec.DecodeError:
        return name, value


def _either(only: str) -> tuple[str, str]:
    return ("yes", "–") if only == "a" else ("–", "yes")


def _shown(value: object) -> str:
    import msgspec

    text = "–" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _results(plain: list[Any]) -> list[StoredResult]:
    import msgspec

    from countingroom.core.results import StoredResult

    return msgspec.convert(plain, list[StoredResult])


def _lines(one: StoredResult) -> Iterator[str]:
    added = ", added" if one.is_added else ""
    yield f"Result {one.number} of {one.program}: {one.state.value}{added}"
    lasted = f", lasted {_lasted(one)}" if one.ended_ns is not None else ""
    yield f"started {_time(one.started_ns)} by {one.by}{lasted}"
    if one.comment:
        yield f"comment: {one.comment}"
    if one.cause:
        yield from one.cause.lines("  ")
    for problem in one.problems:
        yield f"  problem: {problem}"
    if one.versions:
        yield f"versions: {listed(one.versions)}"
    if parameters := one.configuration.get("parameters"):
        yield f"parameters: {listed(parameters)}"
    if one.counters:
        yield f"counters: {listed(one.counters)}"
    for document in one.documents:
        yield f"document {document.name}: {document.bytes:,} bytes"
    for array in one.arrays:
        shape = " x ".join(map(str, array.shape)) if array.shape else f"{array.rows:,} rows"
        columns = ", ".join(f"{column.name} ({column.type})" for column in array.columns)
        yield f"array {array.name}: {shape}; {columns}"
    yield f"log: {one.log_bytes:,} bytes"


def _lasted(one: StoredResult) -> str:
    return "" if one.ended_ns is None else duration((one.ended_ns - one.started_ns) / 1e9)


def _time(ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(ns // 1_000_000_000 * 1_000_000_000)
