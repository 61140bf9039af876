"""The driver of text instruments over TCP, without identification, with another line end."""

from __future__ import annotations

from tests.contract.drivers.text import TextHarness


def harness() -> TextHarness:
    return TextHarness(port="socket://127.0.0.1:5025", identify=None, line_end="CR", echo=True, timeout=0.2)
