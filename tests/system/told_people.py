"""Those that an experiment tells of the lost links of its devices `c0`, `c1` …: a mail server and an HTTP endpoint."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import Any

import msgspec
from msgspec import Struct

from tests.notify_servers import HttpEndpoint, Mail, MailServer, Request

ANSWER_S = 0.3
"""A server answers after up to so long, so that many kills come between its acceptance and our record."""
CHANNELS = {"/alarms": "pager", "/expert": "expert"}


def link_of(number: int) -> str:
    """The alarm of a lost link."""
    return f"device.c{number}.link"


class Accepted(Struct, frozen=True, kw_only=True):
    """A message that a server accepted. Of a mail only the outbox knows the alarms."""

    id: str
    channel: str
    is_marked: bool
    at_s: float


class People:
    """Those that are told: both servers, slow at random."""

    def __init__(self, stack: ExitStack) -> None:
        self.mail = stack.enter_context(MailServer().running())
        self.http = stack.enter_context(HttpEndpoint().running())
        self.mail.data_answer = self._mail_answer
        self.http.answer = self._http_answer

    def _mail_answer(self, mail: Mail) -> str:
        time.sleep(random.uniform(0, ANSWER_S))
        return "250 OK"

    def _http_answer(self, request: Request) -> tuple[int, bytes]:
        time.sleep(random.uniform(0, ANSWER_S))
        return 200, b""

    def accepted(self) -> list[Accepted]:
        """In the order of time."""
        found = [
            Accepted(
                id=_identity(one),
                channel="shift",
                is_marked=one.message["X-Countingroom-Repeat"] == "yes",
                at_s=one.at_s,
            )
            for one in self.mail.mails
        ]
        for one in self.http.answered:
            headers = one.headers
            found.append(
                Accepted(
                    id=headers["idempotency-key"],
                    channel=CHANNELS[one.path],
                    is_marked=headers.get("x-countingroom-repeat") == "yes",
                    at_s=one.at_s,
                )
            )
        return sorted(found, key=lambda one: one.at_s)

    def told(self, number: int, since_s: float, *, is_over: bool) -> set[str]:
        """The channels that were told of this alarm since then: that it is there, or that it is over."""
        mails = [
            one
            for one in self.mail.mails
            if _is_about(number, f"{one.message['Subject']}{one.message.get_content()}")
            and ("Normal again" in one.message["Subject"]) is is_over
        ]
        found = {"shift"} if any(one.at_s > since_s for one in mails) else set[str]()
        posts = [one for one in self.posts(number, since_s) if (one[1]["kind"] == "follow_up") is is_over]
        return found | {channel for channel, _ in posts}

    def posts(self, number: int, since_s: float) -> list[tuple[str, dict[str, Any]]]:
        """Channel and content of each request about this alarm that was accepted since then."""
        found: list[tuple[str, dict[str, Any]]] = []
        for one in self.http.answered:
            sent = msgspec.json.decode(one.body)
            if one.at_s > since_s and link_of(number) in [of["alarm"] for of in sent["alarms"]]:
                found.append((CHANNELS[one.path], sent))
        return found


def _is_about(number: int, text: str) -> bool:
    """An engine that has just begun may not know the title of the device yet."""
    return f"Bath {number};" in text or link_of(number) in text


def _identity(mail: Mail) -> str:
    return str(mail.message["Message-ID"]).strip("<>").partition("@")[0]
