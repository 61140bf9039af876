"""The command `mirror`: it shows what of a record or a log leaves and why, and learns the templates of log lines.

These need no running experiment, and send nothing. The commands about what is published are in `mirror_feed.py`, the
those
about notes for the public in `mirror_notes.py`, the public site is in `mirror_site.py`, its report in
`mirror_report.py`, the control room in `mirror_control.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import typer

from countingroom.cli import mirror_control, mirror_feed, mirror_notes, mirror_report, mirror_site, mirror_templates
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import ConfigurationError

if TYPE_CHECKING:
    from countingroom.app.mirror_policy import Policy
    from countingroom.core.mirror.proposals import SeenTemplate
    from countingroom.core.mirror.redactor import LogCount

app = typer.Typer(no_args_is_help=True, help="What leaves the laboratory, and why; the public site.")

Description = Annotated[Path, typer.Option("--file", "-f", help="The description.")]
_BESIDE = Path("experiment.yaml")
_LISTED = 40
_MOST_BYTES = 256 << 20


@app.callback()
def group() -> None:
    """What leaves the laboratory, and why; templates of log lines."""


mirror_feed.add_to(app)
mirror_site.add_to(app)
mirror_report.add_to(app)
mirror_control.add_to(app)
mirror_templates.add_to(app)
mirror_notes.add_to(app)


@app.command()
def explain(
    record: Annotated[Path, typer.Argument(help="A record (JSON) with --kind, else a log; - for stdin.")],
    kind: Annotated[str, typer.Option("--kind", "-k", help="Kind of the record: a key of mirror.publish.")] = "",
    own: Annotated[
        list[str] | None,
        typer.Option("--own", help="Host, process id or user of the record, masked in its log. May be repeated."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data folder of the experiment: what was decided there of templates counts too."),
    ] = None,
    file: Description = _BESIDE,
    json: Json = False,
) -> None:
    """Show what leaves of a record or a log, and what became of each of its fields or lines.

    Nothing is sent. Names of the inside stand in the explanation, never in what leaves.
    """
    from countingroom.app.mirror_policy import policy

    rules = policy(file, time.time(), data=data)
    if kind:
        _explain_record(rules, kind, record, own or [], json=json)
    else:
        _explain_log(rules, record, own or [], json=json)


def _explain_record(rules: Policy, kind: str, path: Path, own: Sequence[str], *, json: bool) -> None:
    try:
        given = msgspec.json.decode(_read(path))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(f"it is no JSON: {error}", source=str(path), code="bad_record") from error
    if not isinstance(given, dict):
        raise ConfigurationError("a record is a JSON object", source=str(path), code="bad_record")
    if kind not in rules.section.publish:
        known = ", ".join(rules.section.publish) or "none"
        raise ConfigurationError(
            f"records of the kind {kind} are not published; published are: {known}", source="mirror"
        )
    found = rules.redactor.record(kind, cast("dict[str, Any]", given), own)
    if json:
        print_json({"leaves": found.record, "decisions": found.decisions, "withheld_by_last_check": found.hit})
        return
    print_json(found.record)
    print_table(("Field", "Becomes", "Why"), ((one.path, one.what, one.why) for one in found.decisions))
    if found.hit:
        typer.echo(f"The last check found the {found.hit.kind} {found.hit.name}, {found.hit.how}: nothing leaves.")
    if found.log.lines:
        _print_share(found.log)


def _explain_log(rules: Policy, path: Path, own: Sequence[str], *, json: bool) -> None:
    from countingroom.core.mirror.redactor import LogCount

    count = LogCount()
    lines = _read(path).decode(errors="replace").splitlines()
    public = rules.redactor.lines(lines, count, own)
    if json:
        rows = [{"template": template, "lines": number} for template, number in count.withheld.most_common()]
        facts = {"lines": count.lines, "kept": count.kept, "whole": count.whole, "hits": count.hits}
        print_json({"leaves": [one.text for one in public], **facts, "withheld": rows})
        return
    for one in public:
        typer.echo(one.text)
    _print_share(count)
    if count.withheld:
        rows = [(number, _short(template)) for template, number in count.withheld.most_common(_LISTED)]
        print_table(("Lines", "Template"), rows, title="Withheld", numbers=("Lines",))


@app.command()
def learn(
    logs: Annotated[list[Path], typer.Argument(help="Logs of the inside.", show_default=False)],
    write: Annotated[
        Path | None,
        typer.Option("--write", "-w", help="Add the proposals to this file, to be read before it is used."),
    ] = None,
    most: Annotated[int, typer.Option("--most", "-n", min=1, max=10_000, help="So many templates.")] = 200,
    masked: Annotated[bool, typer.Option("--masked", help="Propose to mask all slots.")] = False,
    file: Description = _BESIDE,
    json: Json = False,
) -> None:
    """List the templates of logs that have no approval, those with most lines first, with a proposal for each.

    A proposal publishes numbers within ten times the range that was seen, up to twenty clean texts as a list, and
    computers under their alias; all else is masked. The words of a template leave with each of its lines: read them.
    """
    from countingroom.app.mirror_policy import policy
    from countingroom.core.mirror import proposals

    rules = policy(file, time.time())
    texts = ((str(path), _read(path).decode(errors="replace").splitlines()) for path in logs)
    found, unread = proposals.learn(texts, rules.approvals)
    rows = [_Proposed(one, proposals.masked(one) if masked else proposals.proposal(one, rules.check)) for one in found]
    for row in rows:
        row.why_not = proposals.why_not(row.seen, rules.check, len(logs))
    listed = rows[:most]
    chosen = [one for one in listed if not one.why_not]
    if write:
        from countingroom.mirror.template_files import append_templates

        number = append_templates(write, (one.approval for one in chosen))
        sys.stderr.write(f"{number} templates added to {write}: read them, then name the file in mirror.templates\n")
    if json:
        print_json({"templates": [one.shown() for one in listed], "of": len(rows), "unread": unread})
        return
    total = sum(one.seen.lines for one in rows)
    print_table(("Lines", "All so far", "Slots", "Template", "Not proposed"), _rows(listed, total), numbers=("Lines",))
    typer.echo(f"{len(rows)} templates without an approval, {total} lines; {len(listed)} are listed.")
    if unread:
        typer.echo(f"{unread} lines are too long, or have too many slots: they never leave.")


class _Proposed(msgspec.Struct):
    """A template and what could be approved."""

    seen: SeenTemplate
    approval: Any
    why_not: str = ""

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return {"lines": self.seen.lines, "not_proposed": self.why_not, **msgspec.to_builtins(self.approval)}


def _rows(listed: Sequence[_Proposed], total: int) -> Iterator[tuple[object, ...]]:
    so_far = 0
    for one in listed:
        so_far += one.seen.lines
        slots = ", ".join(slot.how for slot in one.approval.slots)
        yield one.seen.lines, f"{so_far / total:.1%}", _short(slots), _short(one.seen.template), one.why_not


def _print_share(count: LogCount) -> None:
    typer.echo(
        f"{count.kept} of {count.lines} lines leave ({count.share:.1%}), {count.whole} of them whole; the last check"
        f" withheld {count.hits}."
    )


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}…"


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(_MOST_BYTES)
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror}", source=str(path)) from error
