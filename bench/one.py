"""Each benchmark runs in an interpreter of its own, so that none measures what another left behind."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import msgspec


def main() -> None:
    """`python -m bench.one MODULE [KEY=VALUE…]`: its rows as one line of JSON, the last line of the output."""
    logging.disable(logging.WARNING)  # what is killed on purpose is missed on purpose
    rows = import_module(f"bench.{sys.argv[1]}").run(**dict(word.split("=", 1) for word in sys.argv[2:]))
    sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")


if __name__ == "__main__":
    main()
