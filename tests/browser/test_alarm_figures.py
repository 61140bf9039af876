"""The page of the figures of alarms: each figure with its verdict, pictures that the keyboard reads, any screen."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.alarm_console import alarm_console
from tests.console.alarm_history import BATH, keep_a_day
from tests.console.alarms_stage import a_night
from tests.system.running import Running


@pytest.fixture
def reader(browser: Browser) -> Iterator[Requester]:
    """The figures of a day with a flood; nothing may have gone wrong when it ends."""
    with alarm_console() as console:
        console.do(console.alarms.publish(*a_night(console.alarms)))
        console.do(keep_a_day(console.database, time.time_ns()))
        with visit(browser, lambda page: Requester(page, cast(Running, console))) as here:
            here.open("/alarms")
            here.page.get_by_role("link", name="Figures").click()
            here.page.wait_for_selector("body[data-page=alarm-figures][data-script=ready]")
            expect(here.page.locator("#counting")).to_contain_text("announced")
            yield here


def test_the_page_fits_every_screen_and_axe_finds_nothing_serious(reader: Requester) -> None:
    page = reader.page
    reader.picture("alarm-figures-1440-light")
    assert serious(page) == []
    looks_right_in_the_dark(reader, "alarm-figures-1440")
    for width in (1920, 1280, 900, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert wider_than_seen(page) == [], width
    reader.picture("alarm-figures-390-light")
    assert serious(page) == []


def test_the_figures_stand_with_target_and_verdict_and_the_pictures_agree(reader: Requester) -> None:
    page = reader.page
    peak = page.locator('[data-figure="peak_10min"]')
    for text in ("40", "at most 10", "over-demanding"):
        expect(peak).to_contain_text(text)
    expect(page.locator('[data-figure="actors"]')).to_contain_text("too few to judge")
    expect(page.locator("#actors tr").first).to_contain_text("Julabo chiller / Bath")
    expect(page.locator(f'#actors a[title="{BATH}"]')).to_have_attribute("href", f"/alarms?view=all#{BATH}")
    expect(page.locator("#rate .flood")).to_have_count(1)
    expect(page.locator("#floods tr")).to_contain_text("40")
    expect(page.locator("#acknowledged tr").nth(2)).to_contain_text("12")
    expect(page.locator("#stale")).to_contain_text("History store")


def test_the_keyboard_reads_the_bars(reader: Requester) -> None:
    page = reader.page
    rate = page.get_by_role("slider", name=re.compile("^Alarms per"))
    rate.focus()
    page.keyboard.press("Home")
    expect(page.locator("#rate-told")).to_contain_text(re.compile(r"[01] alarms?"))
    # A flood over the end of an hour is in two bars, and the low alarms of this one are in one of them.
    flood = re.compile(r"alarms \(.* low\), in a flood")
    for _ in range(200):
        page.keyboard.press("ArrowRight")
        if flood.search(page.locator("#rate-told").inner_text()):
            break
    expect(rate).to_have_attribute("aria-valuetext", flood)


def test_range_area_and_operators_stand_in_the_address(reader: Requester) -> None:
    page = reader.page
    page.get_by_label("Area, with those below it").fill("power")
    page.keyboard.press("Tab")
    expect(page.locator("#counting")).to_contain_text("40 announced")
    page.get_by_label("Operators who share the alarms").fill("2")
    page.keyboard.press("Tab")
    page.locator('#presets [data-seconds="604800"]').click()
    expect(page).to_have_url(re.compile(r"span=604800&area=power&operators=2"))
    reader.open(page.url.removeprefix(reader.demo.url))
    expect(page.locator("#counting")).to_contain_text("40 announced")
    expect(page.locator('[data-figure="peak_10min"]')).to_contain_text("20")
    expect(page.locator('[data-csv="figures"]')).to_have_attribute(
        "href", re.compile("area=power&operators=2&format=csv")
    )


def test_a_trend_shows_where_its_point_was_in_alarm(reader: Requester) -> None:
    page = reader.page
    reader.open(f"/trends?point={BATH.removeprefix('point.')}&span=86400")
    told = page.locator(".in-alarm")
    expect(told).to_contain_text("12 times, 2 h in all, at most medium")
    expect(page.locator(".plot canvas")).to_be_visible()
    reader.picture("trend-in-alarm")
    page.locator('#presets [data-seconds="600"]').click()
    expect(told).to_be_hidden()
