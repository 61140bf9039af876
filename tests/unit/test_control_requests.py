"""The holder of control is told who asks, until the holder changes."""

from __future__ import annotations

from countingroom.console.present.control_requests import ControlRequests
from countingroom.core.messages import Event, EventKind
from countingroom.core.policy import Control

S = 1_000_000_000
ANNA = Control(holder="anna", token=3, until_ns=10_000 * S)


def asked(by: str, at_s: int, kind: EventKind = EventKind.DONE, action: str = "request_control") -> Event:
    return Event(
        id=f"{by}{at_s}",
        kind=kind,
        time_ns=at_s * S,
        department="runs",
        source="mCBM",
        message="",
        principal=by,
        action=action,
    )


def names(requests: ControlRequests, control: Control | None, at_s: int = 100) -> list[str]:
    return [one.by for one in requests.of("mCBM", control, at_s * S)]


def test_those_who_ask_are_listed_in_order_and_once() -> None:
    requests = ControlRequests()
    assert names(requests, ANNA) == []
    for event in (asked("ben", 20), asked("cid", 10), asked("ben", 30), asked("dan", 40, EventKind.COMMAND)):
        requests.take(event)
    requests.take(asked("eva", 50, action="take_control"))
    assert names(requests, ANNA) == ["cid", "ben"]
    assert requests.of("lab", ANNA, 100 * S) == []


def test_a_new_holder_or_a_free_partition_ends_them() -> None:
    requests = ControlRequests()
    names(requests, ANNA)
    requests.take(asked("ben", 20))
    requests.take(asked("cid", 21))
    assert names(requests, ANNA) == ["ben", "cid"]
    assert names(requests, Control(holder="ben", token=4, until_ns=10_000 * S)) == []
    assert names(requests, ANNA, at_s=101) == []
    requests.take(asked("ben", 102))
    assert names(requests, None) == []


def test_the_holder_and_old_requests_are_left_out() -> None:
    requests = ControlRequests()
    requests.take(asked("anna", 20))
    requests.take(asked("ben", 20))
    assert names(requests, ANNA, at_s=100) == ["ben"]
    assert names(requests, ANNA, at_s=1000) == []
