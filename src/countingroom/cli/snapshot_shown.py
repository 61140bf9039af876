"""How snapshots, comparisons, plans and restores are printed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer

from countingroom.cli.output import print_table, written
from countingroom.core.points import value_key
from countingroom.core.times import format_time

_WORDS = {
    "not_tried": "not tried",
    "under_way": "under way",
    "unknown": "not known",
}
_QUALITIES = ("", "uncertain", "stale", "bad")


def time_text(time_ns: int) -> str:
    """A time to the second."""
    return format_time(time_ns - time_ns % 1_000_000_000)


def value_text(value: Any, unit: str = "", words: Any = None) -> str:
    """A value with its unit, or its name where it has one in `words`."""
    if value is None:
        return "–"
    if words and (word := words.get(value_key(value))):
        return str(word)
    text = f"{value:g}" if isinstance(value, float) else written(value)
    return f"{text} {unit}".rstrip() if not isinstance(value, bool | str) else text


def summary_line(told: Any) -> str:
    """A snapshot as one line: `before the beam: 84 points of caen, chiller`."""
    line = f"{told['name']}: {told['points']} points of {', '.join(told['devices'])}"
    if count := told["not_present"]:
        line += f"; {count} of them had no present value"
    return line


def result_text(restore: Any) -> str:
    """`5 restored, 1 failed`."""
    counts = Counter(one["end"] for one in restore["results"])
    return ", ".join(f"{count} {_WORDS.get(end, end)}" for end, count in counts.items()) or "none"


def print_snapshot(found: Any) -> None:
    """A snapshot with its points, and what was done with it."""
    one = found["snapshot"]
    typer.echo(f"{one['name']}, of {' '.join(one['scope'])}, {time_text(one['taken_ns'])} by {one['taken_by']}")
    typer.echo(f"  {one['reason']}")
    rows = (
        (
            f"{point['device']}.{point['point']}",
            value_text(point["value"], point["unit"]),
            _QUALITIES[int(point["quality"])],
            value_text(point["readback_value"], point["unit"]) if point["readback"] else "",
        )
        for point in one["points"]
    )
    print_table(("point", "value", "quality", "readback"), rows, numbers=("value", "readback"))
    done = ((time_text(row["time_ns"]), row["who"], row["what"], row["reason"]) for row in found["actions"])
    print_table(("time", "by", "what", "reason"), done)


def print_comparison(found: Any, before: str, after: str) -> None:
    """The rows, and how many there are of each verdict."""
    counts: dict[str, int] = found["counts"]
    rows: list[tuple[str, ...]] = [
        (
            f"{row['device']}.{row['point']}",
            row["verdict"],
            value_text(row["saved"], row["unit"], row["words"]),
            value_text(row["other"], row["unit"], row["words"]),
            value_text(row["difference"], row["unit"]) if row["difference"] else "",
            value_text(row["tolerance"], row["unit"]) if row["tolerance"] else "",
        )
        for row in list[Any](found["rows"])
    ]
    if rows:
        columns = ("point", "", before, after, "difference", "tolerance")
        print_table(columns, rows, numbers=(before, after, "difference", "tolerance"))
    typer.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no points")


def print_plan(found: Any) -> None:
    """Print the writes of a plan, and the points that are not written with the reasons."""
    writes: list[Any] = found["writes"]
    left: list[Any] = found["left"]
    if writes:
        rows = (
            (
                str(number),
                f"{one['device']}.{one['point']}",
                value_text(one["old"], one["unit"], one["words"]),
                value_text(one["new"], one["unit"], one["words"]),
                one["action"] + (" (expert)" if one["is_dangerous"] else ""),
                one["reason"],
            )
            for number, one in enumerate(writes, 1)
        )
        print_table(("", "point", "old", "new", "by", "order"), rows, numbers=("old", "new"))
    equal = [one for one in left if one["cause"]["code"] == "equal"]
    rest = [one for one in left if one["cause"]["code"] != "equal"]
    if rest:
        rows = (
            (
                f"{one['device']}.{one['point']}",
                value_text(one["old"], one["unit"], one["words"]),
                value_text(one["new"], one["unit"], one["words"]),
                one["cause"]["message"],
            )
            for one in rest
        )
        print_table(("left as it is", "now", "snapshot", "why"), rows, numbers=("now", "snapshot"))
    typer.echo(f"{len(writes)} to write, {len(equal)} equal, {len(rest)} left as they are")
    for device in found["silent"]:
        typer.echo(f"{device} did not tell which of its values it would refuse now")


def print_restore(one: Any) -> None:
    """One restore, point by point."""
    typer.echo(f"{one['id']}: {one['snapshot']} by {one['by']}, {time_text(one['started_ns'])}, {one['end']}")
    if one["cause"]:
        typer.echo(f"  {one['cause']['message']}")
    rows = (
        (
            f"{write['device']}.{write['point']}",
            value_text(write["old"], write["unit"], write["words"]),
            value_text(write["new"], write["unit"], write["words"]),
            _WORDS.get(result["end"], result["end"]),
            result["cause"]["message"] if result["cause"] else "",
        )
        for write, result in zip(one["writes"], one["results"], strict=True)
    )
    print_table(("point", "old", "new", "end", "why"), rows, numbers=("old", "new"))
    typer.echo(result_text(one))


def print_golden(found: Any) -> None:
    """How the present differs from the golden snapshots."""
    rows = (
        (
            one["mark"]["scope"],
            one["mark"]["snapshot"],
            f"{one['differs']} of {one['compared']}",
            str(one["unknown"] or ""),
            one["mark"]["marked_by"],
            one["mark"]["reason"],
        )
        for one in found
    )
    print_table(("scope", "golden", "differ", "not known", "marked by", "reason"), rows)
