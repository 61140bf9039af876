"""At four in the morning the pages say whether anything is wrong, what, and what may be done, and do just that."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import msgspec
import psutil
import pytest
from playwright.sync_api import Browser, Route, expect

from countingroom.console.present import format as write
from countingroom.core.points import Limits, Point, Type
from tests.browser.conftest import OWN, Requester, looks_right, needs_axe, serious, settled
from tests.browser.shared_browser import FLAGS

PAGES = {
    "overview": "/",
    "device-caen": "/devices/caen",
    "device-chiller": "/devices/chiller",
    "device-co2": "/devices/co2",
    "device-coldbox": "/devices/coldbox",
    "trends": "/trends?point=caen.0.hv_vMon&point=co2.TT05_CO2&point=chiller.internal_temp&span=600",
    "trends-empty": "/trends",
    "synoptic": "/synoptics/test_stand",
    "events": "/events",
    "account": "/account",
    "audit": "/audit",
    "users": "/users",
}


SIDEWAYS = """() => [...document.querySelectorAll('#main *')]
    .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0 && !node.matches('.fsm')
        && ['auto', 'scroll'].includes(getComputedStyle(node).overflowX))
    .map(node => `${node.className} ${node.scrollWidth} > ${node.clientWidth}`)"""
"""What a person must scroll sideways; drawings of state machines are enlarged by their button."""


def number(text: str) -> float:
    return float(re.sub(r"[^0-9.\-]", "", text) or "nan")


def channel_command(requester: Requester, name: str) -> None:
    """Press a command of the selected channel and confirm it."""
    requester.order(requester.page.locator(f'#sel [data-command="{name}"]'))


@pytest.mark.timeout(300)
def test_every_page_opens_lives_and_is_readable(requester: Requester) -> None:
    looks_right(requester, PAGES)


@needs_axe
def test_axe_finds_what_is_wrong(requester: Requester) -> None:
    page = requester.open("/")
    page.evaluate("document.body.append(document.createElement('button'))")
    assert any("button-name" in one for one in serious(page))


def test_a_module_is_switched_on_and_a_setpoint_followed(requester: Requester) -> None:
    page = requester.open("/devices/caen#0.hv_vMon")
    channel_command(requester, "lv_on")
    row = page.locator('tr[data-channel="0"] td.st')
    expect(row).to_have_text("LV ON")
    channel_command(requester, "hv_on")
    requester.until(lambda: number(requester.cell("caen.0.hv_vMon")) > 290, "the high voltage is up")
    expect(row).to_have_text("HV ON")
    page.locator('td[data-p="caen.0.hv_setV"]').click()
    field = page.locator("#sel input[name=value]")
    field.fill("240")
    page.locator("#sel button[type=submit]").click()
    dialog = page.locator("#confirm")
    for told in ("300.0 V", "240.0 V", "-60.0 V, about", "channel 0 alone", "Set 240.0 V"):
        expect(dialog).to_contain_text(told)
    requester.until(lambda: requester.demo.get("/partitions/mCBM")["partition"]["run"], "a run goes on")
    expect(page.locator("#front-run")).to_be_visible()
    page.keyboard.press("Escape")

    def sees_the_run() -> None:
        expect(dialog).to_contain_text("mCBM takes run 1")
        requester.picture("confirm-light")

    requester.order(page.locator("#sel button[type=submit]"), sees_the_run)
    expect(page.locator("#sel .outcome")).to_contain_text("done")
    expect(page.locator('td[data-p="caen.0.hv_setV"]')).to_have_text("240.0")
    requester.until(lambda: abs(number(requester.cell("caen.0.hv_vMon")) - 240) < 2, "the readback follows")
    page.locator('td[data-p="caen.0.hv_vMon"]').click()
    page.wait_for_timeout(800)
    requester.picture("device-hv-light")
    expect(page.locator("#log")).to_contain_text("by local")


def test_a_value_outside_its_limits_is_refused_before_it_is_sent(requester: Requester) -> None:
    page = requester.open("/devices/caen#1.lv_setV")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.locator("#sel input[name=value]").fill("13.5")
    page.locator("#sel button[type=submit]").click()
    expect(page.locator("#sel .wrong")).to_contain_text("Outside")
    assert not page.locator("#confirm").is_visible()
    assert sent == []


def test_what_is_not_possible_is_focusable_and_says_why(requester: Requester) -> None:
    page = requester.open("/devices/caen#2.hv_vMon")
    button = page.locator('#sel [data-command="hv_on"]')
    expect(button).to_have_attribute("aria-disabled", "true")
    button.focus()
    expect(page.locator("#tip")).to_contain_text("HV on is not possible in LV_OFF")
    requester.picture("refused-light")
    other = "async (one) => { one.dataset.why = 'Other'; await null; return document.querySelector('#tip').innerText; }"
    assert button.evaluate(other) == "Other"
    page.keyboard.press("Enter")
    assert not page.locator("#confirm").is_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()


def test_a_trip_is_an_alarm_on_every_page_until_it_is_cleared(requester: Requester) -> None:
    page = requester.open("/devices/caen#1.lv_vMon")
    channel_command(requester, "lv_on")
    expect(page.locator('tr[data-channel="1"] td.st')).to_have_text("LV ON")
    requester.demo.fault("caen", "trip", channel="1", side="lv", now=True)
    expect(page.locator('tr[data-channel="1"] td.st')).to_have_text("ERROR")
    page = requester.open("/")
    expect(page.locator('#acount [data-level="1"] b')).not_to_have_text("0")
    expect(page.locator("#alarm-rows tr").first).to_contain_text("CAEN mainframe")
    expect(page.locator("#newest")).to_contain_text("CAEN mainframe")
    requester.picture("overview-alarm-light")
    page.locator("#theme").click()
    requester.picture("overview-alarm-dark")
    page.locator("#theme").click()
    page = requester.open("/devices/caen")
    requester.picture("device-alarm-light")
    requester.order(page.locator('#device-commands [data-command="clear_alarms"]'))
    expect(page.locator('tr[data-channel="1"] td.st')).to_have_text("LV OFF")
    expect(page.locator("#newest")).to_contain_text("CAEN mainframe")  # until a person has acknowledged it
    page = requester.open("/alarms")
    row = page.locator('.al-row[data-id="channel.caen.1"]')
    expect(row).to_contain_text("returned, not acknowledged")
    row.locator("input").check()
    page.locator('#many [data-command="acknowledge"]').click()
    expect(row).to_have_count(0)
    expect(page.locator("#newest")).not_to_contain_text("CAEN mainframe ch 1")


def test_a_lost_link_makes_everything_stale_and_comes_back_by_itself(requester: Requester) -> None:
    requester.loses_link = True
    page = requester.open("/devices/caen#2.lv_vMon")
    expect(page.locator(".uplot").first).to_be_visible()  # nothing of the page is on its way any more
    seen = page.evaluate("document.querySelector('#utc').textContent")
    console = requester.demo.role("console")
    console.suspend()
    try:
        expect(page.locator("body.lost")).to_be_attached()
        expect(page.locator("#link-lost")).to_contain_text("link to the console is lost since")
        expect(page.locator("#bar")).not_to_contain_text("No active alarm")
        button = page.locator('#sel [data-command="lv_on"]')
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("data-why", re.compile("link is lost"))
        requester.picture("lost-light")
        assert serious(page) == []
    finally:
        with suppress(psutil.NoSuchProcess):  # one that stands still for long is replaced by its supervisor
            console.resume()
    expect(page.locator("body:not(.lost)")).to_be_attached()
    expect(page.locator("#link-lost")).to_be_hidden()
    expect(button).to_have_attribute("aria-disabled", "false")
    requester.until(lambda: page.evaluate("document.querySelector('#utc').textContent") != seen, "its clock goes on")


def test_a_device_that_loses_its_link_is_said_to_and_returns(requester: Requester) -> None:
    page = requester.open("/devices/chiller")
    requester.demo.fault("chiller", "drop")
    expect(page.locator(".head .st")).to_contain_text("DISCONNECTED")
    expect(page.locator("td.f4").first).to_be_visible()
    requester.picture("device-disconnected-light")
    requester.demo.fault("chiller", "restore")
    expect(page.locator(".head .st")).not_to_contain_text("DISCONNECTED")


def test_a_drawing_shows_a_value_until_its_evidence_is_gone(requester: Requester) -> None:
    page = requester.open("/synoptics/test_stand")
    bath = page.locator('text a[aria-label^="Julabo chiller Bath:"], a[aria-label^="Julabo chiller Bath:"]:has(text)')
    expect(bath).to_have_text(re.compile(r"^-?\d+\.\d\d °C$"))
    expect(bath).to_have_attribute("aria-label", re.compile(r"°C, good, \d\d:\d\d:\d\d UTC$"))
    requester.demo.fault("chiller", "drop")
    expect(bath).to_have_text(re.compile("^◌ "))
    expect(bath).to_have_attribute("aria-label", re.compile("stale"))
    frame = page.locator('a[aria-label^="Julabo chiller: DISCONNECTED"]:has(rect)')
    expect(frame).to_have_attribute("aria-label", re.compile("medium priority, stale"))
    expect(frame.locator(".sy-sign.m2")).to_be_visible()
    expect(frame.locator("rect.gone")).to_be_visible()
    requester.picture("synoptic-stale-light")
    requester.demo.fault("chiller", "restore")
    expect(bath).to_have_text(re.compile(r"^-?\d"))
    bath.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/chiller#internal_temp")


def test_an_outage_is_drawn_with_its_quality_and_told_in_the_table(requester: Requester) -> None:
    page = requester.open("/trends?point=chiller.internal_temp&span=60")
    expect(page.locator(".u-over")).to_be_visible()
    requester.demo.fault("chiller", "drop")
    page.locator(".as-table").click()
    expect(page.locator(".plot .lg td.stale", has_text="stale").first).to_be_visible()
    page.locator(".as-table").click()
    requester.picture("trend-outage-light")
    requester.demo.fault("chiller", "restore")
    page.locator(".as-table").click()
    expect(page.locator(".plot .lg tbody tr").first).not_to_contain_text("stale")
    page.reload()
    page.locator(".as-table").click()
    expect(page.locator(".plot .lg td.stale", has_text="stale").first).to_be_visible()
    page.locator(".as-table").click()
    expect(page.locator(".u-over")).to_be_visible()
    requester.picture("trend-outage-over-light")


def test_the_keyboard_is_enough(requester: Requester) -> None:
    page = requester.open("/devices/caen#0.lv_vMon")
    page.locator('td[data-p="caen.0.lv_vMon"]').focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#sel-title")).to_have_text("Channel 1 · middle")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(page.locator("td.cur")).to_have_attribute("data-p", "caen.0.lv_iMon")
    page.keyboard.press("/")
    expect(page.locator("#finder")).to_be_visible()
    page.keyboard.type("marta pt06")
    expect(page.locator("#finder li").first).to_contain_text("PT06_CO2")
    page.keyboard.press("Escape")
    expect(page.locator("#finder")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("events page")
    page.keyboard.press("Enter")
    page.wait_for_url("**/events")


def test_a_trend_is_picked_dragged_and_told_as_a_table(requester: Requester) -> None:
    page = requester.open("/trends")
    page.locator(".pick input").click()
    page.keyboard.type("chiller bath")
    expect(page.locator(".pick-list li").first).to_contain_text("internal_temp")
    page.keyboard.press("Enter")
    page.locator('#presets [data-seconds="600"]').click()
    expect(page.locator(".resolution")).to_contain_text("rows")
    expect(page.locator(".u-legend")).to_contain_text("Bath")
    expect(page.locator(".u-over")).to_be_visible()
    plot = page.locator(".u-over").bounding_box()
    assert plot
    y = plot["y"] + plot["height"] / 2
    page.mouse.move(plot["x"] + plot["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.999, y, steps=5)
    page.mouse.up()
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "false")
    page.locator(".as-table").click()
    expect(page.locator(".plot .lg tbody tr").first).to_be_visible()
    times = [one.inner_text() for one in page.locator(".plot .lg tbody th").all()]
    assert all(later > earlier for later, earlier in pairwise(times))
    with page.expect_download() as download:
        page.locator(".as-csv").click()
    assert download.value.suggested_filename == "chiller.internal_temp.csv"
    page.locator("#back").click()
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "true")


def test_events_are_filtered_and_come_by_themselves(requester: Requester) -> None:
    page = requester.open("/events")
    expect(page.locator("#rows tr").first).to_be_visible()
    page.locator("select[name=source]").select_option("co2")
    requester.until(lambda: page.locator("#rows tr").count() > 0, "some events")
    expect(page.locator("#rows tr", has_text="caen")).to_have_count(0)
    answer = requester.demo.command("co2", "refresh")
    assert answer.status_code == 202
    expect(page.locator("#rows tr").first).to_contain_text("efresh")
    page.locator("input[name=text]").fill("nothing like this")
    expect(page.locator("#none")).to_be_visible()


def test_a_word_about_what_went_wrong_stays_until_it_is_closed(requester: Requester) -> None:
    page = requester.open("/")
    say = "async bad => (await own('shell.js')).note('told', { bad, seconds: 0 })"
    page.evaluate(f"async bad => {{ await ({say})(bad) }}", True)
    page.evaluate(f"async bad => {{ await ({say})(bad) }}", False)
    expect(page.locator("#notes .note")).to_have_count(1)
    page.locator("#notes").get_by_role("button", name="Close").click()
    expect(page.locator("#notes .note")).to_have_count(0)


def test_numbers_look_the_same_from_the_server_and_in_the_page(requester: Requester) -> None:
    points = [Point(name="v", precision=digits) for digits in range(4)]
    points += [Point(name="v", type=Type.INT, codes={"3": "ramping"}), Point(name="v", limits=Limits(warning_low=1.5))]
    points += [Point(name="v", limits=Limits(warning_low=1.5, warning_high=3.0, alarm_high=4.0))]
    points += [Point(name="v", type=Type.BOOL), Point(name="v", unit="uA", write_low=0.0, write_high=800.0)]
    values = [None, True, False, 0, 3, -7, 0.0, -0.0004, 1450.256, 2.5e8, "text"]
    cases = [(point, value) for point in points for value in values if fits(point, value)]
    page = requester.open("/")
    shown = page.evaluate(
        "async cases => { const f = await own('format.js');"
        " return cases.map(([point, value]) => [f.value(point, value), f.limits(point), f.age(1234.5)]) }",
        [(msgspec.to_builtins(point), value) for point, value in cases],
    )
    assert shown == [[write.value(point, value), write.limits(point), write.age(1234.5)] for point, value in cases]


def fits(point: Point, value: object) -> bool:
    """Whether a point of that type has such values."""
    if point.type is Type.BOOL:
        return isinstance(value, bool) or value is None
    if isinstance(value, bool):
        return False
    return not (point.type is Type.INT and isinstance(value, float)) and not (
        point.type is Type.FLOAT and isinstance(value, int)
    )


def test_a_logarithmic_axis_tells_what_it_leaves_out_and_takes_nothing_away(requester: Requester) -> None:
    page = requester.open("/")
    given = page.evaluate(
        """async () => {
          const { Trend } = await own("trend.js");
          const { Line } = await own("series.js");
          const line = new Line("p");
          [5, 0, -2, null, 8].forEach((v, k) => line.add(100 + k, v));
          const place = document.querySelector("main").appendChild(document.createElement("div"));
          const trend = new Trend(place, { log: true });
          const seen = () => [trend.plot.data[1].slice(), place.querySelector(".left-out").innerText];
          await trend.show([line], { p: { label: "p", unit: "mbar", precision: 2, limits: {} } });
          trend.draw(100, 104, 104);
          const logarithmic = seen();
          trend.setLog(false);
          return [logarithmic, seen()];
        }"""
    )
    assert given == [
        [[5, None, None, None, 8], "2 values ≤ 0 not drawn: the axis is logarithmic"],
        [[5, 0, -2, None, 8], ""],
    ]


def test_trends_have_several_plots_an_absolute_range_and_views_that_are_shared(requester: Requester) -> None:
    page = requester.open("/trends?point=chiller.internal_temp&point=co2.PT01_CO2&point2=caen.0.hv_vMon&span=600")
    expect(page.locator(".plot")).to_have_count(2)
    expect(page.locator(".plot .u-over")).to_have_count(2)
    page.locator("#add-plot").click()
    expect(page.locator(".plot")).to_have_count(3)
    page.locator(".plot .remove").last.click()
    page.locator(".plot .as-log").first.click()
    expect(page.locator(".plot .as-log").first).to_have_attribute("aria-pressed", "true")
    requester.until(lambda: "log=1" in page.url, "the address has the scale")
    fields = page.locator("#ends input")
    fields.nth(0).fill("-10min")
    fields.nth(1).fill("-20min")
    fields.nth(1).press("Enter")
    expect(page.locator("#ends .wrong")).to_contain_text("before")
    fields.nth(1).fill("now")
    fields.nth(1).press("Enter")
    expect(page.locator("#ends .wrong")).to_be_empty()
    page.locator("#yesterday").click()
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#calendar [aria-pressed=true]")).to_have_count(1)
    page.locator("#save-view").click()
    page.locator("#confirm input").fill("Cooling, last night")
    page.locator("#confirm .acts button").last.click()
    expect(page.locator("#views li")).to_have_count(1)
    page.wait_for_url("**/trends?view=Cooling%2C%20last%20night")
    link = page.url
    page.locator(".plot .as-log").first.click()
    requester.until(lambda: "view=" not in page.url, "what is drawn is no longer the saved view")
    page.evaluate("localStorage.clear()")  # as in another browser: the view is on the server
    beside = requester.open(link.removeprefix(requester.demo.url))
    expect(beside.locator(".plot")).to_have_count(2)
    expect(beside.locator(".plot .as-log").first).to_have_attribute("aria-pressed", "true")
    expect(beside.locator("#views a[aria-current]")).to_contain_text("Cooling, last night")
    assert serious(beside) == []
    beside.evaluate("""localStorage.setItem('trend-views', '[{"name": "of before", "query": "?point=a.b&span=60"}]')""")
    beside = requester.open("/trends")
    expect(beside.locator("#views li")).to_have_count(2)
    expect(beside.locator("#views li").last).to_contain_text("this browser")
    beside.get_by_role("button", name="Delete Cooling, last night").click()
    beside.locator("#confirm .acts button").last.click()
    expect(beside.locator("#views li")).to_have_count(1)
    requester.until(lambda: not requester.demo.get("/views")["views"], "the view is deleted")


DRAWN = """window.drawn = []; const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.drawn.push(String(text)); return write.call(this, text, ...rest) }"""


@contextmanager
def in_berlin(requester: Requester, first: str = "") -> Generator[None]:
    """The browser is in Berlin, and each page begins with this script."""
    devtools: Any = requester.page.context.new_cdp_session(requester.page)
    devtools.send("Page.enable")
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    script = devtools.send("Page.addScriptToEvaluateOnNewDocument", {"source": first})
    try:
        yield
    finally:
        devtools.send("Page.removeScriptToEvaluateOnNewDocument", script)
        devtools.send("Emulation.setTimezoneOverride", {"timezoneId": ""})
        devtools.detach()


def test_axes_follow_the_zone_that_was_chosen_also_over_the_end_of_summer_time(requester: Requester) -> None:
    with in_berlin(requester, DRAWN):
        night = "/trends?point=chiller.internal_temp&from=2026-10-24T23:30&to=2026-10-25T02:30"
        page = requester.open(night)
        fields = page.locator("#ends input")
        expect(page.locator(".u-legend .u-series").first).to_contain_text("UTC")
        expect(fields.first).to_have_value("2026-10-24 23:30:00")
        utc = {"UTC", "00:00", "01:00", "02:00"}
        requester.until(lambda: utc <= set(page.evaluate("drawn")), "the browser is in Berlin, the axis in UTC")
        page.evaluate("drawn = []")
        page.locator("#zone").click()
        expect(page.locator("#range-zone")).to_have_text("CEST → CET")
        expect(fields.first).to_have_value("2026-10-25 01:30:00")
        expect(fields.nth(1)).to_have_value("2026-10-25 03:30:00")
        berlin = {"CEST → CET", "02:00", "03:00"}
        requester.until(lambda: berlin <= set(page.evaluate("drawn")), "the axis is in Berlin too")
        assert not {"00:00", "01:00", "UTC"} & set(page.evaluate("drawn"))
        page.locator(".plot .as-table").click()
        expect(page.locator(".plot thead th").first).to_have_text("CEST → CET")
        fields.first.fill("2026-10-25 00:00")
        fields.nth(1).fill("2026-10-26 00:00")
        fields.nth(1).press("Enter")
        requester.until(lambda: "span=90000" in page.url, "that day has 25 hours")
        expect(page.locator("#calendar [aria-pressed=true]")).to_have_text("25")
        page = requester.open("/runs")
        expect(page.locator("#zone")).to_have_attribute("aria-pressed", "true")
        page = requester.open("/devices/chiller")
        requester.until(lambda: {"CET", "CEST"} & set(page.evaluate("drawn")), "the chart of the device names the zone")


def test_an_outage_of_one_line_is_a_gap_also_beside_other_lines(requester: Requester) -> None:
    page = requester.open("/trends")
    told = page.evaluate(
        """async () => { const { drawing, gapsLast } = await own('trend.js'), uPlot = await drawing();
        const one = [[0, 20, 60, 70], [2, null, 3, 3]], other = [[0, 10, 30, 40, 50, 70], [1, 1, 1, 1, 1, 1]];
        const shown = value => value === undefined ? 'held' : value;
        return gapsLast(uPlot.join([one, other])).map(column => column.map(shown)) }"""
    )
    times, one, other = told
    assert times == [0, 10, 20, 30, 40, 50, 60, 70]
    assert one == [2, "held", None, None, None, None, 3, 3]
    assert other == [1, 1, "held", 1, 1, 1, "held", 1]


def told_in_berlin(requester: Requester, script: str) -> Any:
    """What the script answers there."""
    with in_berlin(requester):
        page = requester.open("/trends")
        assert page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone") == "Europe/Berlin"
        return page.evaluate(script)


def test_marks_of_an_axis_are_whole_in_the_chosen_zone(requester: Requester) -> None:
    told = told_in_berlin(
        requester,
        """async () => { const { marks, texts } = await own('time-axis.js');
        const { chooseZone } = await own('zone.js'), said = [];
        const ask = (from, to, incr) => { const found = marks(Date.parse(from) / 1000, Date.parse(to) / 1000, incr);
            said.push(texts(found, incr).join(' ').replaceAll('\\n', '/')) };
        chooseZone(false);
        ask('2026-10-25T00:00Z', '2026-10-25T03:00Z', 3600);
        ask('2026-10-24T21:00Z', '2026-10-26T02:00Z', 6 * 3600);
        chooseZone(true);
        ask('2026-10-25T00:00Z', '2026-10-25T03:00Z', 3600);
        ask('2026-10-24T21:00Z', '2026-10-26T02:00Z', 6 * 3600);
        ask('2026-03-28T22:00Z', '2026-03-29T12:00Z', 6 * 3600);
        ask('2026-03-28T00:00Z', '2026-03-31T00:00Z', 86400);
        ask('2026-01-15T00:00Z', '2026-05-15T00:00Z', 30 * 86400);
        ask('2025-06-01T00:00Z', '2028-02-01T00:00Z', 365 * 86400);
        ask('2026-07-01T10:00:00.2Z', '2026-07-01T10:00:03Z', 1);
        return said }""",
    )
    assert told == [
        "00:00/10-25 01:00 02:00 03:00",
        "00:00/10-25 06:00 12:00 18:00 00:00/10-26",
        "02:00/10-25 02:00 03:00 04:00",
        "00:00/10-25 06:00 12:00 18:00 00:00/10-26",
        "00:00/03-29 06:00 12:00",
        "2026-03-29 2026-03-30 2026-03-31",
        "2026-02 2026-03 2026-04 2026-05",
        "2026 2027 2028",
        "12:00:01/07-01 12:00:02 12:00:03",
    ]


def test_times_that_users_write_are_of_the_chosen_zone(requester: Requester) -> None:
    told = told_in_berlin(
        requester,
        """async () => { const { parseTime, startOfDay, written } = await own('times.js');
        const { chooseZone, fromWall, onWall, zoneAt } = await own('zone.js');
        const iso = seconds => new Date(seconds * 1000).toISOString(), said = [];
        for (const local of [false, true]) { chooseZone(local);
            said.push(...['2026-07-01 12:00', '2026-07-01T12:00Z', '2026-03-29'].map(text => iso(parseTime(text, 0))),
                iso(startOfDay(parseTime('2026-03-29T12:00Z', 0), 1)), written(Date.UTC(2026, 11, 1, 23, 30) / 1000)) }
        for (let hour = 0; hour < 24 * 400; hour++) { const at = Date.UTC(2026, 0, 1, hour) / 1000, wall = onWall(at);
            const back = fromWall(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate(), wall.getUTCHours());
            if (back !== at) said.push(`${iso(at)} ${zoneAt(at)}`) }
        return [...said, ...['2026-13-01', '2026-01-01 25:00'].map(text => parseTime(text, 0))] }""",
    )
    assert told == [
        "2026-07-01T12:00:00.000Z",
        "2026-07-01T12:00:00.000Z",
        "2026-03-29T00:00:00.000Z",
        "2026-03-30T00:00:00.000Z",
        "2026-12-01 23:30:00",
        "2026-07-01T10:00:00.000Z",
        "2026-07-01T12:00:00.000Z",
        "2026-03-28T23:00:00.000Z",
        "2026-03-29T22:00:00.000Z",
        "2026-12-02 00:30:00",
        "2026-10-25T01:00:00.000Z CET",  # 02:00 is on the wall twice, the first one is meant
        None,
        None,
    ]


def test_names_of_limits_hide_no_other_name(requester: Requester) -> None:
    page = requester.open("/trends")
    places = page.evaluate(
        """async () => { const { drawLimits, limitsOf } = await own('trend-limits.js');
        const told = [], ctx = { save() {}, restore() {}, setLineDash() {}, beginPath() {}, moveTo() {}, lineTo() {},
            stroke() {}, fillRect() {}, measureText: text => ({ width: 6 * text.length }),
            fillText: (text, x, y) => told.push([text, x, y]) };
        const limits = { warning_low: 10, warning_high: 10.5, alarm_low: 9.9, alarm_high: 11 };
        const about = [{ label: 'one', limits, unit: 'V' }, { label: 'two', limits: { alarm_high: 11.2 }, unit: 'V' }];
        const plot = { ctx, bbox: { left: 0, top: 0, width: 600, height: 200 }, valToPos: v => 200 - 40 * (v - 8) };
        drawLimits(plot, limitsOf(about, true).map(mark => ({ ...mark, scale: 'V' })), () => '#000');
        return [ctx.textAlign, ...told] }"""
    )
    assert places.pop(0) == "left", "a place is the left end of a name"
    assert any("two" in text for text, _, _ in places)
    for index, (text, x, y) in enumerate(places):
        for other, x2, y2 in places[:index]:
            apart = abs(y - y2) >= 13 or x + 6 * len(text) < x2 or x2 + 6 * len(other) < x
            assert apart, (text, other)


def test_a_command_and_its_end_are_one_line_and_the_store_is_searched(requester: Requester) -> None:
    assert requester.demo.command("chiller", "refresh").status_code == 202
    page = requester.open("/events?source=chiller")
    line = page.locator("#rows tr", has_text="Refresh")
    expect(line.first).to_contain_text(re.compile(r"took \d+\.\d+ s"))
    before = line.count()
    assert requester.demo.command("chiller", "refresh").status_code == 202
    expect(line).to_have_count(before + 1)
    expect(line.first).to_contain_text("took")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/api/v1/events?" in request.url else None)
    page.locator("input[name=from]").fill("-1min")
    page.locator("input[name=text]").fill("REFRESH")
    expect(line.first).to_be_visible()
    requester.until(lambda: any("text=REFRESH" in url and "from=-1min" in url for url in sent), "the server searches")
    with page.expect_download() as download:
        page.locator('[data-export="csv"]').click()
    assert "efresh" in download.value.path().read_text()
    page.locator("input[name=from]").fill("-2h")
    page.locator("input[name=to]").fill("-1h")
    expect(page.locator("#none")).to_be_visible()


def test_the_holder_of_control_is_told_who_asks_on_every_page(requester: Requester) -> None:
    page = requester.open("/trends")
    page.evaluate(
        """async () => { const { controlRequests } = await own('control-request.js');
        const live = { trusted: false, partitions: {}, on: (kind, say) => { live.say = say } };
        document.querySelector('#asked').replaceWith(Object.assign(document.createElement('div'), { id: 'asked' }));
        controlRequests(live);
        window.asks = partitions => { live.partitions = partitions; live.say(); return document.title } }"""
    )
    sent: list[str] = []

    def answered(route: Route) -> None:
        sent.append(route.request.post_data or "")
        route.fulfill(status=202, json={"id": "1", "accepted": True})

    page.route("**/commands/hand_over", answered)
    asks = [{"by": "ben", "since_ns": 1.7e18}]
    page.evaluate("one => asks(one)", {"mCBM": {"holder": "someone", "asks": asks}})
    expect(page.locator("#asked .banner")).to_have_count(0)
    title = page.evaluate("one => asks(one)", {"mCBM": {"holder": "local", "asks": asks}})
    assert title.startswith("(ben asks)")
    banner = page.locator("#asked .banner")
    expect(banner).to_contain_text("ben asks you for control of mCBM")
    requester.picture("control-asked-light")
    banner.get_by_role("button", name="Hand over to ben").click()
    requester.until(lambda: any('"to":"ben"' in body for body in sent), "one click hands it over")


TONES = """window.tones = []; const start = AudioScheduledSourceNode.prototype.start;
AudioScheduledSourceNode.prototype.start = function (...rest) {
    const told = { state: this.context.state, ended: false, hidden: document.hidden }; window.tones.push(told);
    this.addEventListener('ended', () => { told.ended = true }); return start.apply(this, rest) }"""
ASK = """async () => { const { controlRequests } = await own('control-request.js');
    const live = { trusted: false, partitions: {}, on: (kind, say) => { live.say = say } };
    document.querySelector('#asked').replaceWith(Object.assign(document.createElement('div'), { id: 'asked' }));
    controlRequests(live); live.partitions = { mCBM: { holder: 'local', asks: [{ by: 'ben', since_ns: 1.7e18 }] } };
    live.say() }"""


def test_the_sound_of_a_request_plays_as_soon_as_the_browser_allows_it(
    requester: Requester, browser: Browser, needs: Callable[..., str]
) -> None:
    policy = "--autoplay-policy=document-user-activation-required"
    program = needs("chromium-headless-shell", "chromium")
    strict = browser.browser_type.launch(executable_path=program, args=[*FLAGS, policy])
    context = strict.new_context()
    context.add_init_script(TONES)
    context.add_init_script(OWN)
    page = context.new_page()
    devtools: Any = context.new_cdp_session(page)

    def look(script: str) -> Any:
        """What a script answers. Playwright's own `evaluate` and `expect` count as a use of the page."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": False}
        return devtools.send("Runtime.evaluate", asked)["result"].get("value")

    def played() -> bool:
        tones = look("tones")
        return len(tones) == 2 and all(one["ended"] and one["state"] == "running" for one in tones)

    def ask() -> None:
        look("tones = []")
        look(f"({ASK})()")

    for use in ("a", "", "a"):  # without a use in between: the page is loaded again and was not used yet
        page.goto(requester.demo.url + "/events")
        requester.until(lambda: look("document.body?.dataset.script") == "ready", "the page runs")
        ask()
        assert look("[tones.length, document.querySelector('.silent').hidden]") == [0, False]
        if use:
            page.keyboard.press(use)
            requester.until(played, "both tones were played to their end")
            assert look("document.querySelector('.silent').hidden")
            ask()
            requester.until(played, "a page that was used plays at once")
            context.new_page().bring_to_front()
            ask()
            requester.until(played, "a page behind another one plays too")
            page.bring_to_front()
    strict.close()


def test_the_current_of_the_high_voltage_is_seen_and_columns_are_chosen(requester: Requester) -> None:
    page = requester.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page = requester.open("/devices/caen")
    cell = page.locator('td[data-p="caen.0.hv_iMon"]')
    box, table = cell.bounding_box(), page.locator(".lg-wrap").bounding_box()
    assert box and table
    assert box["x"] + box["width"] <= table["x"] + table["width"]
    page.locator("#columns").click()
    page.locator("#confirm li", has_text="HV I").get_by_label("up").first.click()
    page.locator('#confirm input[value="lv_temp"]').uncheck()
    requester.picture("columns-light")
    with page.expect_navigation():  # the page loads again with the choice
        page.locator("#confirm .acts button").last.click()
    expect(page.locator('td[data-p="caen.0.lv_temp"]')).to_have_class(re.compile(r"\brest\b"))
    expect(page.locator('td[data-p="caen.0.lv_temp"]')).to_be_hidden()
    expect(cell).to_be_visible()
    heads = [one.get_attribute("data-column") for one in page.locator("th[data-column]").all()]
    assert heads.index("hv_iMon") < heads.index("hv_vMon")
    page.locator("#all-values").check()
    expect(page.locator('td[data-p="caen.0.lv_temp"]')).to_be_visible()


def test_several_channels_are_set_together_and_set_back(requester: Requester) -> None:
    page = requester.open("/devices/caen#0.hv_setV")
    before = requester.cell("caen.0.hv_setV")
    page.locator("#sel summary").click()
    page.locator("#sel .several input").first.check()
    dialog = page.locator("#confirm")

    def set_both() -> bool:
        page.locator("#sel input[name=value]").fill("111")
        page.locator("#sel button[type=submit]").click()
        expect(dialog).to_contain_text("2 channels")
        expect(dialog).to_contain_text("→ 111.0 V")
        return requester.command(dialog.get_by_role("button", name="Set 2 channels to 111.0 V").click, commands=2)

    def set_back() -> bool:
        back = page.get_by_role("button", name=f"Set back to {before} V")
        if back.is_visible():
            back.click()
        else:  # after an attempt that came too late it names the value of now
            page.locator("#sel input[name=value]").fill(before)
            page.locator("#sel button[type=submit]").click()
        return requester.command(dialog.get_by_role("button", name=f"Set {before} V").click)

    requester.until(set_both, "both are set")
    for channel in ("0", "1"):
        expect(page.locator(f'td[data-p="caen.{channel}.hv_setV"]')).to_have_text("111.0")
    requester.until(set_back, "one is set back")
    expect(page.locator('td[data-p="caen.0.hv_setV"]')).to_have_text(before)


def test_switching_on_says_to_which_voltage_and_how_long(requester: Requester) -> None:
    page = requester.open("/devices/caen")
    told = page.evaluate(
        """async () => { const { Model } = await own('device-model.js');
        const { data } = await own('dom.js');
        const live = { states: new Map(), points: new Map(), alive: {} };
        const model = new Model(live, data);
        return model.effects({ name: 'all_hv_on' }) }"""
    )
    assert len(told) == 3
    # The last one is off in all of these tests; one that is on may have its voltage already.
    assert re.search(r"→ \d+\.\d V, about \d+", told[-1][1])


def test_the_page_of_a_device_opens_on_what_is_wrong(requester: Requester) -> None:
    demo = requester.demo
    demo.command("caen", "lv_on", channel="2")
    requester.until(lambda: demo.reading("caen", "2.lv_vMon")["value"] > 11, "the low voltage is on")
    demo.fault("caen", "trip", channel="2", side="lv", now=True)
    page = requester.open("/devices/caen")
    expect(page.locator('tr[data-channel="2"] td.st')).to_contain_text("ERROR")
    page = requester.open("/devices/caen")
    expect(page.locator("td.cur")).to_have_attribute("data-p", re.compile(r"^caen\.2\."))
    demo.command("caen", "clear_alarms")
    expect(page.locator('tr[data-channel="2"] td.st')).to_have_text("LV OFF")


@pytest.mark.parametrize("width", [420, 768])
def test_a_narrow_screen_has_its_title_its_navigation_and_its_events(requester: Requester, width: int) -> None:
    page = requester.page
    page.set_viewport_size({"width": width, "height": 800})
    page = requester.open("/events")
    title = page.locator(".crumb h1").bounding_box()
    assert title
    assert title["width"] > 40
    row = page.locator("#rows tr").first
    expect(row).to_be_visible()
    assert row.evaluate("tr => [...tr.cells].every(td => td.getBoundingClientRect().right <= innerWidth)")
    if width == 420:
        expect(page.locator("#nav")).to_be_hidden()
        page.locator("#menu").click()
    page.locator("#nav a", has_text="Audit").click()
    page.wait_for_url("**/audit")


@pytest.mark.parametrize("width", [420, 768, 1280])
def test_no_table_is_scrolled_sideways_in_its_card(requester: Requester, width: int) -> None:
    page = requester.page
    page.set_viewport_size({"width": width, "height": 860})
    for path in ("/", "/devices/caen", "/devices/chiller", "/partitions/mCBM", "/rules", "/audit"):
        requester.open(path)
        assert settled(page, lambda seen: seen.evaluate(SIDEWAYS)) == [], path


def test_on_a_narrow_screen_each_value_of_a_channel_has_its_name_and_unit(requester: Requester) -> None:
    page = requester.page
    page.set_viewport_size({"width": 420, "height": 860})
    requester.open("/devices/caen")
    cell = page.locator('td[data-p="caen.0.lv_vMon"]')
    shown = cell.evaluate("td => ['::before', '::after'].map(part => getComputedStyle(td, part).content)")
    assert "LV V" in shown[0]
    assert shown[1] == '"V"'
    expect(page.locator("table.channels thead")).to_be_hidden()


def test_plots_below_each_other_have_one_time_axis_and_an_ended_line_has_no_value(requester: Requester) -> None:
    page = requester.open("/trends")
    sides, legend = page.evaluate(
        """async () => { const { Trend, inLine } = await own('trend.js');
        const { Line } = await own('series.js');
        const made = [];
        for (const [name, units, last] of [['a', ['V', 'bar'], 3], ['b', ['mbar'], null]]) {
            const place = document.createElement('div'); place.style.width = '700px'; document.body.append(place);
            const trend = new Trend(place), lines = units.map(unit => new Line(name + unit));
            for (const line of lines) {
                for (let t = 0; t < 600; t += 5) line.add(1.7e9 + t, name === 'a' ? t : 1e6 + t);
                if (last === null) line.out(1.7e9 + 601, 3) }
            const about = units.map(unit => [name + unit, { label: name, unit, precision: 1, steps: false }]);
            await trend.show(lines, Object.fromEntries(about));
            trend.draw(1.7e9, 1.7e9 + 700, 0);
            made.push(trend) }
        const frame = () => new Promise(done => setTimeout(done, 50));
        await frame(); inLine(made); await frame(); inLine(made); await frame();
        const areas = made.map(({ plot }) => plot.over.getBoundingClientRect());
        const sides = areas.map(({ left, right }) => [left, right]);
        const legend = made.map(({ plot }) => plot.root.querySelectorAll('.u-legend .u-series')[1].textContent);
        made.forEach(({ place }) => place.remove());
        return [sides, legend] }"""
    )
    assert sides[0] == sides[1]
    assert "595.0 V" in legend[0]
    assert "no value" in legend[1]


def test_on_a_narrow_screen_a_drawing_is_shown_whole_and_enlarged_by_a_button(requester: Requester) -> None:
    page = requester.page
    page.set_viewport_size({"width": 420, "height": 860})
    page = requester.open("/synoptics/test_stand")
    place, more = page.locator(".sy-place"), page.locator(".sy-more")
    width = "place => place.scrollWidth - place.clientWidth"
    expect(more).to_have_text("Enlarge")
    assert place.evaluate(width) <= 0
    cells = "cells => cells.every(td => td.getBoundingClientRect().right <= innerWidth)"
    assert page.locator("#sy-table td").evaluate_all(cells)
    more.click()
    expect(more).to_have_attribute("aria-pressed", "true")
    assert place.evaluate(width) > 0
    more.click()
    expect(more).to_have_text("Enlarge")
    assert place.evaluate(width) <= 0
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(more).to_be_hidden()


def test_the_times_of_an_axis_keep_apart(requester: Requester) -> None:
    page = requester.open("/trends")
    gaps = page.evaluate(
        """async () => { const { Trend } = await own('trend.js');
        const { Line } = await own('series.js');
        const place = document.createElement('div'); place.style.width = '700px'; document.body.append(place);
        const trend = new Trend(place), line = new Line('a'), found = [];
        for (let t = 0; t < 3600; t += 5) line.add(1.7e9 + t, t % 60);
        await trend.show([line], { a: { label: 'a', unit: 'V', steps: false } });
        for (const span of [60, 120, 300, 600, 3600]) {
            trend.draw(1.7e9, 1.7e9 + span, 0);
            await new Promise(done => setTimeout(done, 50));
            const at = trend.plot.axes[0]._splits.filter(one => one !== null).map(one => trend.plot.valToPos(one, 'x'));
            found.push(Math.min(...at.slice(1).map((x, index) => x - at[index]))) }
        place.remove(); return found }"""
    )
    assert all(gap > 60 for gap in gaps), gaps
