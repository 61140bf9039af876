"""What `up` says of a role reads well for none, one and many."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.app.up import summary


@pytest.mark.parametrize(
    ("role", "said", "told"),
    [
        ("devices", {"devices": []}, "none described"),
        ("devices", {"devices": ["caen"]}, "1 device"),
        ("devices", {"devices": ["caen", "chiller"]}, "2 devices"),
        ("simulators", {}, "nothing to simulate"),
        ("simulators", {"caen": {"port": 1}}, "1 device"),
        ("agents", {"agents": 0}, "no systems"),
        ("agents", {"agents": 1}, "1 system"),
        ("runs", {"partitions": 0}, "no partitions"),
        ("runs", {"partitions": 3}, "3 partitions"),
        ("history", {}, "ready"),
    ],
)
def test_a_role_says_what_it_has_to_do(role: str, said: dict[str, Any], told: str) -> None:
    assert summary(role, said) == told
