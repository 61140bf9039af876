"""The experiment that the drill plays against: the demo, with an agent that runs by itself, a program that may print
without end, and users of MQTT."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.drill.drill import Playground
from tests.drill.machine import Clocks, NotHere, disk_of_its_own, small_disk
from tests.drill.own_agent import SYSTEM, OwnAgent
from tests.drill.request_faults import MQTT_USER, PASSWORD, WIDE_USER
from tests.system.running import up

DEMO = Path(__file__).parents[2] / "examples" / "demo"
PRINTING = "TOF"
"""The system whose agent runs a program."""


@contextmanager
def experiment(folder: Path, *, small: bool = False) -> Iterator[Playground]:
    """It is up, with its data on a disk of its own where the machine allows that. NotHere: no small disk."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        clocks = _clocks(folder)
        if small:
            data = stack.enter_context(small_disk(folder))
        else:
            try:
                data = stack.enter_context(disk_of_its_own(folder)) / "data"
            except NotHere:
                data = folder / "data"
        description = description_in(folder / "description", data)
        running = stack.enter_context(
            up(description, data, "--simulate", environment=clocks.environment if clocks else {})
        )
        agent = OwnAgent(data, description.parent / "tables")
        stack.enter_context(agent.supervised())
        yield Playground(running, clocks=clocks, agent=agent)


def _clocks(folder: Path) -> Clocks | None:
    try:
        return Clocks(folder)
    except NotHere:
        return None


def description_in(folder: Path, data: Path) -> Path:
    """The description, made from that of the demo."""
    shutil.copytree(DEMO, folder)
    secret = folder / "mqtt_password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD)
    _replace(folder / "run_control.yaml", f"{SYSTEM}: {{ <<: *three_steps", "agent: { kind: none }")
    words = ["sh", "-c", f"if [ -e {data}/chatty ]; then timeout 20 yes; fi; exit 0"]
    configure = f"agent: {{ kind: script, configure: [{words}] }}"
    _replace(folder / "run_control.yaml", f"{PRINTING}: {{ <<: *two_steps", configure)
    file = folder / "experiment.yaml"
    user = "      - {{ name: {name}, password_file: {secret}, publish: ['{topic}'], subscribe: [] }}\n"
    users = user.format(name=MQTT_USER, secret=secret, topic="sensors/board1/#") + user.format(
        name=WIDE_USER, secret=secret, topic="#"
    )
    file.write_text(f"{file.read_text()}\nbus:\n  mqtt:\n    port: 0\n    users:\n{users}")
    return file


def _replace(file: Path, begin: str, more: str) -> None:
    text = file.read_text()
    if text.count(begin) != 1:
        raise LookupError(f"{file} has no single {begin!r}")
    file.write_text(text.replace(begin, f"{begin}, {more}"))
