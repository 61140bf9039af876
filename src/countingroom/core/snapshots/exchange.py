"""A snapshot as a file, YAML or JSON, and back. Pure."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
import yaml

from countingroom.core.errors import OutOfRange
from countingroom.core.snapshots.values import MOST_POINTS, Snapshot, checked_name, checked_reason
from countingroom.core.yaml.located import parse

FORMAT = "countingroom snapshot 1"
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z_][A-Za-z0-9_\-.]*", re.IGNORECASE)


def _text(dumper: Any, text: str) -> Any:
    """Quote a text that a reader could take for a number: PyYAML writes `1e5` without quotes."""
    style = None if _PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


class _Dumper(yaml.SafeDumper):
    yaml_representers = {**yaml.SafeDumper.yaml_representers, str: _text}


def to_file(snapshot: Snapshot, *, as_yaml: bool) -> str:
    """The snapshot as the text of a file."""
    content: dict[str, Any] = {"format": FORMAT, **msgspec.to_builtins(snapshot)}
    if not as_yaml:
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def from_file(text: str) -> Snapshot:
    """The snapshot of the text of a file. OutOfRange if it is no snapshot, or if two points have the same address."""
    # JSON is YAML. Without aliases a text has fewer values than characters. Eight files of 400 bytes with nested
    # aliases, read at once up to the limit of descriptions, took 900 MB of the console.
    located = parse(text, file="snapshot", most_values=len(text) + 1)
    value: object = located.value
    content = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if located.problems:
        raise _wrong(str(located.problems[0]))
    if content.pop("format", None) != FORMAT:
        raise _wrong(f"its first line is not `format: {FORMAT}`")
    try:
        found = msgspec.convert(content, Snapshot)
    except (msgspec.ValidationError, ValueError) as error:
        raise _wrong(str(error)) from error
    addresses = [one.address for one in found.points]
    if len(set(addresses)) != len(addresses):
        raise _wrong("two points have one address")
    if not addresses or len(addresses) > MOST_POINTS:
        raise _wrong(f"a snapshot has 1 to {MOST_POINTS} points; this has {len(addresses)}")
    checked_name(found.name)
    checked_reason(found.reason)
    return found


def _wrong(why: str) -> OutOfRange:
    return OutOfRange(
        f"this is no snapshot: {why}",
        code="invalid",
        source="snapshots",
        suggestion="give a file that `countingroom snapshot show NAME --export FILE` has written",
    )
