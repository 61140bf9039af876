"""The pages of snapshots: taken, compared, marked as golden, and restored by a plan with live progress."""

from __future__ import annotations

from typing import cast

from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Requester, serious, visit, wider_than_seen
from tests.console.alarm_console import alarm_console
from tests.system.running import Running


def test_a_snapshot_is_taken_compared_restored_and_golden(browser: Browser) -> None:
    with (
        alarm_console() as console,
        visit(browser, lambda page: Requester(page, cast(Running, console))) as here,
    ):
        page = here.open("/snapshots")
        expect(page.locator("#no-snapshots")).to_be_visible()
        page.locator("#take").click()
        dialog = page.locator("#confirm")
        dialog.locator("input[name=name]").fill("good")
        dialog.locator("input[name=points]").fill("caen")
        expect(dialog.locator(".wrong")).to_have_text("The reason is missing.")
        dialog.locator("input[name=reason]").fill("run 42")
        dialog.get_by_role("button", name="Take").click()
        late: list[Route] = []

        def held(route: Route) -> None:
            late.append(route)

        page.route("**/api/v1/snapshots/good", held)
        page.locator('[data-snapshot="good"] a').click()

        # A value changes after the first comparison, and before the page knows which points the snapshot has.
        expect(page.locator("#counts")).to_have_text("3 equal")
        here.until(lambda: late, "the page asks which points it has")
        console.do(console.alarms.here.readings("caen", {"0.hv_setV": 20.0}))
        page.wait_for_timeout(600)
        late[0].continue_()
        page.unroute("**/api/v1/snapshots/good")
        row = page.locator('#rows tr[data-point="caen.0.hv_setV"]')
        expect(row).to_contain_text("5 V")
        expect(row).to_contain_text("20 V")
        expect(page.locator("#counts")).to_have_text("1 differs, 2 equal")
        page.locator("#equal").check()
        expect(page.locator("#rows tr")).to_have_count(3)
        expect(page.locator("#rows tr").first).to_have_attribute("data-point", "caen.0.hv_setV")
        page.locator("#mark").click()
        dialog.locator("input[name=reason]").fill("agreed")
        dialog.get_by_role("button", name="Make golden").click()
        expect(page.locator("#mark")).to_have_text("Remove golden mark…")

        page.locator("#restore").click()
        plan = page.locator("#plan")
        expect(plan).to_contain_text("2 points have their value already.")
        go = plan.get_by_role("button", name="Restore 1 point")
        expect(go).to_be_disabled()
        assert serious(page) == []
        plan.locator("input[name=reason]").fill("after a trip")
        go.click()
        expect(page.locator("#progress-title")).to_have_text("Restore by local: done")
        expect(page.locator("#progress-rows .end")).to_have_text("restored")
        expect(page.locator("#actions")).to_contain_text("restore ended: 1 of 1 points restored")
        assert serious(page) == []
        for width in (900, 420):
            page.set_viewport_size({"width": width, "height": 900})
            assert wider_than_seen(page) == [], width

        page = here.open("/devices/caen")
        expect(page.locator("#golden")).to_contain_text("1 of 3 points differ from good")
