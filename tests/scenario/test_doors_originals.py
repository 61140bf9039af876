"""The originals of SDSS beside a door: the same commands have the same replies, but for what the reference lists.

Needs `make clu`: sdss-clu 2.6.1 and sdss-fliswarm 0.7 in an environment of their own.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from countingroom.bus.streams import prepare
from countingroom.fleet.description import FleetSection
from countingroom.testing.fake_engine import FakeEngine
from tests.patience import PATIENCE_S
from tests.scenario.test_fleet_keeper import Site
from tests.unit.door_stand import Client, DoorStand, opened

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "clu" / "bin" / "python"
FILES = ROOT / "tests" / "clu"
NODES = ("gfa1", "gfa2")
pytestmark = [pytest.mark.server, pytest.mark.skipif(not PYTHON.exists(), reason="CLU is not installed: make clu")]

SAME = (
    *("ping", "help", "--help", "foo", "keyword text", "keyword nope", "status --foo", "keyword"),
    *("reconnect -n", "simulate --delay x"),
    *(f"help {name}" for name in ("status", "reconnect", "reboot", "talk", "disable", "enable", "simulate")),
    *(f"{name} --help" for name in ("ping", "version", "help", "get_schema", "keyword", "get-command-model")),
    *("status", "disable gfa2", "status", "talk ping", "talk expose 1", "enable gfa2", "talk expose 1"),
    *("talk ping -n gfa1", "talk version -c gfa", "talk help", "disable -a", "enable --all", "status"),
)
"""Commands whose replies are the same."""
DIFFERENT = (
    ("unterminated quote", 'status "a'),
    ("no UTF-8", b"status \xff"),
    ("long line", "x" * 70_000),
    ("get-command-model", "get-command-model ping"),
    ("schema", "get_schema"),
    ("help of nothing", "helpme"),
    ("help of nothing", "help talk x"),
    ("refusals", "help nope"),
    ("refusals", "get-command-model nope"),
    ("unknown names", "talk -n zz ping"),
    ("unknown names", "disable zz"),
    ("talk that fails", "talk foo"),
    ("simulate", "simulate /nowhere/*"),
)
"""(difference of the reference, command)."""
UNREADABLE = {"unterminated quote", "no UTF-8", "long line"}
"""The original closes the connection at these."""
CLOSES = sys.version_info >= (3, 11, 7)
"""asyncio before 3.11.7 leaves a connection open whose handler has failed. The original then never answers."""
ELSEWHERE = {
    "unparsable line": "test_lines_that_are_no_command_are_told_to_their_sender",
    "unasked lines": "tests/scenario/test_actor_client.py",
    "quoting": "tests/unit/test_actor_lines.py",
    "reconnect": "tests/scenario/test_fleet_doors.py",
    "disable": "tests/scenario/test_fleet_doors.py",
    "status": "tests/unit/test_doors.py",
    "timed status": "tests/unit/test_doors.py",
}
"""Differences that need more than one command."""


def listed_differences() -> set[str]:
    text = (ROOT / "docs" / "reference" / "doors.md").read_text().partition("## Differences")[2]
    return {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall("`(.*?)`", row)}


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """Of the original actors."""
    with subprocess.Popen([PYTHON, FILES / "originals.py"], stdout=subprocess.PIPE, cwd=FILES) as process:
        assert process.stdout
        try:
            found = json.loads(process.stdout.readline())
            _await_first_status(found["fliswarm"])
            yield found
        finally:
            process.kill()


def _await_first_status(port: int) -> None:
    """The original tells the states of its nodes to all clients at its start. The same command ends after that."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client, client.makefile("rw") as lines:
        lines.write("7 status\n")
        lines.flush()
        assert any(" 7 :" in line for line in lines)


@asynccontextmanager
async def ours(ports: dict[str, int]) -> AsyncGenerator[tuple[DoorStand, Site]]:
    """Doors to a fleet with the same cameras."""
    site = Site()
    site.engines = {name: FakeEngine(site.clock) for name in NODES}
    for engine in site.engines.values():
        engine.registry.add("sdss/flicamera:1")
    site.described = FleetSection.model_validate(
        {
            "nodes": {
                name: {
                    "address": "127.0.0.1",
                    "category": "gfa",
                    "engine": "docker",
                    "url": f"tcp://127.0.0.1:{place}",
                    "insecure": True,
                    "labels": {"port": str(ports[name])},
                }
                for place, name in enumerate(NODES, start=2001)
            },
            "services": {"flicamera": {"image": "sdss/flicamera:1", "nodes": ["*"], "actor": {"port": "{label.port}"}}},
        }
    )
    await prepare(site.bus)
    async with site.keeper():
        assert (await site.give("apply")).accepted
        await site.clock.advance(60)
        json_door = {"protocol": "json", "role": "expert"}
        async with opened(site.clock, site.bus, {"fliswarm": {"role": "expert"}, "camera": json_door}) as stand:
            await site.clock.advance(1)
            yield stand, site


async def connect(stand: DoorStand, port: int) -> Client:
    """A connection that ends with the stand."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    stand.clients.append(client)
    return client


async def replies_of_the_original(client: Client, line: str | bytes) -> list[str]:
    """Up to the final reply, or the end of the connection. Lines to all clients are left out: who has connected,
    and the states of nodes from time to time."""
    client.writer.write(b"7 " + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    found: list[str] = []
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                text = await client.reader.readline()
        except ConnectionError:
            text = b""
        if not text:
            return [*found, "dropped"]
        _, number, reply = text.decode().removesuffix("\n").split(" ", 2)
        if number == "0":
            continue
        found.append(reply)
        if reply[0] in ":fe":
            return found


def masked(replies: list[str]) -> list[str]:
    """Without versions and ids. Replies between the first and the last come in any order from several cameras."""
    found = [re.sub(r"(version=)['\d.]+$", r"\1X", one) for one in replies]
    found = [re.sub(r"(container=\w+),\w+$", r"\1,ID", one) for one in found]
    # The cameras of fliswarm are in a set: in any order.
    found = [
        re.sub(r"(?<=filename_bundle=).*", lambda names: ",".join(sorted(names[0].split(","))), one) for one in found
    ]
    # CLU puts the name of an actor with a digit in wrongly, and mixes two actors of one process.
    found = [re.sub(r"Usage: gfa\d+", "Usage: gfa", one) for one in found]
    return [found[0], *sorted(found[1:-1]), found[-1]]


async def test_the_replies_of_a_door_are_those_of_fliswarm(ports: dict[str, int]) -> None:
    async with ours(ports) as (stand, site):
        original, client = await connect(stand, ports["fliswarm"]), await stand.client(greeted=False)
        assert masked(await client.lines(3)) == masked(await original.lines(3))
        for line in SAME:
            theirs = masked(await replies_of_the_original(original, line))
            assert masked(await client.ask_over_time(site.clock, line, real_s=0.25)) == theirs, line


async def test_what_differs_on_purpose_is_in_the_reference(ports: dict[str, int]) -> None:
    listed = listed_differences()
    assert listed == {name for name, _ in DIFFERENT} | ELSEWHERE.keys()
    async with ours(ports) as (stand, site):
        client = await stand.client()
        for name, line in DIFFERENT:
            theirs = ["no answer"]
            if CLOSES or name not in UNREADABLE:
                original = await connect(stand, ports["fliswarm"])
                await original.lines(3)
                theirs = masked(await replies_of_the_original(original, line))
                assert (theirs[-1] == "dropped") == (name in UNREADABLE), name
                original.close()
                with suppress(OSError):
                    await original.writer.wait_closed()
            if isinstance(line, str) and len(line) < 1000:
                replies = masked(await client.ask_over_time(site.clock, line, real_s=0.25))
                assert replies[-1][0] in ":f" and replies != theirs, name
            else:
                client.writer.write(b"7 " + (line if isinstance(line, bytes) else line.encode()) + b"\n")
                assert " f error=" in await client.line(), name


async def test_lines_that_are_no_command_are_told_to_their_sender(ports: dict[str, int]) -> None:
    async with ours(ports) as (stand, _):
        for port, both in ((ports["fliswarm"], True), (stand.door().port, False)):
            clients = [await connect(stand, port), await connect(stand, port)]
            for one in clients:
                one.send("7 ping")
                while "Pong" not in await one.line():
                    pass
            clients[0].send("5", "7 ping")
            assert await clients[0].line() == "0 0 f error=\"Could not parse command '5'\""
            clients[1].send("7 ping")
            assert ("Could not parse" in await clients[1].line()) == both


def mask_json(line: str) -> dict[str, Any]:
    reply = json.loads(line)
    reply["header"]["commander_id"] = ""
    if "version" in reply["data"]:
        reply["data"]["version"] = ""
    return reply


async def test_the_json_replies_of_a_door_are_those_of_clu(ports: dict[str, int]) -> None:
    lines = ("ping", "version", "help ping", "help keyword", "foo", "status --foo x", "keyword help", "5x", "help nope")
    async with ours(ports) as (stand, _):
        original = await connect(stand, ports["camera"])
        client = await stand.client("camera", greeted=False)
        different: list[str] = []
        for number, line in enumerate((*lines, "get-command-model ping", "multiline --off", "keyword"), start=1):
            both: list[list[dict[str, Any]]] = []
            for one in (original, client):
                one.send(f"{number} {line}")
                found: list[dict[str, Any]] = []
                while not found or found[-1]["header"]["message_code"] not in ":f":
                    found.append(mask_json(await one.line()))
                both.append(found)
            if both[0] != both[1]:
                different.append(line)
        # The camera has no status; a refusal of the door says what can be done.
        assert different == ["status --foo x", "help nope"]


@pytest.mark.parametrize("name", ["site_script.py", "device_client.py"])
async def test_programs_of_a_site_run_unchanged(ports: dict[str, int], name: str) -> None:
    async with ours(ports) as (stand, site):
        is_script = name == "site_script.py"
        words = [] if is_script else ["ping", "version", "help ping"]
        both = (ports["fliswarm"], stand.door().port) if is_script else (ports["camera"], stand.door("camera").port)
        processes = [
            await asyncio.create_subprocess_exec(
                PYTHON, FILES / name, str(port), *words, stdout=asyncio.subprocess.PIPE
            )
            for port in both
        ]
        waiting = asyncio.gather(*(one.communicate() for one in processes))
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.1)  # the programs are real, and their deadlines are of the clock
            await site.clock.advance(0.1)
        said = [re.sub(r'"version": "[\d.]+"', "", out.decode()) for out, _ in await waiting]
        assert [one.returncode for one in processes] == [0, 0], said
        assert said[0] == said[1] and len(said[0]) > 30
