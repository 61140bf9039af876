"""The page of a device shows which states it had when, as spans with words, and as a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, expect

from countingroom.core.messages import EventKind
from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.system.running import Running

SECOND_NS = 1_000_000_000


class Shifter(Requester):
    """A person at the page of a crate that was switched on, tripped and was not reached for a time."""

    console: AlarmConsole

    async def move(self, age_s: float, before: str, after: str, channel: str = "", **more: Any) -> None:
        here = self.console.alarms.here
        await here.event(
            "caen",
            more.pop("kind", EventKind.STATE),
            channel=channel,
            before=before,
            after=after,
            time_ns=here.clock.now_ns() - round(age_s * SECOND_NS),
            **more,
        )

    async def history(self) -> None:
        """What happened before."""
        await self.move(12_000, "DISCONNECTED", "LV_OFF")
        await self.move(9000, "LV_OFF", "LV_ON")
        await self.move(3000, "LV_ON", "HV_ON")
        await self.move(1800, "HV_ON", "TRIP", "1", severity=1)
        await self.move(1500, "connected", "lost", kind=EventKind.LINK)
        await self.move(1200, "lost", "connected", kind=EventKind.LINK)
        await self.move(900, "TRIP", "HV_ON", "1")


@pytest.fixture
def shifter(browser: Browser) -> Iterator[Shifter]:
    with alarm_console() as console, visit(browser, lambda page: Shifter(page, cast(Running, console))) as here:
        here.console = console
        console.do(here.history())
        here.open("/devices/caen")
        expect(here.page.locator("#states .strip")).to_have_count(3)
        yield here


def test_the_states_of_the_last_hour_are_spans_with_words(shifter: Shifter) -> None:
    page = shifter.page
    device, channel = page.locator("#states .strip").nth(0), page.locator("#states .strip").nth(1)
    expect(device).to_contain_text("LV ON")
    expect(device).to_contain_text("HV ON")
    expect(channel.locator("rect.bad title")).to_have_text(re.compile(r"^TRIP, .* UTC, 15 min$"))
    expect(device.locator("rect.lost title")).to_have_text(re.compile(r"^no link, .*, 5 min$"))
    assert serious(page) == []
    shifter.picture("states-1440-light")
    looks_right_in_the_dark(shifter, "states-1440")
    for width in (1280, 900, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert wider_than_seen(page) == [], width


def test_the_range_is_chosen_and_the_list_says_the_same(shifter: Shifter) -> None:
    page = shifter.page
    expect(page.locator("#states")).not_to_contain_text("LV OFF")
    page.locator('#states-span [data-seconds="21600"]').click()
    expect(page.locator("#states .strip").nth(0).locator("title").first).to_have_text(re.compile("^LV OFF"))
    first = page.locator("#states .strip").nth(0).locator("rect").first
    assert float(first.get_attribute("x") or "0") > 100, "nothing is drawn before the first event of the device"
    page.get_by_text("As a list").click()
    expect(page.locator("#states-list tr").filter(has_text="TRIP")).to_contain_text("15 min")
    expect(page).to_have_url(re.compile(r"states=21600"))
    shifter.console.do(shifter.move(0, "HV_ON", "LV_ON"))
    expect(page.locator("#states-list tr").first).to_contain_text("LV ON")


def test_what_is_not_known_is_no_span(shifter: Shifter) -> None:
    script = """async ([events, known, present]) => {
        const { stateSpans } = await own('state-timeline.js');
        return stateSpans(events, 100, 200, known, present).map(({ from, to, state }) => [from, to, state]) }"""

    def spans(events: list[dict[str, Any]], known: float = 100, present: dict[str, Any] | None = None) -> Any:
        return shifter.page.evaluate(script, [events, known, present])

    move = {"at": 150, "before": "A", "after": "B"}
    assert spans([move]) == [[100, 150, "A"], [150, 200, "B"]]
    assert spans([move], known=120) == [[120, 150, "A"], [150, 200, "B"]]
    assert spans([{**move, "at": 50}]) == [[100, 200, "B"]]
    assert spans([], present={"state": "B", "since": 50}) == [[100, 200, "B"]]
    assert spans([], present={"state": "B", "since": 130}) == [[130, 200, "B"]]
    assert spans([]) == []
