"""Every channel sends a message with the same identity at each try, marks a repeat, and says truly what came of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from countingroom.alarms.notify.line import sender_of
from countingroom.alarms.notify.sender import Sender, TryOutcome
from countingroom.alarms.sections.notify_channels import ChannelSection
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.clock import SystemClock
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from tests.notify_servers import HttpEndpoint, MailServer
from tests.patience import PATIENCE_S

MESSAGE = Notification(
    id=notification_id("cooling", "point.chiller.bath", 3, "first"),
    channel="one",
    kind=NotificationKind.FIRST,
    route="cooling",
    title="Chiller / Bath: 37.5 °C\r\nBcc: evil@example.org",
    text="Bath 37.5 °C is above 35.0 °C.\r\n.\r\nRCPT TO:<evil@example.org>\nFill it.",
    priority=2,
    alarms=(("point.chiller.bath", 3),),
    links=(AlarmLink(title="Acknowledge", address="https://control.example.org/a/x"),),
    created_ns=1_800_000_000_000_000_000,
    due_ns=1_800_000_000_000_000_000,
    expires_ns=1_900_000_000_000_000_000,
    attempt=1,
)
SECRET = "s3cret-topic-4711"


class Got(Struct, frozen=True, kw_only=True):
    """A message as it arrived."""

    identity: str
    is_marked: bool
    text: str


class Channel:
    """A channel with the server at its other end."""

    can_refuse = True
    """Whether it tells a refusal for good from a failure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0

    def section(self) -> dict[str, Any]:
        raise NotImplementedError

    def running(self) -> Any:
        raise NotImplementedError

    def got(self) -> list[Got]:
        raise NotImplementedError

    def refuse(self, *, for_good: bool) -> None:
        raise NotImplementedError

    def lose_answer(self) -> None:
        """Take the message and close the line."""
        raise NotImplementedError

    def hang(self, seconds: float) -> threading.Event:
        """Take the message and say nothing. The event is set as soon as it is taken."""
        raise NotImplementedError

    def secret(self) -> dict[str, str]:
        path = self.folder / "secret"
        path.write_text(self.secret_text() + "\n")
        return {"file": str(path)}

    def secret_text(self) -> str:
        return SECRET

    def sender(self, timeout_s: float = 5.0) -> Sender:
        return sender_of(ChannelSection.model_validate({**self.section(), "timeout": timeout_s}), SystemClock())


class MailOne(Channel):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = MailServer()

    def section(self) -> dict[str, Any]:
        return {
            "mail": {
                "server": "127.0.0.1",
                "port": self.port or self.server.port,
                "encryption": "none",
                "from": "cr@control.example.org",
                "to": ["anna@example.org", "ben@example.org"],
            }
        }

    def running(self) -> Any:
        return self.server.running()

    def got(self) -> list[Got]:
        return [
            Got(
                identity=str(one.message["Message-ID"]),
                is_marked=one.message["X-Countingroom-Repeat"] == "yes",
                text=f"{one.message['Subject']}\n{one.message.get_content()}",
            )
            for one in self.server.mails
        ]

    def refuse(self, *, for_good: bool) -> None:
        self.server.data_answer = lambda _: f"550 no {SECRET}" if for_good else "451 try again later"

    def lose_answer(self) -> None:
        def answer(mail: Any) -> str:
            self.server.mails.append(mail)
            raise ConnectionResetError

        self.server.data_answer = answer

    def hang(self, seconds: float) -> threading.Event:
        taken = threading.Event()

        def answer(_: Any) -> str:
            taken.set()
            time.sleep(seconds)
            return "250 OK"

        self.server.data_answer = answer
        return taken


class HttpOne(Channel):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = HttpEndpoint()

    def running(self) -> Any:
        return self.server.running()

    def refuse(self, *, for_good: bool) -> None:
        answer = (404 if for_good else 429, f"no {SECRET}".encode())
        self.server.answer = lambda _: answer

    def lose_answer(self) -> None:
        self.server.answer = lambda _: None

    def hang(self, seconds: float) -> threading.Event:
        taken = threading.Event()

        def answer(_: Any) -> float:
            taken.set()
            return seconds

        self.server.answer = answer
        return taken


class WebhookOne(HttpOne):
    def section(self) -> dict[str, Any]:
        return {
            "webhook": {
                "address": f"http://127.0.0.1:{self.port or self.server.port}/hook?x=1",
                "secret": self.secret(),
            }
        }

    def got(self) -> list[Got]:
        return [
            Got(
                identity=one.headers["idempotency-key"],
                is_marked=one.headers.get("x-countingroom-repeat") == "yes",
                text=one.body.decode(),
            )
            for one in self.server.requests
        ]


class AppriseOne(HttpOne):
    """ntfy, as one of the services of Apprise. It has no identity of messages."""

    can_refuse = False

    def section(self) -> dict[str, Any]:
        return {"apprise": self.secret()}

    def secret_text(self) -> str:
        return f"ntfy://127.0.0.1:{self.port or self.server.port}/{SECRET}"

    def got(self) -> list[Got]:
        return [
            Got(identity="", is_marked="may be a repeat" in one.body.decode(), text=one.body.decode())
            for one in self.server.requests
        ]


@pytest.fixture(params=[MailOne, WebhookOne, AppriseOne], ids=["mail", "webhook", "apprise"])
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Channel]:
    with ExitStack() as stack:
        one: Channel = request.param(tmp_path)
        stack.enter_context(one.running())
        yield one


def wanted() -> bool:
    return True


def test_each_try_has_the_same_identity_and_a_repeat_its_mark(channel: Channel) -> None:
    sender = channel.sender()
    again = structs.replace(MESSAGE, is_repeat=True, attempt=2)
    assert [sender.send(one, wanted).outcome for one in (MESSAGE, again)] == [TryOutcome.ACCEPTED] * 2
    first, second = channel.got()
    assert first.identity == second.identity
    assert (first.is_marked, second.is_marked) == (False, True)
    for part in ("37.5", "https://control.example.org/a/x", "Fill it."):
        assert part in first.text


def test_another_message_has_another_identity(channel: Channel) -> None:
    sender = channel.sender()
    other = structs.replace(MESSAGE, id=notification_id("other"))
    assert sender.send(MESSAGE, wanted).outcome is sender.send(other, wanted).outcome is TryOutcome.ACCEPTED
    first, second = channel.got()
    assert first.identity != second.identity or not first.identity


def test_a_message_that_is_not_wanted_any_more_is_not_sent(channel: Channel) -> None:
    assert channel.sender().send(MESSAGE, lambda: False).outcome is TryOutcome.UNWANTED
    assert channel.got() == []


def test_a_refusal_for_now_is_worth_another_try(channel: Channel) -> None:
    channel.refuse(for_good=False)
    delivery = channel.sender().send(MESSAGE, wanted)
    assert delivery.outcome is (TryOutcome.FAILED if channel.can_refuse else TryOutcome.UNKNOWN)
    assert any(code in delivery.text for code in ("451", "429"))


def test_a_refusal_for_good_says_what_the_server_said_without_secrets(channel: Channel) -> None:
    channel.refuse(for_good=True)
    delivery = channel.sender().send(MESSAGE, wanted)
    assert delivery.outcome is (TryOutcome.REFUSED if channel.can_refuse else TryOutcome.UNKNOWN)
    assert any(code in delivery.text for code in ("550", "404"))
    if not isinstance(channel, MailOne):  # it has no secret here
        assert SECRET not in delivery.text


def test_a_lost_answer_means_that_it_may_have_arrived(channel: Channel) -> None:
    channel.lose_answer()
    assert channel.sender().send(MESSAGE, wanted).outcome is TryOutcome.UNKNOWN


def test_a_server_that_is_not_there_is_told_in_words(channel: Channel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        channel.port = other.getsockname()[1]
    delivery = channel.sender(2.0).send(MESSAGE, wanted)
    assert delivery.outcome is (TryOutcome.FAILED if channel.can_refuse else TryOutcome.UNKNOWN)
    assert "refused" in delivery.text or "ntfy" in delivery.text


@pytest.mark.server
@pytest.mark.parametrize("channel", [MailOne, WebhookOne], ids=["mail", "webhook"], indirect=True)
def test_a_try_ends_when_it_is_aborted(channel: Channel) -> None:
    """Apprise cannot be ended; it has a time-out for each step."""
    taken, sender = channel.hang(20.0), channel.sender(timeout_s=20.0)

    def abort() -> None:
        taken.wait(PATIENCE_S)
        sender.abort()

    aborting = threading.Thread(target=abort)
    aborting.start()
    began_s = time.monotonic()
    delivery = sender.send(MESSAGE, wanted)
    assert time.monotonic() - began_s < 15
    assert delivery.outcome is TryOutcome.UNKNOWN
    assert "no answer in time" in delivery.text
    aborting.join()
