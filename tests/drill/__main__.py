"""`python -m tests.drill`: plays every fault and prints the table; status 1 where a row is not right.

    python -m tests.drill [--short] [--list] [--kinds K,...] [--roles R,...] [--states S,...] [--minutes N] [NAME...]

NAME chooses the drills whose name begins with it; the options choose among them by the kind of fault (the end of the
name: `killed`, `slow disk`), by the role (its begin), and by the state. Each cell has limits for its preparation, for
the control and for being right again, so that none takes more than five minutes; `--minutes` ends the whole after that
time, and the table then tells what was not played. A full and a slow disk need root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.drill.drill import Drill, Playground
from tests.drill.experiment import STATES, Drilled, watched_readiness
from tests.drill.faults import DRILLS, SHORT
from tests.drill.machine import NotHere
from tests.drill.report import Row, not_played, table
from tests.drill.site import experiment
from tests.system.running import Running, until

_STARTS = 3
"""Attempts to start the experiment, before the drill gives up."""
Cell = tuple[Drill, str]
"""A drill in a state."""


def play(running: Running, drills: Sequence[Drill], *, short: bool = False) -> Iterator[Row]:
    """Play each drill in its states; a row for each. AssertionError where a state is not reached."""
    drilled = Drilled(Playground(running))
    for drill, state in cells(drills, short=short):
        yield play_cell(drilled, drill, state)


def cells(drills: Sequence[Drill], *, states: Sequence[str] = STATES, short: bool = False) -> list[Cell]:
    """What is to be played; of the short form one state for each drill."""
    found = [(drill, [one for one in drill.states if one in states]) for drill in drills]
    return [(drill, state) for drill, of_it in found for state in (of_it[-1:] if short else of_it)]


def play_cell(drilled: Drilled, drill: Drill, state: str) -> Row:
    """One row. AssertionError: the experiment was not right before, or did not reach the state."""
    until(drilled.is_right, "all is right before the drill")
    drilled.begin()
    drilled.bring_to(state)
    command = "stop" if state == "Recording" else "abort"
    begin_ns = time.time_ns()
    try:
        with watched_readiness(drilled.running.url) as said:
            with drill.fault(drilled.there):
                control_s = drilled.control_s(command, drill.control_s)
            right_s = drilled.right_again_s()
    except NotHere as reason:
        return not_played(drill.name, state, str(reason))
    return Row(
        fault=drill.name,
        number=drill.number,
        state=state,
        control_s=control_s,
        most_control_s=drill.control_s,
        right_s=right_s,
        gap_s=drilled.gap_s(begin_ns),
        lost=drilled.lost(),
        readiness=said[0] if said else "",
        tells=drill.tells,
        refusal=drilled.refusal if control_s is None else "",
    )


class Session:
    """One call of the drill: its rows, its progress on standard error, and its end."""

    def __init__(self, wanted: Sequence[Cell], minutes: float) -> None:
        self.rows: list[Row] = []
        self._wanted = wanted
        self._begin = time.monotonic()
        self._minutes = minutes

    def play(self, folder: Path) -> None:
        """Play all; an experiment that does not come back is reported and made new."""
        for small in (False, True):
            left = [cell for cell in self._wanted if cell[0].small_disk is small]
            attempt = 0
            fruitless = 0
            while left:
                before = len(left)
                try:
                    with experiment(folder / f"{small}{attempt}", small=small) as there:
                        self._play_some(Drilled(there), left)
                except NotHere as reason:
                    while left:
                        self._add(not_played(left[0][0].name, left.pop(0)[1], str(reason)))
                except (AssertionError, OSError) as error:  # of its start or of its end
                    sys.stderr.write(f"the experiment: {error}\n")
                    fruitless = fruitless + 1 if before == len(left) else 0
                    if fruitless == _STARTS:
                        raise
                attempt += 1

    def _play_some(self, drilled: Drilled, left: list[Cell]) -> None:
        while left:
            drill, state = left.pop(0)
            if self._minutes and time.monotonic() - self._begin > self._minutes * 60:
                self._add(not_played(drill.name, state, f"the {self._minutes:g} minutes are over"))
                continue
            try:
                self._add(play_cell(drilled, drill, state))
            except Exception as error:
                self._add(not_played(drill.name, state, f"{type(error).__name__}: {error}", failed=True))
                return

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        minutes = (time.monotonic() - self._begin) / 60
        sys.stderr.write(
            f"{len(self.rows)}/{len(self._wanted)} {minutes:.1f} min  {row.fault}, {row.state}: {row.verdict} "
            f"(control {row.control_s}, right {row.right_s}, gap {row.gap_s:.1f}, said {row.readiness!r})\n"
        )
        sys.stderr.flush()


def main(words: Sequence[str]) -> int:
    """Print a line for each drill as it is played, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill")
    parser.add_argument("names", nargs="*", help="drills whose name begins so")
    parser.add_argument("--short", action="store_true", help="three drills, each in one state")
    parser.add_argument("--list", action="store_true", help="name them, and end")
    for what in ("kinds", "roles", "states"):
        parser.add_argument(f"--{what}", type=lambda text: text.split(","), default=[""])
    parser.add_argument("--minutes", type=float, default=0.0, help="play no more after this time")
    asked = parser.parse_args(words)
    names = asked.names or (SHORT if asked.short else [""])
    states = [one for one in STATES if any(one.lower().startswith(word.lower()) for word in asked.states)]
    wanted = cells(
        [
            drill
            for drill in DRILLS
            if drill.name.startswith(tuple(names))
            and drill.name.startswith(tuple(asked.roles))
            and drill.name.endswith(tuple(asked.kinds))
        ],
        states=states,
        short=asked.short,
    )
    if asked.list:
        sys.stdout.write("".join(f"{drill.name}, {state}\n" for drill, state in wanted))
        return 0
    session = Session(wanted, asked.minutes)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        session.play(Path(folder))
    sys.stdout.write(table(session.rows) + "\n")
    return int(any(row.faults for row in session.rows))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
