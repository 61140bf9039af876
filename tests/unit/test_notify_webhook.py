"""A webhook: its signature can be checked, redirects are not followed, an answer without end is ended."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countingroom.alarms.notify.http_post import http_address
from countingroom.alarms.notify.sender import Delivery, TryOutcome
from countingroom.alarms.notify.webhook import WebhookSender
from countingroom.alarms.sections.notify_channels import WebhookChannel
from countingroom.core.clock import SystemClock
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from tests.notify_servers import HttpEndpoint

MESSAGE = Notification(
    id=notification_id("first"),
    channel="pager",
    kind=NotificationKind.FIRST,
    title="Bath",
    text="Too warm.",
    alarms=(("point.chiller.bath", 3),),
    created_ns=1,
    due_ns=1,
    expires_ns=2**62,
    attempt=1,
)


@pytest.fixture
def endpoint() -> Iterator[HttpEndpoint]:
    with HttpEndpoint().running() as one:
        yield one


def send(**settings: Any) -> Delivery:
    return WebhookSender(WebhookChannel.model_validate(settings), 5.0, SystemClock()).send(MESSAGE, lambda: True)


def test_the_signature_covers_time_and_body(endpoint: HttpEndpoint, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key\n")
    assert send(address=endpoint.url, secret={"file": tmp_path / "key"}).outcome is TryOutcome.ACCEPTED
    (request,) = endpoint.requests
    time_s = request.headers["x-countingroom-timestamp"]
    expected = hmac.new(b"the key", time_s.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-countingroom-signature"] == f"sha256={expected}"
    told = json.loads(request.body)
    assert (told["id"], told["repeat"], told["attempt"]) == (MESSAGE.id, False, 1)
    assert told["alarms"] == [{"alarm": "point.chiller.bath", "occurrence": 3}]


def test_without_a_key_nothing_is_signed(endpoint: HttpEndpoint) -> None:
    assert send(address=endpoint.url).outcome is TryOutcome.ACCEPTED
    assert "x-countingroom-signature" not in endpoint.requests[0].headers


def test_a_redirect_is_not_followed(endpoint: HttpEndpoint) -> None:
    with HttpEndpoint().running() as other:
        endpoint.headers = {"location": other.url}
        endpoint.answer = lambda _: (307, b"")
        found = send(address=endpoint.url)
    assert found.outcome is TryOutcome.REFUSED
    assert "redirect" in found.text
    assert other.requests == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, TryOutcome.ACCEPTED),
        (204, TryOutcome.ACCEPTED),
        (400, TryOutcome.REFUSED),
        (401, TryOutcome.REFUSED),
        (408, TryOutcome.FAILED),
        (429, TryOutcome.FAILED),
        (500, TryOutcome.UNKNOWN),
        (502, TryOutcome.UNKNOWN),
    ],
)
def test_the_status_says_what_came_of_it(endpoint: HttpEndpoint, status: int, outcome: TryOutcome) -> None:
    endpoint.answer = lambda _: (status, b"")
    assert send(address=endpoint.url).outcome is outcome


def test_an_answer_without_end_is_cut(endpoint: HttpEndpoint) -> None:
    endpoint.answer = lambda _: (400, b"no \x1b[31m" + b"x" * 1_000_000)
    found = send(address=endpoint.url)
    assert found.outcome is TryOutcome.REFUSED
    assert len(found.text) < 500
    assert "\x1b" not in found.text


def test_an_address_that_is_secret_is_in_no_error(endpoint: HttpEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", f"{endpoint.url}/hook/t0ken-4711")
    endpoint.answer = lambda request: (404, f"no {request.path}".encode())
    found = send(address={"env": "PAGER"})
    assert "404" in found.text
    assert "t0ken" not in found.text
    monkeypatch.delenv("PAGER")
    assert send(address={"env": "PAGER"}).text == "the environment variable PAGER holds no secret"


@pytest.mark.parametrize(
    "text",
    ["", "ftp://x", "https://", "https://u:p@x/", "https://x:y/", "http://x/ a", "http://x/\r\nA: b", "https://ü"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert http_address(text) is None


def test_an_address_keeps_its_query() -> None:
    found = http_address("https://pager.example.org/a/b?c=1&d=%20")
    assert found is not None
    assert (found.host, found.port, found.is_encrypted, found.path) == (
        "pager.example.org",
        443,
        True,
        "/a/b?c=1&d=%20",
    )
