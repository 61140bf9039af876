"""The logs of programs and of removed containers, as they are kept in files."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.port import LogLine
from countingroom.fleet.engines.process_log import read_process_log
from countingroom.fleet.log_archive import MOST_KEPT, LogArchive
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

ONE = InstanceId("camera", "n1")


def write(folder: Path, name: str, text: str, *marks: tuple[int, int]) -> None:
    with (folder / name.replace("log", "times")).open("ab") as file:
        file.write(b"".join(struct.pack("<QQ", *mark) for mark in marks))
    with (folder / name).open("ab") as file:
        file.write(text.encode())


async def read(folder: Path, tail: int = 10, since_ns: int = 0) -> list[tuple[int, str]]:
    lines = read_process_log(FakeClock(), folder, tail=tail, since_ns=since_ns, follow=False)
    return [(line.time_ns, line.text) async for line in lines]


async def test_lines_of_a_program_have_the_times_of_their_parts(tmp_path: Path) -> None:
    assert await read(tmp_path) == []
    write(tmp_path, "log.1", "old\n", (0, 50))
    write(tmp_path, "log", "a\nb\nc\npart", (0, 100), (4, 200))
    assert await read(tmp_path) == [(50, "old"), (100, "a"), (100, "b"), (200, "c"), (200, "part")]
    assert await read(tmp_path, tail=2) == [(200, "c"), (200, "part")]
    assert await read(tmp_path, since_ns=101) == [(200, "c"), (200, "part")]
    for name in ("times", "times.1"):
        (tmp_path / name).unlink()
    assert await read(tmp_path, tail=1, since_ns=101) == [(0, "part")]  # of a job of Slurm: it may be new


class Follower:
    """Follows the log of a folder. It looks at the files only in `seen`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = FakeClock()
        self._found: list[str] = []
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async with aclosing(read_process_log(self._clock, self._folder, tail=5, since_ns=0, follow=True)) as lines:
            async for line in lines:
                self._found.append(f"{line.time_ns} {line.text}")

    async def seen(self, *lines: str) -> None:
        """Wait until these are all lines, and the follower has looked once more and waits for time to pass."""
        async with asyncio.timeout(PATIENCE_S):
            while self._found != list(lines):
                await self._clock.advance(0.5)
            await self.looked()

    async def looked(self) -> None:
        waiting = self._clock.sleeping
        await self._clock.advance(0.5)
        while self._clock.sleeping < max(waiting, 1):
            await asyncio.sleep(0)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def follower(tmp_path: Path) -> AsyncIterator[Follower]:
    write(tmp_path, "log", "a\nb", (0, 100))
    one = Follower(tmp_path)
    await one.seen("100 a")
    write(tmp_path, "log", "c\n", (4, 300))
    await one.seen("100 a", "100 bc")
    write(tmp_path, "log", "last\n")
    yield one
    await one.end()


def end_log(folder: Path) -> None:
    for name in ("log", "times"):
        (folder / name).replace(folder / f"{name}.1")


@pytest.mark.parametrize("new", ["new\n", "a new one that is longer than the other\n"])
async def test_a_log_is_followed_over_its_end(tmp_path: Path, follower: Follower, new: str) -> None:
    end_log(tmp_path)
    write(tmp_path, "log", new, (0, 400))
    await follower.seen("100 a", "100 bc", "300 last", f"400 {new.strip()}")


async def test_nothing_is_lost_where_a_log_has_ended_and_the_next_one_is_not_there(
    tmp_path: Path, follower: Follower
) -> None:
    end_log(tmp_path)
    await follower.looked()
    write(tmp_path, "log", "new\n", (0, 400))
    await follower.seen("100 a", "100 bc", "300 last", "400 new")


async def test_a_log_that_ended_twice_between_two_looks_is_followed_from_the_older_one_that_is_kept(
    tmp_path: Path, follower: Follower
) -> None:
    end_log(tmp_path)
    write(tmp_path, "log", "second\n", (0, 400))
    kept = (tmp_path / "log.1").open("rb")  # its inode is not used again
    with kept:
        end_log(tmp_path)
        write(tmp_path, "log", "third\n", (0, 500))
        await follower.seen("100 a", "100 bc", "400 second", "500 third")


async def test_a_log_that_was_copied_and_emptied_is_followed(tmp_path: Path, follower: Follower) -> None:
    (tmp_path / "log.1").write_bytes((tmp_path / "log").read_bytes())
    (tmp_path / "times").replace(tmp_path / "times.1")
    os.truncate(tmp_path / "log", 0)
    write(tmp_path, "log", "new\n", (0, 400))
    await follower.seen("100 a", "100 bc", "300 last", "400 new")


def test_the_logs_of_removed_containers_are_kept_within_a_bound(tmp_path: Path) -> None:
    archive = LogArchive(tmp_path / "logs")
    archive.keep(ONE, [], "empty")
    assert archive.last(ONE, 10) == []
    archive.keep(ONE, [LogLine(1, "begin"), LogLine(2, "no camera: x y")], "1a2b")
    assert archive.last(ONE, 10)[:2] == [LogLine(1, "begin"), LogLine(2, "no camera: x y")]
    assert "end of the log of 1a2b" in archive.last(ONE, 1)[0].text
    assert archive.last(ONE, 10, since_ns=2)[0] == LogLine(2, "no camera: x y") and archive.last(ONE, 0) == []
    archive.keep(ONE, [LogLine(3, str(number)) for number in range(MOST_KEPT + 10)], "2b3c")
    assert len(archive.last(ONE, 10**6)) == MOST_KEPT
    assert oct((tmp_path / "logs" / "camera.0.log").stat().st_mode)[-3:] == "600"
    assert LogArchive(tmp_path / "logs").last(InstanceId("camera", "n1", 1), 5) == []
