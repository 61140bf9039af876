"""What nearly each role does in the same way at its start. Done once before the fork, its results are shared.

A regular expression that is compiled in a forked process costs it 100 pages of 4 KiB: those of the compiler, which the
kernel copies. A log level that is set costs 70, because `logging` then writes to each logger of the process.
"""

from __future__ import annotations

import logging

_LEVELS = {"": logging.INFO, "httpx": logging.WARNING, "uvicorn.error": logging.WARNING, "nats": logging.WARNING}
"""Logger -> its level; empty: the root. These libraries log what is no news for an operator."""


def prepare_common_start() -> None:
    """Do it, in the process that is forked afterwards."""
    from countingroom.bus.nats.pinned_client import compile_pattern  # a client of the fork server needs none of it

    set_log_levels()
    compile_pattern()


def set_log_levels() -> None:
    """Set the levels of the loggers, of those that have another one."""
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level != level:
            logger.setLevel(level)
