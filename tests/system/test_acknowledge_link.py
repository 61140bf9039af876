"""Under `up` with a login, the link in a message acknowledges what the message told: once, as its person, and refused
in the words of the alarm department where the alarm happened again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import msgspec

from countingroom.core.alarms.states import BaseState
from tests.notify_servers import HttpEndpoint
from tests.patience import PATIENCE_S
from tests.system.running import Running, until, up
from tests.system.test_alarm_department import acknowledged, alarm

LINK = "device.chiller.link"
PAGE = {"x-countingroom": "console"}
DESCRIPTION = """
experiment: {{ name: linked }}
console: {{ login: local }}
devices:
  chiller:
    driver: julabo
    title: Chiller
    port: /dev/ttyUSB0
alarms:
  notify:
    console: https://control.example.org
    channels:
      pager: {{ webhook: {{ address: "http://127.0.0.1:{http}/alarms" }} }}
    people:
      anna: {{ channels: [pager], user: admin }}
    routes:
      all: {{ to: [anna], group: 0 s }}
"""


def token_of_a_program(running: Running, description: Path) -> str:
    """By which the test acts beside the links."""
    command = [sys.executable, "-m", "countingroom", "user", "token", str(description), "admin", "--what-for", "test"]
    made = subprocess.run([*command, "--data", str(running.data)], check=True, capture_output=True, text=True)
    return made.stdout.split()[-1]


def tokens(endpoint: HttpEndpoint) -> list[str]:
    """The secrets of the links in the messages about the lost link."""
    found: list[str] = []
    for one in endpoint.requests:
        sent = msgspec.json.decode(one.body)
        if {"alarm": LINK} in [{"alarm": of["alarm"]} for of in sent["alarms"]] and sent["kind"] == "first":
            address, _, token = sent["links"][0]["address"].partition("#")
            assert address == "https://control.example.org/acknowledge"
            found.append(token)
    return found


def history(running: Running) -> str:
    """Of the lost link, a line each, newest first."""
    return "\n".join(one["text"] for one in running.get(f"/alarms/{LINK}/history")["history"])


def test_the_link_of_a_message_acknowledges_once_and_only_what_it_told(tmp_path: Path) -> None:
    description = tmp_path / "experiment.yaml"
    with HttpEndpoint().running() as endpoint:
        description.write_text(DESCRIPTION.format(http=endpoint.port))
        with up(description, tmp_path / "data", "--simulate") as running:
            running.http.headers["authorization"] = f"Bearer {token_of_a_program(running, description)}"
            until(lambda: running.state("chiller") == "OFF", "the chiller is connected")
            for times in (1, 2):
                running.fault("chiller", "freeze")
                until(lambda times=times: len(tokens(endpoint)) == times, "the lost link is told")
                if times == 1:
                    done = running.post("alarms/commands/acknowledge", alarms={LINK: None}, wait_s=PATIENCE_S)
                    assert done.status_code == 200, done.text
                    running.fault("chiller", "restore")
                    until(lambda: alarm(running, LINK) is None, "it is over")
            old, new = tokens(endpoint)
            with httpx.Client(base_url=running.url, headers=PAGE, timeout=30) as phone:

                def acknowledge(token: str) -> httpx.Response:
                    return phone.post("/api/v1/acknowledge_by_link", json={"token": token})

                refused = acknowledge(old)
                assert refused.status_code == 409, refused.text
                assert "occurrence" in refused.json()["cause"]["message"], refused.text
                present = until(lambda: alarm(running, LINK), "the second occurrence is published")
                assert present.base is BaseState.UNACKNOWLEDGED
                seen = phone.post("/api/v1/look_at_link", json={"token": new}).json()
                assert (seen["user"], seen["alarms"][0]["now"]["shown"]) == ("admin", "unacknowledged")
                done = acknowledge(new)
                assert (done.status_code, done.json()["outcome"]["kind"]) == (200, "done"), done.text
                assert acknowledge(new).json()["cause"]["code"] == "link_void"
            found = until(lambda: acknowledged(running, LINK), "it is published")
            assert found.acknowledged_by == "admin"
            until(lambda: "by the link in a message" in history(running), "the history has it")
