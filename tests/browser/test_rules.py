"""The page of rules: what each waits for, the evidence of its last firing, armed and disarmed with a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.alarms_stage import two_rules
from tests.system.running import Running


class Watcher(Requester):
    """A person at the page of rules."""

    def __init__(self, page: Page, console: AlarmConsole) -> None:
        super().__init__(page, cast(Running, console))
        self.console = console


@pytest.fixture
def watcher(browser: Browser) -> Iterator[Watcher]:
    """Two rules, at a desk; nothing may have gone wrong when it ends."""
    with alarm_console() as console:
        console.do(console.alarms.publish_rules(*two_rules(console.alarms.here.clock.now_ns())))
        with visit(browser, lambda page: Watcher(page, console)) as here:
            here.open("/rules")
            expect(here.page.locator("#rules tr")).to_have_count(2)
            yield here


def test_the_page_fits_every_screen_and_axe_finds_nothing_serious(watcher: Watcher) -> None:
    page = watcher.page
    watcher.picture("rules-1440-light")
    assert serious(page) == []
    looks_right_in_the_dark(watcher, "rules-1440")
    for width in (1920, 1280, 900, 420):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert wider_than_seen(page) == [], width
    assert serious(page) == []


def test_on_a_narrow_screen_each_rule_is_a_card_that_fits(watcher: Watcher) -> None:
    page = watcher.page
    page.set_viewport_size({"width": 420, "height": 860})
    row = page.locator('[data-rule="bath_warm"]')
    expect(row.locator(".last")).to_be_in_viewport()
    expect(row).to_contain_text("1 in 1 h")
    assert row.evaluate("tr => [...tr.cells].every(td => td.getBoundingClientRect().right <= innerWidth)")
    watcher.picture("rules-420-light")


def test_the_last_firing_is_shown_with_its_evidence_and_what_was_refused(watcher: Watcher) -> None:
    page = watcher.page
    expect(page.locator('.tree a[href="/rules"], nav a[href="/rules"]').first).to_be_visible()
    expect(page.locator("#rule-sum")).to_have_text("2 rules, 1 disarmed")
    expect(page.locator("#rule-name")).to_have_text("Bath warm for long")
    firing = page.locator("#firing")
    for text in ("chiller.internal_temp", "35.6", "Idle", "refused: rule.bath_warm is viewer on device.caen"):
        expect(firing).to_contain_text(text)
    row = page.locator('[data-rule="bath_warm"]')
    expect(row).to_contain_text("the condition to be false")
    expect(row).to_contain_text("not done")
    expect(row).to_contain_text("1 in 1 h")


def test_a_rule_is_disarmed_by_keys_with_a_reason_and_armed_again(watcher: Watcher) -> None:
    page = watcher.page
    page.locator('[data-rule="bath_warm"] .name').focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#rule-name")).to_have_text("Chiller to standby")
    expect(page.locator("#rule-about")).to_contain_text("disarmed by ben: the chiller is repaired")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    go = page.locator("#confirm .btn.primary")
    expect(go).to_be_disabled()
    expect(page.locator("#confirm .wrong")).to_have_text("The reason is missing.")
    page.keyboard.type("the plant is cold")
    page.keyboard.press("Enter")
    switch = page.locator('[data-rule="bath_warm"] [role=switch]')
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(page.locator("#rule-about")).to_contain_text("disarmed by local: the plant is cold")
    switch.click()
    page.locator("#confirm .btn.primary").click()
    expect(switch).to_have_attribute("aria-checked", "true")
    assert [command.action for _, command in watcher.console.alarms.commands] == ["disarm", "arm"]


def test_without_the_alarm_department_the_page_says_that_no_rule_acts(watcher: Watcher) -> None:
    page = watcher.page
    expect(page.locator("#rule-sum")).to_have_text("2 rules, 1 disarmed")
    watcher.console.beats = False
    expect(page.locator("#rule-sum")).to_have_text("the alarm department does not run: no rule acts")
    watcher.console.beats = True
    expect(page.locator("#rule-sum")).to_have_text("2 rules, 1 disarmed")
