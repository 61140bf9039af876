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
    number: int = 0
    """Of the list of faults that were found; 0: of no such fault."""
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
    tells: bool = False
    """Whether it must have answered so."""
    refusal: str = ""
    """Of the last stop or abort that was not done."""
    reason: str = ""
    """Why the fault was not played; the other cells then say nothing."""
    failed: bool = False
    """Whether that reason is a fault of the experiment: it was not right before, or did not reach the state."""
    most_control_s: float = CONTROL_S

    @property
    def faults(self) -> list[str]:
        """Why this row is not acceptable."""
        if self.reason:
            return [self.reason] if self.failed else []
        found = list(self.lost)
        if self.control_s is None:
            last = f" (last: {self.refusal})" if self.refusal else ""
            found.append(f"no stop or abort within {self.most_control_s:g} s{last}")
        if self.right_s is None:
            found.append(f"not right again within {RIGHT_S:g} s")
        if self.tells and not self.readiness:
            found.append("/readyz said ready all the time")
        return found

    @property
    def verdict(self) -> str:
        """The faults, or that it is right, or why it was not played."""
        if self.reason and not self.failed:
            return f"not played: {self.reason}"
        return "; ".join(self.faults) or "right"


def not_played(fault: str, state: str, reason: str, *, failed: bool = False) -> Row:
    """A row without figures."""
    return Row(
        fault=fault,
        state=state,
        control_s=None,
        right_s=None,
        gap_s=0.0,
        lost=(),
        readiness="",
        reason=reason,
        failed=failed,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as text, with a verdict in the last column."""
    head = ("no.", "fault", "state", "control", "right again", "gap", "lost", "/readyz said", "verdict")
    lines = [_line(row) for row in rows]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *lines)]
    return "\n".join(line.rstrip() for line in text)


def _line(row: Row) -> tuple[str, ...]:
    about = (str(row.number or ""), row.fault, row.state)
    if row.reason:
        return (*about, "", "", "", "", "", row.verdict)
    figures = (_seconds(row.control_s), _seconds(row.right_s), _seconds(row.gap_s))
    lost = "; ".join(row.lost) or "nothing"
    return (*about, *figures, lost, row.readiness or "ready", row.verdict)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
