"""A console that starts while the database is down knows the sessions that were open, and none that was ended."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from countingroom.console.auth import kept_sessions
from countingroom.console.auth.kept_sessions import KeptSessions
from countingroom.core.accounts import ProvenSession, Session, User
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.policy import Role
from countingroom.storage import engine
from countingroom.storage.sessions import SessionStore
from countingroom.testing.clock import FakeClock
from tests.console.people import PASSWORD, house
from tests.console.stage import Stage, stage
from tests.patience import PATIENCE_S

COMMAND = "/api/v1/devices/caen/commands/lv_on"
IDLE_S = 600.0
S = 1_000_000_000


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def has(file: Path, *names: str) -> Callable[[], bool]:
    """Whether the file has sessions of these users alone."""

    def look() -> bool:
        kept = kept_sessions._read(file)  # pyright: ignore[reportPrivateUsage]
        return sorted(one.user.name for one in kept.logins) == sorted(names) and kept.proven_ns > 0

    return look


@pytest.mark.server
async def test_who_was_logged_in_acts_after_a_restart_without_the_database(
    here: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "console" / "sessions.json"
    async with house(here, sessions_file=file) as home:
        sam, eve = await home.browser("sam"), await home.browser("eve")
        token = (await home.program("vera")).headers["authorization"]
        left = dict(eve.cookies)
        assert (await eve.post("/api/v1/logout", json={})).status_code == 200
        await becomes(has(file, "sam", "vera"))
    text = file.read_text()
    assert PASSWORD not in text
    assert sam.cookies["countingroom_8080"] not in text
    assert token.removeprefix("Bearer ") not in text
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    async def away(_: SessionStore) -> tuple[ProvenSession, ...]:
        raise LinkError("the database is away", source="storage")

    monkeypatch.setattr(SessionStore, "proven", away)
    async with house(here, sessions_file=file) as home:
        monkeypatch.setattr(engine, "WAITING", 0)  # it refuses everything
        for old, cookies, status in ((sam, dict(sam.cookies), 202), (eve, left, 503)):
            again = home.client(dict(old.headers))
            again.cookies.update(cookies)
            assert (await again.post(COMMAND, json={})).status_code == status
        assert here.asked[-1][0] == "command.sam.devices.caen"
        assert (await home.client({"authorization": token}).get("/api/v1/me")).json()["role"] == "viewer"
        assert (await home.client({"authorization": token}).post(COMMAND, json={})).status_code == 403
        assert (await home.client({"authorization": "Bearer made-up"}).get("/api/v1/me")).status_code == 503


async def test_a_session_that_is_ended_is_no_longer_kept(here: Stage, tmp_path: Path) -> None:
    file = tmp_path / "sessions.json"
    async with house(here, sessions_file=file) as home:
        await home.browser("sam")
        adam = await home.browser("adam")
        await becomes(has(file, "adam", "sam"))
        assert (await adam.post("/api/v1/users/sam/disable", json={"disabled": True})).status_code == 200
        await becomes(has(file, "adam"))


async def test_a_session_that_was_refused_once_is_not_taken_again_without_the_database(
    here: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has ended it, and this console has noticed: the sessions that are kept are up to 30 s old."""
    file = tmp_path / "sessions.json"
    async with house(here, sessions_file=file) as home:
        sam, vera = await home.browser("sam"), await home.browser("vera")
        await becomes(has(file, "sam", "vera"))
        await home.database.sessions.revoke_all("sam", "another process")
        assert (await sam.get("/api/v1/me")).status_code == 401
        monkeypatch.setattr(engine, "WAITING", 0)  # it refuses everything
        assert (await sam.get("/api/v1/me")).status_code == 503
        assert (await vera.get("/api/v1/me")).status_code == 200
        await becomes(lambda: not file.exists() or has(file, "vera")())


async def test_a_disk_that_hangs_delays_the_request_of_a_session_once(
    here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(here) as home:
        sam, answers = await home.program("sam"), threading.Event()
        store, asked = home.database.sessions, 0

        async def seen(token: str, known: Session) -> None:
            nonlocal asked
            asked += 1
            await asyncio.to_thread(answers.wait, PATIENCE_S)

        monkeypatch.setattr(store, "seen", seen)
        monkeypatch.setattr("countingroom.console.auth.sessions.SEEN_S", 0.05)
        for _ in range(3):
            assert (await sam.post(COMMAND, json={})).status_code == 202
        assert asked == 1
        answers.set()


def proven(clock: FakeClock, digest: str = "d", *, disabled: bool = False) -> ProvenSession:
    now_ns = clock.now_ns()
    session = Session(id=digest, user="sam", created_ns=now_ns, last_seen_ns=now_ns, expires_ns=now_ns + 3600 * S)
    user = User(name="sam", roles={"*": Role.SHIFTER}, created_ns=0, created_by="test", disabled=disabled)
    return ProvenSession(digest=digest, session=session, user=user)


async def kept(clock: FakeClock, file: Path, *found: ProvenSession) -> None:
    """The database says this, and the console writes it."""

    async def read() -> tuple[ProvenSession, ...]:
        return found

    task = asyncio.create_task(KeptSessions(file, clock, IDLE_S).run(read))
    before = file.stat().st_mtime_ns if file.exists() else 0
    await becomes(lambda: file.exists() and file.stat().st_mtime_ns != before)
    task.cancel()


async def test_what_was_proven_too_long_ago_or_in_the_future_does_not_count(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "sessions.json"
    await kept(clock, file, proven(clock))
    later = KeptSessions(file, clock, IDLE_S)
    assert later.find("d") is not None
    assert later.find("other") is None
    clock.step(-60)
    assert later.find("d") is None
    clock.step(60)
    await clock.advance(IDLE_S)
    assert later.find("d") is None


async def test_a_database_that_is_away_leaves_what_it_said_last_but_not_what_has_changed(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "sessions.json"
    await kept(clock, file, proven(clock))
    now = KeptSessions(file, clock, IDLE_S)

    async def away() -> tuple[ProvenSession, ...]:
        raise LinkError("the database is away", source="storage")

    task = asyncio.create_task(now.run(away))
    await clock.advance(120)
    assert now.find("d") is not None
    now.forget()
    assert now.find("d") is None
    await becomes(lambda: not file.exists())
    task.cancel()


@pytest.mark.parametrize("what", ["readable", "garbage", "fifo", "link", "large", "disabled", "other user"])
async def test_a_file_that_proves_nothing_is_ignored(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = FakeClock(), tmp_path / "sessions.json"
    await kept(clock, file, proven(clock, disabled=what == "disabled"))
    match what:
        case "readable":
            file.chmod(0o640)
        case "garbage":
            file.write_bytes(b"\xff" + b"[" * 5000)
        case "fifo":
            file.unlink()
            os.mkfifo(file, 0o600)
        case "link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "large":
            monkeypatch.setattr(kept_sessions, "MOST_BYTES", file.stat().st_size - 1)
        case "other user":
            file.write_text(file.read_text().replace('"user":"sam"', '"user":"eve"'))
        case _:
            pass
    assert KeptSessions(file, clock, IDLE_S).find("d") is None


async def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    clock, file = FakeClock(), tmp_path / "data" / "console" / "sessions.json"
    await kept(clock, file, proven(clock))
    assert KeptSessions(file, clock, IDLE_S).find("d") is not None


async def test_to_forget_sessions_that_are_in_no_file_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept_sessions._remove(tmp_path / "sessions.json")  # pyright: ignore[reportPrivateUsage]
    assert not caplog.records


async def test_a_file_that_cannot_be_brought_up_to_date_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = FakeClock(), tmp_path / "sessions.json"
    await kept(clock, file, proven(clock))

    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)

    async def read() -> tuple[ProvenSession, ...]:
        return ()

    task = asyncio.create_task(KeptSessions(file, clock, IDLE_S).run(read))
    await becomes(lambda: not file.exists())
    task.cancel()
