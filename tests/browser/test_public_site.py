"""The public site in a browser: it looks right on a desk and a phone, in both themes, and news reach an open page."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from countingroom.core.clock import SystemClock
from countingroom.mirror.store.store import PublicStore
from countingroom.simulators.dqm_farm import Farm
from tests.browser.conftest import keep, serious, strict_page, wider_than_seen
from tests.public_records_of_a_farm import documents, farm_of, filled_store, redactor

pytestmark = pytest.mark.server
RUN = 390_004


class Served(NamedTuple):
    url: str
    store: Path
    farm: Farm


def elsewhere(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread: the browser has the loop of this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site in a process of its own."""
    store = tmp_path_factory.mktemp("site") / "public.sqlite"
    clock = SystemClock()
    farm = farm_of(4, 6, clock.now_ns() / 1e9)

    async def fill() -> None:
        await (await filled_store(store, clock, farm)).close()

    elsewhere(fill())
    command = [sys.executable, "-m", "countingroom", "mirror", "site", "--store", str(store), "--port", "0"]
    with subprocess.Popen([*command, "--title", "Bench"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Served(process.stdout.readline().split()[-1].rstrip("/"), store, farm)
        process.terminate()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One page for all tests."""
    with strict_page(browser, 1440, 900) as one:
        yield one


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/run/{RUN}",
        "/timeline",
        "/crashes",
        "/report",
        "/uptime",
        "/notes",
        "/devices",
        "/computers",
        f"/compare?number={RUN}&with={RUN - 1}",
        "/runs",
    ],
)
def test_a_page_looks_right(served: Served, page: Page, path: str) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/", 3)[2]))
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(served.url + path)
    name = "site-" + (path.strip("/").split("?")[0].replace("/", "-") or "now")
    keep(page, name)
    assert serious(page) == []
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    keep(page, f"{name}-dark")
    assert serious(page, "color-contrast") == []
    page.evaluate("delete document.documentElement.dataset.theme")
    page.set_viewport_size({"width": 420, "height": 900})
    keep(page, f"{name}-phone")
    assert wider_than_seen(page) == []
    for part in page.locator(".top nav, #withheld .scroll").all():
        assert part.evaluate("one => one.scrollWidth <= one.clientWidth"), part
    assert hosts == {served.url.split("/")[2]}


def test_news_reach_an_open_page(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/")
    section = page.locator(f'[data-cell="r.{RUN}.section"]')
    expect(section).to_have_text("6")

    async def go_on() -> None:
        clock = SystemClock()
        store = PublicStore(f"sqlite:///{served.store}", clock)
        await store.open()
        served.farm.go_on(clock.now_ns() / 1e9)
        await store.take(list(documents(served.farm, redactor(served.farm))))
        await store.close()

    # The first news after a page has opened make it read the page again; the second change its texts in place.
    for sections in ("7", "8"):
        page.wait_for_timeout(50)
        elsewhere(go_on())
        expect(section).to_have_text(sections)
    page.locator("#theme").click()
    theme = page.locator("html").get_attribute("data-theme")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", theme or "")


def test_a_search_and_a_time_zone_stay_in_the_address(served: Served, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{served.url}/run/{RUN}?client=dt")
    page.get_by_label("Search in the log").fill("run")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".log mark").first).to_be_visible()
    page.locator("#zone").select_option("Asia/Tokyo")
    expect(page).to_have_url(f"{served.url}/run/{RUN}?tz=Asia%2FTokyo")
    page.get_by_role("link", name="Timeline").click()
    expect(page).to_have_url(f"{served.url}/timeline?tz=Asia%2FTokyo")
