"""The overview answers on one screen whether anything is wrong, what, and what may be done."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Requester, serious, settled, wider_than_seen

CUT = """() => [...document.querySelectorAll('#alarm-rows td')]
    .filter(td => td.scrollWidth > td.clientWidth + 1).map(td => td.innerText)"""
BELOW = """() => { const floor = document.querySelector('.alarmbar').getBoundingClientRect().top;
    const under = node => { const box = node.closest('.scroll:not(#alarm-table)')?.getBoundingClientRect();
        return Math.min(floor, box?.bottom ?? floor) };
    return ['#alarm-rows tr', '.pcard', '.dcard', '#last-runs tr:nth-child(-n+2)', '#groups tr']
        .flatMap(one => [...document.querySelectorAll(one)])
        .filter(node => node.getBoundingClientRect().bottom > under(node) + 1)
        .map(node => node.innerText.slice(0, 40)) }"""
SCROLLS = "(() => { const main = document.querySelector('#main'); return main.scrollHeight - main.clientHeight })()"
STRETCH = """async () => {
    // Until another page is opened nothing that the feed brings is drawn: it would put the true rows back.
    (await own('live.js')).Live.prototype.take = function () { this.heardAt = performance.now() };
    const all = one => [...document.querySelectorAll(one)], long = 'VERY_LONG_NAME_'.repeat(7);
    const rows = document.querySelector('#alarm-rows'), first = [...rows.children];
    for (let n = first.length; n < 30; n++) rows.append(first[n % first.length].cloneNode(true));
    for (const node of [...all('#alarm-rows td:nth-child(3) a').slice(0, 2), ...all('.dcard h2 a'),
        ...all('.pcard h2 a'), ...all('.val .ell'), ...all('.nav a .ell'), ...all('[data-fact=tag]'),
        ...all('.pcard .big.st b'), ...all('.chip > span:last-child').slice(0, 2),
        ...all('.top .kv.who b'), ...all('#last-runs td:nth-child(2)')])
        node.textContent = long;
    document.querySelector('.brand').firstChild.textContent = long;
    all('#alarm-rows td:nth-child(4)')[0].append(long + ' and a sentence about the reason') }"""
SHORT_ROWS = """() => {
    const all = [...document.querySelectorAll('#cards > .card')].map(one => one.getBoundingClientRect());
    const end = document.querySelector('#cards').getBoundingClientRect().right;
    return [...new Set(all.map(one => one.top))]
        .filter(top => end - Math.max(...all.filter(one => one.top === top).map(one => one.right)) > 2).length }"""


def found(page: Page, script: str) -> Any:
    """What the script finds, when the layout has settled."""
    return settled(page, lambda page: page.evaluate(script))


@pytest.fixture(scope="module")
def faults() -> set[str]:
    """The faults that the demo has already."""
    return set()


@pytest.fixture
def alarmed(requester: Requester, faults: set[str]) -> Page:
    """The overview with a tripped channel, a stopped plant and all that follows from them."""
    demo = requester.demo
    page = requester.page
    if not faults:
        requester.until(lambda: demo.get("/partitions/mCBM")["partition"]["state"] == "Recording", "a run goes on")
        demo.command("caen", "lv_on", channel="1")
        requester.until(lambda: demo.reading("caen", "1.lv_vMon")["value"] > 11, "the low voltage is on")
        demo.fault("caen", "trip", channel="1", side="lv", now=True)
        demo.fault("co2", "trip")
        faults.add("trip")
    requester.open("/")
    expect(page.locator("#alarm-rows tr.after", has_text="mCBM / DCS")).to_be_visible()
    # Others may stand there too, as from a device that was slow to come at the start: they wait for a person for ever.
    own = page.locator("#alarm-rows tr:not(.after)")
    for cause, follows in (("point.co2.CP_LP_FS", "device.co2.state"), ("channel.caen.1", "device.caen.state")):
        expect(own.locator(f'[data-acknowledge="{cause}"]')).to_have_count(1)
        expect(own.locator(f'[data-acknowledge="{follows}"]')).to_have_count(0)
    return page


def test_alarms_partitions_devices_and_run_are_on_one_screen(requester: Requester, alarmed: Page) -> None:
    page = alarmed
    expect(page.locator("#alarm-rows tr").nth(3)).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    assert found(page, CUT) == []
    assert found(page, BELOW) == []
    requester.picture("overview-alarms-1440-light")
    for width, height in ((1280, 800), (1440, 900), (1920, 1080), (2560, 1440)):
        page.set_viewport_size({"width": width, "height": height})
        assert found(page, BELOW) == [], width
        assert settled(page, lambda page: page.evaluate(SCROLLS), lambda most: most <= 0) <= 0, width
    for width in (1280, 1440, 1920, 2560):
        page.set_viewport_size({"width": width, "height": 1000})
        assert found(page, CUT) == [], width
        assert found(page, SHORT_ROWS) == 0, width
    for width in (768, 420):
        page.set_viewport_size({"width": width, "height": 900})
        assert found(page, CUT) == [], width
        assert wider_than_seen(page) == [], width
        requester.picture(f"overview-alarms-{width}-light")
    assert serious(page) == []


def test_thirty_alarms_and_very_long_names_push_nothing_out(requester: Requester, alarmed: Page) -> None:
    page = alarmed
    page.evaluate(STRETCH)
    for width, height in ((2560, 1440), (1920, 1080), (1440, 900), (1280, 800), (768, 1024), (420, 860)):
        page.set_viewport_size({"width": width, "height": height})
        expect(page.locator("#alarm-rows tr")).to_have_count(30)
        assert found(page, CUT) == [], width
        assert wider_than_seen(page) == [], width
        requester.picture(f"overview-long-{width}-light")


def test_a_cause_stands_above_what_follows_from_it(alarmed: Page) -> None:
    rows = alarmed.locator("#alarm-rows tr")
    told: list[list[str]] = rows.evaluate_all("all => all.map(row => [row.className, row.innerText])")
    assert "after" not in told[0][0]
    assert [classes for classes, text in told if "mCBM / DCS" in text and "after" not in classes] == []
    expect(rows.first).to_contain_text("first")
    expect(alarmed.locator("#bar")).not_to_contain_text("DCS")


def test_a_partition_is_aborted_from_its_card(requester: Requester, alarmed: Page) -> None:
    card = alarmed.locator('.pcard[data-partition="mCBM"]')
    abort = card.locator('[data-command="abort"]')
    expect(abort).to_have_attribute("aria-disabled", "false")
    abort.click()
    expect(alarmed.locator("#confirm")).to_contain_text("everything goes down together")
    alarmed.locator("#confirm .acts button").last.click()
    expect(card.locator(".big.st b")).to_have_text(re.compile("Idle"))
