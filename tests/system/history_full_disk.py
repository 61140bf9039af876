"""A store whose file may not grow refuses, and goes on when there is room again; prints what happened."""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from countingroom.core.errors import LinkError
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position
from tests.system.history_child import batch

ROOM = 4_000_000


def main() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = DuckStore(Path(sys.argv[1]), chunk=20_000)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, most))
    refused: list[str] = []
    number = 1
    while number <= 200:
        try:
            store.append(flatten([batch(number)]), Position(sequence=number, stored_ns=number))
            if number % 10 == 0:
                store.maintain(number * 1_000_000_000)
        except LinkError as error:
            refused.append(error.cause.code)
            if len(refused) == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            if len(refused) > 6:
                break
            if store.position().sequence < number:
                continue
        number += 1
    json.dump({"refused": refused, "reached": number - 1, "position": store.position().sequence}, sys.stdout)
    store.close()


if __name__ == "__main__":
    main()
