"""The one-time link of a message: acknowledges as its person what the message told, once, and only by a POST."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from msgspec import structs

from countingroom.alarms.notify.acknowledging import AcknowledgeLinker
from countingroom.alarms.sections.notify import NotifySection
from countingroom.core.clock import SystemClock
from countingroom.core.commands.alarms import named
from countingroom.core.errors import Cause, Denied
from countingroom.core.notify.messages import Notification, NotificationKind
from countingroom.storage.acknowledge_links import LIFETIME_NS
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.console.alarms_stage import BATH, AlarmStage, alarms_stage
from tests.console.people import ORIGIN, House, house
from tests.console.stage import stage

LOOK = "/api/v1/look_at_link"
ACT = "/api/v1/acknowledge_by_link"
PAGE = ORIGIN | {"x-countingroom": "console"}
SECTION = NotifySection.model_validate(
    {
        "console": "https://control.example",
        "channels": {
            name: {"mail": {"server": "m.example", "from": "cr@m.example", "to": f"{name}@m.example"}}
            for name in ("sam_mail", "vera_mail", "shared", "carla_mail", "gone_mail", "desk")
        },
        "people": {
            "samuel": {"channels": ["sam_mail", "shared"], "user": "sam"},
            "vera": {"channels": ["vera_mail", "shared"]},
            "carla": {"channels": ["carla_mail"]},
            "gone": {"channels": ["gone_mail"]},
        },
    }
)


def message(channel: str = "sam_mail", alarm: str = BATH, **more: Any) -> Notification:
    """A first message about one alarm."""
    told: dict[str, Any] = {
        "id": f"m-{channel}",
        "channel": channel,
        "kind": NotificationKind.FIRST,
        "title": "Bath",
        "text": "Too warm.",
        "alarms": ((alarm, 1),),
        "priorities": (2,),
        "created_ns": 0,
        "due_ns": 0,
        "expires_ns": 1,
    }
    return Notification(**(told | more))


class Night:
    """A console with a login, the alarm department played, and links as messages carry them."""

    def __init__(self, alarms: AlarmStage, home: House, linker: AcknowledgeLinker) -> None:
        self.alarms = alarms
        self.home = home
        self.linker = linker

    async def token(self, sent: Notification) -> str:
        """The secret in the message that goes out."""
        link = (await self.linker.linked(sent)).links[0]
        address, _, token = link.address.partition("#")
        assert address == "https://control.example/acknowledge"
        return token

    def page(self) -> httpx.AsyncClient:
        """A browser without a login."""
        return self.home.client(PAGE)


@pytest.fixture
async def night() -> AsyncGenerator[Night]:
    async with stage(SystemClock()) as here, alarms_stage(here) as alarms, house(here) as home:
        await alarms.publish(alarms.alarm(BATH, device="chiller", title="Bath"), alarms.alarm("point.caen.a"))
        writer = await home.database.alarms.take_over("test")
        directory = SECTION.spec().directory
        yield Night(alarms, home, AcknowledgeLinker(SECTION, directory, home.database.notifications, writer))


async def test_a_link_acknowledges_once_as_its_person_what_the_message_told(night: Night) -> None:
    token, page = await night.token(message()), night.page()
    for _ in range(2):  # to look changes nothing
        seen = (await page.post(LOOK, json={"token": token})).json()
        assert (seen["user"], seen["alarms"][0]["now"]["shown"]) == ("sam", "unacknowledged")
    answer = await page.post(ACT, json={"token": token})
    assert (answer.status_code, answer.json()["outcome"]["kind"]) == (200, "done"), answer.text
    ((user, command),) = night.alarms.commands
    assert (user, command.action, named(str(command.arguments["alarms"]))) == ("sam", "acknowledge", {BATH: (1, 2)})
    assert command.arguments["comment"] == "by the link in a message"
    again = await page.post(ACT, json={"token": token})
    assert (again.status_code, again.json()["cause"]["code"]) == (403, "link_void")
    assert "used before" in again.json()["cause"]["message"]
    assert "log in" in again.json()["cause"]["suggestion"]
    assert (await page.post(LOOK, json={"token": token})).status_code == 403
    assert len(night.alarms.commands) == 1
    record = [one for one in await night.home.record() if one.what == "acknowledge_by_link"]
    assert [(one.who, one.outcome) for one in record] == [("", "refused"), ("sam", "accepted")]
    assert record[1].arguments["alarms"] == f"{BATH} (1, 2)"
    assert token not in repr(await night.home.record())


async def test_opening_the_page_does_nothing(night: Night) -> None:
    token = await night.token(message())
    for name in ("/acknowledge", ACT, LOOK):
        answer = await night.page().get(f"{name}?token={token}")
        assert answer.status_code == (200 if name == "/acknowledge" else 405), name
    assert night.alarms.commands == []
    assert (await night.page().post(LOOK, json={"token": token})).status_code == 200


async def test_another_occurrence_is_refused_in_the_words_of_the_department(night: Night) -> None:
    token, page = await night.token(message()), night.page()
    night.alarms.refuse = Cause(code="another_occurrence", message="it happened again", suggestion="look at it again")
    for _ in range(2):  # nothing was acknowledged, so the link is not used up
        answer = await page.post(ACT, json={"token": token})
        assert (answer.status_code, answer.json()["cause"]["message"]) == (409, "it happened again")


async def test_the_rights_are_those_of_the_account(night: Night) -> None:
    page = night.page()
    answer = await page.post(ACT, json={"token": await night.token(message("vera_mail"))})
    assert (answer.status_code, answer.json()["cause"]["code"]) == (403, "denied"), answer.text
    token = await night.token(message("carla_mail", "point.caen.a"))
    assert (await page.post(ACT, json={"token": token})).status_code == 200
    assert [user for user, _ in night.alarms.commands] == ["carla"]
    token = await night.token(message())
    await night.home.database.users.disable("sam", True, "test")
    refused = (await page.post(ACT, json={"token": token})).json()["cause"]
    assert (refused["code"], refused["message"]) == ("link_void", "the account sam is disabled")


async def test_a_page_of_another_site_and_a_guess_are_refused(night: Night) -> None:
    token = await night.token(message())
    without_header = await night.home.client(ORIGIN).post(ACT, json={"token": token})
    assert (without_header.status_code, without_header.json()["cause"]["code"]) == (403, "no_token")
    page = night.page()
    answers = [await page.post(ACT, json={"token": f"guess{number}"}) for number in range(22)]
    assert "not known" in answers[0].json()["cause"]["message"]
    later = {one.status_code for one in answers[20:]}  # one that was slow to come may be let through again
    assert 429 in later and later <= {403, 429}
    assert (await page.post(LOOK, json={"token": token})).status_code == 200  # a valid one is not hindered
    assert night.alarms.commands == []


async def test_a_message_has_a_link_only_where_it_can_acknowledge(night: Night) -> None:
    for sent in (
        message("desk"),  # of no person
        message("shared"),  # of two persons
        message("gone_mail"),  # without an account
        message(kind=NotificationKind.FOLLOW_UP),
        message(kind=NotificationKind.RULE, alarms=(), priorities=()),
        message(priorities=()),  # planned by an earlier version
    ):
        assert await night.linker.linked(sent) == sent
    nowhere = SECTION.model_copy(update={"console": ""})
    writer = await night.home.database.alarms.take_over("test")
    linker = AcknowledgeLinker(nowhere, nowhere.spec().directory, night.home.database.notifications, writer)
    assert await linker.linked(message()) == message()


async def test_the_links_of_all_tries_of_a_message_are_used_up_together_and_end_after_a_day() -> None:
    clock = FakeClock()
    database = Database("sqlite://", clock=clock)
    await database.open()
    try:
        await database.users.create("sam", "test")
        writer = await database.alarms.take_over("test")
        links = database.acknowledge_links
        sent = structs.replace(message(), created_ns=clock.now_ns())
        first, second = [await database.notifications.issue_link(writer, sent, "sam") for _ in range(2)]
        assert first is not None
        assert second is not None
        found, _ = await links.use(first)
        with pytest.raises(Denied, match="used before"):
            await links.look(second)
        assert await database.notifications.issue_link(writer, sent, "sam") is None
        await links.give_back(found)
        assert (await links.look(second))[0].alarms == {BATH: (1, 2)}
        await clock.advance(LIFETIME_NS / 1e9)
        with pytest.raises(Denied, match="expired"):
            await links.use(second)
    finally:
        await database.close()
