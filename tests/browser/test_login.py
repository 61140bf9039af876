"""Login by link and by password: the user sees what the role permits, and a logout ends the session at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import keep, serious, strict_page
from tests.system.running import Running, up
from tests.warm_python import run

DESCRIPTION = """
experiment: {name: trial, title: Trial}
console: {login: local}
devices:
  chiller: {driver: julabo, port: /dev/null, title: Chiller}
"""
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A small experiment with a login."""
    place = tmp_path_factory.mktemp("login")
    (place / "experiment.yaml").write_text(DESCRIPTION)
    with up(place / "experiment.yaml", place / "data", "--simulate") as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser without a login."""
    with strict_page(browser, 1400, 900) as page:
        yield page


def first_link(site: Running) -> str:
    """The secret of the link that the command line gives."""
    description = site.data.parent / "experiment.yaml"
    said = run("user", "first", str(description), "--data", str(site.data))
    assert said.returncode == 0, said.stderr
    return said.stdout.strip().partition("#")[2]


def settle(page: Page, path: str) -> None:
    page.wait_for_url(re.compile(re.escape(path) + "$"))
    page.wait_for_selector("body[data-script=ready]")


def answered_after_the_feed_is_closed(route: Route) -> None:
    """The server closes the feed of a login that is over before its answer arrives."""
    answer = route.fetch()
    route.request.frame.page.wait_for_timeout(300)
    route.fulfill(response=answer)


def test_from_the_first_link_to_a_shifter_who_is_logged_out(site: Running, browser: Browser, page: Page) -> None:
    page.goto(site.url + "/devices/chiller")
    settle(page, "/login?next=/devices/chiller")
    keep(page, "login")
    assert serious(page) == []
    page.goto(site.url + "/link#" + first_link(site))
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Again").fill("something else")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("differ")
    page.get_by_label("Again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    settle(page, "/")
    expect(page.locator("header")).to_contain_text("admin")

    page.get_by_role("link", name="Users").click()
    settle(page, "/users")
    page.locator("#add [name=name]").fill("sam")
    page.locator("#add [name=role]").select_option("viewer")
    page.get_by_role("button", name="Add", exact=True).click()
    link = page.locator("#made code").inner_text()
    expect(page.locator("#rows")).to_contain_text("no password yet")
    keep(page, "users")
    assert serious(page) == []

    sams = browser.new_context().new_page()
    sams.goto(link)
    sams.get_by_label("New password").fill(PASSWORD)
    sams.get_by_label("Again").fill(PASSWORD)
    sams.get_by_role("button", name="Set the password").click()
    settle(sams, "/")
    sams.goto(site.url + "/devices/chiller")
    settle(sams, "/devices/chiller")
    start = sams.locator("[data-command]").first
    expect(start).to_have_attribute("aria-disabled", "true")
    expect(start).to_have_attribute("data-why", re.compile("sam is viewer"))

    page.locator("#grant [name=name]").select_option("sam")
    page.locator("#grant [name=role]").select_option("shifter")
    page.locator("#grant [name=target]").fill("device.chil*")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(sams.locator("[data-command=start]").first).not_to_have_attribute("data-why", re.compile("viewer"))

    page.get_by_role("button", name="Log out: sam").click()
    sams.wait_for_url(re.compile("/login"))
    sams.context.close()

    page.get_by_role("link", name="Audit").click()
    settle(page, "/audit")
    expect(page.locator("#rows")).to_contain_text("log_out")
    expect(page.locator("#rows")).to_contain_text("name.sam")
    keep(page, "audit")
    assert serious(page) == []


def test_a_wrong_password_is_told_and_the_right_one_leads_where_one_wanted_to_go(site: Running, page: Page) -> None:
    page.goto(site.url + "/audit")
    settle(page, "/login?next=/audit")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    settle(page, "/audit")


def test_who_logs_out_is_led_to_the_entrance_and_nowhere_else(site: Running, page: Page) -> None:
    page.goto(site.url + "/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    settle(page, "/")
    page.route("**/api/v1/logout", answered_after_the_feed_is_closed)
    page.locator("#log-out").click()
    page.wait_for_url(re.compile("/login$"))
