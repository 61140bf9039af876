"""The logs of programs and of removed containers, as they are kept in files."""

from __future__ import annotations

import asyncio
import struct
from contextlib import aclosing
from pathlib import Path

from countingroom.core.fleet.specs import InstanceId
from countingroom.fleet.engines.port import LogLine
from countingroom.fleet.engines.process_log import read_process_log
from countingroom.fleet.log_archive import MOST_KEPT, LogArchive
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

ONE = InstanceId("camera", "n1")


def write(folder: Path, name: str, text: str, *marks: tuple[int, int]) -> None:
    with (folder / name).open("ab") as file:
        file.write(text.encode())
    with (folder / name.replace("log", "times")).open("ab") as file:
        file.write(b"".join(struct.pack("<QQ", *mark) for mark in marks))


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


async def test_a_log_is_followed_over_its_rotation(tmp_path: Path) -> None:
    clock = FakeClock()
    write(tmp_path, "log", "a\nb", (0, 100))
    found: list[str] = []

    async def follow() -> None:
        async with aclosing(read_process_log(clock, tmp_path, tail=5, since_ns=0, follow=True)) as lines:
            async for line in lines:
                found.append(f"{line.time_ns} {line.text}")

    async def seen(*lines: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while found != list(lines):
                await clock.advance(0.5)
                await asyncio.sleep(0)

    task = asyncio.create_task(follow())
    await seen("100 a")
    write(tmp_path, "log", "c\n", (4, 300))
    await seen("100 a", "100 bc")
    write(tmp_path, "log", "last\n")
    (tmp_path / "log").rename(tmp_path / "log.1")
    (tmp_path / "times").rename(tmp_path / "times.1")
    write(tmp_path, "log", "new\n", (0, 400))
    await seen("100 a", "100 bc", "300 last", "400 new")
    task.cancel()


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
