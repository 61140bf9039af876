"""Scripts and styles are kept by browsers under an address with their version, and another version is used at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from countingroom.console.static_files import VersionedFiles
from countingroom.core.clock import SystemClock
from tests.console.stage import served, stage

KEPT = "public, max-age=31536000, immutable"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text("one")
    return tmp_path


def client(files: VersionedFiles) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/static", files)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


async def test_a_changed_file_has_another_address_and_the_old_one_still_answers(folder: Path) -> None:
    files = VersionedFiles(folder)
    before = files.address()
    assert before == files.address()
    async with client(files) as browser:
        first = await browser.get(f"{before}/js/main.js")
        assert (first.text, first.headers["cache-control"]) == ("one", KEPT)
        assert first.headers["content-type"].startswith("text/javascript")
        (folder / "js" / "main.js").write_text("two")
        os.utime(folder / "js" / "main.js", (1, 1))
        after = files.address()
        assert after != before
        second = await browser.get(f"{after}/js/main.js")
        assert (second.text, second.headers["cache-control"]) == ("two", KEPT)
        late = await browser.get(f"{before}/js/main.js")  # a page of before loads its last script
        assert (late.text, late.headers["cache-control"]) == ("two", "no-cache")


async def test_another_content_has_another_address_also_at_the_same_time_and_size(folder: Path) -> None:
    file = folder / "js" / "main.js"
    os.utime(file, (1, 1))  # as images of containers and reproducible packages have it
    old = VersionedFiles(folder)
    before = old.address()
    file.write_text("two")
    os.utime(file, (1, 1))
    assert VersionedFiles(folder).address() != before
    async with client(old) as browser:
        answer = await browser.get(f"{before}/js/main.js")
        assert (answer.text, answer.headers["cache-control"]) == ("two", "no-cache"), "not kept as the old version"


async def test_an_address_that_another_console_has_given_is_known_without_a_page(folder: Path) -> None:
    address = VersionedFiles(folder).address()
    async with client(VersionedFiles(folder)) as browser:
        answer = await browser.get(f"{address}/js/main.js")
        assert (answer.text, answer.headers["cache-control"]) == ("one", KEPT)


async def test_what_is_not_in_the_folder_is_not_served(folder: Path) -> None:
    files = VersionedFiles(folder / "js")
    (folder / "secret").write_text("s")
    async with client(files) as browser:
        for name in ("../secret", "%2e%2e/secret", "/etc/passwd", "none.js", ""):
            assert (await browser.get(f"{files.address()}/{name}")).status_code == 404, name
        assert (await browser.post(f"{files.address()}/main.js")).status_code == 405


async def test_a_page_names_its_scripts_and_styles_with_their_version() -> None:
    async with stage(SystemClock()) as here, served(here) as (_, browser):
        page = (await browser.get("/")).text
        addresses = re.findall(r'(?:src|href)="(/static/[^"]*)"', page)
        assert len(addresses) > 10
        for address in addresses:
            assert re.match("/static/v-[0-9a-f]{12}/", address)
            answer = await browser.get(address)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, KEPT), address
