"""A shifter brings a partition up, takes a run and finds it in the book, seeing before each step what it does."""

from __future__ import annotations

import contextlib
import re
import signal

import msgspec
import psutil
import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from countingroom.console.live.viewer_limits import ViewerLimits
from tests.browser.conftest import Requester, looks_right, serious

PAGES = {
    "partition": "/partitions/mCBM",
    "runs": "/runs",
    "run": "/runs/1",
    "configurations": "/configurations?system=STS&before=beam&after=noise",
    "detectors": "/detectors",
    "overview-runs": "/",
}


def recording(requester: Requester) -> Page:
    """The page of the partition that the demo brings into recording by itself."""
    records(requester)
    return requester.open("/partitions/mCBM")


def records(requester: Requester) -> None:
    """The demo takes a run. A test that failed may have left it without one."""

    def look() -> bool:
        now = requester.demo.get("/partitions/mCBM")["partition"]
        if now["state"] == "QA_Active" and not now["goal"]:
            requester.demo.http.post("/api/v1/partitions/mCBM/start", json={"wait_s": 15})
        return now["state"] == "Recording"

    requester.until(look, "the demo records")


def big(page: Page, word: str) -> None:
    """The state at the head of the page is that. If not, what the page told of the last command says why."""
    try:
        expect(page.locator(".head > .st b")).to_have_text(word)
    except AssertionError as error:
        raise AssertionError(f"{error}\nNotes of the page: {page.locator('#notes').inner_text()}") from None


def run_number(page: Page) -> int:
    """The number of the run at the head of the page, once there is one."""
    expect(page.locator("#run")).to_have_text(re.compile(r"^\d+$"))
    return int(page.locator("#run").inner_text())


def press(requester: Requester, command: str) -> None:
    """Press a command and confirm what is shown."""
    requester.order(requester.page.locator(f'#partition-commands [data-command="{command}"]'))


@pytest.mark.timeout(300)
def test_every_page_of_run_control_opens_lives_and_is_readable(requester: Requester) -> None:
    recording(requester)
    looks_right(requester, PAGES)


def test_every_page_tells_which_partition_takes_a_run(requester: Requester) -> None:
    page = recording(requester)
    run = str(run_number(page))
    for path in ("/events", "/devices/chiller"):
        page = requester.open(path)
        expect(page.locator("#front")).to_contain_text("mCBM")
        expect(page.locator("#front b")).to_have_text("Recording")
        expect(page.locator("#front-run b")).to_have_text(run)
    page = requester.open("/partitions/lab")
    expect(page.locator("#front i")).to_have_text("lab")
    expect(page.locator("#front-run")).to_be_hidden()


def test_what_may_not_be_done_now_says_why(requester: Requester) -> None:
    page = recording(requester)
    start = page.locator('#partition-commands [data-command="start"]')
    expect(start).to_have_attribute("aria-disabled", "true")
    start.focus()
    expect(page.locator("#tip")).to_be_visible()
    assert len(page.locator("#tip").inner_text()) > 10


def test_a_page_whose_live_feed_is_refused_says_so_and_stops_a_run(requester: Requester) -> None:
    records(requester)
    feed = requester.demo.url.replace("http", "ws", 1) + "/api/v1/live"
    with contextlib.ExitStack() as stack:
        for _ in range(ViewerLimits().user + 1):
            with contextlib.suppress(ConnectionClosed):  # the last one is refused
                stack.enter_context(connect(feed)).send('{"watch": {"points": false}}')
        page = requester.open("/partitions/mCBM")
        banner = page.locator("#link-lost")
        expect(banner).to_contain_text("The live feed was refused: local has 32 live pages open")
        press(requester, "stop")
        expect(page.locator("#notes")).to_contain_text("done")
        big(page, "QA Active")
        expect(banner).to_be_visible()
    expect(banner).to_be_hidden()
    press(requester, "start")
    big(page, "Recording")


def test_stop_and_abort_are_sent_from_a_page_without_any_link(requester: Requester) -> None:
    page = recording(requester)
    requester.lose_feed()
    page.reload()
    page.wait_for_selector("body.lost")
    expect(page.locator('#partition-commands [data-command="configure"]')).to_have_attribute("aria-disabled", "true")
    press(requester, "stop")
    requester.until(lambda: not requester.demo.get("/partitions/mCBM")["partition"]["run"], "the run is stopped")
    answer = requester.demo.http.post("/api/v1/partitions/mCBM/start", json={"wait_s": 30})
    assert answer.status_code == 200, answer.text


def test_a_run_is_stopped_from_its_card_on_a_page_without_any_link(requester: Requester) -> None:
    recording(requester)
    page = requester.page
    requester.lose_feed()
    page.goto(requester.demo.url + "/")
    page.wait_for_selector("body[data-script=ready].lost")
    card = page.locator('.pcard[data-partition="mCBM"]')
    expect(card.locator('[data-command="abort"]')).to_have_attribute("aria-disabled", "false")
    card.locator('[data-command="stop"]').click()
    expect(page.locator("#plan")).to_contain_text("the state shown here is")
    page.locator("#plan .acts button").last.click()
    requester.until(lambda: not requester.demo.get("/partitions/mCBM")["partition"]["run"], "the run is stopped")
    answer = requester.demo.http.post("/api/v1/partitions/mCBM/start", json={"wait_s": 30})
    assert answer.status_code == 200, answer.text


def test_a_run_is_stopped_and_the_next_one_taken_and_both_are_in_the_book(requester: Requester) -> None:
    page = recording(requester)
    first = run_number(page)
    beside = requester.page.context.new_page()
    beside.goto(requester.demo.url + "/runs")
    expect(beside.locator("#rows tr").first).to_contain_text("running")
    stages = page.locator("#plan .stages")

    def shows_the_plan() -> None:
        expect(stages).to_contain_text("QA")
        requester.picture("plan-light")

    def comments() -> None:
        page.locator('#plan input[name="comment"]').fill("after <b>lunch</b>")
        expect(stages).to_contain_text("start")

    requester.order(page.locator('#partition-commands [data-command="stop"]'), shows_the_plan)
    big(page, "QA Active")
    expect(beside.locator("#rows tr").first).to_contain_text("stopped by local")
    beside.close()
    requester.order(page.locator('#partition-commands [data-command="start"]'), comments)
    big(page, "Recording")
    expect(page.locator("#run")).not_to_have_text(str(first))
    second = run_number(page)
    assert second > first
    expect(page.locator("#rate")).to_have_text(re.compile(r"^[\d.]+ k?Hz$"))
    page = requester.open("/runs")
    rows = page.locator("#rows tr")
    expect(rows.nth(0)).to_contain_text("running")
    expect(rows.nth(0)).to_contain_text(str(second))
    expect(rows.nth(1)).to_contain_text("stopped by local")
    page = requester.open(f"/runs/{second}")
    expect(page.locator("#run-notes")).to_contain_text("after <b>lunch</b>")


def test_a_run_is_commented_and_judged(requester: Requester) -> None:
    recording(requester)
    page = requester.open("/runs/1")
    page.locator("#comment textarea").fill("beam was <i>lost</i> twice")
    with page.expect_navigation():
        page.get_by_role("button", name="Add comment").click()
    expect(page.locator("#run-notes")).to_contain_text("beam was <i>lost</i> twice")
    page.wait_for_selector("body[data-script=ready]")  # before, the browser itself would send the form
    page.locator("#flag select").select_option("bad")
    with page.expect_navigation():
        page.get_by_role("button", name="Judge").click()
    expect(page.locator("#quality")).to_have_text("bad")
    page = requester.open("/runs?quality=bad")
    expect(page.locator("#rows")).to_contain_text("bad")


def test_a_system_in_error_is_shown_as_it_is_and_reset(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    answer = requester.demo.http.post(
        "/api/v1/systems/MUCH/commands/error", json={"arguments": {"message": "gas is <b>low</b>"}}
    )
    assert answer.status_code == 202, answer.text
    row = page.locator('tr[data-system="MUCH"]')
    expect(row).to_contain_text("gas is <b>low</b>")
    expect(row).to_have_class(re.compile("f1"))
    expect(page.locator("#cause")).to_contain_text("MUCH")
    expect(page.locator(".alarmbar")).to_contain_text("lab / MUCH")
    requester.picture("partition-error-light")
    reset = page.get_by_role("button", name="Reset MUCH").first
    requester.until(lambda: requester.command(reset.click), "the reset comes in time")
    expect(row).not_to_contain_text("gas is")


def test_a_partition_is_brought_up_level_by_level_and_taken_down(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    big(page, "Idle")
    press(requester, "configure")
    big(page, "TFC Active")
    press(requester, "abort")
    big(page, "Idle")


def test_a_way_that_was_shown_is_not_sent_when_the_partition_has_moved_since(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    big(page, "Idle")
    page.locator('#partition-commands [data-command="configure"]').click()
    expect(page.locator("#plan .stages")).to_contain_text("TFC")
    answer = requester.demo.http.post("/api/v1/partitions/lab/commands/configure", json={})
    assert answer.status_code == 202, answer.text
    expect(page.locator("#plan .wrong").last).to_contain_text("It is")
    expect(page.locator("#plan .acts button").last).to_be_disabled()
    page.keyboard.press("Escape")
    big(page, "TFC Active")
    press(requester, "abort")
    big(page, "Idle")


def test_a_system_is_taken_out_after_it_was_confirmed_only(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    row = page.locator('tr[data-system="MUCH"]')
    row.locator('[data-command="exclude"]').click()
    expect(page.locator("#confirm")).to_contain_text("Exclude MUCH?")
    expect(page.locator("#confirm")).to_contain_text("no run")
    page.keyboard.press("Escape")
    expect(page.locator("#included")).to_contain_text("0 excluded")
    for command, told in (("exclude", "1 excluded"), ("include", "0 excluded")):
        requester.order(row.locator(f'[data-command="{command}"]'))
        expect(page.locator("#included")).to_contain_text(told)


def test_a_selection_says_which_systems_configuring_will_touch(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    page.locator('#partition-commands [data-command="select"]').click()
    preview = page.locator("#confirm .preview")
    expect(preview).to_contain_text("Configure will touch")
    page.locator('#confirm select[name="system"]').select_option("MUCH")
    expect(preview).to_have_text("Configure will touch MUCH and what is above it: DCS, FLES, QA.")
    page.keyboard.press("Escape")


def test_parameters_are_changed_in_place_during_a_run_after_that_was_confirmed(requester: Requester) -> None:
    page = recording(requester)
    button = page.locator('#partition-commands [data-command="reconfigure"]')
    expect(button).to_have_attribute("aria-disabled", "true")
    parameters = requester.demo.get("/configurations/RICH/beam")["parameters"]
    shown = parameters["threshold_mv"]
    changed = msgspec.json.encode({**parameters, "threshold_mv": shown + 1}).decode()
    saved = {"system": "RICH", "tag": "beam", "parameters": changed}
    answer = requester.demo.http.post(
        "/api/v1/experiment/commands/save_configuration", json={"arguments": saved, "wait_s": 20}
    )
    assert answer.status_code == 200, answer.text
    expect(button).to_have_attribute("aria-disabled", "false")

    def says_that_conditions_change() -> None:
        dialog = page.locator("#plan")
        expect(dialog.locator(".stages")).to_contain_text("RICH")
        expect(dialog).to_contain_text("in place")
        go = dialog.locator(".acts button").last
        expect(go).to_be_disabled()
        requester.picture("partition-reconfigure-light")
        dialog.locator('input[name="while_recording"]').check()
        expect(go).to_be_enabled()

    requester.order(button, says_that_conditions_change)
    expect(page.locator("#notes")).to_contain_text("done")
    big(page, "Recording")
    expect(button).to_have_attribute("aria-disabled", "true")
    run = requester.demo.get("/partitions/mCBM")["partition"]["run"]
    page = requester.open(f"/runs/{run}")
    expect(page.locator("body")).to_contain_text(f"reconfigured, beam: threshold_mv {shown} → {shown + 1}")
    requester.picture("run-reconfigured-light")
    page = requester.open("/partitions/lab")
    expect(page.locator('#partition-commands [data-command="reconfigure"]')).to_be_hidden()


def test_rows_are_walked_with_the_arrows_and_opened_with_enter(requester: Requester) -> None:
    page = recording(requester)
    page.locator('tr[data-system="TFC"] [data-command="exclude"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator('tr[data-system="FLES"] [data-command="exclude"]')).to_be_focused()
    page = requester.open("/runs")
    page.locator('[aria-label="Table of runs"]').focus()
    page.keyboard.press("ArrowDown")
    number = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{number}")
    page.go_back()
    page.wait_for_selector("body[data-script=ready]:not(.lost)")


def test_what_nobody_looks_after_is_shown_as_last_words_until_it_is_owned_again(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    control = next(
        one
        for one in psutil.Process(requester.demo.process.pid).children(recursive=True)
        if {"serve", "runs"} <= set(one.cmdline())
    )
    configure = page.locator('#partition-commands [data-command="configure"]')
    expect(configure).to_have_attribute("aria-disabled", "false")
    control.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator("#cause")).to_contain_text("No owner since")
        expect(page.locator(".head > .st")).to_have_class(re.compile("s-no_link"))
        expect(configure).to_have_attribute("data-why", re.compile("^No owner since"))
        requester.picture("partition-gone-light")
        page = requester.open("/")
        card = page.locator('.pcard[data-partition="lab"]')
        expect(card).to_have_class(re.compile("lost"))
        expect(card.locator(".gone")).to_contain_text("No owner since")
        requester.picture("overview-gone-light")
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that stands still for long is replaced by its supervisor
            control.send_signal(signal.SIGCONT)
    expect(card).not_to_have_class(re.compile("lost"))
    expect(card.locator(".gone")).to_be_hidden()
    page = requester.open("/partitions/lab")
    expect(page.locator('#partition-commands [data-command="configure"]')).to_have_attribute("aria-disabled", "false")


def test_control_is_taken_and_given_up(requester: Requester) -> None:
    page = requester.open("/partitions/lab")
    if page.locator("#holder").inner_text() == "local":
        page.get_by_role("button", name="Release").click()
    page.get_by_role("button", name="Take control").click()
    expect(page.locator("#holder")).to_have_text("local")
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#holder")).to_have_text("no user")


def test_what_the_server_put_on_the_page_is_disabled_with_the_link(requester: Requester) -> None:
    requester.loses_link = True
    page = requester.open("/configurations?system=MUCH&tag=lab")
    save = page.get_by_role("button", name="Save…")
    expect(save).to_have_attribute("aria-disabled", "false")
    console = requester.demo.role("console")
    console.suspend()
    try:
        expect(save).to_have_attribute("data-why", re.compile("link is lost"))
        page.locator('#edit [name="comment"]').press("Enter")
        assert not page.locator("#confirm").is_visible()
    finally:
        console.resume()
    expect(save).to_have_attribute("aria-disabled", "false")


def test_detectors_are_moved_together(requester: Requester) -> None:
    page = requester.open("/detectors")
    move = page.get_by_role("button", name="Move…", exact=True)
    expect(move).to_have_attribute("data-why", re.compile("^Choose detectors"))
    page.locator('#detectors input[value="PSD"]').check()
    expect(move).to_have_attribute("aria-disabled", "false")
    page.locator('#move select[name="to"]').select_option("lab")
    page.get_by_role("button", name="Move…", exact=True).click()
    preview = page.locator("#confirm .preview")
    expect(preview).to_contain_text("Joins, aborted: PSD.")
    expect(preview).to_contain_text("The selected tag lab does not fit")
    with page.expect_navigation():
        page.locator("#confirm .acts button").last.click()
    requester.until(lambda: "PSD" in str(members(requester, "lab")), "PSD is in lab")
    assert requester.demo.get("/partitions")["unmapped"] == []


def members(requester: Requester, partition: str) -> list[str]:
    return [one["system"] for one in requester.demo.get(f"/partitions/{partition}")["partition"]["members"]]


def test_a_configuration_is_changed_by_a_new_revision(requester: Requester) -> None:
    page = requester.open("/configurations?system=MUCH&tag=lab")
    before = msgspec.json.decode(page.locator('[name="parameters"]').input_value())
    page.locator('[name="parameters"]').fill(msgspec.json.encode(before | {"gain": 3}).decode())
    page.get_by_role("button", name="Save…").click()
    expect(page.locator("#confirm")).to_contain_text("gain: – → 3")
    with page.expect_navigation():
        page.locator("#confirm .acts button").last.click()
    expect(page.locator('section[aria-label="Revisions"] tbody tr').first).to_contain_text("2")
    page.get_by_role("button", name="Compare A and B").click()
    page.wait_for_selector("body[data-script=ready]:not(.lost)")
    assert {"from=1", "to=2"} <= set(page.url.partition("#")[0].split("&"))
    expect(page.locator("#difference tr.differs")).to_contain_text("gain")
    page.get_by_role("link", name="Unified").click()
    page.wait_for_selector("body[data-script=ready]:not(.lost)")
    expect(page.locator("#difference .plus")).to_contain_text("gain: 3")
    requester.picture("revisions-light")
    assert serious(page) == []


def test_two_runs_are_compared_and_the_trend_of_a_run_is_on_its_page(requester: Requester) -> None:
    page = recording(requester)
    press(requester, "stop")
    big(page, "QA Active")
    press(requester, "start")
    big(page, "Recording")
    press(requester, "stop")
    big(page, "QA Active")
    page = requester.open("/runs/1")
    expect(page.locator("#trend .u-over")).to_be_visible()
    expect(page.locator("#trend-told")).not_to_be_empty()
    requester.picture("run-trend-light")
    page = requester.open("/runs")
    button = page.locator("#compare-two")
    expect(button).to_have_attribute("aria-disabled", "true")
    for number in (1, 2):
        page.locator(f'#rows input[value="{number}"]').check()
    expect(button).to_have_attribute("aria-disabled", "false")
    button.click()
    page.wait_for_url("**/runs/compare?run=2&run=1")
    expect(page.locator("#compared")).to_contain_text("Members and configurations")
    expect(page.locator("#conditions tr").first).to_be_visible()
    expect(page.locator("#trend .u-over")).to_be_visible()
    rows = page.locator("#compared table.compare tbody tr:visible")
    before = rows.count()
    page.locator("#only").check()
    requester.until(lambda: rows.count() < before, "only what differs is shown")
    requester.picture("run-compare-light")
    assert serious(page) == []


def test_the_finder_knows_systems_runs_and_events_and_says_when_there_is_nothing(requester: Requester) -> None:
    requester.until(lambda: requester.demo.get("/runs")["runs"], "a run is in the book")
    page = requester.open("/partitions/mCBM")
    page.keyboard.press("/")
    found = page.locator("#finder li")
    page.keyboard.type("RICH")
    expect(found.filter(has_text="system of mCBM").first).to_contain_text("RICH")
    page.locator("#finder input").fill("1")
    expect(found.filter(has_text="Run 1").first).to_be_visible()
    page.locator("#finder input").fill("Recording")
    expect(found.filter(has_text="event of mCBM").first).to_be_visible()
    page.locator("#finder input").fill("nothing like this")
    expect(found).to_have_text(["Nothing is found for “nothing like this”."])
    requester.picture("finder-nothing-light")
    page.keyboard.press("Escape")


def test_the_question_mark_shows_keys_and_signs(requester: Requester) -> None:
    page = requester.open("/runs")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("beyond its alarm limit")
    assert serious(page) == []
    requester.picture("help-light")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_local_time_stands_beside_utc_for_those_who_choose_it(requester: Requester) -> None:
    requester.until(lambda: requester.demo.get("/runs")["runs"], "a run is in the book")
    page = requester.open("/runs")
    expect(page.locator("#local-now")).to_be_hidden()
    page.locator("#zone").click()
    expect(page.locator("#local-now b")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(page.locator("#rows time .local").first).to_be_visible()
    page = requester.open("/events")
    expect(page.locator("#rows time .local").first).to_be_visible()
    page.locator("#zone").click()
    expect(page.locator("#rows time .local")).to_have_count(0)


def test_the_form_of_a_schema_says_at_each_field_what_is_wrong(requester: Requester) -> None:
    page = requester.open("/configurations?system=STS&tag=beam")
    schema = {
        "required": ["fe.gain"],
        "$defs": {"volt": {"type": "number", "minimum": 0, "exclusiveMaximum": 500, "unit": "V"}},
        "properties": {
            "bias": {"$ref": "#/$defs/volt", "title": "Bias", "description": "of the sensors"},
            "fe.gain": {"type": ["integer", "null"], "multipleOf": 2},
            "fe.name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
            "tree": {"type": "object"},
        },
    }
    told = page.evaluate(
        """async schema => { const { SchemaForm } = await own('schema-form.js');
        const place = document.createElement('div'), area = document.createElement('textarea');
        area.value = '{"bias": 40}'; document.body.append(place);
        const form = new SchemaForm(place, area, schema), at = name => place.querySelector(`[name="field-${name}"]`);
        const wrong = () => Object.keys(schema.properties).map(name => place
            .querySelector(`[id="wrong-${name}"]`).textContent);
        const put = (name, value) => { at(name).value = value; at(name).dispatchEvent(new Event('input')) };
        const said = [wrong()];
        put('bias', '500'); put('fe.gain', '3'); put('fe.name', 'Ab'); said.push(wrong());
        put('bias', '50'); put('fe.gain', '4'); put('fe.name', 'ab'); said.push(wrong());
        form.refused({ causes: [{ message: 'bias: too high', evidence: { parameter: 'bias' } }] }); said.push(wrong());
        said.push([place.querySelector('legend').textContent, at('tree').disabled,
            at('bias').getAttribute('aria-invalid'), place.querySelector('.boxed b').textContent,
            form.wrong({ 'fe.gain': null }), area.value.includes('"bias": 50')]);
        place.remove();
        return said }""",
        schema,
    )
    assert told[0] == ["", "fe.gain is missing.", "", ""]
    assert told[1] == ["bias is less than 500.", "fe.gain is a multiple of 2.", "fe.name does not match ^[a-z]+$.", ""]
    assert told[2] == ["", "", "", ""]
    assert told[3] == ["bias: too high", "", "", ""]
    assert told[4] == ["fe", True, "true", "V", "", True]


def test_the_form_of_a_schema_and_the_json_say_the_same(requester: Requester) -> None:
    page = requester.open("/configurations?system=STS&tag=beam")
    expect(page.get_by_label("Revisions").locator("tbody tr").first).to_be_visible()
    schema = {
        "required": ["threshold"],
        "properties": {
            "threshold": {"type": "integer", "minimum": 1, "maximum": 100},
            "mode": {"enum": ["beam", "noise"]},
        },
    }
    told = page.evaluate(
        """async schema => { const { SchemaForm } = await own('schema-form.js');
        const place = document.createElement('div'), area = document.createElement('textarea');
        area.value = '{"threshold": 47, "other": [1]}';
        const form = new SchemaForm(place, area, schema), [first, mode] = [...place.querySelectorAll('input, select')];
        const put = (input, value) => { input.value = value; input.dispatchEvent(new Event('input')) };
        const before = first.value;
        put(first, '48'); put(mode, '"noise"');
        const json = JSON.parse(area.value), fits = form.wrong(json);
        put(first, '480');
        return [before, json, fits, form.wrong(JSON.parse(area.value)), form.wrong({})] }""",
        schema,
    )
    assert told[0] == "47"
    assert told[1] == {"threshold": 48, "other": [1], "mode": "noise"}
    assert told[2:] == ["", "threshold is at most 100.", "threshold is missing."]
