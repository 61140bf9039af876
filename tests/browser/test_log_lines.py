"""The page Log lines: a withheld template is looked at, a slot masked, approved and taken back; lines are text."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.mirror_stage import mirror_console
from tests.scenario.test_mirror_templates import LINES, Inside
from tests.system.running import Running

MARKUP = "<script>document.title = 'taken'</script> 7"


async def begin(inside: Inside) -> None:
    inside.log(*LINES, MARKUP)


def console(folder: Path) -> AbstractContextManager[tuple[str, Inside]]:
    """The address of a console without a login, and the mirror behind it."""
    return mirror_console(lambda bus, clock: Inside(bus, clock, folder), begin)


def test_a_template_is_approved_with_a_masked_slot_and_taken_back(browser: Browser, tmp_path: Path) -> None:
    with console(tmp_path) as (url, inside):
        told = cast(Running, SimpleNamespace(url=url))
        with visit(browser, lambda page: Requester(page, told)) as here:
            page = here.open("/log-lines")
            expect(page.locator("#lines-waiting tr")).to_have_count(3)
            expect(page.locator("#inside")).to_have_text(LINES[0])
            expect(page.locator("#inside .risky")).to_have_text("fu-11.example.org")
            page.locator("#lines-waiting tr button").first.focus()
            for _ in range(2):
                page.keyboard.press("ArrowDown")
            page.locator("#lines-waiting button", has_text="script").click()
            expect(page.locator("#inside")).to_have_text(MARKUP)
            assert "taken" not in page.title()
            page.locator("#lines-waiting tr button").first.click()
            page.get_by_label("mask slot 2").check()
            page.get_by_role("button", name="Approve…", exact=True).click()
            expect(page.locator("#confirm")).to_contain_text("2: masked")
            page.locator("#confirm input[name=reason]").fill("known words")
            page.locator("#confirm").get_by_role("button", name="Approve").click()
            expect(page.locator("#decided tr")).to_have_count(1)
            expect(page.locator("#lines-waiting tr")).to_have_count(2)
            assert inside.log(*LINES)[0] == "run 390004 begins on [host]"
            here.picture("log-lines-1440-light")
            assert serious(page) == []
            looks_right_in_the_dark(here, "log-lines-1440")
            for width in (1920, 900, 420):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(100)
                assert wider_than_seen(page) == [], width
            page.get_by_role("button", name="Withdraw…").click()
            page.locator("#confirm input[name=reason]").fill("wrong")
            page.locator("#confirm").get_by_role("button", name="Withdraw").click()
            expect(page.locator("#decided tr")).to_have_count(0)
            assert inside.log(*LINES) == ["[3 lines withheld]"]
