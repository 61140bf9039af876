"""Apprise sends to services of messages alone, reads no file, and logs no secret."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from msgspec import structs

from countingroom.alarms.notify.apprise_channel import PLUGINS, AppriseSender, address_problem
from countingroom.alarms.notify.sender import Delivery, TryOutcome
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from countingroom.core.yaml.secret_reference import SecretReference
from tests.notify_servers import HttpEndpoint

MESSAGE = Notification(
    id=notification_id("first"),
    channel="chat",
    kind=NotificationKind.FIRST,
    title="Bath",
    text="Too warm.",
    priority=1,
    created_ns=1,
    due_ns=1,
    expires_ns=2**62,
    attempt=1,
)
TOKEN = "t0kenAbc4711"


@pytest.fixture
def endpoint() -> Iterator[HttpEndpoint]:
    with HttpEndpoint().running() as one:
        yield one


def send(monkeypatch: pytest.MonkeyPatch, address: str, message: Notification = MESSAGE) -> Delivery:
    monkeypatch.setenv("CHAT", address)
    return AppriseSender(SecretReference(env="CHAT"), 5.0).send(message, lambda: True)


@pytest.mark.parametrize("schema", PLUGINS)
def test_every_schema_of_the_table_is_one_of_its_plug_in(schema: str) -> None:
    module, _, name = PLUGINS[schema].partition(":")
    plugin: Any = getattr(import_module(f"apprise.plugins.{module}"), name)
    named = [plugin.protocol, plugin.secure_protocol]
    assert schema in {one for given in named if given for one in ([given] if isinstance(given, str) else given)}


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "gnome://",
        "windows://",
        "macosx://",
        "glib://",
        "json://127.0.0.1/x",
        "mailto://u:p@example.org",
        "config:///etc/apprise.yml",
        "/etc/apprise.yml",
        "https://example.org/config",
        "NTFY+x://127.0.0.1/x",
        "ntfy://127.0.0.1/x?attach=/etc/passwd",
        "workflows://127.0.0.1/x?Template=/etc/passwd",
    ],
)
def test_what_is_no_service_of_messages_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = send(monkeypatch, address)
    assert found.outcome is TryOutcome.REFUSED
    assert "allowed" in found.text or "no address" in found.text
    assert "passwd" not in found.text


def test_several_addresses_are_not_taken_for_one() -> None:
    address = "ntfy://127.0.0.1:8080/topic"
    assert address_problem(f"{address}, file:///tmp/x").endswith("one is allowed, make a channel of each")
    assert address_problem(address) == ""
    assert address_problem(f"{address}?click=https://control.example.org") == ""


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_no_secret_is_logged_or_told_at_any_level(
    endpoint: HttpEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    endpoint.answer = lambda request: (status, f"no {request.path} {TOKEN}".encode())
    with caplog.at_level(1):
        found = send(monkeypatch, f"gotify://127.0.0.1:{endpoint.port}/{TOKEN}")
    assert found.outcome is TryOutcome.UNKNOWN
    assert str(status) in found.text
    assert TOKEN not in found.text
    assert TOKEN not in caplog.text
    assert len(endpoint.requests) == 1


def test_messages_in_a_row_do_not_wait_for_each_other(endpoint: HttpEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        message = structs.replace(MESSAGE, id=notification_id(number))
        found = send(monkeypatch, f"ntfy://127.0.0.1:{endpoint.port}/{TOKEN}", message)
        assert found.outcome is TryOutcome.ACCEPTED
    times = [request.at_s for request in endpoint.requests]
    assert times[2] - times[0] < 10, "a plug-in sleeps between two messages of one object"


def test_apprise_is_not_imported_before_a_message_needs_it() -> None:
    code = (
        "import sys, countingroom.alarms.notify.deliveries\n"
        "assert not {'apprise', 'requests'} & set(sys.modules), 'apprise is imported'\n"
        "from countingroom.alarms.notify.apprise_channel import _plugin\n"
        "_plugin('ntfys')\n"
        "loaded = [one for one in sys.modules if one.startswith('apprise.plugins.')]\n"
        "assert len(loaded) < 10, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_loggers_of_the_libraries_stay_at_info(monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    send(monkeypatch, "ntfy://127.0.0.1:9/x")
    assert logging.getLogger("apprise").getEffectiveLevel() >= logging.INFO
    assert logging.getLogger("urllib3").getEffectiveLevel() >= logging.INFO
