"""An experiment under `up` tells people of alarms by a real mail server and a real HTTP endpoint, over kills of its
alarm process: what the route says, none after the acknowledgement, a repeat with the same identity and its mark."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.notify_servers import HttpEndpoint, MailServer
from tests.system.running import Running, until, up
from tests.system.test_alarm_department import alarm

LINK = "device.chiller.link"
DESCRIPTION = """
experiment: {{ name: telling }}
devices:
  chiller:
    driver: julabo
    title: Chiller
    port: /dev/ttyUSB0
alarms:
  notify:
    channels:
      shift:
        mail: {{ server: 127.0.0.1, port: {mail}, encryption: none, from: cr@example.org, to: [a@example.org] }}
      pager: {{ webhook: {{ address: "http://127.0.0.1:{http}/alarms" }} }}
      expert: {{ webhook: {{ address: "http://127.0.0.1:{http}/expert" }} }}
    routes:
      all: {{ to: [shift, pager], group: 0 s, escalate: [{{ after: 4 s, to: [expert] }}] }}
    heartbeat: {{ address: "http://127.0.0.1:{http}/beat", every: 10 s }}
"""


class Stand:
    """The experiment with both servers."""

    def __init__(self, running: Running, mail: MailServer, http: HttpEndpoint) -> None:
        self.running = running
        self.mail = mail
        self.http = http

    def mails(self) -> list[Any]:
        """The mails about the lost link."""
        return [one for one in self.mail.mails if "Chiller" in one.message["Subject"]]

    def posts(self, path: str) -> list[Any]:
        """The requests about the lost link."""
        return [one for one in self.http.requests if one.path == path and b"Chiller" in one.body]

    def kill(self) -> None:
        """Kill the alarm process, and wait for the next one."""
        before = self.running.role("alarms")
        before.kill()
        until(lambda: self.running.role("alarms").pid != before.pid, "the process is started again")

    def acknowledge(self) -> None:
        body = {"alarms": {LINK: None}, "wait_s": 20}
        until(
            lambda: self.running.http.post("/api/v1/alarms/commands/acknowledge", json=body).status_code == 200,
            "the alarm is acknowledged",
        )


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("telling")
    with ExitStack() as stack:
        mail = stack.enter_context(MailServer().running())
        http = stack.enter_context(HttpEndpoint().running())
        (folder / "experiment.yaml").write_text(DESCRIPTION.format(mail=mail.port, http=http.port))
        running = stack.enter_context(up(folder / "experiment.yaml", folder / "data", "--simulate"))
        until(lambda: running.state("chiller") == "OFF", "the chiller is connected")
        yield Stand(running, mail, http)


def test_people_are_told_over_kills_until_an_acknowledgement(stand: Stand) -> None:
    stand.running.fault("chiller", "freeze")
    until(lambda: alarm(stand.running, LINK), "the lost link is an alarm")
    stand.kill()
    until(lambda: stand.mails() and stand.posts("/alarms"), "both channels tell it")
    stand.kill()
    until(lambda: stand.posts("/expert"), "it is escalated")
    stand.acknowledge()
    acknowledged_s = time.monotonic()
    stand.kill()
    until(lambda: alarm(stand.running, LINK), "it is published again")
    stand.running.fault("chiller", "restore")
    until(lambda: alarm(stand.running, LINK) is None, "it is over")
    until(lambda: len({one.message["Message-ID"] for one in stand.mails()}) == 2, "its return is told")

    asking = [one for one in stand.http.requests if b'"kind":"follow_up"' not in one.body and b"Chiller" in one.body]
    assert [one for one in asking if one.at_s > acknowledged_s] == []
    times: dict[str, list[bool]] = defaultdict(list)
    for one in stand.http.requests:
        if "idempotency-key" in one.headers:
            times[one.headers["idempotency-key"]].append("x-countingroom-repeat" in one.headers)
    assert all(all(marks[1:]) for marks in times.values()), "each repeat is marked"
    first, last = (one.message for one in (stand.mails()[0], stand.mails()[-1]))
    assert last["References"] == first["Message-ID"]


def test_a_channel_is_tested_and_the_outbox_listed(stand: Stand) -> None:
    def test(channel: str) -> dict[str, Any]:
        body = {"arguments": {"channel": channel}, "wait_s": 30}
        return stand.running.http.post("/api/v1/notifications/commands/test", json=body).json()["outcome"]

    assert test("shift")["kind"] == "done"
    sent = [one for one in stand.mail.mails if one.message["Subject"] == "Test of the channel shift"]
    assert len(sent) == 1
    stand.http.answer = lambda request: (401, b"who are you?") if request.path == "/expert" else (200, b"")
    outcome = test("expert")
    assert outcome["kind"] == "failed"
    assert "401 who are you?" in outcome["cause"]["message"]
    found = stand.running.get("/notifications")
    assert {one["channel"] for one in found["channels"]} == {"shift", "pager", "expert"}
    assert {one["state"] for one in found["ended"]} <= {"sent", "cancelled"}
    counted = 'countingroom_notifications_total{channel="shift"'
    until(lambda: counted in stand.running.http.get("/metrics").text, "the notifications are counted")


def test_the_heartbeat_reaches_the_outside(stand: Stand) -> None:
    until(lambda: [one for one in stand.http.requests if one.path == "/beat"], "a heartbeat came")
