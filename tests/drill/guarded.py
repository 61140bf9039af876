"""A small experiment with a login, beside the one of the drill, and people who act there."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.system.running import Running, up

DESCRIPTION = """\
experiment: {name: guarded}
console: {login: local, %s}
devices:
  chiller:
    driver: julabo
    port: /dev/ttyUSB0
    points: { "setpoint_2": { dangerous: true } }
"""
PASSWORD = "seven grey herons wade"
ORDINARY, DANGEROUS = "setpoint_1", "setpoint_2"


def description_in(folder: Path, console: str = "host: 127.0.0.1") -> Path:
    """Its description, with these settings of the console."""
    file = folder / "experiment.yaml"
    file.write_text(DESCRIPTION % console)
    return file


def command_line(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of countingroom, with its answer whatever it is."""
    return subprocess.run(
        [sys.executable, "-m", "countingroom", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Guarded:
    """The experiment while it is up, and its administrator."""

    def __init__(self, running: Running, description: Path, stack: ExitStack) -> None:
        self.running = running
        self.description = description
        self._stack = stack
        self.administrator = self.enter(self.link("admin"))

    def link(self, name: str) -> str:
        """The secret of a new link for the password of a user."""
        found = command_line("user", "link", self.description, name, "--data", self.running.data)
        return found.stdout.strip().rpartition("#")[2]

    def client(self) -> httpx.Client:
        """A browser without a login."""
        headers = {"origin": self.running.url, "x-countingroom": "console"}
        return self._stack.enter_context(httpx.Client(base_url=self.running.url, headers=headers, timeout=20.0))

    def enter(self, secret: str) -> httpx.Client:
        """A browser in which a link was followed and the password set."""
        browser = self.client()
        answer = browser.post("/api/v1/link", json={"token": secret, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return marked(browser)

    def add(self, name: str, roles: dict[str, str]) -> httpx.Client:
        """A new user, logged in."""
        answer = self.administrator.post("/api/v1/users", json={"name": name, "roles": roles})
        assert answer.status_code == 200, answer.text
        return self.enter(answer.json()["link"].rpartition("#")[2])

    def audit(self, **wanted: str) -> list[Any]:
        """The entries of the audit that fit, the newest first."""
        entries: list[Any] = self.administrator.get("/api/v1/audit", params=wanted).json()["entries"]
        return entries


def marked(browser: httpx.Client) -> httpx.Client:
    """The browser with the CSRF token of its session, as a page has it."""
    found = re.search(r'name="mark" content="([^"]+)"', browser.get("/account").text)
    assert found, "the page of the account has no token"
    browser.headers["x-countingroom"] = found[1]
    return browser


@contextmanager
def guarded(beside: Path) -> Iterator[Guarded]:
    """It is up, in a folder of its own in this one."""
    with tempfile.TemporaryDirectory(dir=beside, prefix="guarded-") as name, ExitStack() as stack:
        folder = Path(name)
        description = description_in(folder)
        running = stack.enter_context(up(description, folder / "data", "--simulate"))
        yield Guarded(running, description, stack)
