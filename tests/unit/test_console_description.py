"""Law: until it has a login the console can be described for this machine alone."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from countingroom.console.description import ConsoleSection, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_addresses_are_taken(host: str) -> None:
    assert ConsoleSection(host=host).host == host
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "control.example", ""])
def test_any_other_is_refused_and_says_why_and_what_to_do(host: str) -> None:
    with pytest.raises(ValidationError, match=r"until it has a login.*ssh -L"):
        ConsoleSection(host=host)


def test_a_tick_is_written_as_a_duration_and_bounded() -> None:
    assert ConsoleSection.model_validate({"tick": "500 ms"}).tick == 0.5
    with pytest.raises(ValidationError):
        ConsoleSection(tick=0.001)
