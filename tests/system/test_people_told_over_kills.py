"""An experiment under `up` tells people of alarms while its alarm processes are killed at random moments: all that the
routes say, escalation and follow-up too, none after an acknowledgement was answered, a repeat with the same identity
and its mark. By a real mail server and a real HTTP endpoint; some alarms are acknowledged by the link of their message.
Some kills come while the database takes nothing: another program holds its lock.

NOTIFY_KILLS gives another number of kills than the few of the test suite, NOTIFY_SEED the begin of the random numbers:
`NOTIFY_KILLS=30 pytest -s tests/system/test_people_told_over_kills.py`.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from msgspec import Struct

from tests.system.running import Running, until, up
from tests.system.test_acknowledge_link import PAGE, token_of_a_program
from tests.system.told_people import ANSWER_S, Accepted, People, link_of

KILLS = int(os.environ.get("NOTIFY_KILLS", "3"))
SEED = int(os.environ.get("NOTIFY_SEED") or random.randrange(1 << 30))
DEVICES = 5
GOOD = 0
"""A quality, as the API gives it."""
LIVED_S = 5.0
"""The longest life of an active process after it has begun."""
AWAY_S = 4.0
"""The longest time for which the database is away before a kill, and after it. It stands still; the alarm process takes
it for away after 2 s."""
PATIENCE_S = 120.0
LOOK_S = (0.3, 1.0)
"""Five operators that look as often as other tests do take a third of a core."""
UNDER_WAY_S = ANSWER_S + 0.5
"""A message that was being handed over when the alarm was acknowledged may be accepted so much later."""
WAYS = ("let go", "command", "link", "escalation")
DESCRIPTION = """
experiment: {{ name: killed }}
console: {{ login: local }}
devices:
{devices}
alarms:
  notify:
    console: https://control.example.org
    channels:
      shift:
        mail: {{ server: 127.0.0.1, port: {mail}, encryption: none, from: cr@example.org, to: [a@example.org] }}
      pager: {{ webhook: {{ address: "http://127.0.0.1:{http}/alarms" }} }}
      expert: {{ webhook: {{ address: "http://127.0.0.1:{http}/expert" }} }}
    people:
      anna: {{ channels: [pager], user: admin }}
    routes:
      all: {{ to: [shift, anna], after: 1 s, group: 0 s, escalate: [{{ after: 3 s, to: [expert] }}] }}
"""


class Engines:
    """The alarm process of `up`, and one that the test starts again at once: the pauses of the supervisor grow."""

    def __init__(self, running: Running, description: Path) -> None:
        self._running = running
        words = ("serve", str(description), "alarms", "--data", str(running.data))
        self._words = [sys.executable, "-m", "countingroom", *words]
        self._own = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        log = (self._running.data / "second.log").open("ab")
        with log:
            return subprocess.Popen(self._words, stdout=log, stderr=log)

    def kill(self) -> None:
        """Both, and start the own one again."""
        with suppress(StopIteration, psutil.Error):
            self._running.role("alarms").kill()
        self.end()
        self._own = self._start()

    def end(self) -> None:
        """The own one, without a successor."""
        self._own.kill()
        self._own.wait()


class Acknowledged(Struct, frozen=True):
    """From its acknowledgement until it can happen again an alarm asks for nothing."""

    from_s: float
    until_s: float


class Operator:
    """Makes one alarm come and go, and acknowledges it, until the kills are over."""

    def __init__(self, number: int, running: Running, people: People, stop: threading.Event) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.rounds = 0
        self._number = number
        self._running = running
        self._people = people
        self._stop = stop
        self._random = random.Random(SEED * 100 + number)
        self._phone = httpx.Client(base_url=running.url, headers=PAGE, timeout=30)

    def run(self) -> None:
        """One round after the other; the last one is whole."""
        order = [*WAYS]
        with self._phone:
            while not self._stop.is_set():
                self._random.shuffle(order)
                for way in order[: 1 if self._stop.is_set() else len(order)]:
                    if self._stop.is_set():
                        break
                    self._round(way)
                    self.rounds += 1

    def _round(self, way: str) -> None:
        began_s = time.monotonic()
        self._running.fault(f"c{self._number}", "freeze")
        answered_s: float | None = None
        if way == "escalation":
            # The link of a message about several alarms acknowledges this one too.
            self._wait(lambda: len(self._told(began_s)) == 3 or self._is_acknowledged(), "all are told")
        elif way == "link":
            # Without the database a message has no link.
            self._wait(lambda: "pager" in self._told(began_s) or self._is_acknowledged(), "the pager was told")
            way = way if self._token(began_s) else "command"
        else:
            self._stop.wait(self._random.uniform(2, 12))
        if way == "link":
            answered_s = self._acknowledge(lambda: self._by_link(began_s))
        elif way == "command":
            self._wait(self._is_active, "the lost link is an alarm")
            answered_s = self._acknowledge(self._by_command)
        time.sleep(self._random.uniform(0, 2))
        self._running.fault(f"c{self._number}", "restore")
        restored_ns = time.time_ns()
        # A loss that is noticed only now would begin an alarm that goes on in the next round.
        self._wait(lambda: self._is_read_since(restored_ns), "the chiller is read again")
        self._wait(lambda: not self._is_active(), "it is over")
        if way == "escalation":
            self._wait(
                lambda: self._told(began_s) <= self._people.told(self._number, began_s, is_over=True),
                "those that were told are told of the return",
            )
        time.sleep(self._random.uniform(0, 3))
        if answered_s is not None:
            self.acknowledged.append(Acknowledged(answered_s, time.monotonic()))

    def _is_read_since(self, time_ns: int) -> bool:
        reading = self._running.reading(f"c{self._number}", "internal_temp")
        return bool(reading) and reading["quality"] == GOOD and reading["received_ns"] > time_ns

    def _acknowledge(self, attempt: Any) -> float:
        """When it was answered that it is acknowledged."""
        self._wait(lambda: attempt() or self._is_acknowledged(), "it is acknowledged")
        return time.monotonic()

    def _by_command(self) -> bool:
        # With the occurrence: one that waited for the database must not acknowledge what comes later.
        body = {"alarms": {link_of(self._number): self._state()["occurrence"]}, "wait_s": 10}
        return self._running.http.post("/api/v1/alarms/commands/acknowledge", json=body).status_code == 200

    def _by_link(self, since_s: float) -> bool:
        body = {"token": self._token(since_s)}
        answer = self._phone.post("/api/v1/acknowledge_by_link", json=body)
        return answer.status_code == 200 and answer.json()["outcome"]["kind"] == "done"

    def _token(self, since_s: float) -> str:
        """The secret of the last link about the alarm."""
        found = [
            sent["links"][0]["address"].partition("#")[2]
            for channel, sent in self._people.posts(self._number, since_s)
            if channel == "pager" and sent["kind"] in ("first", "group") and "Acknowledge" in sent["links"][0]["title"]
        ]
        return found[-1] if found else ""

    def _told(self, since_s: float) -> set[str]:
        return self._people.told(self._number, since_s, is_over=False)

    def _is_acknowledged(self) -> bool:
        return self._state().get("base") == "acknowledged"

    def _is_active(self) -> bool:
        return self._state().get("base", "") in ("unacknowledged", "acknowledged")

    def _state(self) -> dict[str, Any]:
        """As it is published; empty: at rest."""
        answer = self._running.http.get(f"/api/v1/alarms/{link_of(self._number)}")
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        return answer.json()["alarm"] or {}

    def _wait(self, condition: Any, what: str) -> None:
        """However long the kills take, and not much longer than that."""
        while True:
            is_last = self._stop.is_set()
            try:
                until(condition, f"{link_of(self._number)}, seed {SEED}: {what}", deadline_s=PATIENCE_S, look_s=LOOK_S)
            except AssertionError:
                if is_last:
                    print(link_of(self._number), what, self._state(), self._told(0), self.rounds)
                    raise
            else:
                return


@pytest.fixture
def people() -> Iterator[People]:
    with ExitStack() as stack:
        yield People(stack)


@pytest.mark.timeout(PATIENCE_S * 3 + KILLS * 30)
def test_people_are_told_what_the_routes_say_over_kills(people: People, tmp_path: Path) -> None:
    description = tmp_path / "experiment.yaml"
    devices = [
        f"  c{number}: {{ driver: julabo, title: 'Bath {number};', port: /dev/ttyUSB{number} }}"
        for number in range(DEVICES)
    ]
    description.write_text(DESCRIPTION.format(devices="\n".join(devices), mail=people.mail.port, http=people.http.port))
    rest = random.Random(SEED)
    longest_s = AWAY_S if KILLS <= 3 else 2 * AWAY_S
    outages = {KILLS - 1, *rest.sample(range(KILLS), KILLS // 3)} if KILLS > 3 else {KILLS - 1}
    with up(description, tmp_path / "data", "--simulate") as running:
        running.http.headers["authorization"] = f"Bearer {token_of_a_program(running, description)}"
        for number in range(DEVICES):
            until(lambda number=number: running.state(f"c{number}") == "OFF", "the chillers are connected")
        engines = Engines(running, description)
        stop = threading.Event()
        operators = [Operator(number, running, people, stop) for number in range(DEVICES)]
        try:
            with ThreadPoolExecutor(DEVICES) as pool:
                rounds = [pool.submit(one.run) for one in operators]
                try:
                    for kill in range(KILLS):
                        if kill in outages:
                            until(lambda: _answers(running), "an engine is active")
                            with _database_away(running):
                                time.sleep(rest.uniform(0.5, 1) * longest_s)
                                engines.kill()
                                time.sleep(rest.uniform(0, longest_s))
                            continue
                        _let_live(running, people, rest, at_a_message=kill % 2 == 1)
                        engines.kill()
                    until(lambda: _answers(running), "an engine is active again")
                finally:
                    stop.set()
                for one in rounds:
                    one.result()
            with suppress(AssertionError):  # it is told below what is missing
                until(lambda: not _open_ends(people.accepted(), _outbox(running)), "all is told", deadline_s=PATIENCE_S)
            until(lambda: not running.get("/notifications")["pending"], "the outbox is empty", deadline_s=PATIENCE_S)
            outbox = _outbox(running)
        finally:
            engines.end()
    _judge(people.accepted(), outbox, operators, len(outages))


def _judge(accepted: list[Accepted], outbox: dict[str, Any], operators: list[Operator], outages: int) -> None:
    times: dict[str, list[Accepted]] = defaultdict(list)
    for one in accepted:
        times[one.id].append(one)
    windows = {link_of(number): one.acknowledged for number, one in enumerate(operators)}
    print(
        f"\nseed {SEED}: {KILLS} kills, {outages} of them without the database, "
        f"{sum(one.rounds for one in operators)} rounds, "
        f"{sum(map(len, windows.values()))} acknowledged, {len(outbox)} messages in the outbox, "
        f"{len(accepted)} accepted, {sum(len(one) > 1 for one in times.values())} twice"
    )
    assert times.keys() <= outbox.keys()
    assert [one for id, one in outbox.items() if one["state"] == "sent" and id not in times] == [], "lost"
    assert [one for one in outbox.values() if one["state"] not in ("sent", "cancelled")] == []
    assert [id for id, found in times.items() if not all(one.is_marked for one in found[1:])] == [], "without the mark"
    late = [
        (one, outbox[one.id])
        for one in accepted
        if outbox[one.id]["kind"] != "follow_up"
        and all(
            any(span.from_s + UNDER_WAY_S < one.at_s < span.until_s for span in windows.get(of["alarm"], ()))
            for of in outbox[one.id]["alarms"]
        )
    ]
    assert late == [], "sent after the acknowledgement"
    planned: dict[Any, list[str]] = defaultdict(list)
    for one in outbox.values():
        for of in one["alarms"]:
            kind = "first" if one["kind"] == "group" else one["kind"]
            planned[(of["alarm"], of["occurrence"], kind, one["channel"])].append(one["id"])
    assert {key: ids for key, ids in planned.items() if len(ids) > 1} == {}, "another message about the same"
    assert _open_ends(accepted, outbox) == {}, "a follow-up is missing, or came to a channel that was not told"


def _outbox(running: Running) -> dict[str, Any]:
    return {
        one["id"]: one
        for channel in ("shift", "pager", "expert")
        for one in running.get("/notifications", channel=channel, limit=1000)["ended"]
    }


def _open_ends(accepted: list[Accepted], outbox: dict[str, Any]) -> dict[Any, Any]:
    """Alarm and channel -> occurrences that were told, and of which the return was told, where these do not fit."""
    told: dict[Any, set[int]] = defaultdict(set)
    perhaps: dict[Any, set[int]] = defaultdict(set)
    over: dict[Any, set[int]] = defaultdict(set)
    ids = {one.id for one in accepted}
    for one in outbox.values():
        for of in one["alarms"]:
            key, occurrence = (of["alarm"], one["channel"]), of["occurrence"]
            if one["kind"] == "follow_up":
                over[key] |= {occurrence} if one["id"] in ids else set()
            elif one["id"] in ids:
                told[key].add(occurrence)
            elif one["is_repeat"]:  # it was being sent when its process was killed
                perhaps[key].add(occurrence)
    # Where it happened again before its return could be told, the later message takes the place of the follow-up.
    return {
        key: (told[key], perhaps[key], over[key])
        for key in {*told, *over}
        if (told[key] and max(told[key]) > max(over[key], default=0))
        or any(_is_untold(one, told[key] | perhaps[key], over[key]) for one in over[key])
    }


def _is_untold(occurrence: int, told: set[int], over: set[int]) -> bool:
    """Whether this occurrence was not told, nor an earlier one whose return was not."""
    before = max((one for one in over if one < occurrence), default=0)
    return not any(before < one <= occurrence for one in told)


def _let_live(running: Running, people: People, rest: random.Random, *, at_a_message: bool) -> None:
    """Until a random moment of an active engine; where that is asked for right at a message."""
    until(lambda: _answers(running), "an engine is active")
    if not at_a_message:
        time.sleep(rest.uniform(0, LIVED_S))
        return
    before = len(people.http.requests)
    end_s = time.monotonic() + 2 * LIVED_S
    while len(people.http.requests) == before and time.monotonic() < end_s:
        time.sleep(0.01)
    time.sleep(rest.uniform(0, 1.5 * ANSWER_S))


@contextmanager
def _database_away(running: Running) -> Generator[None]:
    """It takes nothing meanwhile."""
    with closing(sqlite3.connect(running.data / "countingroom.sqlite", isolation_level=None, timeout=30)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        yield
        lock.execute("ROLLBACK")


def _answers(running: Running) -> bool:
    return running.http.get("/api/v1/notifications", params={"limit": 0}).status_code == 200
