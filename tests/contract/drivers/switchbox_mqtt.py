"""The driver of the switchbox before its simulated box, on a broker."""

from __future__ import annotations

from tests.contract.drivers.switchbox import SwitchboxHarness


def harness() -> SwitchboxHarness:
    return SwitchboxHarness(mqtt={})
