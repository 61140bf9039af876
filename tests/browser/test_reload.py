"""The page of the description: edited files are told, and the plan that is shown is put in force, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from playwright.sync_api import Browser, expect

from countingroom.core.clock import SystemClock
from tests.browser.conftest import Requester, serious, visit, wider_than_seen
from tests.console.alarm_console import alarm_console
from tests.console.edited_description import EditedUp
from tests.system.running import Running


@contextmanager
def visited(browser: Browser, folder: Path) -> Generator[tuple[Requester, EditedUp]]:
    """A visitor of a console with the reload of `up` beside it."""
    ups: list[EditedUp] = []
    tasks: list[asyncio.Task[None]] = []
    with alarm_console() as console:

        async def start() -> None:
            ups.append(EditedUp(console.alarms.here.bus.client(), SystemClock(), folder))
            tasks.append(asyncio.create_task(ups[0].run()))

        async def stop() -> None:
            tasks[0].cancel()

        console.do(start())
        with visit(browser, lambda page: Requester(page, cast(Running, console))) as here:
            yield here, ups[0]
            console.do(stop())


def test_the_plan_that_is_shown_is_put_in_force(browser: Browser, tmp_path: Path) -> None:
    with visited(browser, tmp_path) as (here, up):
        page = here.open("/description")
        expect(page.locator("#behind")).to_have_text("all 3 have it")
        expect(page.locator("#on-disk-same")).to_contain_text("is the one in force")

        up.edit("pol: 2")
        page.locator("#show-plan").press("Enter")
        dialog = page.locator("#plan")
        expect(dialog.locator(".place")).to_have_text(f"{up.path}:8")
        go = dialog.get_by_role("button", name="Reload")
        expect(go).to_be_disabled()
        expect(page.locator("#on-disk")).to_contain_text("Description changed on disk: it has a mistake.")

        up.edit("title: Bath", "poll: 2")
        again = dialog.get_by_role("button", name="Look again")
        again.click()
        row = dialog.locator('[data-path="devices.bath"]')
        expect(row).to_contain_text("title: – → Bath")
        expect(row).to_contain_text("reconnects")
        page.evaluate("document.documentElement.dataset.theme = 'dark'")  # the button is behind the dialog
        page.wait_for_timeout(200)
        here.picture("reload-plan-dark")
        assert serious(page, "color-contrast") == []
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        for width in (420, 900, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert wider_than_seen(page) == [], width
            here.picture(f"reload-plan-{width}")

        up.edit("title: Another bath", "poll: 2")
        go.click()
        expect(dialog).to_contain_text("the files have changed since the plan was shown")
        again.click()
        expect(row).to_contain_text("title: – → Another bath")
        assert serious(page) == []
        go.click()
        expect(page.locator("#applied")).to_have_text("Version 2 of the description is in force.")
        expect(row).to_contain_text("title: – → Another bath")
        page.keyboard.press("Escape")
        expect(page.locator("#facts")).to_contain_text("local")
        expect(page.locator("#behind")).to_have_text("all 3 have it")
        expect(page.locator("#on-disk")).to_be_hidden()
        assert serious(page) == []
        here.picture("description")
