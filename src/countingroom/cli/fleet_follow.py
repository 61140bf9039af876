"""Follows a change of the fleet to its end: a line for each step, and on a terminal bars for pulls and services."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import typer

from countingroom.cli.client import Client
from countingroom.cli.feed import messages
from countingroom.cli.outcome import raise_failed
from countingroom.cli.output import print_json
from countingroom.core.errors import Conflict
from countingroom.core.fleet.specs import split_image
from countingroom.core.fleet.states import FLEET_KEY
from countingroom.core.times import duration

if TYPE_CHECKING:
    from rich.progress import TaskID

_LONGEST_S = 3600.0
"""A change is followed for so long at most."""
_ENDED = ("done", "rolled_back", "failed", "held")
_CHANGING = ("rolling", "rolling_back")
_MB = 1e6


def steps_so_far(api: Client) -> set[tuple[str, str]]:
    """(service, step) of all that was done before: it is no part of what is followed."""
    return {(one["service"], step) for one in api.get("/api/v1/services")["services"] for step in one["log"]}


def follow_change(
    api: Client,
    answer: Any,
    told: set[tuple[str, str]],
    *,
    wait: bool,
    json: bool,
    services: tuple[str, ...] = (),
) -> None:
    """Follow a change to its end. Conflict where it was rolled back or given up, or is not at its end after _LONGEST_S.
    `told`: steps of before. A console that is behind still tells how the services stood before the change: that is no
    end of it."""
    raise_failed(answer)
    if json:
        print_json(answer)
    outcome: dict[str, Any] = answer.get("outcome") or {}
    revision: int = outcome.get("data", {}).get("revision", 0)
    if not wait:
        if not json:
            typer.echo(f"{f'r{revision} is' if revision else 'It is'} being applied: countingroom fleet status")
        return
    has_begun = False
    until_s = time.monotonic() + _LONGEST_S
    with progress_shown(json=json) as shown:
        found: list[Any] = []
        for states, nodes, applied in seen_states(api.url):
            found = [one for one in states if not services or one["service"] in services]
            for one in found:
                for step in one["log"]:
                    if (one["service"], step) not in told:
                        has_begun = has_begun or not revision
                        sentence = step.partition(" ")[2]
                        shown.say(sentence if "@" in sentence else f"{one['service']}: {sentence}")
                    told.add((one["service"], step))
            has_begun = has_begun or 0 < revision <= applied
            shown.pulls(nodes)
            shown.services(found)
            if has_begun and all(_is_over(one) for one in found):
                break
            if time.monotonic() > until_s:
                raise Conflict(
                    f"it is not at its end after {duration(_LONGEST_S)}; it goes on",
                    source="fleet",
                    code="not_in_time",
                    suggestion="see what it waits for: countingroom fleet status",
                )
    if failed := [one for one in found if one["phase"] in ("failed", "rolled_back")]:
        cause: dict[str, Any] = failed[0]["cause"] or {}
        raise Conflict(
            f"{failed[0]['service']}: {phase_text(failed[0])}: {cause.get('message', '')}",
            source="fleet",
            code="rolled_back" if failed[0]["phase"] == "rolled_back" else "change_failed",
            suggestion=cause.get("suggestion") or "see countingroom fleet status",
        )
    if not json:
        typer.echo("Done.")


def seen_states(url: str) -> Iterator[tuple[list[Any], list[Any], int]]:
    """(services, nodes, applied revision) as the feed tells them: at once, and whenever something has changed."""
    states: dict[str, Any] = {}
    for message in messages(url, False, devices=[], points=False, states=True, events=False, partitions=[""]):
        if message["kind"] == "snapshot":
            states.clear()
        states |= message.get("states") or {}
        by_kind = {
            kind: [one for key, one in sorted(states.items()) if one and key.startswith(f"{kind}.")]
            for kind in ("service", "node")
        }
        fleet: dict[str, Any] = states.get(FLEET_KEY) or {}
        yield by_kind["service"], by_kind["node"], fleet.get("revision", 0)


def phase_text(one: Any) -> str:
    """How a service stands, in words."""
    if one["disabled"]:
        return f"disabled: {one['disabled']['reason']}"
    words: dict[str, str] = {"done": "as wanted", "rolling": "is being changed", "rolling_back": "is being rolled back"}
    phase: str = one["phase"]
    return words.get(phase, phase.replace("_", " "))


def _is_over(one: Any) -> bool:
    """Whether the change of a service is over. Instances on lost nodes do not count if the service is not wanted."""
    if one["is_wanted"]:
        return one["phase"] in _ENDED
    return not any(instance["is_known"] for instance in one["instances"])


class ProgressShown(Protocol):
    """Where the progress of a change is shown."""

    def say(self, sentence: str) -> None: ...
    def pulls(self, nodes: Sequence[Any]) -> None: ...
    def services(self, services: Iterable[Any]) -> None: ...


def progress_shown(*, json: bool) -> AbstractContextManager[ProgressShown]:
    """Progress bars on a terminal, plain lines elsewhere, and no output with `json`."""
    if json:
        return nullcontext(_Nothing())
    return _Bars() if sys.stdout.isatty() else nullcontext(_Lines())


class _Nothing:
    def say(self, sentence: str) -> None:
        """Nothing is written."""

    def pulls(self, nodes: Sequence[Any]) -> None:
        """Nothing is written."""

    def services(self, services: Iterable[Any]) -> None:
        """Nothing is written."""


class _Lines:
    """A line where a pull begins and where it ends."""

    def __init__(self) -> None:
        self._pulls: dict[tuple[str, str], int] = {}

    def say(self, sentence: str) -> None:
        typer.echo(sentence)

    def pulls(self, nodes: Sequence[Any]) -> None:
        now = {(node["node"], pull["image"]): pull["whole_bytes"] for node in nodes for pull in node["pulls"]}
        for node, image in now.keys() - self._pulls.keys():
            typer.echo(f"{node}: pulls {image}")
        for node, image in self._pulls.keys() - now.keys():
            size = self._pulls[node, image]
            typer.echo(f"{node}: the pull of {image} has ended" + (f", {size / _MB:.1f} MB" if size else ""))
        self._pulls = now

    def services(self, services: Iterable[Any]) -> None:
        """Their steps are lines already."""


class _Bars:
    """A bar for each pull and for each service that is changed, below the lines of the steps."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[amount]}", markup=False),
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> _Bars:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, sentence: str) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False)

    def pulls(self, nodes: Sequence[Any]) -> None:
        now: set[tuple[str, str]] = set()
        for node in nodes:
            for pull in node["pulls"]:
                key = (f"pull {node['node']}", pull["image"])
                now.add(key)
                done, whole = pull["done_bytes"], pull["whole_bytes"]
                amount = f"{done / _MB:.1f} of {whole / _MB:.1f} MB" if whole else "under way"
                name, version = split_image(pull["image"])
                self._set(key, f"{node['node']} pulls {name.rpartition('/')[2]} {version[:19]}", done, whole, amount)
        for key in [key for key in self._tasks if key[0].startswith("pull ") and key not in now]:
            self._bar.remove_task(self._tasks.pop(key))

    def services(self, services: Iterable[Any]) -> None:
        for one in services:
            if one["phase"] not in _CHANGING and ("service", one["service"]) not in self._tasks:
                continue
            all_of_it = one["instances"]
            done = sum(one_of["is_current"] and one_of["health"] == "healthy" for one_of in all_of_it)
            words = f"{done} of {len(all_of_it)} as wanted"
            self._set(("service", one["service"]), f"{one['service']} {phase_text(one)}", done, len(all_of_it), words)

    def _set(self, key: tuple[str, str], description: str, done: int, whole: int, amount: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bar.add_task(description, total=None, amount=amount)
        self._bar.update(self._tasks[key], description=description, completed=done, total=whole or None, amount=amount)
