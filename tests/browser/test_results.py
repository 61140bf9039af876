"""The pages of results: a program is started with a question, its result is drawn, two are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import httpx
import pytest
from playwright.sync_api import Browser, expect
from pytest import TempPathFactory

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.results_stage import result_console
from tests.system.running import Running


class _Console:
    """What a person at a browser needs of the console."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture(scope="module")
def console(tmp_path_factory: TempPathFactory) -> Iterator[str]:
    with result_console(tmp_path_factory.mktemp("results")) as url:
        yield url


def test_a_program_is_started_and_what_it_found_is_drawn_and_compared(console: str, browser: Browser) -> None:
    with visit(browser, lambda page: Requester(page, cast(Running, _Console(console)))) as here:
        page = here.open("/results")
        for steps in ("3", "7"):
            page.get_by_role("button", name="Start…").click()
            expect(page.locator("#confirm dl")).to_contain_text("1 min 30 s")
            field = page.locator("#confirm input[name=steps]")
            field.fill("many")
            expect(page.locator("#confirm .wrong")).to_have_text("steps is a number.")
            field.fill(steps)
            rows = page.locator("#rows tr").count()
            page.get_by_role("button", name="Start Quick scan").click()
            expect(page.locator("#rows tr")).to_have_count(rows + 1)
            expect(page.locator("#rows tr").first.locator(".r-completed")).to_be_visible()
        fits(here, "results-1440")
        last = page.locator("#rows tr a").first.inner_text()
        page.locator("#rows tr a").first.click()
        expect(page.locator("#plot svg .curve")).to_be_visible()
        page.select_option("#which-array", "noise")
        expect(page.locator("#plot canvas")).to_be_visible()
        page.select_option("#which-kind", "distribution")
        expect(page.locator("#plot-told")).to_contain_text("12 values, mean 38.5")
        expect(page.locator("#tree")).to_contain_text("steps7")
        expect(page.locator("#log")).to_contain_text("all done")
        fits(here, "result-1440")
        page.get_by_role("link", name=f"Compare with {int(last) - 1}").click()
        expect(page.locator(".t.compare tr.differs", has_text="noise.mean")).to_contain_text("11")
        page.select_option("#which-array", "noise")
        expect(page.locator("#plot-told")).to_contain_text("B minus A: 12 values")
        page.select_option("#which-kind", "distribution")
        expect(page.locator("#plot svg .curve.b")).to_be_visible()
        fits(here, "result-compare-1440")
        assert httpx.get(f"{console}/api/v1/results/{last}/arrays/noise?format=parquet").content.startswith(b"PAR1")


def fits(here: Requester, name: str) -> None:
    """It fits every screen, and axe finds nothing serious, light or dark."""
    page = here.page
    here.picture(f"{name}-light")
    assert serious(page) == []
    looks_right_in_the_dark(here, name)
    for width in (1920, 900, 420, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert wider_than_seen(page) == [], width
