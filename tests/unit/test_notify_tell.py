"""A rule tells people through the notifier: once for each of its ids."""

from __future__ import annotations

import pytest

from countingroom.alarms.notify.notifier import Notifier
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.notify.routes import NotifySpec, Recipients
from countingroom.core.notify.texts import Wording
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox

SPEC = NotifySpec(directory=Recipients(channels=frozenset({"mail", "pager"}), people={"anna": ("mail", "pager")}))


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox(FakeClock())


def notifier(outbox: MemoryOutbox, woken: list[int]) -> Notifier:
    return Notifier(
        SPEC,
        Wording(experiment="bench"),
        outbox,
        1,
        FakeClock(),
        find=lambda _: None,
        present=(),
        stored=lambda: woken.append(1),
    )


async def test_a_message_of_a_rule_is_sent_once_to_each_channel(outbox: MemoryOutbox) -> None:
    woken: list[int] = []
    people = notifier(outbox, woken)
    for _ in range(2):
        assert await people.tell(("anna", "mail"), "Vent open", "The vent opened.", "rule.vent", id="f1") == 2
    found = [one.notification for one in outbox.entries.values()]
    assert [(one.channel, one.person, one.kind.value) for one in found] == [
        ("mail", "anna", "rule"),
        ("pager", "anna", "rule"),
    ]
    assert found[0].title == "[bench] Vent open"
    assert found[0].text == "The vent opened.\n\nSent by rule.vent.\n"
    assert await people.tell(("mail",), "Vent open", "The vent opened.", "rule.vent", id="f2") == 1
    assert len(outbox.entries) == 3
    assert len(woken) == 3


async def test_an_unknown_name_and_a_database_that_is_away_are_told(outbox: MemoryOutbox) -> None:
    people = notifier(outbox, [])
    with pytest.raises(NotFound, match="there is no channel, person or calendar ana; did you mean anna"):
        await people.tell(("ana",), "t", "t", "rule.vent", id="f1")
    outbox.is_away = True
    with pytest.raises(LinkError):
        await people.tell(("anna",), "t", "t", "rule.vent", id="f1")
