"""The command `fleet logs`: the output of services, of many at once, also as it is written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from countingroom.cli.alarm_chosen import seconds_of
from countingroom.cli.client import DEFAULT_URL, Client, Url, authorization
from countingroom.cli.output import Json, print_json
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.plain_text import readable

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red", "bright_cyan", "bright_yellow", "bright_green")
_CONNECT_S = 5.0
Source = tuple[str, str, int]
"""Service, node, number of the instance there."""


def logs(
    of: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE[@NODE[#N]]]...", help="Patterns with * too; all services where none is given."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C.")] = False,
    since: Annotated[str, typer.Option("--since", help="Only lines of this time: 10 min, 2 h.")] = "",
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, max=5000, help="So many lines of each, the last.")] = 200,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The output of instances, also of those that ended. Several are merged by time, each line with its name."""
    since_ns = time.time_ns() - int(seconds_of(since, "") * 1e9) if since else 0
    with Client(url) as api:
        sources = _sources(api, of or ["*"])
        shown = _Shown(sources, json=json)
        if not follow:
            lines = [line for one in sources for line in _last(api, one, max(tail, 1), since_ns)] if tail else []
            if json and len(sources) == 1:
                print_json({"lines": [line["text"] for line in lines], "times_ns": [line["time_ns"] for line in lines]})
            else:
                shown.all(lines)
            return
    try:
        for lines in _followed(url, sources, tail, since_ns):
            shown.all(lines)
    except KeyboardInterrupt:
        return


def _sources(api: Client, wanted: Sequence[str]) -> list[Source]:
    """The instances that are meant. NotFound where a word means none."""
    there: list[Source] = [
        (one["service"], instance["node"], instance["index"])
        for one in api.get("/api/v1/services")["services"]
        for instance in one["instances"]
    ]
    found: dict[Source, None] = {}
    for word in wanted:
        service, _, place = word.partition("@")
        node, _, number = place.partition("#")
        meant = [
            one
            for one in there
            if fnmatchcase(one[0], service)
            and fnmatchcase(one[1], node or "*")
            and (not number or str(one[2]) == number)
        ]
        if not meant:
            raise NotFound(
                f"there is no instance {word}",
                source="fleet",
                suggestion="list what there is: countingroom fleet status",
            )
        found |= dict.fromkeys(meant)
    return list(found)


def _last(api: Client, one: Source, tail: int, since_ns: int) -> Iterator[dict[str, Any]]:
    service, node, index = one
    path = f"/api/v1/services/{service}/logs"
    answer = api.get(path, node=node, index=index, tail=tail, since_ns=since_ns)
    for time_ns, text in zip(answer["times_ns"], answer["lines"], strict=True):
        yield {"service": service, "node": node, "index": index, "time_ns": time_ns, "text": text}


def _followed(url: str, sources: Sequence[Source], tail: int, since_ns: int) -> Generator[list[dict[str, Any]]]:
    """Lines as they come, until the server ends it."""
    import msgspec
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    of = [{"service": service, "node": node, "index": index} for service, node, index in sources]
    place = "ws" + url.rstrip("/").removeprefix("http") + "/api/v1/fleet/logs"
    try:
        with connect(place, open_timeout=_CONNECT_S, additional_headers=authorization()) as feed:
            feed.send(msgspec.json.encode({"of": of, "tail": tail, "since_ns": since_ns}).decode())
            for message in feed:
                said = readable(msgspec.json.decode(message))
                if cause := said.get("cause"):
                    typer.echo(f"{cause['message']}; it is tried again", err=True)
                if said.get("missed"):
                    typer.echo(f"{said['missed']} lines came too fast and are left out", err=True)
                yield said.get("lines", [])
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        raise LinkError(
            f"the logs of {url} ended: {error or 'closed'}",
            source="cli",
            suggestion="check that `countingroom up` still runs",
            code="unreachable",
        ) from error


class _Shown:
    """Prints lines. Of several instances each has its name before it, in a colour of its own on a terminal."""

    def __init__(self, sources: Sequence[Source], *, json: bool) -> None:
        self._json = json
        self._names = {one: _name(one) for one in sources}
        self._width = max((len(name) for name in self._names.values()), default=0)
        self._colours = {one: _COLOURS[number % len(_COLOURS)] for number, one in enumerate(sources)}
        self._is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def all(self, lines: Sequence[dict[str, Any]]) -> None:
        """Print them in the order of their times. One without a time follows the one before it."""
        timed: list[tuple[int, dict[str, Any]]] = []
        last: dict[Source, int] = {}
        for line in lines:
            source = (line["service"], line["node"], line["index"])
            last[source] = line["time_ns"] or last.get(source, 0)
            timed.append((last[source], line))
        for _, line in sorted(timed, key=lambda one: one[0]):
            self._one(line)
        sys.stdout.flush()

    def _one(self, line: dict[str, Any]) -> None:
        if self._json:
            import msgspec

            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            return
        source = (line["service"], line["node"], line["index"])
        head = ""
        if len(self._names) > 1:
            head = f"{self._names.get(source, _name(source)):<{self._width}} │ "
            head = typer.style(head, fg=self._colours.get(source)) if self._is_coloured else head
        sys.stdout.write(f"{head}{line['text']}\n")


def _name(one: Source) -> str:
    return f"{one[0]}@{one[1]}" + (f"#{one[2]}" if one[2] else "")
