"""The websocket by which pages and the command line read logs, and what the command prints."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from countingroom.bus.port import Message
from countingroom.cli import fleet_logs
from countingroom.cli.main import run
from countingroom.console.app import create
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import NotFound
from countingroom.core.fleet.queries import FollowedLine, LogFollowAnswer, LogFollowQuery
from countingroom.core.messages import decode, encode
from countingroom.core.series import QueryRefusal
from tests.console.people import ORIGIN
from tests.console.sockets import opened
from tests.console.stage import stage
from tests.patience import PATIENCE_S

OF = [{"service": "camera", "node": "n1"}, {"service": "camera", "node": "n2", "index": 1}]


async def test_lines_are_pushed_and_the_end_of_a_reader_is_told() -> None:
    asked: list[LogFollowQuery] = []
    ended = asyncio.Event()

    async def answer(message: Message) -> bytes:
        query = decode(message.data, LogFollowQuery)
        asked.append(query)
        if query.is_end:
            ended.set()
            return encode(LogFollowAnswer())
        if len(asked) == 1:
            return encode(LogFollowAnswer(lines=(FollowedLine(1, 5, "exposing"), FollowedLine(0, 4, "idle"))))
        if len(asked) == 2:
            return encode(QueryRefusal(cause=NotFound("there is no node n1", source="fleet").cause))
        return encode(LogFollowAnswer())

    async with stage(SystemClock()) as here:
        app = create(here.bus.client(), here.clock, title="t", version="1")
        async with app.router.lifespan_context(app):
            async with here.bus.respond(subjects.query("fleet", "log_lines"), answer):
                async with opened(app, ORIGIN, path="/api/v1/fleet/logs") as socket:
                    socket.send(json.dumps({"of": OF, "tail": 7}))
                    told = await socket.hear()
                    assert told["lines"] == [
                        {"service": "camera", "node": "n2", "index": 1, "time_ns": 5, "text": "exposing"},
                        {"service": "camera", "node": "n1", "index": 0, "time_ns": 4, "text": "idle"},
                    ]
                    closed = await socket.next()
                    assert (closed["code"], closed["reason"]) == (1003, "there is no node n1")
                async with asyncio.timeout(PATIENCE_S):
                    await ended.wait()
            assert (asked[0].tail, asked[0].since_ns, asked[1].since_ns) == (7, 0, 6)
            assert len({one.session for one in asked}) == 1

            async with opened(app, ORIGIN, path="/api/v1/fleet/logs") as socket:  # no keeper runs
                socket.send(json.dumps({"of": OF}))
                assert (await socket.hear())["cause"]["message"] == "the fleet is not running"
            async with opened(app, ORIGIN, path="/api/v1/fleet/logs") as socket:
                socket.send(json.dumps({"off": OF}))
                assert "does not name instances" in (await socket.next())["reason"]


class Api:
    """Two services on two nodes."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def get(self, path: str, **asked: Any) -> Any:
        places = [{"node": "gfa1", "index": 0}, {"node": "gfa2", "index": 1}]
        if path == "/api/v1/services":
            return {"services": [{"service": name, "instances": places} for name in ("camera", "writer")]}
        service, node = path.split("/")[4], asked["node"]
        return {"lines": [f"{service} {node} a", "b"], "times_ns": [{"gfa1": 5, "gfa2": 3}[node], 0]}


def test_logs_of_many_are_merged_by_time_with_their_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_logs, "Client", Api)
    assert run(["fleet", "logs", "camera", "wri*@gfa2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "camera@gfa2#1 │ camera gfa2 a",
        "camera@gfa2#1 │ b",
        "writer@gfa2#1 │ writer gfa2 a",
        "writer@gfa2#1 │ b",
        "camera@gfa1   │ camera gfa1 a",
        "camera@gfa1   │ b",
    ]
    assert run(["fleet", "logs", "camera@gfa2#1"]) == 0
    assert capsys.readouterr().out == "camera gfa2 a\nb\n"
    assert run(["fleet", "logs", "camera@gfa2#7"]) == 1
    assert "no instance camera@gfa2#7" in capsys.readouterr().err
