"""The process that sends messages may be killed at any moment: none is lost, none is sent after an acknowledgement, and
one that comes twice has the same identity and a mark. Against a real mail server and a real HTTP endpoint.

The environment variable NOTIFY_KILLS gives another number of kills than the 8 of the test suite.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from countingroom.core.notify.messages import notification_id
from tests.notify_servers import HttpEndpoint, Mail, MailServer, Request

CHILD = Path(__file__).with_name("notify_child.py")
ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("NOTIFY_KILLS", "8"))
WAIT_S = 90.0
UNDER_WAY_S = 0.5
"""A message that was being handed over when the alarm was acknowledged may be accepted so much later."""


class Accepted(Struct, frozen=True, kw_only=True):
    is_marked: bool
    at_s: float


class Servers:
    """Both servers. They answer after up to 30 ms, and refuse some messages for now at their first try."""

    def __init__(self) -> None:
        self.mail = MailServer()
        self.http = HttpEndpoint()
        self.mail.data_answer = self._mail
        self.http.answer = self._http
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    def _is_refused(self, identity: str) -> bool:
        time.sleep(random.uniform(0, 0.03))
        with self._lock:
            if int(identity[:8], 16) % 40 or identity in self._refused:
                return False
            self._refused.add(identity)
            return True

    def _mail(self, mail: Mail) -> str:
        identity = str(mail.message["Message-ID"]).strip("<>").partition("@")[0]
        return "451 later" if self._is_refused(identity) else "250 OK"

    def _http(self, request: Request) -> tuple[int, bytes]:
        return (429 if self._is_refused(request.headers["idempotency-key"]) else 200), b""

    def accepted(self) -> dict[str, list[Accepted]]:
        """Identity -> each time that it was accepted, in their order."""
        found: dict[str, list[Accepted]] = defaultdict(list)
        for mail in self.mail.mails:
            identity = str(mail.message["Message-ID"]).strip("<>").partition("@")[0]
            found[identity].append(Accepted(is_marked=mail.message["X-Countingroom-Repeat"] == "yes", at_s=mail.at_s))
        for request in self.http.answered:
            headers = request.headers
            found[headers["idempotency-key"]].append(
                Accepted(is_marked=headers.get("x-countingroom-repeat") == "yes", at_s=request.at_s)
            )
        return found

    def channels(self) -> dict[str, Any]:
        plain = {"server": "127.0.0.1", "port": self.mail.port, "encryption": "none"}
        return {
            "mail": {"mail": {**plain, "from": "cr@control.example.org", "to": ["shift@example.org"]}},
            "pager": {"webhook": {"address": self.http.url}},
        }


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        both = Servers()
        stack.enter_context(both.mail.running())
        stack.enter_context(both.http.running())
        yield both


class Sender:
    """A process that plans and sends, and a thread that reads what it says and asks it to acknowledge every third."""

    def __init__(self, url: str, channels: Path, record: Record) -> None:
        self._record = record
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), url, str(channels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.ready = threading.Event()
        self.drained = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):  # it was killed
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            match line.split():
                case ["ready"]:
                    self.ready.set()
                case ["drained"]:
                    self.drained.set()
                case ["planned", number]:
                    self._record.planned.add(int(number))
                    if int(number) % 3 == 0:
                        self._record.asked.add(int(number))
                        self.say(number)
                case ["acknowledged", number]:
                    self._record.acknowledged[int(number)] = time.monotonic()
                case _:
                    raise AssertionError(line)


class Record(Struct):
    planned: set[int]
    asked: set[int]
    acknowledged: dict[int, float]


@pytest.mark.timeout(WAIT_S * 5)
def test_no_message_is_lost_or_sent_after_an_acknowledgement_over_kills(servers: Servers, tmp_path: Path) -> None:
    channels = tmp_path / "channels.json"
    channels.write_text(json.dumps(servers.channels()))
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    record = Record(set(), set(), {})
    for _ in range(KILLS):
        sender = Sender(url, channels, record)
        try:
            assert sender.ready.wait(WAIT_S)
            time.sleep(random.uniform(0.1, 1.0))
        finally:
            sender.kill()
    last = Sender(url, channels, record)
    try:
        assert last.ready.wait(WAIT_S)
        last.say("drain")
        assert last.drained.wait(WAIT_S)
    finally:
        last.kill()

    accepted = servers.accepted()
    names = {number: [notification_id(channel, number) for channel in ("mail", "pager")] for number in record.planned}
    lost = [number for number in record.planned - record.asked for id in names[number] if not accepted.get(id)]
    twice = {id: times for id, times in accepted.items() if len(times) > 1}
    late = [
        number
        for number, answered_s in record.acknowledged.items()
        for id in names[number]
        if any(one.at_s > answered_s + UNDER_WAY_S for one in accepted.get(id, ()))
    ]
    print(
        f"{KILLS} kills, {len(record.planned)} alarms, {len(record.acknowledged)} acknowledged, "
        f"{sum(map(len, accepted.values()))} messages accepted, {len(lost)} lost, {len(twice)} twice, {len(late)} late"
    )
    assert len(record.planned) > 3 * KILLS
    assert lost == []
    assert late == []
    assert [id for id, times in twice.items() if not all(one.is_marked for one in times[1:])] == []
    assert max(map(len, accepted.values())) <= KILLS + 1
