"""The page of interlocks: the matrix live, what tripped first, what a reset lacks, bypasses and proof tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from countingroom.core import subjects
from countingroom.core.errors import Cause
from countingroom.core.interlocks.events import InputReading
from countingroom.core.interlocks.states import Truth
from countingroom.core.messages import encode
from tests.browser.conftest import Requester, looks_right_in_the_dark, serious, visit, wider_than_seen
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.runs_stage import partition
from tests.system.running import Running

_WARM = InputReading(Truth.TRUE, 37.5)
_COLD = InputReading(Truth.FALSE, 21.0)
_STALE = InputReading(Truth.STALE)


class Operator(Requester):
    """A person at the page of interlocks."""

    def __init__(self, page: Page, console: AlarmConsole) -> None:
        super().__init__(page, cast(Running, console))
        self.console = console
        self.interlocks = console.alarms.interlocks

    def read(self, **inputs: InputReading) -> None:
        """These inputs are so from now on."""
        self.console.do(self.interlocks.read(**inputs))

    def partition(self, **fields: Any) -> None:
        """The partition that the interlock stops is so from now on."""
        state = partition("mCBM", **fields)

        async def publish() -> None:
            await self.console.alarms.here.bus.put(subjects.STATE_BUCKET, subjects.partition_key("mCBM"), encode(state))

        self.console.do(publish())

    def cause(self, name: str) -> Locator:
        """The row of a cause."""
        return self.page.locator(f'tr[data-cause="{name}"]')

    def effect(self, name: str) -> Locator:
        """What an effect does now."""
        return self.page.locator(f'td[data-effect="{name}"]')

    def press(self, act: str) -> None:
        """A button of the page."""
        self.page.locator(f'[data-act="{act}"]').click()

    def agree(self) -> None:
        """The button of the dialog that sends the command."""
        self.page.locator("#confirm .acts .btn").last.click()


@pytest.fixture
def operator(browser: Browser) -> Iterator[Operator]:
    """The interlock before any trip, at a desk; nothing may have gone wrong when it ends."""
    with alarm_console() as console:
        console.do(console.alarms.interlocks.read())
        here_is_no_run = {"stop": Cause(code="nothing_to_do", message="mCBM does not record")}
        with visit(browser, lambda page: Operator(page, console)) as here:
            here.partition(run=0, refusals=here_is_no_run)
            here.open("/interlocks")
            expect(here.cause("bath")).to_be_visible()
            yield here


def test_the_page_fits_every_screen_and_axe_finds_nothing_serious(operator: Operator) -> None:
    page = operator.page
    operator.press("bypass")
    page.locator("#confirm select[name=cause]").select_option("dew")
    page.locator("#confirm input[name=reason]").fill("sensor dries out; read by hand")
    operator.agree()
    expect(operator.cause("dew")).to_contain_text("bypassed until")
    operator.read(dew=_STALE)
    operator.read(bath=_WARM)
    operator.console.do(operator.interlocks.reached("hv"))
    expect(operator.effect("hv")).to_have_text("done")
    expect(page.locator('[aria-label="Trip"] li').first).to_be_visible()
    operator.picture("interlocks-1440-light")
    assert serious(page) == []
    looks_right_in_the_dark(operator, "interlocks-1440")
    for width in (1920, 1280, 900, 420):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert wider_than_seen(page) == [], width
    operator.picture("interlocks-420-light")
    assert serious(page) == []


def test_a_trip_shows_what_was_first_what_acts_and_what_a_reset_lacks(operator: Operator) -> None:
    page = operator.page
    expect(operator.cause("bath")).to_contain_text("normal")
    expect(operator.cause("modules")).to_contain_text("one more trips")
    expect(operator.cause("modules")).to_contain_text("1 of 3, trips at 2")

    operator.read(bath=_WARM)
    expect(operator.cause("bath")).to_contain_text("TRIPPED")
    expect(operator.cause("bath")).to_contain_text("first out")
    expect(operator.cause("bath").locator(".il-c.acts")).to_have_count(3)
    expect(operator.cause("bath").locator(".il-c.due")).to_have_text(re.compile(r"^[45]:\d\d$"))
    expect(operator.effect("hv")).to_have_text("under way")
    expect(operator.effect("no_start")).to_have_text("forbidden")
    trip = page.locator('[aria-label="Trip"]')
    expect(trip).to_contain_text("first out: Bath too warm")
    expect(trip.locator('[data-act="reset"]')).to_have_attribute("aria-disabled", "true")
    expect(trip).to_contain_text("Bath too warm is gone: no")

    operator.read(bath=_COLD)
    expect(operator.cause("bath")).to_contain_text("it is gone")
    operator.press("reset")
    page.locator("#confirm input[name=reason]").fill("pump exchanged")
    operator.agree()
    expect(trip).to_contain_text("Not tripped; trip 1 was the last")
    expect(trip).to_contain_text("pump exchanged")
    expect(operator.effect("no_start")).to_have_text("free")
    assert not operator.interlocks.state.is_tripped


def test_what_a_trip_would_do_now_is_shown_before_it(operator: Operator) -> None:
    expect(operator.effect("no_start")).to_have_text("free")
    expect(operator.effect("stop")).to_have_text("no run")
    expect(operator.effect("hv")).to_have_text("–")
    operator.partition(run=219, refusals={"stop": None})
    expect(operator.effect("stop")).to_have_text("stops run 219")
    operator.partition(run=0, refusals={"stop": None})  # between two runs of a sequence
    expect(operator.effect("stop")).to_have_text("stop possible")
    operator.picture("interlocks-between-runs")
    operator.read(bath=_WARM)
    expect(operator.effect("no_start")).to_have_text("forbidden")


def test_a_bypassed_cause_trips_nothing_and_shows_what_it_would_do(operator: Operator) -> None:
    page = operator.page
    operator.press("bypass")
    page.locator("#confirm select[name=cause]").select_option("dew")
    expect(page.locator("#confirm .acts .btn").last).to_be_disabled()
    page.locator("#confirm input[name=reason]").fill("sensor dries out")
    operator.agree()
    expect(operator.cause("dew").locator(".il-c.off")).to_have_count(2)

    operator.read(dew=_STALE)
    by = page.locator('[aria-label="Bypassed causes"]')
    expect(by).to_contain_text("it would trip now: HV off, Stop run")
    expect(by).to_contain_text("sensor dries out")
    expect(operator.cause("dew")).to_contain_text("stale")
    assert not operator.interlocks.state.is_tripped

    operator.press("end_bypass")
    operator.agree()
    expect(operator.cause("dew")).to_contain_text("TRIPPED")


def test_a_proof_test_is_recorded_and_the_matrix_saved_as_csv(operator: Operator) -> None:
    page = operator.page
    proof = page.locator('[aria-label="Proof tests"]')
    expect(proof).to_contain_text("not yet tested")
    operator.press("proof_test")
    page.locator("#confirm select[name=passed]").select_option("false")
    expect(page.locator("#confirm .acts .btn").last).to_be_disabled()
    page.locator("#confirm input[name=comment]").fill("HV stayed on")
    operator.agree()
    expect(proof).to_contain_text("FAILED")
    expect(proof).to_contain_text("HV stayed on")

    with page.expect_download() as download:
        operator.press("csv")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert download.value.suggested_filename == "interlock-cooling_lost.csv"
    assert len(lines) == 5
    assert lines[1].startswith('"Bath too warm"') and '"X after 5 min"' in lines[1]
