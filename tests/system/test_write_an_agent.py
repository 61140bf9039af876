"""The page `Write an agent` is true: its descriptions are accepted and its agent runs as it says."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from textwrap import indent

import pytest

from countingroom.app import bus_users
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.messages import decode, encode
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.core.yaml.located import parse
from countingroom.experiment import Experiment, load
from countingroom.runs.description import RunsSection
from tests.patience import PATIENCE_S

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "write-an-agent.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_description_of_the_page_is_one(text: str) -> None:
    section = RunsSection.model_validate(parse(text, file="page.yaml").value)
    assert section.systems
    assert list(section.problems()) == []


def description(folder: Path) -> Experiment:
    """A description with the last section of the page, that of the program."""
    (folder / "experiment.yaml").write_text("experiment: {name: page}\nruns:\n" + indent(blocks("yaml")[-1], "  "))
    return load(folder / "experiment.yaml")


async def test_the_agent_of_the_page_is_configured_counts_and_refuses_too_much(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "beam.py").write_text(program)
    server = EmbeddedServer(tmp_path / "bus", description=BusSection(), users=bus_users.users(description(tmp_path)))
    await server.start()
    url = server.url_with_login()
    bus = await nats.connect(url, name="test")
    await streams.prepare(bus)

    async def order(action: Action, **more: object) -> None:
        deadline_ns = SystemClock().now_ns() + 10**10
        order = Order(id=str(action), action=action, partition="p", fence=1, deadline_ns=deadline_ns, **more)
        answer = decode((await bus.request(subjects.agent("BEAM"), encode(order), timeout_s=PATIENCE_S)).data, Answer)
        assert answer.accepted, answer.cause

    async def reached(common: str, **parts: object) -> SystemState:
        async with bus.watch(subjects.STATE_BUCKET, subjects.system_key("BEAM")) as entries:
            async for entry in entries:
                data = getattr(entry, "data", None)
                state = decode(data, SystemState) if data else None
                if state and state.common == common and all(getattr(state, k) == v for k, v in parts.items()):
                    return state
        raise AssertionError

    try:
        async with asyncio.timeout(PATIENCE_S), bus.subscribe(subjects.pulse("BEAM")) as beats:
            agent = await asyncio.create_subprocess_exec(sys.executable, tmp_path / "beam.py", tmp_path)
            await anext(beats)
            await order(Action.CONFIGURE, parameters={"gain": 3}, key="k")
            await reached("Active", key="k")
            await order(Action.START, run=1)
            await reached("Recording", counters={"spills": 3})
            await order(Action.STOP)
            await reached("Active", run=0)
            await order(Action.ABORT)
            await reached("Unconfigured")
            deadline_ns = SystemClock().now_ns() + 10**10
            much = Order(
                id="much",
                action=Action.CONFIGURE,
                partition="p",
                fence=1,
                deadline_ns=deadline_ns,
                parameters={"gain": 11},
            )
            await bus.request(subjects.agent("BEAM"), encode(much), timeout_s=PATIENCE_S)
            cause = (await reached("Error")).cause
            assert isinstance(cause, Cause)
            assert "burns the diode" in cause.message
            second = await asyncio.create_subprocess_exec(
                sys.executable, tmp_path / "beam.py", tmp_path, stderr=asyncio.subprocess.PIPE
            )
            _, said = await second.communicate()
            assert second.returncode == 1
            assert said.startswith(b"systems.BEAM: BEAM has an agent already")
            agent.terminate()
            assert await agent.wait() == 0
    finally:
        await bus.close()
        await server.stop()
