"""The templates of the console, compiled once for all consoles of a test run.

Compiling all of them takes 0.3 s of processor time, and the tests make hundreds of consoles, in this process and as
forks of a server (warm_console.py). A console that is started by exec compiles them by itself.
"""

from __future__ import annotations

from functools import partial

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from countingroom.console.pages import pages


class _Memory(BytecodeCache):
    """Keeps what was compiled by the name of the template and its text."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if made := self._made.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(made)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._made[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def install() -> None:
    """Give this cache to every console that is made from now on, here and in forks."""
    pages.Environment = partial(Environment, bytecode_cache=_Memory())  # type: ignore[misc,assignment]
