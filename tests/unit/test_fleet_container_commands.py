"""Commands in containers, on an engine that ends their output at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.fleet.specs import InstanceId, Reach
from countingroom.fleet.engines.container_api import answering, open_engine
from countingroom.fleet.engines.container_commands import ContainerCommands

ONE = InstanceId("camera", "n1")


class Engine:
    """Speaks the calls of `docker exec`. `inspected`: what it tells of the command, one after the other."""

    def __init__(self, output: bytes, *inspected: dict[str, Any]) -> None:
        self.output = output
        self.inspected = list(inspected)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, _, rest = head.decode().partition("\r\n")
                length = next((int(one[15:]) for one in rest.lower().split("\r\n") if one[:15] == "content-length:"), 0)
                await reader.readexactly(length)
                if "/start " in first:
                    upgraded = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
                    writer.write(upgraded + self.output)
                    return
                answer: dict[str, Any] = {"Id": "e1"}
                if first.startswith("GET") and "/exec/" in first:
                    told = self.inspected.pop(0) if len(self.inspected) > 1 else self.inspected[0]
                    answer = {"ProcessConfig": {"tty": False}} | told
                elif "/version" in first:
                    answer = {"ApiVersion": "1.41"}
                body = json.dumps(answer).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def reached(engine: Engine, place: Path) -> AsyncGenerator[tuple[ContainerCommands, Any]]:
    server = await asyncio.start_unix_server(engine.serve, place / "engine")
    docker: Any = await open_engine(Reach(url=f"unix://{place}/engine"), place, "fleet.n1")
    try:
        commands = ContainerCommands(SystemClock(), lambda what, seconds: answering("fleet.n1", what, seconds))
        yield commands, docker.containers.container("c1")
    finally:
        await docker.close()
        server.close()
        await server.wait_closed()


def frame(text: bytes) -> bytes:
    return b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize("output", [b"", frame(b"fine")], ids=["silent", "one line"])
async def test_a_command_that_ends_at_once_has_its_status(output: bytes, tmp_path: Path) -> None:
    async with reached(Engine(output, {"Running": False, "ExitCode": 0}), tmp_path) as (commands, container):
        for _ in range(20):  # the end of the connection is seen earlier or later
            status, said = await commands.run(container, ONE, ("true",), 10.0)
            assert status == 0 and said in ("", "fine")


async def test_an_engine_that_does_not_know_the_end_yet_is_asked_again(tmp_path: Path) -> None:
    engine = Engine(frame(b"full"), {"Running": True, "ExitCode": None}, {"Running": False, "ExitCode": 3})
    engine.inspected.insert(0, {"Running": True, "ExitCode": None})
    async with reached(engine, tmp_path) as (commands, container):
        assert (await commands.run(container, ONE, ("test",), 10.0))[0] == 3


async def test_a_command_whose_end_is_never_told_is_late(tmp_path: Path) -> None:
    engine = Engine(b"", {"Running": True, "ExitCode": None})
    async with reached(engine, tmp_path) as (commands, container):
        assert await commands.run(container, ONE, ("test",), 0.2) == (124, "it did not end within 0.2 s")
        assert await commands.run(container, ONE, ("test",), 0.2) == (
            124,
            "test of an earlier call has not ended yet",
        )


async def test_an_engine_that_has_gone_is_a_lost_link(tmp_path: Path) -> None:
    docker: Any = await open_engine(Reach(url=f"unix://{tmp_path}/engine"), tmp_path, "fleet.n1")
    commands = ContainerCommands(SystemClock(), lambda what, seconds: answering("fleet.n1", what, seconds))
    try:
        with pytest.raises(LinkError):
            await commands.run(docker.containers.container("c1"), ONE, ("test",), 10.0)
    finally:
        await docker.close()


async def test_a_command_that_was_not_ended_before_a_new_connection_does_not_hold_the_next(tmp_path: Path) -> None:
    engine = Engine(b"", {"Running": True, "ExitCode": None})
    async with reached(engine, tmp_path) as (commands, container):
        assert (await commands.run(container, ONE, ("test",), 0.1))[0] == 124
    (tmp_path / "engine").unlink(missing_ok=True)
    engine.inspected[0] = {"Running": False, "ExitCode": 0}
    async with reached(engine, tmp_path) as (_, container):
        assert (await commands.run(container, ONE, ("test",), 10.0))[0] == 0
