"""The Julabo driver before the simulator `julabo-version-1` of lewis."""

from __future__ import annotations

from tests.contract.lewis_bath import LewisHarness


def harness() -> LewisHarness:
    return LewisHarness("julabo-version-1")
