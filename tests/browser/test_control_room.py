"""The page Control room: what would be sent is shown, it is sent, its answer is shown as text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.control_stage import FU, control_console
from tests.system.running import Running


def test_an_action_is_shown_then_sent_and_its_answer_is_text(browser: Browser) -> None:
    with control_console() as (url, farm):
        farm.control.has_markup = True
        told = cast(Running, SimpleNamespace(url=url))
        with visit(browser, lambda page: Requester(page, told)) as here:
            page = here.open("/control")
            expect(page.locator("#none-sent")).to_be_visible()
            page.select_option("select[name=action]", "get_hltd_logs")
            page.select_option("select[name=host]", FU)
            page.locator("select[name=host]").focus()
            page.keyboard.press("Tab")
            expect(page.locator("#show-plan")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("#confirm")).to_contain_text(f"/cr/exe?what=get_hltd_logs&host={FU}")
            expect(page.locator("#confirm")).to_contain_text("not shown")
            page.locator("#confirm").get_by_role("button", name="Send").click()
            expect(page.locator("#answer")).to_contain_text("<script>document.title")
            assert page.locator("#answer *").count() == 0
            assert "taken" not in page.title()
            expect(page.locator("#sent tr")).to_have_count(1)
            page.select_option("select[name=action]", "restart_hltd")
            page.click("#show-plan")
            expect(page.locator("#confirm .danger")).to_have_text("Restart hltd")
            here.picture("control-room-plan-1440-light")
            page.get_by_role("button", name="Cancel").click()
            assert farm.control.done == []
            here.picture("control-room-1440-light")
            assert serious(page) == []
            looks_right_in_the_dark(here, "control-room-1440")
            for width in (1920, 900, 420):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(100)
                assert wider_than_seen(page) == [], width
            here.picture("control-room-420-light")
