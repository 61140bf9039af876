"""Commands of `mirror` about what is published: the rules in force, what left, how the feed stands, and the receiver
outside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.mirror_site import Store, store_url
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import ConfigurationError

Description = Annotated[Path, typer.Option("--file", "-f", help="The description.")]
BESIDE = Path("experiment.yaml")
Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the experiment; the one that runs.", show_default=False)
]
_TEXT = 100


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (policy, status, audit, receive):
        app.command()(command)


def policy(
    kind: Annotated[str, typer.Argument(help="Only this kind of record.", show_default=False)] = "",
    default: Annotated[
        bool, typer.Option("--default", help="The rules that the word `default` stands for, without a description.")
    ] = False,
    file: Description = BESIDE,
    json: Json = False,
) -> None:
    """Show which fields of which records leave, as the description has it or, with --default, as `default` has it.

    The rules are printed as they are written in the description, to be copied and changed there.
    """
    rules = _rules(None if default else file)
    if kind:
        if kind not in rules:
            known = ", ".join(rules) or "none"
            raise ConfigurationError(f"records of the kind {kind} are not published; published are: {known}")
        rules = {kind: rules[kind]}
    if json:
        print_json({"publish": rules})
        return
    import yaml

    plain = yaml.safe_dump({"publish": rules}, sort_keys=False, default_flow_style=None, width=120)
    typer.echo(plain, nl=False)


def _rules(file: Path | None) -> dict[str, dict[str, object]]:
    """Those of the description in this file, or those of the word `default`."""
    from countingroom.experiment import load_located
    from countingroom.mirror.description import MirrorSection

    section = load_located(file).experiment.section(MirrorSection) if file else MirrorSection.default()
    return {kind: {name: one.written() for name, one in fields.items()} for kind, fields in section.publish.items()}


def status(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Show how the feed to the outside stands: what waits, when the outside last answered, what was held back."""
    from countingroom.core.times import duration

    with Client(url) as api:
        found = api.get("/api/v1/mirror")
    if json:
        print_json(found)
        return
    feed = found["feed"]
    if feed is None:
        typer.echo("nothing is fed to the outside: see mirror.publish in the description")
        return
    heard = found["contact_s"]
    rows = (
        ("to", feed["to"]),
        ("last answer", "none" if heard is None else f"{duration(round(heard))} ago"),
        (
            "waiting",
            f"{feed['waiting']} records" + (f", since {duration(round(w))}" if (w := found["waiting_s"]) else ""),
        ),
        ("outbox", f"{feed['outbox_bytes'] / 2**20:.1f} of {feed['outbox_most_bytes'] / 2**20:.0f} MiB"),
        ("dropped", f"{feed['dropped']} records, as the outbox was full"),
        ("held back", f"{feed['held']} records by the last check, {feed['canaries']} of them with a canary"),
        ("trouble", feed["cause"]["message"] if feed["cause"] else "none"),
    )
    for name, value in rows:
        typer.echo(f"{name:<12} {value}")


def audit(
    since: Annotated[str, typer.Option("--from", help="Since when: -1h, -2d12h, 2026-11-22T06:00:00Z.")] = "-1h",
    to: Annotated[str, typer.Option("--to", help="Until when.")] = "now",
    kind: Annotated[list[str] | None, typer.Option("--kind", "-k", help="Only this kind; may be repeated.")] = None,
    most: Annotated[int, typer.Option("--most", "-n", min=1, max=1_000_000, help="So many records.")] = 1000,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show what left in a time range, record by record as it left.

    The outbox in the data folder is the journal: it keeps what left until it is full (mirror.feed.outbox).
    """
    import time

    from countingroom.cli.running import running_experiment
    from countingroom.core.mirror.raw_records import Sort
    from countingroom.core.times import format_time, parse_time
    from countingroom.mirror.feed.journal import read_journal
    from countingroom.mirror.feed.service import OUTBOX

    now_ns = time.time_ns()
    from_ns, to_ns = (parse_time(one, now_ns=now_ns) for one in (since, to))
    folder = data or running_experiment()[1]
    found = read_journal(folder / OUTBOX, from_ns, to_ns, kind or (), most=most)
    begins = format_time(found.begins_ns) if found.begins_ns else ""
    if json:
        print_json({"records": found.records, "more": found.more, "journal_begins": begins})
        return

    rows = (
        (
            format_time(one.written_ns // 1_000_000 * 1_000_000),
            one.kind,
            one.key,
            "yes" if one.sent else "waits",
            "(it is gone)" if one.sort is Sort.GONE else _short(bytes(one.body).decode()),
        )
        for one in found.records
    )
    print_table(("Written", "Kind", "Key", "Sent", "Fields"), rows)
    typer.echo(f"{len(found.records)} records" + (f", and {found.more} more (--most)" if found.more else ""))
    if found.begins_ns > from_ns:
        typer.echo(f"The journal begins at {begins}: it does not say what left before.")


def receive(
    store: Store,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="File with the token that the inside gives.", show_default=False)
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free port.")] = 8091,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Its certificate (PEM), for HTTPS.", show_default=False)
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The key of the certificate.", show_default=False)] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Days; what is older is removed from the store.")] = 730,
) -> None:
    """Run the receiver outside: it takes the feed of the inside into the public store, until Ctrl-C or SIGTERM.

    It needs no description and knows nothing of the inside. Without a certificate it takes HTTP of this computer only:
    for a proxy that has one.
    """
    import logging

    from countingroom.app.mirror_receiver import ReceiverPlan
    from countingroom.app.mirror_receiver import receive as run
    from countingroom.app.until_stopped import run_until_stopped
    from countingroom.core.yaml.secret_reference import SecretReference

    if (certificate is None) != (key is None):
        raise ConfigurationError("give --certificate and --key, both or none", source="mirror receive")
    if certificate is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigurationError(
            "without a certificate it listens at this computer only",
            source="--host",
            code="plain_text",
            suggestion="give --certificate and --key, or put a proxy with a certificate before it",
        )
    plan = ReceiverPlan(
        store=store_url(store),
        host=host,
        port=port,
        token=SecretReference(file=token_file).read("--token-file"),
        tls=(certificate, key) if certificate and key else None,
        keep_s=keep * 86400.0,
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    run_until_stopped(run(plan, lambda where: print(f"the feed is taken at {where}", flush=True)))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
