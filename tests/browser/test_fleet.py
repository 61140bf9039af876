"""The pages of the fleet: a plan is looked at and applied, and an update that fails is rolled back with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

from playwright.sync_api import Browser, expect

from countingroom.core.clock import SystemClock
from tests.browser.conftest import Requester, looks_right, serious, visit, wider_than_seen
from tests.console.alarm_console import alarm_console
from tests.console.fleet_stage import PlayedFleet
from tests.system.running import Running


@contextmanager
def visited(browser: Browser) -> Generator[tuple[Requester, PlayedFleet, Callable[[], None]]]:
    """A visitor of a console with a fleet beside it, and the end of its keeper."""
    fleets: list[PlayedFleet] = []
    tasks: list[asyncio.Task[None]] = []
    with alarm_console() as console:

        async def start() -> None:
            fleets.append(PlayedFleet(console.alarms.here.bus.client(), SystemClock(), console.database))
            tasks.append(asyncio.create_task(fleets[0].run()))

        async def stop() -> None:
            tasks[0].cancel()
            await asyncio.wait(tasks)

        console.do(start())
        with visit(browser, lambda page: Requester(page, cast(Running, console))) as here:
            yield here, fleets[0], lambda: console.do(stop())


def sees_one_service_and_cordons_a_node(here: Requester, fleet: PlayedFleet) -> None:
    page = here.page
    here.open("/services/camera")
    expect(page.locator(".nav [href='/fleet']")).to_have_attribute("aria-current", "page")
    expect(page.locator("#instance")).to_have_value("n2")
    expect(page.locator("#log")).to_contain_text("camera-2")
    expect(page.locator("#log-told")).to_contain_text(", live")
    fleet.say("n2", "no camera with serial 0A12-77")
    expect(page.locator("#log")).to_contain_text("no camera with serial")
    page.locator("#instance").select_option("all instances")
    expect(page.locator("#log")).to_contain_text("n1 │ camera-2")
    here.picture("service-merged")
    here.open("/nodes/n1")
    page.get_by_role("button", name="Cordon…").click()
    asked = page.locator("#confirm")
    expect(asked.get_by_role("button", name="Cordon n1")).to_be_disabled()
    asked.get_by_label("Reason").fill("new fan")
    asked.get_by_role("button", name="Cordon n1").click()
    assert serious(page) == [] and wider_than_seen(page) == []
    expect(page.locator("#banners")).to_contain_text("Cordoned: new fan · local, until it is used again by hand")


def talks_to_cameras(here: Requester, fleet: PlayedFleet) -> None:
    fleet.actors["n2"].is_dead = True
    page = here.open("/fleet")
    page.get_by_role("button", name="Talk…").click()
    asked = page.locator("#confirm")
    expect(asked.get_by_role("button", name="Send")).to_be_disabled()
    asked.get_by_label("Command").fill("ping")
    asked.get_by_role("button", name="Send").click()
    expect(page.locator("#talk-told")).to_have_text("ping: 2 of 3 actors did it")
    expect(page.locator("#talk-actors")).to_contain_text("n2 lost")
    expect(page.locator("#talk-replies")).to_contain_text("n1 : text=Pong.")
    assert serious(page) == [] and wider_than_seen(page) == []
    here.picture("fleet-talk")

    page.get_by_role("button", name="Talk…").click()
    asked.get_by_label("Command").fill("expose 900")
    asked.get_by_role("button", name="Send").click()
    expect(page.locator("#talk-told")).to_have_text("expose 900: waits for the actors")
    page.locator("#talk-stop").press("Enter")
    expect(page.locator("#talk-actors")).to_contain_text("n1 stopped")
    expect(page.locator("#talk-stop")).to_be_hidden()


def test_an_update_that_fails_its_health_check_is_rolled_back_and_says_why(browser: Browser) -> None:
    with visited(browser) as (here, fleet, end):
        page = here.open("/fleet")
        expect(page.locator("[data-node]")).to_have_count(3)
        plan, dialog = page.locator("#show-plan"), page.locator("#plan")
        plan.press("Enter")
        expect(dialog.locator("[data-change]")).to_contain_text("n1, n2, n3")
        go = dialog.locator(".btn.primary")
        expect(go).to_have_text("Apply: 3 changes")
        for width in (420, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert wider_than_seen(page) == [], width
            here.picture(f"fleet-plan-{width}")
        assert serious(page) == []

        fleet.edit("camera-2")  # edited after it was seen: what is applied is what is shown
        go.click()
        expect(dialog).to_contain_text("the plan has changed since you saw it")
        here.until(lambda: here.wrong, "the browser tells of the refusal")
        assert "409 (Conflict)" in here.wrong.pop()
        expect(dialog.locator("[data-change]")).to_contain_text("camera-2")
        dialog.get_by_label("Comment").fill("first")
        go.click()
        row = page.locator('#services [data-service="camera"]')
        expect(row).to_contain_text("as wanted")
        expect(row).to_contain_text("3/3")
        expect(page.locator("#changes > *")).to_have_count(0)

        fleet.engines["n2"].unhealthy.add("camera-3")
        fleet.edit("camera-3")
        plan.click()
        expect(dialog.locator(".what").first).to_contain_text("camera-3")
        go.click()
        banner = page.locator("#banners .banner")
        expect(banner).to_contain_text("camera was rolled back from r2 to r1")
        expect(banner).to_contain_text("no camera with serial 0A12-77")
        expect(row).to_contain_text("3/3")
        looks_right(here, {"fleet": "/fleet", "service": "/services/camera#n2"})

        talks_to_cameras(here, fleet)
        sees_one_service_and_cordons_a_node(here, fleet)
        here.open("/fleet")
        expect(page.locator('[data-node="n1"]')).to_contain_text("new fan")
        page.locator("#show-revisions").click()
        expect(page.locator('[data-revision="1"]')).to_contain_text("first")
        expect(page.locator("#not-kept")).to_be_hidden()
        end()
        expect(page.locator("#not-kept")).to_be_visible()
