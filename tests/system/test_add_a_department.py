"""The page "Add a department" is true: its department runs as it is printed, from description to API."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import countingroom.departments as table
from countingroom.app.roles import Platform, Setting
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.console.app import create
from countingroom.core.clock import SystemClock
from countingroom.experiment import Invalid, load, schema
from tests.patience import PATIENCE_S

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-department.md"
FILES = re.compile(r"^```\{code-block\} python\n:caption: src/(\S+)\n\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


@pytest.fixture(scope="module")
def departments() -> Iterator[tuple[table.Department, ...]]:
    """The table with the row of the page, whose files can be imported while the test runs."""
    files = dict(FILES.findall(PAGE.read_text()))
    row = files.pop("countingroom/departments.py")
    package = ModuleType("countingroom.tally")
    package.__path__ = []
    made = {"countingroom.tally": package}
    try:
        sys.modules["countingroom.tally"] = package
        for path, code in files.items():
            name = module_of(path)
            made[name] = sys.modules[name] = ModuleType(name)
            exec(compile(code, path, "exec"), made[name].__dict__)
        names: dict[str, Any] = dict(vars(table))
        exec(compile(row, "departments.py", "exec"), names)
        yield (*table.DEPARTMENTS, names["TALLY"])
    finally:
        for name in made:
            sys.modules.pop(name, None)


@pytest.fixture
def description(tmp_path: Path) -> Path:
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    path = tmp_path / "experiment.yaml"
    path.write_text(found[1])
    return path


@pytest.fixture
async def client(
    departments: tuple[table.Department, ...], description: Path, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The console's API, with the role of the page running on the same bus."""
    clock = SystemClock()
    bus = MemoryBus(clock)
    await prepare(bus)

    async def connect(name: str) -> MemoryBus:
        raise AssertionError(f"the role needs no connection {name}")

    setting = Setting(
        experiment=load(description, departments),
        directory=tmp_path,
        clock=clock,
        data=tmp_path,
        port=0,
        connect=connect,
        overrides={},
        departments=departments,
    )
    role = table.load(table.roles(departments)["tally"].start)(setting)
    ready = asyncio.Event()
    running = asyncio.create_task(role(Platform(bus=bus.client(), ready=lambda facts: ready.set())))
    app = create(bus.client(), clock, title="t", version="1", departments=departments)
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
    async with app.router.lifespan_context(app):
        await app.state.context.latest.ready()
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as made:
            yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await bus.close()


async def test_a_command_through_the_api_changes_the_state_that_the_api_shows(client: httpx.AsyncClient) -> None:
    body = {"id": "once", "arguments": {"number": 3}, "wait_s": 10}
    given = await client.post("/api/v1/tally/boxes/commands/add", json=body)
    assert (given.status_code, given.json()["outcome"]["kind"]) == (200, "done")
    assert (await client.get("/api/v1/tally/boxes")).json() == {"counter": "boxes", "count": 3}


async def test_its_commands_keep_the_contract_of_the_command_server(client: httpx.AsyncClient) -> None:
    add = "/api/v1/tally/boxes/commands/add"
    assert (await client.post(add, json={"id": "once", "wait_s": 10})).status_code == 200
    assert (await client.post(add, json={"id": "once", "wait_s": 10})).status_code == 409
    assert (await client.post(add, json={"seen_state": "7"})).status_code == 409
    assert (await client.post(add, json={"arguments": {"colour": "red"}})).status_code in (409, 422)
    assert (await client.post("/api/v1/tally/boxes/commands/paint", json={})).status_code in (404, 409)
    assert (await client.get("/api/v1/tally/boxes")).json()["count"] == 1


async def test_a_target_that_no_process_owns_is_unreachable(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/tally/none/commands/add", json={})).status_code == 503
    assert (await client.get("/api/v1/tally/none")).status_code == 404


def test_the_section_is_part_of_the_description(departments: tuple[table.Department, ...], description: Path) -> None:
    assert "tally" in schema(departments)["properties"]
    description.write_text(description.read_text().replace("counters", "counter"))
    with pytest.raises(Invalid, match="counter"):
        load(description, departments)


def test_up_starts_the_role_after_the_history(departments: tuple[table.Department, ...]) -> None:
    assert table.stages(["tally", "history", "devices"], departments) == [["history"], ["tally", "devices"]]
