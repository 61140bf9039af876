"""The link of a message on a phone: shows the alarm, acknowledges it by a press without a login; then it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from countingroom.console.app import Login
from countingroom.console.auth.sessions import SessionLifetime
from countingroom.core.notify.messages import Notification, NotificationKind
from countingroom.core.policy import Role
from tests.browser.conftest import keep, serious, strict_page
from tests.console.alarm_console import AlarmConsole, alarm_console
from tests.console.alarms_stage import BATH, a_night
from tests.console.people import cheap

LOGIN = Login(life=SessionLifetime(idle_s=600, whole_s=3600), passwords=cheap())


@pytest.fixture(scope="module")
def console() -> Iterator[AlarmConsole]:
    """A console with a login, and the alarms of a night."""
    with alarm_console(LOGIN) as served:
        served.do(served.alarms.publish(*a_night(served.alarms)))
        yield served


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A phone without a login."""
    with strict_page(browser, 420, 800) as page:
        yield page


def link(console: AlarmConsole) -> str:
    """What a message about the bath has for sam."""
    made: list[str] = []

    async def make() -> None:
        database = console.database
        await database.users.create("sam", "test", roles={"*": Role.SHIFTER})
        writer = await database.alarms.take_over("test")
        message = Notification(
            id="m1",
            channel="mail",
            kind=NotificationKind.FIRST,
            title="Bath",
            text="Too warm.",
            alarms=((BATH, 1),),
            priorities=(1,),
            created_ns=0,
            due_ns=0,
            expires_ns=1,
        )
        made.append(await database.notifications.issue_link(writer, message, "sam") or "")

    console.do(make())
    return f"{console.url}/acknowledge#{made[0]}"


def test_a_link_acknowledges_at_a_press_and_is_then_used_up(console: AlarmConsole, phone: Page) -> None:
    address = link(console)
    phone.goto(address)
    place = phone.locator("#acknowledge")
    expect(place).to_contain_text("Julabo chiller / Bath")
    expect(place).to_contain_text("It is not acknowledged.")
    keep(phone, "acknowledge-420")
    assert serious(phone) == []
    assert console.alarms.commands == []
    phone.get_by_role("button", name="Acknowledge as sam").click()
    expect(phone.get_by_role("status")).to_have_text("Acknowledged.")
    assert [(user, command.action) for user, command in console.alarms.commands] == [("sam", "acknowledge")]
    phone.reload()
    expect(phone.get_by_role("alert")).to_contain_text("used before")
    expect(phone.get_by_role("alert")).to_contain_text("log in")
    expect(phone.get_by_role("button")).to_have_count(0)
    assert serious(phone) == []
    phone.get_by_role("link", name="To the page of alarms").click()
    phone.wait_for_url(re.compile("/login"))
    assert len(console.alarms.commands) == 1


def test_a_link_that_is_not_known_says_what_to_do(console: AlarmConsole, phone: Page) -> None:
    phone.goto(f"{console.url}/acknowledge#nothing")
    expect(phone.get_by_role("alert")).to_contain_text("not known")
    expect(phone.get_by_role("alert")).to_contain_text("log in")
