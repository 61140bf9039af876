"""A message that its channel could not send goes another way, and never round and round."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.core.notify.elsewhere import elsewhere
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from countingroom.core.notify.routes import Escalation, NotifyRoute, NotifySpec, Recipients

S = 1_000_000_000
MESSAGE = Notification(
    id=notification_id("first"),
    channel="mail",
    kind=NotificationKind.FIRST,
    route="cooling",
    title="Bath",
    text="Too warm.\n",
    alarms=(("point.chiller.bath", 3),),
    thread_id="x",
    created_ns=10 * S,
    due_ns=10 * S,
    expires_ns=3610 * S,
    attempt=4,
    is_repeat=True,
)
DIRECTORY = Recipients(
    channels=frozenset(("mail", "pager", "phone", "chat", "late")),
    people={"anna": ("mail", "chat"), "ben": ("pager",), "cara": ("phone",)},
)


def spec(to: tuple[str, ...] = ("mail",), *steps: str) -> NotifySpec:
    escalate = tuple(Escalation(after_ns=(n + 1) * S, to=(step,)) for n, step in enumerate(steps))
    routes = (NotifyRoute(name="cooling", to=to, escalate=escalate), NotifyRoute(name="rest", to=("cara",)))
    return NotifySpec(routes={one.name: one for one in routes}, directory=DIRECTORY)


def ways(message: Notification, of: NotifySpec) -> list[str]:
    """The channels that are tried one after the other, where each of them fails."""
    found: list[str] = []
    waiting = [message]
    while waiting:
        for one in elsewhere(waiting.pop(0), "550 no such user", of, 100 * S):
            found.append(one.channel)
            waiting.append(one)
        assert len(found) < 20
    return found


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (spec(("mail",), "ben", "phone"), ["pager", "phone"]),
        (spec(("mail",), "mail", "ben"), ["pager", "phone"]),
        (spec(("mail",)), ["phone"]),
        (spec(("anna",)), []),
        (spec(("mail", "pager")), []),
        (spec(("mail", "pager"), "pager"), []),
        (NotifySpec(), []),
    ],
    ids=[
        "the escalation",
        "not the same",
        "another route",
        "told by chat",
        "told by pager",
        "told already",
        "no route",
    ],
)
def test_the_next_way_is_the_escalation_then_another_route(of: NotifySpec, expected: list[str]) -> None:
    assert ways(MESSAGE, of) == expected


def test_it_says_why_it_comes_this_way_and_is_a_message_of_its_own() -> None:
    (one,) = elsewhere(MESSAGE, "550 no such user", spec(("mail",), "ben"), 100 * S)
    assert one.text == "Too warm.\n\nThe channel mail could not send this: 550 no such user\n"
    assert (one.person, one.failed_channels, one.thread_id) == ("ben", ("mail",), "")
    assert (one.due_ns, one.expires_ns, one.attempt, one.is_repeat) == (100 * S, 3700 * S, 0, False)
    assert one.alarms == MESSAGE.alarms
    again = elsewhere(MESSAGE, "other words", spec(("mail",), "ben"), 200 * S)
    assert [one.id for one in again] == [one.id]


@pytest.mark.parametrize("kind", [NotificationKind.FOLLOW_UP, NotificationKind.RULE, NotificationKind.TEST])
def test_what_asks_for_no_acknowledgement_is_not_sent_another_way(kind: NotificationKind) -> None:
    assert elsewhere(structs.replace(MESSAGE, kind=kind), "", spec(("mail",), "ben"), 100 * S) == ()
