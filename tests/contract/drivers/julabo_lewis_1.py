"""The Julabo driver before the simulator `julabo-version-1` of lewis."""

from __future__ import annotations

from functools import partial

from tests.contract.lewis_bath import LewisHarness, bath

peer = partial(bath, "julabo-version-1")
harness = LewisHarness
