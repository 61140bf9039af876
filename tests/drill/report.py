"""The report of the drill: one row for each fault in each state of the experiment."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

CONTROL_S = 10.0
"""A stop or an abort that is not done after this time counts as refused."""
RIGHT_S = 60.0
"""Time for the experiment to be right again by itself, after the fault has ended."""


class Row(Struct, frozen=True, kw_only=True):
    """What one fault did in one state."""

    fault: str
    state: str
    """State of the partition when the fault began."""
    control_s: float | None
    """Seconds from the fault until a stop or an abort was done; None: not within `most_control_s`."""
    right_s: float | None
    """Seconds from the end of the fault until all roles were ready and all values good; None: not within RIGHT_S."""
    gap_s: float
    """Longest time between two recorded readings of a point that is read each second."""
    lost: tuple[str, ...]
    """What is missing afterwards: a run without an end, a command without an entry in the audit."""
    readiness: str
    """What /readyz answered first that was not 200; "" if it was always 200."""
    remark: str = ""
    most_control_s: float = CONTROL_S

    @property
    def faults(self) -> list[str]:
        """Why this row is not acceptable."""
        found = list(self.lost)
        if self.control_s is None:
            found.append(f"no stop or abort within {self.most_control_s:g} s")
        if self.right_s is None:
            found.append(f"not right again within {RIGHT_S:g} s")
        return found


def table(rows: Sequence[Row]) -> str:
    """The rows as text, with a verdict in the last column."""
    head = ("fault", "state", "control", "right again", "gap", "/readyz said", "verdict")
    lines = [
        (
            row.fault,
            row.state,
            _seconds(row.control_s),
            _seconds(row.right_s),
            _seconds(row.gap_s),
            row.readiness or "ready",
            "; ".join(row.faults) or row.remark or "right",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *lines)]
    return "\n".join(line.rstrip() for line in text)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
