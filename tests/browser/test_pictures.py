"""The pictures of README and documentation: made from the demo, small, and of pages that exist.

`COUNTINGROOM_PICTURES=1` writes them into docs/pictures; otherwise they are kept as screenshots to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.conftest import ROOT, SCREENSHOTS, Requester, visit
from tests.system.running import Running, until

PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 175_000
SIZE: ViewportSize = {"width": 1280, "height": 800}
PAGES = {
    "overview": "/",
    "alarms": "/alarms",
    "partition": "/partitions/mCBM",
    "synoptic": "/synoptics/test_stand",
    "trend": "/trends?point=caen.0.hv_vMon&point=caen.0.hv_iMon&point2=chiller.internal_temp&span=120",
}


@pytest.fixture(scope="module")
def busy(demo: Running) -> Running:
    """The demo with its modules on, a run that goes on, and a channel that tripped."""
    channels = ("0", "1", "2")
    for side, least in (("lv", 11), ("hv", 295)):
        for channel in channels:
            assert demo.command("caen", f"{side}_on", channel=channel).status_code == 202
        for channel in channels:
            until(lambda at=f"{channel}.{side}_vMon", v=least: demo.reading("caen", at)["value"] > v, "it is on")
    demo.fault("caen", "trip", channel="1", side="hv", now=True)
    return demo


@pytest.mark.timeout(300)
def test_the_pictures_of_the_documentation_are_made_and_small(browser: Browser, busy: Running) -> None:
    folder = PICTURES if os.environ.get("COUNTINGROOM_PICTURES") else SCREENSHOTS
    folder.mkdir(exist_ok=True)
    with visit(browser, lambda page: Requester(page, busy), SIZE) as requester:
        for name, path in PAGES.items():
            page = requester.open(path)
            if name == "overview":
                expect(page.locator("#alarm-rows tr").first).to_contain_text("trip")
            if name == "alarms":
                expect(page.locator(".al-row.alarm").first).to_contain_text("trip")
                expect(page.locator("#alarm-history li").first).to_be_visible()
            if name == "trend":
                expect(page.locator(".u-over")).to_have_count(2)
            page.wait_for_timeout(1500)
            for theme in ("light", "dark"):
                expect(page.locator("html")).to_have_attribute("data-theme", theme)
                file = folder / f"{name}-{theme}.png"
                page.screenshot(path=file)
                assert file.stat().st_size < MOST_BYTES, name
                page.locator("#theme").click()
                page.mouse.move(0, 0)
                page.wait_for_timeout(300)


def test_the_pictures_are_there_and_shown() -> None:
    shown = (ROOT / "README.md").read_text() + (ROOT / "docs" / "reference" / "console.md").read_text()
    for name in PAGES:
        for theme in ("light", "dark"):
            file = PICTURES / f"{name}-{theme}.png"
            assert 0 < file.stat().st_size < MOST_BYTES, file
            assert f"pictures/{Path(file).name}" in shown
