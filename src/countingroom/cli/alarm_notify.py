"""The commands `alarm notify`: test the channels through which people are told of alarms, see what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.outcome import Wait, give, tell
from countingroom.cli.output import Json, print_table
from countingroom.core.commands.notifications import TEST_S

app = typer.Typer(
    no_args_is_help=True, help="Messages to people: test the channels, see what was sent and who is on duty."
)

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name; without it every channel.")]


@app.command()
def test(channel: Channel = "", wait: Wait = TEST_S, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Send a test message through a channel, and tell what its server said."""
    with Client(url) as api:
        arguments = {"channel": channel} if channel else {}
        answer = give(api, "notifications", "test", {"arguments": arguments}, wait)
    outcome = answer.get("outcome")
    if json or outcome is None or outcome["kind"] == "failed":
        return tell(answer, json=json)
    return typer.echo(f"{channel or 'every channel'}: the test message was accepted")


@app.command("list")
def list_messages(
    channel: Annotated[str, typer.Option("--channel", "-c", help="Only of this channel.")] = "",
    alarm: Annotated[str, typer.Option("--alarm", "-a", help="Only those that tell of this alarm.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=1000, help="So many that ended.")] = 20,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The channels, the messages that may still be sent, and those that ended last."""
    found = fetch(url, "/api/v1/notifications", json, channel=channel, alarm=alarm, limit=limit)
    channels = (
        (one["channel"], one["kind"], one["sent"], one["failed"], one["dead"], *_last(one)) for one in found["channels"]
    )
    print_table(
        ("channel", "kind", "sent", "failed", "dead", "last sent", "problem"),
        channels,
        numbers=("sent", "failed", "dead"),
    )
    messages = [*found["pending"], *found["ended"]]
    if messages:
        typer.echo("")
        print_table(("time", "channel", "state", "kind", "title", "try", "why"), _rows(messages), numbers=("try",))
    typer.echo(f"{len(found['pending'])} messages may still be sent")


@app.command()
def duty(
    turns: Annotated[int, typer.Option("--turns", "-n", min=1, max=100, help="Turns of each calendar.")] = 3,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The persons on duty now and next, with the channels by which they are told."""
    found = fetch(url, "/api/v1/notifications/duty", json, turns=turns)
    print_table(("calendar", "person", "from", "until", "channels"), _turns(found["calendars"]))


def _turns(calendars: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for calendar in calendars:
        for number, turn in enumerate(calendar["turns"]):
            until = "" if turn["until_ns"] is None else _time(turn["until_ns"])
            yield (
                calendar["calendar"],
                turn["person"] or "none",
                "now" if not number else _time(turn["from_ns"]),
                until,
                ", ".join(turn["channels"]),
            )


def _last(channel: dict[str, Any]) -> tuple[str, str]:
    last_ns = channel["last_sent_ns"]
    return (_time(last_ns) if last_ns else "", channel["problem"])


def _rows(messages: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for one in messages:
        state = f"{one['state']}, may be a repeat" if one["is_repeat"] else one["state"]
        time_ns = one["ended_ns"] or one["due_ns"]
        yield _time(time_ns), one["channel"], state, one["kind"], one["title"], one["attempt"], one["error"]


def _time(time_ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(time_ns - time_ns % 1_000_000_000)
