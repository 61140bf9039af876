"""Appends to the history of its argument until it is killed, and says after each append that it holds.

Batch k has ROWS rows of value k.
"""

from __future__ import annotations

import sys
from pathlib import Path

from countingroom.core.messages import Readings
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position

ROWS = 3000
S = 1_000_000_000


def batch(number: int) -> Readings:
    times = [number * S + row for row in range(ROWS)]
    return Readings(
        device="d",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=number * S,
        points=[f"p{row % 50}" for row in range(ROWS)],
        values=[float(number)] * (ROWS - 1) + [f"text {number}"],
        qualities=[0] * ROWS,
        device_ns=times,
        received_ns=times,
    )


def main() -> None:
    store = DuckStore(Path(sys.argv[1]), chunk=20_000)
    number = store.position().sequence
    print("open", flush=True)
    while True:
        number += 1
        store.append(flatten([batch(number)]), Position(sequence=number, stored_ns=number))
        print(number, flush=True)
        if number % 7 == 0:
            store.maintain(number * S)


if __name__ == "__main__":
    main()
