"""Alarms are heard where a person chose so; the sound is silenced for a time, with a mark, and never for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Requester, serious, wider_than_seen
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.system.running import Running

TONES = """window.tones = []; const start = AudioScheduledSourceNode.prototype.start;
AudioScheduledSourceNode.prototype.start = function (...rest) {
    window.tones.push(this.frequency.value); return start.apply(this, rest) }"""


class Listener(Requester):
    """A person who hears what the page asks the browser to play."""

    def __init__(self, page: Page, console: AlarmConsole) -> None:
        super().__init__(page, cast(Running, console))
        self.console = console

    def heard(self) -> list[float]:
        """The frequencies that were asked for since the last look."""
        found: list[float] = self.page.evaluate("window.tones.splice(0)")
        return found

    def raised(self, name: str, priority: int) -> None:
        """A new alarm, until the page shows it."""
        self.console.do(self.console.alarms.publish(self.console.alarms.alarm(name, title=name, priority=priority)))
        expect(self.page.locator("#newest")).to_contain_text(name)

    def choose(self, *levels: str) -> None:
        """Open the dialog and tick these priorities."""
        self.page.locator("#sound").click()
        for level in levels:
            self.page.get_by_label(f"{level} priority").check()
        self.page.get_by_role("button", name="Close").click()


@pytest.fixture
def listener(browser: Browser) -> Iterator[Listener]:
    with alarm_console() as console:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(TONES)
        here = Listener(context.new_page(), console)
        here.open("/events")
        yield here
        context.close()
        assert here.wrong == []


def test_a_new_alarm_of_a_chosen_priority_is_heard_on_any_page(listener: Listener) -> None:
    page = listener.page
    expect(page.locator("#sound .told")).to_have_text("Sound off")
    listener.raised("custom.first", 1)
    page.wait_for_timeout(300)
    assert listener.heard() == []
    listener.choose("high")
    listener.until(lambda: listener.heard() == [880, 1175, 880, 1175], "what waits is heard")
    expect(page.locator("#sound .told")).to_have_text("Sound: high")
    listener.raised("custom.second", 2)
    page.wait_for_timeout(300)
    assert listener.heard() == []
    listener.choose("medium")
    listener.until(lambda: listener.heard() == [740, 988], "that of medium priority is heard")
    listener.open("/alarms")
    page.wait_for_timeout(1500)
    assert listener.heard() == []  # another page does not tell it again
    listener.raised("custom.third", 1)
    listener.until(lambda: listener.heard() == [880, 1175, 880, 1175], "and on the page of alarms")


def test_the_sound_is_silenced_for_a_time_with_a_mark_and_never_for_ever(listener: Listener) -> None:
    page = listener.page
    listener.choose("high")
    page.clock.install()
    page.locator("#sound").click()
    listener.picture("alarm-sound-light")
    assert serious(page) == []
    page.get_by_role("button", name="Silence 5 min").click()
    expect(page.locator("#sound .told")).to_have_text("Silenced 5 min")
    expect(page.locator("#sound")).to_have_class(re.compile("silenced"))
    listener.raised("custom.first", 1)
    page.wait_for_timeout(300)
    assert listener.heard() == []
    listener.open("/alarms")
    expect(page.locator("#sound .told")).to_have_text("Silenced 5 min")
    page.clock.fast_forward("05:01")
    listener.until(lambda: listener.heard() == [880, 1175, 880, 1175], "after the silence it is heard")
    for_ever = "localStorage.setItem('alarm-sound', JSON.stringify({ on: [1], until: Date.now() + 864e5 }))"
    page.evaluate(for_ever)
    listener.open("/events")
    expect(page.locator("#sound .told")).to_have_text("Sound: high")
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert wider_than_seen(page) == []
    expect(page.locator("#sound")).to_be_visible()
