"""What was done before the fork is not done again by a role."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging, re
from nats.aio.client import ServerVersion
from countingroom.app.common_start import prepare_common_start, set_log_levels

prepare_common_start()
assert logging.getLogger().isEnabledFor(logging.INFO)
assert not logging.getLogger("nats").isEnabledFor(logging.INFO)

def again(*_):
    raise AssertionError("again")

logging.Logger.setLevel = re._compiler.compile = again
set_log_levels()
assert ServerVersion("2.12.1").minor == 12
"""


def test_levels_and_patterns_are_ready_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
