"""The child's side of a reload: what is not prepared for a reload is not put in force, and a failure leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from countingroom.app.child_process import END_S, ChildProcess
from countingroom.app.reload import candidate as candidates
from countingroom.app.reload import in_force
from countingroom.app.reload.candidate import CandidateQuestion, candidate
from countingroom.app.reload.orders import ReloadOrders
from countingroom.app.reload.taking import DeviceReload
from countingroom.app.reload.under_up import UpReload
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core.errors import ConfigurationError
from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.messages import ReloadOrder, ReloadStep
from countingroom.devices.host.reload import HostReload
from countingroom.devices.section import DeviceSection
from countingroom.testing.clock import FakeClock

DEVICE = {"driver": "modbus", "host": "127.0.0.1", "registers": {"t": {"address": 1, "type": "int16"}}}


def order(step: ReloadStep, reload: int = 1, **more: Any) -> ReloadOrder:
    return ReloadOrder(id=1, step=step, reload=reload, **more)


class Host:
    """A device host that takes devices; `good` tells whether they can be built."""

    def __init__(self) -> None:
        self.good = True
        self.overrides: dict[str, dict[str, Any]] = {"old": {"port": 1}}
        self.changes = 0
        self.orders = ReloadOrders()
        self.orders.serve(DeviceReload(HostReload(self, self.build), self.overrides, Path()))  # type: ignore[arg-type]

    def build(self, name: str, section: DeviceSection) -> Any:
        assert self.overrides["new"] == {"port": 2}, "it is built with what its simulator has told"
        if not self.good:
            raise ConfigurationError("it cannot work", source="test")

    async def change(self, *parts: object) -> None:
        self.changes += 1

    async def prepare(self, reload: int) -> bool:
        """Whether it is prepared."""
        given = order(ReloadStep.PREPARE, reload, devices={"new": DEVICE}, overrides={"new": {"port": 2}})
        return (await self.orders.carried_out(given)).refused is None

    async def commit(self, reload: int) -> str:
        refused = (await self.orders.carried_out(order(ReloadStep.COMMIT, reload))).refused
        return refused.code if refused else ""


async def test_a_commit_of_what_was_not_prepared_is_refused() -> None:
    host = Host()
    assert await host.commit(1) == "not_prepared"  # killed since, and started again
    assert await host.prepare(2)
    assert await host.commit(1) == "not_prepared"
    assert host.changes == 0
    assert await host.commit(2) == ""
    assert host.changes == 1


async def test_a_reload_that_fails_or_is_cancelled_leaves_no_address_of_a_simulator() -> None:
    host = Host()
    host.good = False
    assert not await host.prepare(1)
    assert host.overrides == {"old": {"port": 1}}
    host.good = True
    assert await host.prepare(2)
    await host.orders.carried_out(order(ReloadStep.CANCEL, 2))
    assert host.overrides == {"old": {"port": 1}}
    assert await host.commit(2) == "not_prepared"
    assert await host.prepare(3)
    assert await host.commit(3) == ""
    assert set(host.overrides) == {"old", "new"}


async def test_a_check_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "LONGEST_S", 0.1)
    monkeypatch.setattr(candidates, "END_S", 0.1)
    made: list[asyncio.subprocess.Process] = []

    async def deaf(command: object, errors: int | None) -> ChildProcess:
        pipe = asyncio.subprocess.PIPE
        one = await asyncio.create_subprocess_exec(
            *("sh", "-c", "trap '' TERM; echo; exec 1>&-; while :; do sleep 1; done"),
            stdin=pipe,
            stdout=pipe,
            process_group=0,
        )
        made.append(one)
        return one

    async with asyncio.timeout(END_S):
        with pytest.raises(ConfigurationError, match="could not be checked"):
            await candidate(deaf, CandidateQuestion(description="experiment.yaml", simulate=False))
    assert made[0].returncode == -9


def content(digest: str) -> ReloadContent:
    return ReloadContent(digest=digest, sections={}, readers={}, fixed={})


async def test_no_two_descriptions_have_the_same_version_over_restarts(tmp_path: Path) -> None:
    clock = FakeClock()

    def version(digest: str) -> int:
        one = UpReload(
            *(MemoryBus(clock), clock, {}, None, CandidateQuestion(description="", simulate=False)),  # type: ignore[arg-type]
            *(tmp_path, content(digest)),
            simulated=lambda overrides, devices: None,
        )
        assert one.given("devices") == "", "its files count again"
        return one.state.version

    seen: Mapping[str, int] = {digest: version(digest) for digest in ("a", "b", "c")}
    assert len(set(seen.values())) == 3
    assert version("c") == seen["c"], "it is the same as before"
    kept = in_force.read(tmp_path)
    assert kept and kept.version == seen["c"]
