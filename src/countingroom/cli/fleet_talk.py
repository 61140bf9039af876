"""Commands to actors of the fleet, with their replies as they come: `fleet talk`, `fleet talks`, `fleet stop-talk`."""

from __future__ import annotations

import time
from typing import Annotated, Any, cast
from urllib.parse import quote
from uuid import uuid4

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Remote, Url, fetch
from countingroom.cli.feed import messages
from countingroom.cli.outcome import BEGIN_S, give, tell
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.errors import Cause, LinkError

_GRACE_S = 15.0
"""After the deadline of the actors, for the keeper to tell the end."""
_STOP_S = 10.0
_POLICIES = "all, majority, any"

Names = Annotated[list[str] | None, typer.Option("--node", "-n", metavar="NODE", help="Name or pattern.")]


def talk(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="What they are sent: expose 2 --dark.", show_default=False)
    ],
    node: Names = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", "-s", metavar="SERVICE", help="Name or pattern.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="LABEL=VALUE", help="A label of the node.")
    ] = None,
    category: Annotated[str, typer.Option("--category", "-c", help="Of the node.")] = "",
    policy: Annotated[str, typer.Option("--policy", help=f"How many must succeed: {_POLICIES}.")] = "all",
    deadline: Annotated[
        float, typer.Option("--deadline", min=0.001, max=86_400, help="Of each actor, in seconds.")
    ] = 60,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Send a command to all actors of the fleet, or to some, and show what they say. Options stand before COMMAND.
    Ctrl-C stops it: nothing more is waited for, and the actors go on. Status 1: it failed or was stopped."""
    from countingroom.core.actor.words import join_words

    body = command[0] if len(command) == 1 else join_words(command)
    given = {
        "command": body,
        "nodes": ",".join(node or ()),
        "services": ",".join(service or ()),
        "where": ",".join(where or ()),
        "category": category,
        "policy": policy,
        "deadline_s": deadline,
    }
    id = uuid4().hex
    with Client(url) as api:
        order = {"id": id, "deadline_s": BEGIN_S, "arguments": {name: one for name, one in given.items() if one != ""}}
        follower = _Follower(api, id, quiet=json)
        try:
            api.post("/api/v1/fleet/commands/talk", order)
            state = follower.end(deadline + _GRACE_S)
        except KeyboardInterrupt:
            typer.echo("stopping it; Ctrl-C once more leaves it as it is", err=True)
            api.post("/api/v1/fleet/commands/stop_talk", {"arguments": {"talk": id}, "wait_s": _STOP_S})
            state = follower.end(_STOP_S)
    if json:
        print_json(state)
    else:
        _print_end(state)
    if state["cause"]:
        raise _failed(state)


def talks(
    id: Annotated[str, typer.Argument(metavar="[ID]", help="Show the replies of this one.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The talks that run and the last ones, or one of them with its replies."""
    if id:
        state = fetch(url, f"/api/v1/fleet/talks/{quote(id, safe='')}", json)
        if state["left_out"]:
            typer.echo(f"{state['left_out']} replies before these are not kept")
        for reply in state["replies"]:
            typer.echo(_line(reply, state))
        _print_end(state)
        return
    found = fetch(url, "/api/v1/fleet/talks", json)["talks"]
    print_table(("id", "by", "command", "actors", "end"), ((*_row(one),) for one in found))


def stop_talk(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the talk: countingroom fleet talks.", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Stop a talk that runs: wait no longer for its actors, which go on with what they do."""
    with Client(url) as api:
        tell(give(api, "fleet", "stop_talk", {"arguments": {"talk": id}}, _STOP_S), json=json)


class _Follower:
    """Prints the replies of a talk as they come, each once."""

    def __init__(self, api: Client, id: str, *, quiet: bool) -> None:
        self._api = api
        self._id = id
        self._quiet = quiet
        self._shown = 0

    def end(self, longest_s: float) -> Any:
        """The state at the end. LinkError if it does not come in time."""
        from countingroom.core.fleet.talk import talk_key

        key, until_s = talk_key(self._id), time.monotonic() + longest_s
        for message in messages(self._api.url, False, devices=[], points=False, states=True, events=False, talks=True):
            states: dict[str, Any] = message.get("states") or {}
            if (state := states.get(key)) and self._takes(state):
                return state
            if time.monotonic() > until_s:
                break
        raise LinkError(
            f"the end of the talk was not told within {longest_s:g} s",
            source="cli",
            code="not_in_time",
            suggestion=f"see: countingroom fleet talks {self._id}, countingroom fleet status",
        )

    def _takes(self, state: Any) -> bool:
        """Whether it is over."""
        replies = state["replies"]
        new = state["left_out"] + len(replies) - self._shown
        if not self._quiet:
            for reply in replies[-new:] if new > 0 else ():
                typer.echo(_line(reply, state))
        self._shown = max(self._shown, state["left_out"] + len(replies))
        return bool(state["is_over"])


def _line(reply: Any, state: Any) -> str:
    from countingroom.core.actor.legacy import format_keywords

    name, code, keywords = _name(reply, state), reply["code"], reply["keywords"]
    if isinstance(keywords.get("help"), list):
        return "\n".join(f"{name} {code} {line}" for line in keywords["help"])
    flat: dict[str, Any] = {}
    for key, value in keywords.items():
        parts = cast(dict[str, Any], value) if isinstance(value, dict) else {}
        flat |= {f"{key}.{part}": one for part, one in parts.items()} if parts else {key: value}
    return f"{name} {code} {format_keywords(flat)}".rstrip()


def _name(one: Any, state: Any) -> str:
    """The node, with the service where several were asked."""
    several = len({actor["service"] for actor in state["actors"]}) > 1
    copy = f"#{one['index']}" if one["index"] else ""
    return (f"{one['service']}@{one['node']}" if several else str(one["node"])) + copy


def _print_end(state: Any) -> None:
    bad = [one for one in state["actors"] if one["outcome"] not in ("done", "waiting")]
    for one in bad:
        why = one["cause"]["message"] if one["cause"] else ""
        typer.echo(f"{_name(one, state)} {one['outcome']}: {why}")
    files = [name for one in state["actors"] for name in one["files"]]
    if files:
        typer.echo(f"files: {' '.join(files)}")
    done = sum(one["outcome"] == "done" for one in state["actors"])
    typer.echo(f"{done} of {len(state['actors'])} actors did it.")


def _row(one: Any) -> tuple[object, ...]:
    done = sum(actor["outcome"] == "done" for actor in one["actors"])
    end = ("failed" if one["cause"] else "done") if one["is_over"] else "runs"
    return one["id"], one["by"], one["command"], f"{done}/{len(one['actors'])}", end


def _failed(state: Any) -> Remote:
    import msgspec

    return Remote(msgspec.convert(state["cause"], Cause))
