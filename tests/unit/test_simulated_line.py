"""A simulated line leads to its simulator or nowhere, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import tty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from countingroom.core.errors import LinkError
from countingroom.devices.drivers.julabo.description import JulaboSection
from countingroom.devices.drivers.julabo.driver import JulaboDriver
from countingroom.devices.serial.line import SerialPorts
from countingroom.simulators.julabo import JulaboSimulator
from tests.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    monkeypatch.setattr(tempfile, "tempdir", None)


class Stranger:
    """A device of another experiment that got the number of a terminal which was free again."""

    def __init__(self, path: str) -> None:
        self._held: list[int] = []
        self.master = -1
        for _ in range(64):
            master, slave = os.openpty()
            tty.setraw(slave)
            self._held += [master, slave]
            if os.ttyname(slave) == path:
                self.master = master
                os.set_blocking(master, False)
                return
        # Another program of this machine was faster. The driver must not reach that one either.

    def received(self) -> bytes:
        if self.master < 0:
            return b""
        try:
            return os.read(self.master, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)


@pytest.fixture
async def simulator() -> AsyncIterator[JulaboSimulator]:
    made = JulaboSimulator({})
    yield made
    await made.stop()


async def refused(port: str) -> str:
    """The reason why a driver cannot connect."""
    ports = SerialPorts()
    driver = JulaboDriver(JulaboSection(port=port, timeout=0.2), ports)
    try:
        with pytest.raises(LinkError) as caught:
            await driver.connect()
    finally:
        await driver.close()
        await ports.close()
    return caught.value.cause.message


async def test_a_dropped_line_does_not_lead_to_the_next_owner_of_its_terminal(simulator: JulaboSimulator) -> None:
    port = str((await simulator.start())["port"])
    terminal = str(Path(port).readlink())
    await simulator.fault("drop", {})
    stranger = Stranger(terminal)
    try:
        assert "cannot open" in await refused(port)
        assert stranger.received() == b""
    finally:
        stranger.close()
    await simulator.fault("restore", {})
    ports = SerialPorts()
    driver = JulaboDriver(JulaboSection(port=port, timeout=1.0), ports)
    await driver.connect()
    await driver.close()
    await ports.close()


async def test_the_line_of_a_killed_simulator_leads_nowhere_and_is_swept_at_the_next_start(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "countingroom.simulators.run", "julabo"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"{}\n")
    async with asyncio.timeout(PATIENCE_S):
        port = str(msgspec.json.decode(await process.stdout.readline())["ready"]["port"])
    terminal = str(Path(port).readlink())
    process.send_signal(signal.SIGKILL)
    await process.wait()
    stranger = Stranger(terminal)
    try:
        assert "has ended" in await refused(port)
        assert stranger.received() == b""
    finally:
        stranger.close()
    os.utime(Path(port).parent, (1, 1))
    other = JulaboSimulator({})
    address = str((await other.start())["port"])
    assert [path.name for path in folder.iterdir()] == [Path(address).parent.name]
    await other.stop()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
async def test_a_simulator_that_is_told_to_end_leaves_nothing(folder: Path, sent: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "countingroom.simulators.run", "julabo"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"{}\n")
    async with asyncio.timeout(PATIENCE_S):
        await process.stdout.readline()
        process.send_signal(sent)
        await process.wait()
    assert not list(folder.iterdir())


async def test_a_link_that_was_bent_to_a_stranger_is_refused(simulator: JulaboSimulator) -> None:
    port = Path(str((await simulator.start())["port"]))
    master, slave = os.openpty()
    port.unlink()
    port.symlink_to(os.ttyname(slave))
    os.set_blocking(master, False)
    try:
        assert "not the simulator's" in await refused(str(port))
        with pytest.raises(BlockingIOError):
            os.read(master, 1)
    finally:
        os.close(master)
        os.close(slave)


async def test_a_restarted_simulator_has_its_address_again_and_another_experiment_does_not(folder: Path) -> None:
    first, second = JulaboSimulator({}), None
    address = await first.start()
    second = JulaboSimulator({"again": dict(address)})
    assert (await second.start())["port"] != address["port"]
    await first.stop()
    again = JulaboSimulator({"again": dict(address)})
    assert (await again.start())["port"] == address["port"]
    await again.stop()
    await second.stop()
    assert not list(folder.iterdir())


async def test_a_young_folder_and_a_living_simulator_are_not_swept(folder: Path, simulator: JulaboSimulator) -> None:
    young = folder / "countingroom-line-young"
    young.mkdir()
    port = Path(str((await simulator.start())["port"]))
    os.utime(port.parent, (1, 1))
    other = JulaboSimulator({})
    await other.start()
    assert young.is_dir() and port.is_symlink()
    await other.stop()
