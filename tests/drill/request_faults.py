"""Faults that clients cause: bytes on the bus and over MQTT, requests that never end, junk, heavy answers."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import nats
from nats.errors import Error as NatsError
from paho.mqtt.client import CallbackAPIVersion, Client
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from countingroom.bus.server.credentials import SUPERVISOR, of_running
from countingroom.simulators.sensors import PASSWORD_FILE, PORT_FILE
from tests.drill.drill import Playground
from tests.drill.machine import NotHere
from tests.system.running import Running

POISON = (b"\x81\xa1\x7a", b"\x91" * 2000, b"\xc0", b"\xff" * 64, b"\x93\xcf" + b"\xff" * 8, b"")
"""Bytes that are no message of any kind, or that nest too deeply."""
SUBJECTS = (
    "presence.x.y",
    "pulse.TRD",
    "readings.chiller",
    "events.runs.mCBM",
    "command.local.runs.mCBM",
    "command.local.devices.chiller",
    "command.local.systems.TRD",
    "query.history",
    "agent.TRD.step",
    "$KV.state.partition.mCBM.x",
    "$KV.state.system.TRD.x",
    "$KV.state.device.x",
)
HALF_SENT = 1100
VIEWER_SOCKETS = 270
FLOOD_S = 5.0
MQTT_USER = "board1"
WIDE_USER = "wide"
PASSWORD = "drill"
BURNERS_PER_CORE = 8
BUSY_S = 15.0


@contextmanager
def poisoned(there: Playground) -> Iterator[None]:
    """Bytes that are no message, on subjects of every kind."""
    asyncio.run(_publish(there.running.data))
    yield


async def _publish(folder: Path) -> None:
    url, login = of_running(folder, SUPERVISOR)
    client = await nats.connect(url, user=login().user, password=login().password)
    try:
        for subject in SUBJECTS:
            for data in POISON:
                await client.publish(subject, data)
        await client.flush()
    finally:
        await client.close()


@contextmanager
def stranger_on_the_bus(there: Playground) -> Iterator[None]:
    """Another account of the machine, without a password, orders and purges."""
    asyncio.run(_order_without_password(there.running.data))
    yield


async def _order_without_password(folder: Path) -> None:
    url, _ = of_running(folder, SUPERVISOR)
    with suppress(NatsError, OSError):
        client = await nats.connect(url, allow_reconnect=False, connect_timeout=2)
        await client.publish("command.local.runs.mCBM", b"{}")
        await client.request("$JS.API.STREAM.PURGE.readings", b"", timeout=2)
        await client.close()
        raise AssertionError("the bus serves clients without a password")


@contextmanager
def values_that_cannot_be_carried(there: Playground) -> Iterator[None]:
    """A board of a device sends 1e30, no number, and a text of 9 MB, retained."""
    folders = {
        Path(file.path).parent
        for child in there.running.children()
        for file in child.open_files()
        if "countingroom-broker-" in file.path
    }
    brokers = [(int((one / PORT_FILE).read_text()), (one / PASSWORD_FILE).read_text()) for one in folders]
    topic = "ESP01/sensors/BME/humi"
    for port, password in brokers:
        for payload in (b"1e30", b"\xff\xfe", b"9" * 9_000_000):
            _mqtt(port, "sensors", password, [(topic, payload)])
    yield
    for port, password in brokers:
        _mqtt(port, "sensors", password, [(topic, b"")])


@contextmanager
def mqtt_store_filled(there: Playground) -> Iterator[None]:
    """A user with the topics of one board sends 53 retained messages of 7 MB, then 400 of 60 KB."""
    port = _mqtt_port(there)
    for number in range(53):
        _mqtt(port, MQTT_USER, PASSWORD, [(f"sensors/board1/large{number}", b"x" * 7_000_000)], wait_s=0.05)
    _mqtt(port, MQTT_USER, PASSWORD, [(f"sensors/board1/{number}", b"x" * 60_000) for number in range(400)], wait_s=2)
    yield


@contextmanager
def mqtt_on_all_topics(there: Playground) -> Iterator[None]:
    """A user who may publish on `#` reaches for the subjects of the system, also with its will."""
    topics = [subject.replace(".", "/") for subject in SUBJECTS]
    _mqtt(_mqtt_port(there), WIDE_USER, PASSWORD, [(topic, POISON[0]) for topic in topics], will=topics[4])
    yield


def _mqtt_port(there: Playground) -> int:
    conf = json.loads((there.running.data / "bus" / "nats.conf").read_text())
    if "mqtt" not in conf:
        raise NotHere("the bus of this experiment has no MQTT listener")
    return _port(conf)


def _port(conf: dict[str, Any]) -> int:
    return int(conf["mqtt"]["listen"].rpartition(":")[2])


def _mqtt(
    port: int, user: str, password: str, messages: Sequence[tuple[str, bytes]], *, will: str = "", wait_s: float = 0.3
) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, password)
    if will:
        client.will_set(will, POISON[0], retain=True)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        connected.wait(2.0)
        for topic, payload in messages:
            client.publish(topic, payload, retain=True)
        time.sleep(wait_s)
    finally:
        if not will:
            client.disconnect()
        elif waiting := client.socket():
            waiting.shutdown(socket.SHUT_RDWR)  # without a word, so that the server sends the will
        client.loop_stop()


@contextmanager
def half_sent(there: Playground) -> Iterator[None]:
    """Requests that a stranger begins and never ends."""
    where = address(there.running)
    with ExitStack() as stack:
        for _ in range(HALF_SENT):
            one = stack.enter_context(socket.socket())
            one.settimeout(2.0)
            try:
                one.connect(where)
                one.sendall(b"POST /api/v1/partitions/mCBM/commands/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
            except OSError:
                break  # it is closed or refused, as it should be
        yield


@contextmanager
def many_viewers(there: Playground) -> Iterator[None]:
    """A viewer with more live feeds than anybody may have."""
    with ExitStack() as stack:
        for _ in range(VIEWER_SOCKETS):
            try:
                stack.enter_context(_live(there.running))
            except (OSError, WebSocketException):  # refused, as it should be
                break
        yield


@contextmanager
def heavy_requests(there: Playground) -> Iterator[None]:
    """Exports one after the other from eight clients, and live feeds that change what they watch without pause."""
    watch = json.dumps({"watch": {"devices": ["*"], "points": True, "states": True, "events": True}})

    def feed(ended: threading.Event) -> None:
        with suppress(OSError, WebSocketException), _live(there.running) as one:
            while not ended.wait(0.01):
                one.send(watch)

    def export(ended: threading.Event) -> None:
        with httpx.Client(base_url=there.running.url, timeout=10.0) as http:
            while not ended.is_set():
                for path in ("/api/v1/configurations/export", "/api/v1/history/export?point=*&from=-1h&format=csv"):
                    with suppress(httpx.HTTPError):
                        http.get(path)

    with _together([export] * 8 + [feed] * 30):
        yield


@contextmanager
def hostile_requests(there: Playground) -> Iterator[None]:
    """Junk links, wrong passwords, nested and large bodies, and a path that leads elsewhere, without pause."""
    asked = (
        ("/api/v1/link", b'{"token": "x", "password": "x"}'),
        ("/api/v1/login", b'{"name": "administrator", "password": "x"}'),
        ("/api/v1/partitions/mCBM/commands/stop", b"[" * 1100),
        ("/api/v1/partitions/mCBM/commands/hold", b"\xef\xbb\xbf{}"),
        ("/api/v1/configurations/TRD", b"x" * 7_000_000),
        ("/login?next=/%09/evil.example/", b""),
    )

    def send(ended: threading.Event) -> None:
        with httpx.Client(base_url=there.running.url, timeout=5.0) as http:
            while not ended.is_set():
                for path, body in asked:
                    with suppress(httpx.HTTPError):
                        http.post(path, content=body, headers={"Content-Type": "application/json"})

    with _together([send] * 4):
        yield


@contextmanager
def busy_machine(there: Playground) -> Iterator[None]:
    """Eight processes for each core that compute for BUSY_S."""
    many = multiprocessing.get_context("spawn")
    burners = [many.Process(target=_burn, args=(BUSY_S,)) for _ in range(BURNERS_PER_CORE * (os.cpu_count() or 1))]
    for one in burners:
        one.start()
    yield
    for one in burners:
        one.join()


def _burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@contextmanager
def _together(work: Sequence[Callable[[threading.Event], None]]) -> Iterator[None]:
    """Threads that go on for FLOOD_S at least."""
    ended = threading.Event()
    threads = [threading.Thread(target=one, args=(ended,)) for one in work]
    begin = time.monotonic()
    for one in threads:
        one.start()
    try:
        yield
        time.sleep(max(0.0, begin + FLOOD_S - time.monotonic()))
    finally:
        ended.set()
        for one in threads:
            one.join()


def _live(running: Running):
    return connect(running.url.replace("http", "ws") + "/api/v1/live", open_timeout=2.0)


def address(running: Running) -> tuple[str, int]:
    """Host and port of its console."""
    host, _, port = running.url.removeprefix("http://").partition(":")
    return host, int(port)
