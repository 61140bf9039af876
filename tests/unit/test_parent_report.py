"""What a child reports to the process that supervises it."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from countingroom.app.watchdog import TICK

CHILD = """
import signal, os
from countingroom.app.parent_watch import ParentReport
ParentReport().ready({"port": 1})
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_child_that_hangs_as_soon_as_it_is_ready_has_ticked_so_that_it_is_watched() -> None:
    with subprocess.Popen((sys.executable, "-c", CHILD), stdout=subprocess.PIPE) as child:
        assert child.stdout
        try:
            assert child.stdout.readline() == b'{"ready":{"port":1}}\n'
            while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
                time.sleep(0.01)
        finally:
            child.kill()
        assert child.stdout.read() == TICK
