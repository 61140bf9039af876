"""Without a login the console can be described for this machine alone."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from countingroom.console.description import ConsoleSection, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_addresses_are_taken(host: str) -> None:
    assert ConsoleSection(host=host).host == host
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "control.example", ""])
def test_any_other_is_refused_without_login_and_says_why_and_what_to_do(host: str) -> None:
    ((path, told),) = ConsoleSection(host=host).problems()
    assert path == ("host",)
    assert "while it has no login" in told and "login: local" in told and "ssh -L" in told


def test_with_a_login_other_hosts_are_taken_and_their_names_are_answered_for() -> None:
    section = ConsoleSection(login="local", host="0.0.0.0", names=("Control.example", "fd00::1"), insecure=True)
    assert list(section.problems()) == []
    assert section.answers_for == {"localhost", "127.0.0.1", "[::1]", "control.example", "[fd00::1]"}
    assert "10.0.0.3" in ConsoleSection(login="local", host="10.0.0.3").answers_for


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.3", "control.example"])
def test_a_login_of_other_machines_needs_tls_a_proxy_or_an_explicit_word(host: str) -> None:
    def told(**keys: object) -> list[str]:
        section = ConsoleSection.model_validate({"login": "local", "host": host, "names": ["control.example"]} | keys)
        return [message for path, message in section.problems() if path == ("host",)]

    (message,) = told()
    assert "tls_certificate" in message and "behind_proxy" in message and "insecure: true" in message
    assert told(host="127.0.0.1") == told(tls_certificate="c", tls_key="k") == told(behind_proxy=["10.0.0.1"]) == []
    assert told(insecure=True) == []


def test_what_does_not_go_together_is_told() -> None:
    def told(**keys: object) -> list[tuple[str, ...]]:
        return [path for path, _ in ConsoleSection.model_validate(keys).problems()]

    assert told(names=["control.example"]) == [("names",)]
    assert told(login="local", host="::", insecure=True) == [("names",)]
    assert told(behind_proxy=["127.0.0.1"]) == [("behind_proxy",)]
    assert told(login="local", behind_proxy=["10.1.0.0/24", "proxy.example", "10.1.0.1/24"]) == [("behind_proxy",)] * 2
    assert told(tls_key="key.pem") == [("tls_certificate",)]
    assert told(tls_certificate="c.pem") == [("tls_key",)]


def test_a_tick_is_written_as_a_duration_and_bounded() -> None:
    assert ConsoleSection.model_validate({"tick": "500 ms"}).tick == 0.5
    with pytest.raises(ValidationError):
        ConsoleSection(tick=0.001)
