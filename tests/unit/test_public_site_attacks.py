"""What someone outside may try against the public site, and what may become of the store below it."""

from __future__ import annotations

import shutil
import sqlite3
import zoneinfo
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from countingroom.core.errors import ConfigurationError, LinkError, RequestError
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.site import zones
from countingroom.site.answers import PreparedAnswer, SiteAnswer
from countingroom.site.making import Site
from countingroom.site.parameters import AddressParameter
from countingroom.site.rendering import SiteSettings
from countingroom.testing.clock import FakeClock
from tests.public_records_of_a_farm import farm_of, filled_store

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Path]:
    """A store, to be copied."""
    path, clock = tmp_path_factory.mktemp("store") / "public.sqlite", FakeClock()
    await (await filled_store(path, clock, farm_of(3, 2, clock.now_ns() / 1e9))).close()
    yield path


async def test_a_web_socket_is_refused_and_not_answered_by_an_error(tmp_path: Path) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    site = Site(PublicReader(f"sqlite:///{tmp_path / 'x'}"), FakeClock(), SiteSettings(title="x"), version="1")
    await site.application({"type": "websocket", "path": "/live", "headers": []}, None, send)
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize("text", ["1\n", " 1", "1 ", "+1", "٣", "1_0", "", "0x1", "1e3"])
async def test_a_number_has_one_form(text: str) -> None:
    with pytest.raises(RequestError):
        AddressParameter("run", "integer", "").read(text)


@pytest.mark.parametrize("text", ["a\0", "\n", "\x1b[2J", "\u202e", "\x7f"])
async def test_a_text_has_no_character_that_cannot_be_printed(text: str) -> None:
    with pytest.raises(RequestError):
        AddressParameter("q", "text", "").read(text)


@pytest.mark.parametrize(
    "name",
    [
        *("localtime", "posixrules", "Factory", "right/UTC", "posix/UTC", "../../etc/passwd", "/etc/localtime"),
        *("UTC\0", "zone.tab", "tzdata.zi", "Europe", "Europe/../Europe/Zurich"),
    ],
)
async def test_a_zone_is_one_that_does_not_tell_where_the_site_is(name: str) -> None:
    assert not zones.is_zone(name)


async def test_zones_are_known_where_the_computer_has_none() -> None:
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert zones.is_zone("Europe/Zurich")
        assert zones.is_zone("UTC")
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"gzip;q=0", False),
        (b"br, gzip; q=0.000", False),
        (b"xgzip", False),
        (b"\xff", False),
    ],
)
async def test_an_answer_is_compressed_where_that_is_accepted(accepted: bytes, packed: bool) -> None:
    _, headers, _ = PreparedAnswer(SiteAnswer(body=b"x" * 5000)).chosen(b"", accepted)
    assert ((b"content-encoding", b"gzip") in headers) is packed


async def test_a_store_that_is_replaced_is_read_and_one_that_is_gone_is_told(kept: Path, tmp_path: Path) -> None:
    file, clock = tmp_path / "public.sqlite", FakeClock()
    shutil.copy(kept, file)
    reader = PublicReader(f"sqlite:///{file}")
    await reader.open()
    site = Site(reader, clock, SiteSettings(title="Bench"), version="1")
    await site.look()
    assert b'"number":390003' in (await site.application.answer("GET", b"/api/v1/runs", b"")).body
    file.unlink()
    with pytest.raises(LinkError):
        await site.look()
    site.forget()
    assert (await site.application.answer("GET", b"/api/v1/computers", b"")).status == 503
    store = PublicStore(f"sqlite:///{file}", clock)  # a new one, without runs
    await store.open()
    await site.look()
    assert b'"runs":[]' in (await site.application.answer("GET", b"/api/v1/runs", b"")).body
    await store.close()
    for path in tmp_path.glob("public.sqlite-*"):  # the log of the one before
        path.unlink()
    shutil.copy(kept, tmp_path / "another")
    (tmp_path / "another").replace(file)
    await site.look()
    assert b'"number":390003' in (await site.application.answer("GET", b"/api/v1/runs", b"")).body
    await reader.close()


async def test_a_store_of_a_newer_version_or_no_store_is_refused_at_the_start(kept: Path, tmp_path: Path) -> None:
    newer, broken = tmp_path / "newer.sqlite", tmp_path / "broken.sqlite"
    shutil.copy(kept, newer)
    connection = sqlite3.connect(newer)
    connection.execute("UPDATE mirror_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    broken.write_bytes(b"no database at all" * 100)
    for path, error in ((newer, ConfigurationError), (tmp_path / "none", ConfigurationError), (broken, LinkError)):
        reader = PublicReader(f"sqlite:///{path}")
        with pytest.raises(error):
            await reader.open()
        await reader.close()
